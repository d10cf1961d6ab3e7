package toy_test

import (
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
)

// length is the toy task type on the command line.
var length = task.Descriptor{Kind: lengthKind, BuiltIn: cli.MiniLM(), Finetune: finetuneLength, Predict: predictLength}

func addLongFrom(fs *pflag.FlagSet, to *int) {
	cli.Default(fs, to, "long-from", 8, "words from which a text is long")
}

func finetuneLength(env cli.Env) *cobra.Command {
	c := &finetuning{}
	f := &task.Finetune{
		Config: c, BuiltIn: cli.MiniLM(), Models: task.DirectoriesOrGGUF, Formats: "a text in every line",
		Head: task.HeadTrains, Adapter: tasks.DefaultAdapter(), Training: tasks.DefaultTraining(),
		Task: func(fs *pflag.FlagSet) { addLongFrom(fs, &c.LongFrom) },
	}
	return f.Command(env, &cobra.Command{Use: lengthType.Command, Short: "Whether texts are long"})
}

func predictLength(env cli.Env) *cobra.Command {
	s, in := &settings{}, &cli.InputFlags{}
	t := &task.Predict{
		Kind: lengthKind, BuiltIn: cli.MiniLM(), Settings: s, Tokens: &s.TokensPerBatch,
		Input: func(fs *pflag.FlagSet) {
			in.AddTexts(fs)
			addLongFrom(fs, &s.LongFrom)
		},
		Check: func(p *task.Predicting) []error {
			p.Input = &in.Input
			return []error{in.Check(p.Env, p.Given, nil)}
		},
		Run: func(cmd *cobra.Command, p *task.Predicting) (*task.Predictions, error) {
			return predictLengths(cmd, p, in)
		},
	}
	return t.Command(env, &cobra.Command{Use: lengthType.Command, Short: "Whether texts are long"})
}

// row is what is written for a text.
type row struct {
	Label string  `json:"label"`
	Logit float32 `json:"logit"`
}

func predictLengths(cmd *cobra.Command, p *task.Predicting, in *cli.InputFlags) (*task.Predictions, error) {
	list, err := task.All[*detector](p.Models)
	if err != nil {
		return nil, err
	}
	d, f, o := list[0], in.File(), lines
	o.Adapter = p.Models.Adapter() // which lines of text cannot name
	if f == nil {
		if f, err = tasks.ReadFile(in.Input, p.Env.In, o, text.Read, text.ReadFrom); err != nil {
			return nil, err
		}
	}
	set, err := d.encode(cmd.Context(), f)
	if err != nil {
		return nil, err
	}
	logits, err := d.logits(cmd.Context(), set)
	if err != nil {
		return nil, err
	}
	rows := func(w io.Writer) error {
		return task.EachLine(w, "row", len(logits), func(i int) any {
			if logits[i] > 0 {
				return row{"long", logits[i]}
			}
			return row{"short", logits[i]}
		})
	}
	return &task.Predictions{Rows: rows, Name: f.Name, Labelled: f.Len(), Metrics: d.score(set, logits)}, nil
}
