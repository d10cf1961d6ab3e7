package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// HeadOutputs returns how many outputs the head that is saved in an adapter has, 0 if the adapter has none.
func HeadOutputs(adapter string) (int, error) {
	if err := CheckAdapterDir(adapter); err != nil {
		return 0, err
	}
	tensors, err := lora.Tensors(adapter)
	if err != nil {
		return 0, InputError(err)
	}
	names := models.OutputWeights()
	for _, t := range tensors {
		if slices.Contains(names, t.Path) && len(t.Shape) == 2 {
			return t.Shape[0], nil
		}
	}
	return 0, nil
}

// headOutputs returns how many outputs the checkpoint's own head has, 0 if it has none.
func (b *Base) headOutputs() int {
	for _, name := range models.OutputWeights() {
		if t, ok := b.Source.Tensor(name); ok && len(t.Shape) == 2 {
			return t.Shape[0]
		}
	}
	return 0
}

// HeadFlags say which trained model with a head a command opens.
type HeadFlags struct {
	Model     string
	Adapter   string
	OtherBase bool
}

// Add defines the flags.
func (f *HeadFlags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&f.Model, "model", "", "`directory` of a Hugging Face checkpoint, or GGUF file; default: the embedded MiniLM")
	fs.StringVar(&f.Adapter, "adapter", "", "`directory` of an adapter, of finetune or of PEFT; may be left out if the checkpoint has a trained head")
	fs.BoolVar(&f.OtherBase, "allow-other-base", false, "use an adapter that was trained on another base model")
}

// Check reports contradictions. given tells whether a flag was set.
func (f *HeadFlags) Check(given func(string) bool) []error {
	var errs []error
	if f.OtherBase && f.Adapter == "" {
		errs = append(errs, errors.New("--allow-other-base needs --adapter"))
	}
	if given("adapter") && f.Adapter == "" {
		errs = append(errs, errors.New("--adapter is empty; give a directory"))
	}
	return errs
}

// Trained is a base model with the adapter that it is used with.
type Trained[M models.TextModel] struct {
	Model M
	Set   *lora.Set // nil: none
}

// Adapter returns the set as passes take it: nil, not a nil set, if there is none.
func (t *Trained[M]) Adapter() nn.AdapterSet {
	if t.Set == nil {
		return nil
	}
	return t.Set
}

// OpenTrained opens the model of a base with a head, and the adapter that the flags name. A head that neither the checkpoint nor the
// adapter has is an error, for its predictions would be random. task says what the adapter must be for, open how the model is opened with
// a logger.
func OpenTrained[M models.TextModel](b *Base, f HeadFlags, task func(M) Task, open func(zerolog.Logger) (M, checkpoint.Report, error), log zerolog.Logger) (*Trained[M], error) {
	m, report, err := open(log.Level(max(log.GetLevel(), zerolog.WarnLevel)))
	if err != nil {
		return nil, err
	}
	t := &Trained[M]{Model: m}
	var own []string
	if f.Adapter != "" {
		if t.Set, err = b.LoadAdapter(f.Adapter, m, task(m), f.OtherBase, log); err != nil {
			return nil, err
		}
		own = t.Set.Saved()
	}
	random := slices.DeleteFunc(slices.Clone(report.Fresh), func(name string) bool { return slices.Contains(own, name) })
	switch {
	case len(random) == 0:
		return t, nil
	case f.Adapter == "":
		return nil, InputError(fmt.Errorf("%s: %s are not in the checkpoint, so predictions would be random; give a trained adapter with --adapter", b.Name, strings.Join(random, ", ")))
	}
	return nil, InputError(fmt.Errorf("%s are neither in the checkpoint %s nor in the adapter, so predictions would be random", strings.Join(random, ", "), b.Name))
}

// OpenQuestionAnswerer opens the model for answers that the flags name on an opened base.
func (b *Base) OpenQuestionAnswerer(f HeadFlags, log zerolog.Logger) (*Trained[models.QuestionAnswerer], error) {
	return OpenTrained(b, f, func(m models.QuestionAnswerer) Task { return QuestionAnswering(m.TokenTypes()) },
		func(log zerolog.Logger) (models.QuestionAnswerer, checkpoint.Report, error) {
			return b.QuestionAnswerer(0, log)
		}, log)
}

// OpenMultipleChoice opens the model for choices that the flags name on an opened base.
func (b *Base) OpenMultipleChoice(f HeadFlags, log zerolog.Logger) (*Trained[models.MultipleChoice], error) {
	return OpenTrained(b, f, func(models.MultipleChoice) Task { return MultipleChoice(b.Info.ModelType) },
		func(log zerolog.Logger) (models.MultipleChoice, checkpoint.Report, error) {
			return b.MultipleChoice(0, log)
		}, log)
}

// ClassifierFlags say which trained classifier a command opens.
type ClassifierFlags struct {
	HeadFlags
	Problem string
	Labels  []string

	tags bool // the head classifies tokens
}

// Add defines the flags.
func (c *ClassifierFlags) Add(fs *pflag.FlagSet) {
	c.HeadFlags.Add(fs)
	fs.StringVar(&c.Problem, "problem-type", "", "single_label_classification, multi_label_classification or regression; default: labels.json of the adapter, else config.json, else regression for one output and single label for more")
	c.AddLabels(fs)
}

// AddLabels defines the flag that names the classes.
func (c *ClassifierFlags) AddLabels(fs *pflag.FlagSet) {
	fs.StringSliceVar(&c.Labels, "labels", nil, "`names` of the classes, in order, for an adapter that does not name them; default: labels.json of the adapter, else id2label of config.json")
}

// Classifier is a trained classifier of sequences or of tokens: a base model with an adapter, or one that has its own head.
type Classifier[M models.TextModel] struct {
	Trained[M]
	Labels *data.Labels
	// Told says that the problem type is known and not assumed, Named that the classes have names of their own.
	Told, Named bool
}

// OpenClassifier opens the sequence classifier that the flags name on an opened base.
func (b *Base) OpenClassifier(f ClassifierFlags, log zerolog.Logger) (*Classifier[models.SequenceClassifier], error) {
	return openClassifier(b, f, SequenceClassification(), b.SequenceClassifier, log)
}

// OpenTokenClassifier opens the token classifier that the flags name on an opened base.
func (b *Base) OpenTokenClassifier(f ClassifierFlags, log zerolog.Logger) (*Classifier[models.TokenClassifier], error) {
	f.tags = true
	return openClassifier(b, f, TokenClassification(), b.TokenClassifier, log)
}

// openClassifier opens a classifier with as many outputs as the head that the adapter or the checkpoint has. One that neither has is an
// error.
func openClassifier[M models.TextModel](b *Base, f ClassifierFlags, task Task, open func(labels int, seed uint64, log zerolog.Logger) (M, checkpoint.Report, error), log zerolog.Logger) (*Classifier[M], error) {
	var saved *SavedLabels
	outputs := b.headOutputs()
	if f.Adapter != "" {
		n, err := HeadOutputs(f.Adapter)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			outputs = n
		}
		if saved, err = ReadLabels(f.Adapter); err != nil {
			return nil, err
		}
		if n == 0 && outputs == 0 {
			if err := task.Check(f.Adapter); err != nil {
				return nil, InputError(err)
			}
			return nil, InputError(fmt.Errorf("%s: neither the adapter nor the checkpoint %s has a classification head, so predictions would be random; it was trained for another task, or without task_type %s", f.Adapter, b.Name, task.Type))
		}
	}
	if outputs == 0 {
		return nil, InputError(fmt.Errorf("%s: the checkpoint has no classification head, so predictions would be random; give a trained adapter with --adapter", b.Name))
	}
	names, err := b.classes(f, saved, outputs)
	if err != nil {
		return nil, err
	}
	c := &Classifier[M]{Labels: names.labels, Told: names.told, Named: names.named}
	t, err := OpenTrained(b, f.HeadFlags, func(M) Task { return task },
		func(log zerolog.Logger) (M, checkpoint.Report, error) { return open(outputs, 0, log) }, log)
	if err != nil {
		return nil, err
	}
	c.Trained = *t
	log.Info().Msgf("model %s: %v, %d outputs", b.Name, c.Labels.Problem, outputs)
	return c, nil
}

// classes are the problem type and the classes of a head.
type classes struct {
	labels      *data.Labels
	told, named bool // as in Classifier
}

// classes returns the problem type and the classes of a head with so many outputs.
func (b *Base) classes(f ClassifierFlags, saved *SavedLabels, outputs int) (classes, error) {
	problem, told, err := b.problem(f, saved, outputs)
	if err != nil {
		return classes{}, err
	}
	c := classes{told: told, named: true}
	var names []string
	switch {
	case problem == data.Regression && outputs != 1:
		return c, InputError(fmt.Errorf("%s: regression has one output, but the head has %d", b.Name, outputs))
	case problem == data.Regression && len(f.Labels) > 0:
		return c, UsageError(errors.New("--labels: a regression has no classes"))
	case problem == data.Regression:
	case len(f.Labels) > 0:
		if names = f.Labels; len(names) != outputs {
			return c, UsageError(fmt.Errorf("--labels gives %d names, but the head has %d outputs", len(names), outputs))
		}
		if saved != nil && !slices.Equal(names, saved.Names) {
			return c, UsageError(fmt.Errorf("--labels gives other names than %s of the adapter %s; leave the flag out", LabelsName, f.Adapter))
		}
	case saved != nil:
		if names = saved.Names; len(names) != outputs {
			return c, InputError(fmt.Errorf("%s: %s names %d classes, but the head has %d outputs", f.Adapter, LabelsName, len(names), outputs))
		}
	case f.Adapter == "" && b.Info.Labels != nil && len(b.Info.Labels) != outputs:
		return c, InputError(fmt.Errorf("%s: id2label in config.json names %d classes, but the head has %d outputs", b.Name, len(b.Info.Labels), outputs))
	default:
		if names, err = b.ConfigLabels(outputs); err != nil {
			return c, InputError(err)
		}
		c.named = !slices.Equal(names, genericLabels(outputs))
	}
	if c.labels, err = data.NewLabels(problem, names); err != nil {
		return c, InputError(err)
	}
	return c, nil
}

// ConfigLabels returns the names in id2label of config.json if they are as many as a head has outputs, otherwise the
// names LABEL_0, LABEL_1 … that transformers makes up.
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

// problem returns the problem type: that of the flag, the adapter or the configuration. If none of them tells, it is what
// transformers assumes.
func (b *Base) problem(f ClassifierFlags, saved *SavedLabels, outputs int) (p data.Problem, told bool, err error) {
	if f.tags {
		if saved != nil && saved.Problem != nil && *saved.Problem != data.TokenTags {
			return 0, false, InputError(fmt.Errorf("%s: %s says %v, so the adapter does not classify tokens", f.Adapter, LabelsName, *saved.Problem))
		}
		return data.TokenTags, true, nil
	}
	if f.Problem != "" {
		p, err := data.ParseProblem(f.Problem)
		if err == nil && saved != nil && saved.Problem != nil && *saved.Problem != p {
			err = fmt.Errorf("the adapter's %s says %v", LabelsName, *saved.Problem)
		}
		if err != nil {
			return 0, false, UsageError(fmt.Errorf("--problem-type %s: %w", f.Problem, err))
		}
		return p, true, nil
	}
	switch {
	case saved != nil && saved.Problem != nil:
		return *saved.Problem, true, nil
	case b.Info.Problem != "":
		p, err := data.ParseProblem(b.Info.Problem)
		if err != nil {
			return 0, false, InputError(fmt.Errorf("%s: problem_type in config.json: %w", b.Name, err))
		}
		return p, true, nil
	case outputs == 1 && saved == nil:
		return data.Regression, false, nil
	}
	return data.SingleLabel, false, nil
}
