package task

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// Predict is a command "predict TASK" that predicts something for each row of an input: the flags and functions that
// it has of its own.
type Predict struct {
	Kind     tasks.Kind
	BuiltIn  cli.BuiltIn
	Settings tasks.Settings // set by flags
	Tokens   *int           // the setting tokens_per_batch; nil: the task has none

	// Model defines further flags of the model, Input those of the input, Answers (with its title) a section of its own,
	// and Output those of what is written. nil: none.
	Model, Input, Output func(fs *pflag.FlagSet)
	Sections             func(fs *pflag.FlagSet)
	// AdapterUsage replaces the usage of --adapter; "" is that of a task with a head.
	AdapterUsage string

	// Check returns the errors about flags before anything is opened. It may make standard input the input.
	Check func(p *Predicting) []error
	// Run reads the rows, predicts and returns the output.
	Run func(cmd *cobra.Command, p *Predicting) (*Predictions, error)
}

// Predictions are the output of a command.
type Predictions struct {
	Rows     func(w io.Writer) error
	Name     string // of the input
	Labelled int    // rows with a label
	Metrics  train.Metrics
	Each     []Scored // the metrics of each adapter, if several served rows with labels
}

// Predicting is one run of a command.
type Predicting struct {
	*Predict
	Env     cli.Env
	Console *cli.Console
	Models  *Models                // open when Run is called
	Given   func(flag string) bool // whether a flag was given
	Input   *string                // --input, for tasks that have it; Check sets it
	Scored  bool                   // --metrics-file is given

	head                cli.HeadFlags
	log                 cli.LogFlags
	output, metricsFile string
	overwrite           bool
	threads             int
}

// Command defines the flags of cmd and makes it run.
func (t *Predict) Command(env cli.Env, cmd *cobra.Command) *cobra.Command {
	p := &Predicting{Predict: t, Env: env}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", func(fs *pflag.FlagSet) {
		p.head.Add(fs, t.BuiltIn, t.AdapterUsage)
		if t.Model != nil {
			t.Model(fs)
		}
	})
	cli.Section(fs, "Input", t.Input)
	if t.Sections != nil {
		t.Sections(fs)
	}
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		fs.StringVar(&p.output, "output", "", "`file` of JSON lines; default, or -: standard output")
		if t.Output != nil {
			t.Output(fs)
		}
		fs.StringVar(&p.metricsFile, "metrics-file", "", "`file` for the metrics, JSON")
		fs.BoolVar(&p.overwrite, "overwrite", false, "replace --output and --metrics-file if they exist")
	})
	cli.Section(fs, "Speed", func(fs *pflag.FlagSet) {
		if t.Tokens != nil {
			cli.Default(fs, t.Tokens, "tokens-per-batch", tasks.EvalTokens,
				"tokens that are computed at once. Results do not depend on it")
		}
		fs.IntVar(&p.threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
	})
	cli.Section(fs, "Messages", p.log.Add)
	cli.Leaf(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.predict(cmd) }
	return cmd
}

// predict runs the command: it checks the flags, opens the model, and writes what the task predicts.
func (p *Predicting) predict(cmd *cobra.Command) (err error) {
	p.Given, p.Scored = cmd.Flags().Changed, p.metricsFile != ""
	if p.Console, err = cli.NewConsole(p.Env, p.log, cmd.Flags()); err != nil {
		return err
	}
	result := cli.Result{Flag: "--output", Path: p.output, Overwrite: p.overwrite}
	scores := cli.Result{Flag: "--metrics-file", Path: p.metricsFile, Overwrite: p.overwrite}
	if err := p.check(result, scores); err != nil {
		return err
	}
	if p.Models, err = OpenModels(p.Kind, p.BuiltIn, p.head, p.threads, p.Settings, p.Console); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Models.Close()) }()
	out, err := p.Run(cmd, p)
	if err != nil {
		return err
	}
	return p.write(result, scores, out)
}

// check returns an error if flags have no meaning, or something must not be written.
func (p *Predicting) check(result, scores cli.Result) error {
	errs := p.head.Check(p.Given)
	if p.Given("metrics-file") && (p.metricsFile == "" || p.metricsFile == "-" ||
		filepath.Clean(p.metricsFile) == filepath.Clean(p.output)) {
		errs = append(errs, errors.New("--metrics-file needs a file of its own"))
	}
	errs = append(errs, p.Check(p)...)
	input := ""
	if p.Input != nil {
		input = *p.Input
	}
	if len(p.head.Adapters) > 0 && input == "" {
		errs = append(errs, ErrNoRows)
	}
	if err := cli.UsageError(errors.Join(errs...)); err != nil {
		return err
	}
	return errors.Join(result.Check(input), scores.Check(input))
}

// WarnRead logs what was odd about a file when it was read.
func (p *Predicting) WarnRead(warnings []data.Warning) {
	for _, w := range warnings {
		p.Console.Log.Warn().Msg(w.String())
	}
}

// portion is the number of rows that are tokenised and computed between two lines about progress.
const portion = 2048

// InPortions returns the predictions for the rows of a file: those of predict for ranges of row numbers, lo ≤ i < hi.
// It calls add with the counts of each range and logs the progress.
func InPortions[R, N any](
	p *Predicting, file string, rows int, predict func(lo, hi int) ([]R, N, error), add func(counts N),
) ([]R, error) {
	began := time.Now()
	logged := began
	var all []R
	for lo := 0; lo < rows; lo += portion {
		hi := min(lo+portion, rows)
		list, counts, err := predict(lo, hi)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		add(counts)
		if hi < rows && time.Since(logged) > 5*time.Second {
			logged = time.Now()
			p.Console.Log.Info().Msgf("%d of %d rows", hi, rows)
		}
	}
	p.Console.Log.Info().Msgf("%s: %d rows in %.2f s", file, rows, time.Since(began).Seconds())
	return all, nil
}

// write writes the rows and then, if that succeeded, logs the metrics of those with labels and writes their file, if
// there are any.
func (p *Predicting) write(result, scores cli.Result, out *Predictions) error {
	if err := result.Write(p.Env, out.Rows); err != nil {
		return err
	}
	if len(out.Metrics.Values) == 0 && len(out.Each) == 0 {
		return nil
	}
	out.LogMetrics(p.Console.Log, "labelled rows")
	if scores.Path == "" {
		return nil
	}
	text, err := out.MetricsJSON()
	if err != nil {
		return fmt.Errorf("--metrics-file: %w", err)
	}
	return scores.Write(p.Env, files.Bytes(append(text, '\n')))
}
