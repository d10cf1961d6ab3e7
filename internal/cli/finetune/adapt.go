package finetune

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// headed is what is particular to a task type whose runs train an adapter, and a head, of an encoder. Its methods are called in this
// order, each once; job.adapt does the rest.
type headed interface {
	// name is that of the subcommand.
	name() string
	// defaults changes defaults where no flag says otherwise: for what is compiled in, say.
	defaults()
	// checkFlags reports flags that contradict each other, before anything is opened.
	checkFlags() error
	// readData reads the data, and what the adapter to start from says about them.
	readData(base *cli.Base) error
	// openModel opens the base's model. Its task says what the adapter is for.
	openModel(base *cli.Base, seed uint64) (models.TextModel, cli.Task, checkpoint.Report, error)
	// newTask tokenises the data for the model, with the adapter in use.
	newTask(ctx context.Context, base *cli.Base, set *lora.Set, pool *op.Pool) (train.Task, error)
	// identity adds what must be the same when a run is resumed, beside the settings of the loop, the base and the adapter.
	identity(id map[string]string)
	// describe adds what is known about the run.
	describe(t *training)
	// classes are saved beside the adapter; nil: there are none.
	classes() *data.Labels
}

// adapt runs a command that trains an adapter.
func (j *job) adapt(cmd *cobra.Command, h headed) (err error) {
	j.flags, j.given, j.typed = cmd.Flags(), cmd.Flags().Changed, cli.Typed(cmd.Flags())
	if j.console, err = cli.NewConsole(j.env, j.log); err != nil {
		return err
	}
	if err := cli.Recall(cmd.Flags(), j.lora.adapter, j.console.Log); err != nil {
		return err
	}
	h.defaults()
	cfg, err := j.train.config(j.given)
	if err != nil {
		return err
	}
	if err := h.checkFlags(); err != nil {
		return err
	}
	out, err := j.train.prepareOutput(h.name())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.release()) }()
	base, err := cli.OpenBase(j.model, cli.MiniLM())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	if err := h.readData(base); err != nil {
		return err
	}
	pool, err := cli.NewPool(j.train.threads)
	if err != nil {
		return err
	}
	defer pool.Close()
	set, err := j.attach(base, h, cfg.Seed)
	if err != nil {
		return err
	}
	cli.Remember(cmd.Flags(), set)
	task, err := h.newTask(cmd.Context(), base, set, pool)
	if err != nil {
		return err
	}
	cfg.Pool, cfg.Adapter, cfg.Replaces = pool, set, j.replaced(out.dir, j.model)
	cfg.Save = func(dir string) error {
		if err := save(dir, set, h.classes()); err != nil {
			return err
		}
		if more, ok := h.(interface{ saveBeside(dir string) error }); ok {
			return more.saveBeside(dir)
		}
		return nil
	}
	cfg.OnEval = j.console.Evaluation
	cfg.Identity = j.commonIdentity(base, set.Fingerprint(), set)
	h.identity(cfg.Identity)
	run := training{dir: out.dir, kind: "adapter", task: task, params: set.Params(), results: newResults(h.name(), base, set.Fingerprint(), set)}
	h.describe(&run)
	return j.execute(cmd.Context(), run, cfg)
}

// attach opens the model and makes or loads its adapter.
func (j *job) attach(base *cli.Base, h headed, seed uint64) (*lora.Set, error) {
	m, task, report, err := h.openModel(base, seed)
	if err != nil {
		return nil, err
	}
	if err := j.checkFinite(base, report); err != nil {
		return nil, err
	}
	if j.given("dropout") {
		nn.SetDropout(m, j.dropout)
	}
	log := j.console.Log
	if list := freshModules(report, task); len(list) > 0 && j.lora.adapter == "" {
		log.Warn().Msgf("%s: the checkpoint lacks %s; they begin with random weights, train whole and are saved with the adapter", base.Name, strings.Join(list, ", "))
		task.Saves = append(task.Saves, list...)
	}
	set, err := j.lora.attach(m, base, task, seed, j.given, log)
	if err != nil {
		return nil, err
	}
	if j.printModel {
		fmt.Fprintf(j.env.Out, "%s\n\n%s\n\n", m, set.Tree(m))
	}
	log.Info().Msg(set.Summary(m))
	return set, nil
}

// freshModules lists the modules that the checkpoint lacks and that a new adapter would not save by itself. Sentence embeddings do not use
// the pooler.
func freshModules(report checkpoint.Report, task cli.Task) []string {
	if task.Type == lora.FeatureExtraction {
		return nil
	}
	var list []string
	for _, name := range report.Fresh {
		module := name[:strings.LastIndexByte(name, '.')]
		if !slices.Contains(list, module) && !task.Keeps(module) {
			list = append(list, module)
		}
	}
	return list
}

// save writes the adapter and its classes, if it has some, into a directory.
func save(dir string, set *lora.Set, labels *data.Labels) error {
	if err := set.Save(dir); err != nil || labels == nil {
		return err
	}
	return files.WriteFile(filepath.Join(dir, cli.LabelsName), files.Bytes(labels.Encode()))
}
