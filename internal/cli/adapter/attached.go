package adapter

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// attached is an adapter that a command opens with its base model, and the flags that choose both.
type attached struct {
	list    []task.Descriptor
	model   string
	adapter base.Adapter
	labels  []string
	problem string
	task    string
	threads int

	env     cli.Env
	console *cli.Console
	kind    tasks.Kind
	base    *base.Base
	pool    *op.Pool
}

func (r *attached) addModel(fs *pflag.FlagSet) {
	fs.StringVar(&r.model, "model", "",
		"`directory` of a Hugging Face checkpoint, or GGUF file; default: the embedded model of the adapter's task")
}

func (r *attached) addTask(fs *pflag.FlagSet) {
	fs.BoolVar(&r.adapter.OtherBase, "allow-other-base", false, "use an adapter that was trained on another base model")
	fs.StringVar(&r.problem, "problem-type", "", cli.ProblemTypeUsage)
	fs.StringSliceVar(&r.labels, "labels", nil, cli.LabelsUsage)
	fs.StringVar(&r.task, "task", "", strings.Join(tasks.Commands(task.Kinds(r.list)), ", ")+
		": task of an adapter that does not name it; default: what its tensors and the base's class show")
}

func (r *attached) addThreads(fs *pflag.FlagSet) {
	fs.IntVar(&r.threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
}

// open opens the base model with the adapter attached. The caller must call close unless open returns an error.
func (r *attached) open() (m *tasks.Merging, err error) {
	kinds := task.Kinds(r.list)
	kind, sure, err := tasks.Explicit(kinds, r.adapter.Dir, r.task)
	if err != nil {
		return nil, err
	}
	if r.base, err = r.openBase(kind); err != nil {
		return nil, err
	}
	r.pool = op.NewPool(r.threads)
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if !sure {
		if kind, err = tasks.Recognise(kinds, r.adapter.Dir, r.base, kind); err != nil {
			return nil, err
		}
	}
	settings, err := r.settings(kind)
	if err != nil {
		return nil, err
	}
	r.kind = kind
	b, err := r.base.ForAdapter(r.adapter.Dir, r.console.Log)
	if err != nil {
		return nil, err
	}
	return kind.Merge(tasks.Opening{
		Opening:  base.Opening{Base: b, Adapter: r.adapter, Log: r.console.Log, Pool: r.pool},
		Settings: settings,
	})
}

// close closes what open has opened.
func (r *attached) close() error {
	r.pool.Close()
	return r.base.Close()
}

// descriptor returns the descriptor of a kind, and whether there is one.
func (r *attached) descriptor(k tasks.Kind) (task.Descriptor, bool) {
	for _, d := range r.list {
		if d.Name == k.Name {
			return d, true
		}
	}
	return task.Descriptor{}, false
}

// openBase opens the model that the flag names, or the embedded one of a task; without a task it is the first one's.
func (r *attached) openBase(k tasks.Kind) (*base.Base, error) {
	if r.model != "" {
		return base.Open(r.model)
	}
	d, ok := r.descriptor(k)
	switch {
	case !ok:
		d = r.list[0]
	case d.BuiltIn.Files == nil:
		return nil, cli.UsageError(errors.New("--model is missing; give the base model of the adapter"))
	}
	return base.FromFiles(d.BuiltIn.Name, d.BuiltIn.Files())
}

// settings returns the settings of the task that flags about classes give. Such flags are an error for a task without
// classes.
func (r *attached) settings(k tasks.Kind) (tasks.Settings, error) {
	if len(r.labels) == 0 && r.problem == "" {
		return nil, nil
	}
	d, _ := r.descriptor(k)
	if d.Classes == nil {
		return nil, cli.UsageError(errors.New("--labels and --problem-type are for classifiers, but the " +
			"adapter is for " + k.Name))
	}
	s, err := d.Classes(r.labels, r.problem)
	return s, cli.UsageError(err)
}
