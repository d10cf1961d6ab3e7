package finetune

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/train"
)

// job is what the runs of all task types have in common: flags, console, the way from the settings to results.json.
type job struct {
	model          string
	files          dataFiles
	dropout        float32
	allowNonFinite bool
	printModel     bool
	train          trainFlags
	lora           loraFlags
	log            cli.LogFlags

	env     cli.Env
	given   func(flag string) bool // by somebody, or by the adapter to start from
	typed   func(flag string) bool // by somebody
	flags   *pflag.FlagSet         // of the command
	console *cli.Console
}

// warn logs what is odd about the data.
func (j *job) warn(list []data.Warning) {
	for _, w := range list {
		j.console.Log.Warn().Msg(cli.OptionsAsFlags(j.flags, w.String()))
	}
}

// dataFiles are the flags that name the data.
type dataFiles struct {
	train, eval, test string
	split             float64
	max               int
}

// add defines the flags. what says which formats are read, builtIn what is compiled in, and how rows are chosen to be held out.
func (f *dataFiles) add(fs *pflag.FlagSet, what, builtIn, how string) {
	fs.StringVar(&f.train, "train-file", "", "`file` to train on: "+what+"; default: the embedded "+builtIn)
	fs.StringVar(&f.eval, "eval-file", "", "`file` that decides which adapter is best")
	fs.StringVar(&f.test, "test-file", "", "`file` to score once at the end")
	fs.Float64Var(&f.split, "validation-split", 0, "share of the training rows to hold out as --eval-file"+how)
	fs.IntVar(&f.max, "max-train-samples", 0, "train on the first so many rows only; 0: on all")
}

// warmUp lets the learning rate rise over a tenth of the steps, where no flag says otherwise.
func (j *job) warmUp() {
	if !j.given("warmup-ratio") && !j.given("warmup-steps") && j.train.schedule != string(train.Constant) {
		j.train.cfg.WarmupRatio = 0.1
	}
}

// sections are what a task type has for the sections of --help that all have.
type sections struct {
	models                   string // kinds of --model
	formats, builtIn, chosen string // see dataFiles.add
	reading, task            func(fs *pflag.FlagSet)
	adapter                  lora.Config
	head                     string // see loraFlags.add
	training                 train.Config
}

// addFlags defines the flags of a command whose runs train an adapter of an encoder.
func (j *job) addFlags(cmd *cobra.Command, s sections) *cobra.Command {
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model and data", func(fs *pflag.FlagSet) {
		fs.StringVar(&j.model, "model", "", s.models+"; default: the embedded MiniLM")
		j.files.add(fs, s.formats, s.builtIn, s.chosen)
	})
	cli.Section(fs, "How data files are read", s.reading)
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) { j.lora.add(fs, s.adapter, s.head) })
	cli.Section(fs, "Task", func(fs *pflag.FlagSet) {
		s.task(fs)
		fs.Float32Var(&j.dropout, "dropout", 0, "dropout of the model; default: the checkpoint's")
	})
	j.train.add(fs, s.training)
	cli.Section(fs, "Messages", j.addMessages)
	cli.Leaf(cmd)
	return cmd
}

// The kinds of --model, and what becomes of heads without a flag.
const (
	directories       = "`directory` of a Hugging Face checkpoint"
	directoriesOrGGUF = directories + ", or GGUF file"
	headTrains        = "; the head always is"
)

func (j *job) addMessages(fs *pflag.FlagSet) {
	j.log.Add(fs)
	fs.BoolVar(&j.allowNonFinite, "allow-non-finite", false, "train although weights of the checkpoint are NaN or infinite")
	fs.BoolVar(&j.printModel, "print-model", false, "print the modules before and after attaching")
}

// checkFlags reports flags that contradict each other before anything is opened. reading are those that say how files are read.
func (j *job) checkFlags(reading []string) []error {
	var errs []error
	f := j.files
	if f.split != 0 && f.eval != "" {
		errs = append(errs, errors.New("--validation-split and --eval-file exclude each other"))
	}
	if !(f.split >= 0 && f.split < 1) {
		errs = append(errs, fmt.Errorf("--validation-split is %g; want at least 0 and below 1", f.split))
	}
	if f.train == "" {
		for _, flag := range append([]string{"eval-file", "test-file"}, reading...) {
			if j.typed(flag) {
				errs = append(errs, fmt.Errorf("--%s needs --train-file", flag))
			}
		}
	}
	if err := j.lora.check(); err != nil {
		errs = append(errs, err)
	}
	if j.lora.otherBase && j.lora.adapter == "" {
		errs = append(errs, errors.New("--allow-other-base needs --adapter"))
	}
	if err := j.removedInput(); err != nil {
		errs = append(errs, err)
	}
	if n := slices.DeleteFunc([]string{f.train, f.eval, f.test}, func(f string) bool { return f != "-" }); len(n) > 1 {
		errs = append(errs, errors.New("only one of --train-file, --eval-file and --test-file can be standard input (-)"))
	}
	if f.max < 0 {
		errs = append(errs, fmt.Errorf("--max-train-samples is %d; want 1 or more, or 0 for all", f.max))
	}
	if j.given("dropout") && !(j.dropout >= 0 && j.dropout < 1) {
		errs = append(errs, fmt.Errorf("--dropout is %g; want at least 0 and below 1", j.dropout))
	}
	return errs
}

// checkFinite errs if weights of the checkpoint are no numbers, unless that is allowed.
func (j *job) checkFinite(base *cli.Base, report checkpoint.Report) error {
	bad := report.NonFinite
	if len(bad) == 0 || j.allowNonFinite {
		return nil
	}
	return cli.InputError(fmt.Errorf("%s: %d tensors hold NaN or infinite values, the first %s (%d values); the file is damaged, or give --allow-non-finite", base.Name, len(bad), bad[0].Name, bad[0].Count))
}

// training is a run that is ready to begin.
type training struct {
	dir      string // of the output
	kind     string // of what the directory will hold: adapter, or model
	task     train.Task
	params   []nn.NamedParam
	results  results // what is known of them
	testRows int     // 0: nothing is to be scored at the end
	// started and finished, if set, are called before the first step of a run that is not resumed, and after the last one with the
	// best state in place.
	started  func()
	finished func(train.Report) error
	// complete, if set, adds to the results of a run that went through.
	complete func(*results)
}

// execute trains, scores the test rows with what is best, writes results.json and says where everything is.
func (j *job) execute(ctx context.Context, t training, cfg train.Config) error {
	cfg.OutputDir, cfg.Logger = t.dir, j.console.Log
	cfg.OnStep = j.console.Step
	cfg.OnStart = func(p train.Plan) {
		if t.started != nil && p.Done == 0 {
			t.started()
		}
		j.console.Start(p)
	}
	report, err := train.Run(ctx, t.task, t.params, cfg)
	j.console.Stop()
	t.results.Train = report
	switch {
	case err != nil && report.Stopped == "": // nothing was begun
		return err
	case errors.Is(err, train.ErrStopped):
		err = fmt.Errorf("%w; --resume-from-checkpoint %s goes on from there", err, t.dir)
		fallthrough
	case err != nil:
		return errors.Join(err, t.results.write(t.dir))
	}
	if t.testRows > 0 {
		m, err := t.task.Evaluate(ctx, batch.Test)
		if err != nil {
			return errors.Join(err, t.results.write(t.dir))
		}
		j.console.Undefined(m)
		t.results.Test = &m
	}
	if t.complete != nil {
		t.complete(&t.results)
	}
	if err := t.results.write(t.dir); err != nil {
		return err
	}
	out := j.env.Out
	fmt.Fprintf(out, "trained %d steps (%.2f epochs) in %.1f s: %.0f tokens/s, mean loss %.4f\n", report.Steps, report.Epochs, report.Runtime, report.TokensPerSecond, report.TrainLoss)
	if report.Best != nil {
		fmt.Fprintf(out, "best evaluation, step %d: %s\n", report.Best.Step, cli.MetricsText(report.Best.Metrics))
	}
	if t.finished != nil {
		if err := t.finished(report); err != nil {
			return err
		}
	}
	if t.results.Test != nil {
		fmt.Fprintf(out, "test, %d rows: %s\n", t.testRows, cli.MetricsText(*t.results.Test))
	}
	fmt.Fprintf(out, "%s: %s\n", t.kind, t.dir)
	return nil
}
