package seq2seq

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/generation"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seq2seq"
)

// finetuning is one run of "finetune seq2seq-lm" or "finetune translation".
type finetuning struct {
	*seq2seq.Finetuning
	variant
	env     cli.Env
	samples generation.Samples
}

// finetune returns the subcommand of a variant.
func (v variant) finetune(env cli.Env) *cobra.Command {
	config, c := v.config()
	r := &finetuning{Finetuning: c, variant: v, env: env}
	c.OnSamples = r.show
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
	generation.AddTargets(fs, &r.TargetTraining, r.main)
}

// show takes samples of a run.
func (r *finetuning) show(trained bool, list []seq2seq.Sample) {
	var rows []generation.Sample
	for _, s := range list {
		rows = append(rows, generation.Sample{Of: s.Source, Written: s.Text, References: s.References})
	}
	r.samples.Show(r.env.Out, trained, rows)
}

// print prints the samples at the end.
func (r *finetuning) print(*spalora.Results) error { return r.samples.Print(r.env.Out) }

// config returns a configuration of the variant, with the part that both variants have.
func (v variant) config() (tasks.Finetuning, *seq2seq.Finetuning) {
	if v.kind.Command == seq2seq.TranslationType.Command {
		t := new(seq2seq.Translation)
		return t, &t.Finetuning
	}
	c := new(seq2seq.Finetuning)
	return c, c
}
