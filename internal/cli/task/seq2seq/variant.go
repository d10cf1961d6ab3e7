// Package seq2seq is the tasks of encoder–decoders on the command line: "finetune" and "predict" with "seq2seq-lm"
// and "translation".
package seq2seq

import (
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seq2seq"
)

// LanguageModel and Translation are the two task types.
var (
	LanguageModel = languageModel.descriptor()
	Translation   = translation.descriptor()
)

// variant is what the two task types do not have in common.
type variant struct {
	kind tasks.Kind
	main string // measure that decides

	short, long, defaultsText, finetuneExamples string
	predictLong, predictExamples                string

	data     string                            // that are embedded, for --help
	embedded func(c *seq2seq.Finetuning) error // puts the embedded data into a configuration
	prefix   string                            // of their sources
	epochs   float64                           // passes over them
}

func (v variant) descriptor() task.Descriptor {
	return task.Descriptor{Kind: v.kind, BuiltIn: cli.T5(), Finetune: v.finetune, Predict: v.predict}
}

var languageModel = variant{
	kind: seq2seq.Kind, main: seq2seq.MainRouge, data: "tables of e2e-nlg", embedded: e2e, epochs: 8,
	short: "A text for a text: summaries, data in words, corrections",
	long: `Fine-tune a LoRA adapter (or, with --full, all weights) of an encoder–decoder that writes a target for a
source.
`,
	defaultsText: `With the embedded model and data (tables about restaurants and sentences that say what they hold) the
learning rate is 2e-3 with batches of 1,024 tokens, for 8 epochs; a tenth of the steps warm up, and all linear layers
are adapted with rank 16. Targets are generated and scored before and after training.
`,
	finetuneExamples: `  # the embedded model and tables
  finetune seq2seq-lm

  # articles with summaries; T5 wants to be told the task
  finetune seq2seq-lm --model flan-t5-small --train-file train.jsonl --validation-split 0.05 \
      --source-prefix "summarize: " --max-source-length 512 --predict-with-generate

  # columns of a table; rows of the same source are references of one another when the test rows are scored
  finetune seq2seq-lm --model bart-base --train-file devset.csv --test-file testset_w_refs.csv \
      --source-column mr --target-column ref --group-sources --predict-with-generate`,
	predictLong: `Write targets for sources with an encoder–decoder.
`,
	predictExamples: `  # summaries with the adapter that finetune wrote, which remembers prefix and lengths
  predict seq2seq-lm --model flan-t5-small --adapter runs/mine --input articles.jsonl --output summaries.jsonl \
      --num-beams 4 --length-penalty 2 --no-repeat-ngram-size 3

  # scores against references; how well the references are predicted
  predict seq2seq-lm --model DIR --adapter runs/mine --input test.jsonl --output out.jsonl --metrics-file metrics.json
  predict seq2seq-lm --model DIR --adapter runs/mine --input test.jsonl --output logits.jsonl --logits`,
}

var translation = variant{
	kind: seq2seq.TranslationKind, main: seq2seq.MainBLEU,
	data: "longer pairs of tatoeba-en-sv", embedded: tatoeba, prefix: swedish, epochs: 6,
	short: "Translations",
	long: `Fine-tune a LoRA adapter (or, with --full, all weights) of an encoder–decoder that translates.
`,
	defaultsText: `With the embedded model and data (English sentences of at least seven words with Swedish ones; the model
has seen shorter ones) the prefix is "Swedish: ", the learning rate 2e-3 with batches of 1,024 tokens, for 6 epochs; a
tenth of the steps warm up, and all linear layers are adapted with rank 16. Targets are generated and scored before and
after training.
`,
	finetuneExamples: `  # the embedded model and pairs of sentences
  finetune translation

  # a file for each language, line by line
  finetune translation --model opus-mt-en-de --train-file train.en.gz --train-target-file train.de.gz \
      --eval-file val.en.gz --eval-target-file val.de.gz --predict-with-generate

  # T5 is told the task by a prefix, mBART-50 the languages by codes
  finetune translation --model t5-small --train-file train.tsv --source-lang en --target-lang sv \
      --source-prefix "translate English to Swedish: "
  finetune translation --model mbart-large-50 --train-file train.jsonl --source-lang en_XX --target-lang sv_SE`,
	predictLong: `Translate texts with an encoder–decoder.
`,
	predictExamples: `  # two sentences
  predict translation --model opus-mt-en-de --text "Where is the station?" --text "It rains."

  # the lines of a file; BLEU and chrF against those of another
  predict translation --model DIR --adapter runs/mine --input test.en.gz --target-file test.de.gz --num-beams 4 \
      --output out.jsonl --metrics-file metrics.json`,
}
