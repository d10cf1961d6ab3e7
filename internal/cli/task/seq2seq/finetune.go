package seq2seq

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seq2seq"
)

// finetuning is one run of "finetune seq2seq-lm" or "finetune translation".
type finetuning struct {
	*seq2seq.Finetuning
	variant
	env   cli.Env
	after strings.Builder // samples taken at the end
}

// finetune returns the subcommand of a variant.
func (v variant) finetune(env cli.Env) *cobra.Command {
	config, c := v.config()
	r := &finetuning{Finetuning: c, variant: v, env: env}
	c.OnSamples = r.samples
	f := &task.Finetune{
		Config: config, BuiltIn: cli.T5(), Models: task.Directories,
		Formats: "JSON Lines, CSV, TSV, or plain text with --train-target-file; also compressed (.gz)", Data: v.data,
		Adapter: seq2seq.DefaultAdapter(), Training: seq2seq.DefaultTraining(),
		Reading: func(fs *pflag.FlagSet) { addReading(fs, &c.Data); r.addTargetFiles(fs) },
		Sections: func(fs *pflag.FlagSet) {
			cli.Section(fs, "All weights", func(fs *pflag.FlagSet) { task.AddFull(fs, &c.AllWeights) })
		},
		Task:     r.addTask,
		Embedded: func() error { return v.embedded(c) },
		OwnBase:  func() bool { return c.FromScratch != "" }, Defaults: r.defaults, Print: r.print,
	}
	return f.Command(env, &cobra.Command{
		Use:     v.kind.Command,
		Short:   v.short,
		Long:    v.long + finetuneLong + v.defaultsText + task.ExitCodes + " with adapter or model saved.",
		Example: v.finetuneExamples,
	})
}

const finetuneLong = `
Checkpoints are T5, Flan-T5, mT5, ByT5, BART, mBART, Marian and Pegasus. A row has a source and a target; of several
targets the first is learned, and all count as references in scores. The loss is the mean over the tokens of the
targets, the end token included.

With --predict-with-generate evaluations generate targets, too, and score them: rouge1, rouge2, rougeL and rougeLsum
(F1 of stems), bleu (sacreBLEU, tokenizer 13a), chrf, chrf++ and exact_match, from 0 to 100.

It writes to --output-dir: adapter_config.json and adapter_model.safetensors (with --full: model.safetensors,
config.json and the tokenizer's files) of the best state, without evaluation of the last; metrics.jsonl (a line for each
step and evaluation), results.json and checkpoints. The adapter remembers prefix, languages and lengths.

`

// addReading defines the flags that say how files of pairs are read.
func addReading(fs *pflag.FlagSet, o *pair.Options) {
	fs.StringVar(&o.SourceColumn, "source-column", "",
		"`name` of the column with sources"+cli.ByNumber+"; default: source, document, article, text and other usual names")
	fs.StringVar(&o.TargetColumn, "target-column", "",
		"`name` of the column with targets; default: target, summary, highlights and other usual names")
	fs.BoolVar(&o.GroupSources, "group-sources", false,
		"rows to score with the same source are one row with several references")
	cli.FormatFlags{
		Format: &o.Format, Delimiter: &o.Delimiter, NoHeader: &o.NoHeader, NoQuotes: &o.NoQuotes,
		ReplaceInvalid: &o.ReplaceInvalid,
	}.Add(fs, "csv, tsv, jsonl or txt (a source in each line)")
}

// maxTarget is the name of the flag for the largest number of tokens of a target.
const maxTarget = "max-target-length"

// addTexts defines the flags that say how texts become tokens.
func addTexts(fs *pflag.FlagSet, t *seq2seq.Texts) {
	cli.Optional(fs, &t.SourcePrefix, "source-prefix", "", "`text` to put before every source, as \"summarize: \" for T5")
	fs.StringVar(&t.SourceLang, "source-lang", "",
		"`language` of the sources: a code of the tokenizer (en_XX), if it has languages, and the name of a column or key")
	fs.StringVar(&t.TargetLang, "target-lang", "", "`language` of the targets")
	cli.Default(fs, &t.MaxSourceLength, "max-source-length", seq2seq.StandardSource,
		"tokens of a source, or fewer if the checkpoint allows fewer; longer ones are cut")
	cli.Default(fs, &t.MaxTargetLength, maxTarget, seq2seq.StandardTarget, "tokens of a target, likewise")
}

func (r *finetuning) addTargetFiles(fs *pflag.FlagSet) {
	for _, x := range []struct {
		to   *string
		name string
	}{{&r.TrainTargetFile, "train"}, {&r.EvalTargetFile, "eval"}, {&r.TestTargetFile, "test"}} {
		fs.StringVar(x.to, x.name+"-target-file", "",
			"`file` whose lines are the targets of the lines of --"+x.name+"-file, both plain text")
	}
}

func (r *finetuning) addTask(fs *pflag.FlagSet) {
	addTexts(fs, &r.Texts)
	fs.Float64Var(&r.LabelSmoothingFactor, "label-smoothing-factor", 0,
		"share of the loss that is spread over the whole vocabulary")
	fs.BoolVar(&r.GradientCheckpointing, "gradient-checkpointing", false,
		"compute each block again in the backward: less memory, more time, the same results")
	fs.BoolVar(&r.PredictWithGenerate, "predict-with-generate", false,
		"generate targets in evaluations and score them; "+r.main+" then decides which state is best")
	fs.IntVar(&r.GenerationNumBeams, "generation-num-beams", 0,
		"beams of --predict-with-generate; 0: those of generation_config.json, else 1")
	fs.IntVar(&r.GenerationMaxLength, "generation-max-length", 0,
		"tokens of a target of --predict-with-generate; 0: --max-target-length")
}

// samples prints samples: those before training at once, the others with the results.
func (r *finetuning) samples(trained bool, list []seq2seq.Sample) {
	when := map[bool]string{false: "before training", true: "after training"}[trained]
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%s: %s\n  written:   %s\n", when, oneLine(s.Source), oneLine(s.Text))
		if len(s.References) > 0 {
			fmt.Fprintf(&b, "  reference: %s\n", oneLine(s.References[0]))
		}
	}
	if trained {
		r.after = b
		return
	}
	fmt.Fprint(r.env.Out, b.String())
}

// shownText is the largest number of characters of a text that samples show.
const shownText = 200

// oneLine returns a text without line ends, cut if it is long.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if list := []rune(text); len(list) > shownText {
		return string(list[:shownText]) + "…"
	}
	return text
}

// print prints the samples at the end.
func (r *finetuning) print(*spalora.Results) error {
	_, err := fmt.Fprint(r.env.Out, r.after.String())
	return err
}

// config returns a configuration of the variant, with the part that both variants have.
func (v variant) config() (tasks.Finetuning, *seq2seq.Finetuning) {
	if v.kind.Command == seq2seq.TranslationType.Command {
		t := new(seq2seq.Translation)
		return t, &t.Finetuning
	}
	c := new(seq2seq.Finetuning)
	return c, c
}
