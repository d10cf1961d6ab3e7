package task

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// Finetune is a command "finetune TASK": the flags and the data that it has of its own. The flags set the fields of a
// task's configuration; the rest is [spalora.Finetune].
type Finetune struct {
	Config  tasks.Finetuning
	BuiltIn cli.BuiltIn // the checkpoint that is compiled in

	Models  string // kinds of --model
	Formats string // formats of data files
	Data    string // the data that are compiled in; "" for none
	Chosen  string // how rows are chosen to be held out; "" for at random
	Head    string // whether the head trains, for the usage of --modules-to-save

	Adapter  lora.Config  // defaults of the adapter
	Training train.Config // defaults of the loop

	// Task defines the flags of the task itself, Reading, if set, those that say how files are read.
	Task, Reading func(fs *pflag.FlagSet)
	// Sections, if set, defines further sections of flags before those of the training loop, Last after them.
	Sections, Last func(fs *pflag.FlagSet)
	// WithoutDropout leaves --dropout out of the task's section.
	WithoutDropout bool

	// Embedded, if set, puts the data that are compiled in into the configuration; it is called if no --train-file is
	// given.
	Embedded func() error
	// OwnBase, if set, reports that the configuration names a base of its own, so that none is compiled in.
	OwnBase func() bool
	// Defaults changes the defaults for the embedded model or data. It must not change a setting that a flag gives.
	Defaults func(embeddedModel, embeddedData bool)
	// Check, if set, returns the errors about flags that are not settings of the configuration.
	Check func(given func(flag string) bool) []error
	// Console, if set, is called with the console of a run.
	Console func(c *cli.Console)
	// Print, if set, prints results of the task between those of training and those of the test rows.
	Print func(r *spalora.Results) error
}

// The kinds of --model, and the usage for a head that always trains.
const (
	Directories       = "`directory` of a Hugging Face checkpoint"
	DirectoriesOrGGUF = Directories + ", or GGUF file"
	HeadTrains        = "; the head always is"
)

// finetuning is one run of a command.
type finetuning struct {
	*Finetune
	env        cli.Env
	run        *tasks.Run
	log        cli.LogFlags
	printModel bool
	dryRun     bool
	console    *cli.Console
}

// Command defines the flags of cmd and makes it run.
func (f *Finetune) Command(env cli.Env, cmd *cobra.Command) *cobra.Command {
	if f.Reading == nil {
		f.Reading = func(*pflag.FlagSet) {}
	}
	j := &finetuning{Finetune: f, env: env, run: f.Config.Common()}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model and data", func(fs *pflag.FlagSet) {
		fs.StringVar(&j.run.Model, "model", "", f.Models+f.BuiltIn.Usage())
		AddFiles(fs, j.run, f.Formats, f.Data, f.Chosen)
	})
	cli.Section(fs, "How data files are read", f.Reading)
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) { AddAdapter(fs, j.run, f.Adapter, f.Head) })
	if f.Sections != nil {
		f.Sections(fs)
	}
	cli.Section(fs, "Task", func(fs *pflag.FlagSet) {
		f.Task(fs)
		if !f.WithoutDropout {
			AddDropout(fs, j.run)
		}
	})
	AddTraining(fs, j.run, f.Training)
	if f.Last != nil {
		f.Last(fs)
	}
	cli.Section(fs, "Messages", func(fs *pflag.FlagSet) {
		fs.BoolVar(&j.dryRun, "dry-run", false,
			"do not train; print what would train and its steps, memory, time and disk space, as text and as JSON")
		j.log.Add(fs)
		fs.BoolVar(&j.run.AllowNonFinite, "allow-non-finite", false,
			"train although weights of the checkpoint are NaN or infinite")
		fs.BoolVar(&j.printModel, "print-model", false, "print the modules before and after attaching")
	})
	cli.Leaf(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return j.finetune(cmd) }
	return cmd
}

// finetune runs the command.
func (j *finetuning) finetune(cmd *cobra.Command) (err error) {
	if j.console, err = cli.NewConsole(j.env, j.log, cmd.Flags()); err != nil {
		return err
	}
	if j.Finetune.Console != nil {
		j.Finetune.Console(j.console)
	}
	if err := j.checkFlags(cmd.Flags().Changed); err != nil {
		return err
	}
	if err := j.embed(); err != nil {
		return err
	}
	r := j.run
	r.Stdin, r.Logger = j.env.In, j.console.Log
	r.OnStart, r.OnStep, r.OnEval = j.console.Start, j.console.Step, j.console.Evaluation
	if j.printModel {
		r.OnModel = j.print
	}
	if j.dryRun {
		return j.forecast(cmd)
	}
	results, err := spalora.Finetune(cmd.Context(), j.Config)
	j.console.Stop()
	if err != nil || results == nil {
		return err
	}
	return j.report(results)
}

// embed sets the embedded model and data, where no flag names others.
func (j *finetuning) embed() error {
	model := j.run.Model == "" && j.BuiltIn.Files != nil && (j.OwnBase == nil || !j.OwnBase())
	data := j.run.TrainFile == "" && j.Embedded != nil
	if model {
		j.run.Model, j.run.ModelFiles = j.BuiltIn.Name, j.BuiltIn.Files()
	}
	if j.Defaults != nil {
		j.Defaults(model, data)
	}
	if data {
		return j.Embedded()
	}
	return nil
}

// checkFlags returns an error if flags are given that need others.
func (j *finetuning) checkFlags(given func(string) bool) error {
	var errs []error
	if j.run.TrainFile == "" {
		for _, flag := range append([]string{"eval-file", "test-file"}, cli.FlagNames(j.Reading)...) {
			if given(flag) {
				errs = append(errs, fmt.Errorf("--%s needs --train-file", flag))
			}
		}
	}
	if j.Check != nil {
		errs = append(errs, j.Check(given)...)
	}
	return cli.UsageError(errors.Join(errs...))
}

// print prints the module trees of the model.
func (j *finetuning) print(bare, adapted string) {
	fmt.Fprintf(j.env.Out, "%s\n\n", bare)
	if adapted != "" {
		fmt.Fprintf(j.env.Out, "%s\n\n", adapted)
	}
}

// report prints the results of a completed run.
func (j *finetuning) report(r *spalora.Results) error {
	out, t := j.env.Out, r.Train
	fmt.Fprintf(out, "trained %d steps (%.2f epochs) in %.1f s: %.0f tokens/s, mean loss %.4f\n",
		t.Steps, t.Epochs, t.Runtime, t.TokensPerSecond, t.TrainLoss)
	if t.Best != nil {
		fmt.Fprintf(out, "best evaluation, step %d: %s\n", t.Best.Step, cli.MetricsText(t.Best.Metrics))
	}
	if j.Print != nil {
		if err := j.Print(r); err != nil {
			return err
		}
	}
	if r.Test != nil {
		fmt.Fprintf(out, "test, %d rows: %s\n", r.TestRows, cli.MetricsText(*r.Test))
	}
	fmt.Fprintf(out, "%s: %s\n", r.Kind, r.Dir)
	return nil
}
