package seq2seq

import (
	"fmt"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/train"
)

// swedish is the prefix by which the embedded model knows that it should translate.
const swedish = "Swedish: "

// longest is the number of tokens of a generated target with the embedded data; the references have fewer.
const longest = 64

// tatoeba puts the embedded pairs of sentences into a configuration. Those to test on have all translations that they
// have in the file.
func tatoeba(c *seq2seq.Finetuning) error {
	o := pair.Options{Format: data.TSV, NoQuotes: true, SourceLang: "en", TargetLang: "sv"}
	train, test := embedded.Tatoeba()
	return put(c, train, test, embedded.TatoebaName, o)
}

// e2e puts the embedded tables and sentences into a configuration.
func e2e(c *seq2seq.Finetuning) error {
	train, test := embedded.E2E()
	return put(c, train, test, embedded.E2EName, pair.Options{Format: data.JSONLines})
}

func put(c *seq2seq.Finetuning, train, test []byte, name string, o pair.Options) (err error) {
	if c.Train, err = pair.ReadBytes(train, name, o); err != nil {
		return err
	}
	o.GroupSources = true
	c.Test, err = pair.ReadBytes(test, name+" test", o)
	return err
}

// defaults changes defaults, where no flag says otherwise, for what is embedded: a small model that has hardly seen
// such texts needs a larger adapter than a large one.
func (r *finetuning) defaults(model, data bool) {
	if !model || !data {
		return
	}
	r.PredictWithGenerate = true
	if r.GenerationMaxLength == 0 {
		r.GenerationMaxLength = longest
	}
	if r.prefix != "" && r.SourcePrefix == nil {
		r.SourcePrefix = new(r.prefix)
	}
	r.OnBefore = func(rows int, m train.Metrics) {
		fmt.Fprintf(r.env.Out, "before training: test, %d rows: %s\n", rows, cli.MetricsText(m))
	}
	if r.BatchSize == 0 && r.TokensPerBatch == 0 {
		r.TokensPerBatch = 1024
	}
	task.Epochs(&r.Run, r.epochs)
	task.WarmUp(&r.Run)
	if r.Full {
		return
	}
	if r.LearningRate == nil {
		r.LearningRate = new(2e-3)
	}
	if r.Adapter == "" {
		if len(r.TargetModules) == 0 {
			r.TargetModules = []string{lora.AllLinear}
		}
		if r.LoraR == 0 && r.LoraAlpha == nil {
			r.LoraR, r.LoraAlpha = 16, new(32.0)
		}
	}
}
