package imagecls

import (
	"math"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
)

// Type is image classification by its names in adapters and commands. PEFT has no task type for it.
var Type = base.TaskType{
	Name: "image classification", Command: "image-classification", PEFT: lora.NoTask, Saves: []string{"classifier"},
	Classes: []string{"ForImageClassification", "ForImageClassificationWithTeacher"},
}

// Kind is image classification for the code that opens, recognises and merges models.
var Kind = tasks.Kind{
	TaskType: Type,
	Head:     arch.Image,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return Open(o) },
	Merge:    merging,
	Fits:     func(int) bool { return true },
	Files:    []string{base.LabelsName},
}

// Settings are the settings of predictions.
type Settings struct {
	// ProblemType is a problem_type of config.json. "" takes that of labels.json of the adapter, else of config.json,
	// else the one that the number of outputs suggests.
	ProblemType     string
	Labels          []string // names of the classes, in order, for an adapter that does not name them
	PatchesPerBatch int      // patches that are computed at once; 0: 4096. Results do not depend on it
}

// Options implements [tasks.Settings].
func (*Settings) Options() []base.Option { return nil }

// Opened is a predictor with the origin of its classes.
type Opened struct {
	*Predictor
	// ProblemKnown reports that the problem type was found, not assumed; LabelsNamed that the classes have names other
	// than LABEL_0 ….
	ProblemKnown, LabelsNamed bool
}

// Calls names the methods of spalora.Model that use the predictor.
func (*Opened) Calls() string { return "ClassifyImage or ClassifyImages" }

// With implements [tasks.Adaptable].
func (o *Opened) With(a nn.AdapterSet) tasks.Predictor {
	p := *o.Predictor
	p.Runner = p.Adapted(a)
	return &Opened{&p, o.ProblemKnown, o.LabelsNamed}
}

// Open opens a trained classifier.
func Open(o tasks.Opening) (*Opened, error) {
	s, err := tasks.SettingsOf[Settings](o)
	if err != nil {
		return nil, err
	}
	c, err := openClassifier(o, s)
	if err != nil {
		return nil, err
	}
	pixels, err := OpenPixels(o.Base, c.Net, o.Log)
	if err != nil {
		return nil, err
	}
	p, err := NewPredictor(c.Net, Config{
		CoreConfig: o.Core(c.AdapterSet(), nil, s.PatchesPerBatch), Pixels: pixels, Labels: c.Labels, Outputs: c.Outputs,
	})
	if err != nil {
		return nil, base.Settings(err)
	}
	return &Opened{p, c.ProblemKnown, c.LabelsNamed}, nil
}

// openClassifier opens the model. Heads that do not train are used without an adapter only.
func openClassifier(o tasks.Opening, s *Settings) (*base.Classifier[models.ImageClassifier], error) {
	open := models.OpenImageClassifier
	if o.Adapter.Dir == "" && (o.Shared == nil || !o.Shared.Headless) {
		open = models.OpenImagePredictor
	}
	return base.OpenClassifier(o.Opening, base.ClassifierOptions{ProblemType: s.ProblemType, Labels: s.Labels}, Type, open)
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	s, err := tasks.GivenSettings[Settings](o)
	if err != nil {
		return nil, err
	}
	c, err := openClassifier(o, s)
	if err != nil {
		return nil, err
	}
	inputs := func(m models.ImageClassifier, _ *lora.Set) *batch.Batch { return probe(m) }
	return tasks.NewMergingOf(&c.Trained, inputs, models.ImageClassifier.Logits,
		tasks.Classes(c.Labels, c.ProblemKnown)), nil
}

// probe returns a batch of one image with waves of several lengths.
func probe(m models.ImageClassifier) *batch.Batch {
	channels, height, width := m.Image()
	down, across := m.Patch()
	n := (height / down) * (width / across)
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, n}}, Features: make([]float32, n*channels*down*across)}
	for i := range b.Features {
		b.Features[i] = float32(math.Sin(float64(i)*0.37) * math.Cos(float64(i)*0.0113))
	}
	return b
}
