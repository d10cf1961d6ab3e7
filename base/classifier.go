package base

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
)

// HeadOutputs returns the number of outputs of the head that an adapter has saved, 0 if it has none.
func HeadOutputs(adapter string) (int, error) {
	if err := CheckAdapterDir(adapter); err != nil {
		return 0, err
	}
	tensors, err := lora.Tensors(adapter)
	if err != nil {
		return 0, Input(err)
	}
	for _, t := range tensors {
		if slices.Contains(models.OutputWeights(), t.Path) && len(t.Shape) == 2 {
			return t.Shape[0], nil
		}
	}
	return 0, nil
}

// headOutputs returns the number of outputs of the checkpoint's own head, 0 if it has none.
func (b *Base) headOutputs() int {
	for _, name := range models.OutputWeights() {
		if t, ok := b.Source.Tensor(name); ok && len(t.Shape) == 2 {
			return t.Shape[0]
		}
	}
	return 0
}

// checkClass returns an error if config.json says that the head of the checkpoint classifies something else: the heads
// for sequences, tokens and choices have tensors of the same names.
func (b *Base) checkClass(t TaskType) error {
	for _, class := range b.Info.Classes {
		if !strings.HasSuffix(class, "Classification") && !strings.HasSuffix(class, "MultipleChoice") {
			continue
		}
		if !slices.ContainsFunc(t.Classes, func(ending string) bool { return strings.HasSuffix(class, ending) }) {
			return Input(fmt.Errorf("%s: config.json says that the checkpoint is a %s, so its head is not for %s; "+
				"use it for its own task, or train a head with an adapter", b.Name, class, t.Name))
		}
	}
	return nil
}

// ClassifierOptions hold the settings of a classifier's classes.
type ClassifierOptions struct {
	// ProblemType is a name that data.ParseProblem reads. "" takes that of labels.json of the adapter, else of
	// config.json, else the one that the number of outputs suggests.
	ProblemType string
	Labels      []string // names of the classes in order; nil: labels.json of the adapter, else id2label of config.json
	Tags        bool     // the head classifies tokens
}

// Classifier is a trained classifier of sequences or of tokens: a base model with an adapter, or a checkpoint that
// has its own head.
type Classifier[M models.Model] struct {
	Trained[M]
	Labels  *data.Labels
	Outputs int // of the head: the adapter's, if it has one
	// ProblemKnown reports whether a setting or a file gives the problem type, LabelsNamed whether the classes have names
	// other than LABEL_0, LABEL_1 ….
	ProblemKnown, LabelsNamed bool
}

// OpenClassifier opens a classifier with as many outputs as the head of the adapter or of the checkpoint. If neither
// has a head, it returns an error. If o shares a model, see [Shared]: an adapter without a head of its own needs the
// one of the checkpoint there.
func OpenClassifier[M models.Model](
	o Opening, c ClassifierOptions, task TaskType,
	open func(*checkpoint.Source, int, uint64) (M, checkpoint.Report, error),
) (*Classifier[M], error) {
	var saved *SavedLabels
	b, dir := o.Base, o.Adapter.Dir
	outputs := b.headOutputs()
	if dir != "" {
		n, err := HeadOutputs(dir)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			outputs = n
		} else if err := o.Shared.checkOutputs(dir, outputs); err != nil {
			return nil, err
		}
		if saved, err = ReadLabels(dir); err != nil {
			return nil, err
		}
		if outputs == 0 {
			if err := task.Check(dir); err != nil {
				return nil, Input(err)
			}
			return nil, Input(fmt.Errorf("%s: neither the adapter nor the checkpoint %s has a classification head, so "+
				"predictions would be random; it was trained for another task, or without task_type %s", dir, b.Name, task.PEFT))
		}
	}
	if outputs == 0 {
		err := Input(fmt.Errorf("%s: the checkpoint has no classification head, so predictions would be random; "+
			"give a trained adapter with `adapter`", b.Name))
		if !o.Shared.accepts(err) {
			return nil, err
		}
		outputs = max(1, len(c.Labels)) // nothing reads them
	}
	if dir == "" {
		if err := b.checkClass(task); err != nil && !o.Shared.accepts(err) {
			return nil, err
		}
	}
	k, err := b.classes(dir, c, saved, outputs)
	if err != nil {
		return nil, err
	}
	t, err := OpenTrained(o, task.Of, Outputs(open, outputs), nil)
	if err != nil {
		return nil, err
	}
	if dir != "" || o.Shared == nil || o.Shared.Untrained == nil {
		o.Log.Info().Msgf("model %s: %v, %d outputs", b.Name, k.labels.Problem, outputs)
	}
	return &Classifier[M]{
		Trained: *t, Labels: k.labels, Outputs: outputs, ProblemKnown: k.problemKnown, LabelsNamed: k.named,
	}, nil
}

// checkOutputs returns an error if the model that is open has another head than the checkpoint, with n outputs, and the
// adapter in dir has none.
func (s *Shared) checkOutputs(dir string, n int) error {
	if !s.open() {
		return nil
	}
	m, ok := s.model.(interface{ outputs() int })
	if ok && n > 0 && m.outputs() != n {
		return Input(fmt.Errorf("%s: the adapter uses the head of the checkpoint, which has %d outputs, but the model in "+
			"memory has a head with %d, of the adapter that it was opened with; open it without an adapter", dir, n,
			m.outputs()))
	}
	return nil
}

// outputs returns the number of outputs of a classifier.
func (m *Model[M]) outputs() int {
	if c, ok := any(m.Net).(interface{ Labels() int }); ok {
		return c.Labels()
	}
	return 0
}

// classes are the problem type and the classes of a head.
type classes struct {
	labels              *data.Labels
	problemKnown, named bool // as in Classifier
}

// classes returns the problem type and the classes of a head with the given number of outputs.
func (b *Base) classes(adapter string, o ClassifierOptions, saved *SavedLabels, outputs int) (classes, error) {
	problem, known, err := b.problem(adapter, o, saved, outputs)
	if err != nil {
		return classes{}, err
	}
	c := classes{problemKnown: known, named: true}
	var names []string
	switch {
	case problem == data.Regression && outputs != 1:
		return c, Input(fmt.Errorf("%s: regression has one output, but the head has %d", b.Name, outputs))
	case problem == data.Regression && len(o.Labels) > 0:
		return c, Settings(errors.New("`labels`: a regression has no classes"))
	case problem == data.Regression:
	case len(o.Labels) > 0:
		if names = o.Labels; len(names) != outputs {
			return c, Settings(fmt.Errorf("`labels` gives %d names, but the head has %d outputs", len(names), outputs))
		}
		if saved != nil && !slices.Equal(names, saved.Names) {
			return c, Settings(fmt.Errorf("`labels` gives other names than %s of the adapter %s; leave it out",
				LabelsName, adapter))
		}
	case saved != nil:
		if names = saved.Names; len(names) != outputs {
			return c, Input(fmt.Errorf("%s: %s names %d classes, but the head has %d outputs",
				adapter, LabelsName, len(names), outputs))
		}
	case adapter == "" && b.Info.Labels != nil && len(b.Info.Labels) != outputs:
		return c, Input(fmt.Errorf("%s: id2label in config.json names %d classes, but the head has %d outputs",
			b.Name, len(b.Info.Labels), outputs))
	case adapter == "" && b.Info.NumLabels != 0 && b.Info.NumLabels != outputs:
		return c, Input(fmt.Errorf("%s: num_labels in config.json is %d, but the head has %d outputs; correct num_labels, "+
			"or remove it", b.Name, b.Info.NumLabels, outputs))
	default:
		if names, err = b.ConfigLabels(outputs); err != nil {
			return c, Input(err)
		}
		c.named = !slices.Equal(names, genericLabels(outputs))
	}
	if c.labels, err = data.NewLabels(problem, names); err != nil {
		return c, Input(err)
	}
	return c, nil
}

// ConfigLabels returns the names in id2label of config.json if they are as many as a head has outputs, otherwise the
// names LABEL_0, LABEL_1 … that transformers generates.
func (b *Base) ConfigLabels(outputs int) ([]string, error) {
	names, err := b.Info.LabelNames()
	if err != nil || len(names) == outputs {
		return names, err
	}
	return genericLabels(outputs), nil
}

func genericLabels(outputs int) []string {
	names := make([]string, outputs)
	for i := range names {
		names[i] = fmt.Sprintf("LABEL_%d", i)
	}
	return names
}

// problem returns the problem type: that of the options, of the adapter or of the configuration. Without any it is
// the one that transformers assumes, and known is false.
func (b *Base) problem(
	adapter string, o ClassifierOptions, saved *SavedLabels, outputs int,
) (p data.Problem, known bool, err error) {
	if o.Tags {
		if saved != nil && saved.Problem != nil && *saved.Problem != data.TokenTags {
			return 0, false, Input(fmt.Errorf("%s: %s says %v, so the adapter does not classify tokens",
				adapter, LabelsName, *saved.Problem))
		}
		return data.TokenTags, true, nil
	}
	if o.ProblemType != "" {
		p, err := data.ParseProblem(o.ProblemType)
		if err == nil && saved != nil && saved.Problem != nil && *saved.Problem != p {
			err = fmt.Errorf("the adapter's %s says %v", LabelsName, *saved.Problem)
		}
		if err != nil {
			return 0, false, Settings(fmt.Errorf("`problem_type %s`: %w", o.ProblemType, err))
		}
		return p, true, nil
	}
	switch {
	case saved != nil && saved.Problem != nil:
		return *saved.Problem, true, nil
	case b.Info.Problem != "":
		p, err := data.ParseProblem(b.Info.Problem)
		if err != nil {
			return 0, false, Input(fmt.Errorf("%s: problem_type in config.json: %w", b.Name, err))
		}
		return p, true, nil
	case outputs == 1 && saved == nil:
		return data.Regression, false, nil
	}
	return data.SingleLabel, false, nil
}
