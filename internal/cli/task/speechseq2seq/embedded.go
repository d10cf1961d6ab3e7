package speechseq2seq

import (
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks/speechseq2seq"
	"github.com/spalora/spalora/train"
)

// window is the number of seconds that the model reads of the embedded strings of digits, of which the longest lasts
// less.
const window = 6

// longest is the number of tokens of a transcript that evaluations write, which ends those of a model that repeats
// itself; the strings have fewer.
const longest = 32

// digits puts the embedded strings of digits into a configuration.
func digits(c *speechseq2seq.Finetuning) (err error) {
	train, test := embedded.FSDD()
	if c.Train, err = speech.ReadFS(train, embedded.FSDDName, speech.Options{}); err != nil {
		return err
	}
	c.Test, err = speech.ReadFS(test, embedded.FSDDName+" test", speech.Options{})
	return err
}

// defaults changes defaults, where no flag says otherwise, for what is embedded.
func (r *finetuning) defaults(model, data bool) {
	if !model || !data {
		return
	}
	r.PredictWithGenerate = true
	if r.GenerationMaxLength == 0 {
		r.GenerationMaxLength = longest
	}
	if r.AudioContext == 0 {
		r.AudioContext = window
	}
	r.OnBefore = func(rows int, m train.Metrics) { r.before(rows, cli.MetricsText(m)) }
	task.Epochs(&r.Run, 3)
	task.WarmUp(&r.Run)
}
