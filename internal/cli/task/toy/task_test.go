package toy_test

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// lengthType is the toy task type: whether a text is long. Its models have one output, the logit of long. No label is
// read: the number of words decides.
var lengthType = base.TaskType{
	Name: "length detection", Command: "toy-length", PEFT: lora.NoTask, Saves: lora.SeqCls.Heads(),
}

var lengthKind = tasks.Kind{
	TaskType: lengthType,
	Head:     arch.Sequence,
	Open:     func(o tasks.Opening) (tasks.Predictor, error) { return openDetector(o) },
	Merge:    merging,
}

// settings are the settings of predictions.
type settings struct {
	LongFrom       int // words of a long text; 0: the adapter's, else 8
	TokensPerBatch int
}

func (s *settings) Options() []base.Option { return options(&s.LongFrom) }

func options(longFrom *int) []base.Option { return []base.Option{base.Given("long-from", longFrom)} }

// detector computes the logits of texts, and scores them.
type detector struct {
	settings
	tasks.Core[models.SequenceClassifier]
}

func newDetector(s settings, m models.SequenceClassifier, tok *tokenize.Tokenizer, c tasks.CoreConfig) *detector {
	if s.LongFrom == 0 {
		s.LongFrom = 8
	}
	return &detector{s, tasks.NewCore(m, tok, c)}
}

// encode tokenises the rows of a file; the value of a long text is 1, that of a short one 0.
func (d *detector) encode(ctx context.Context, f *text.File) (*tasks.TextSet, error) {
	texts := tasks.Texts{
		Name: f.Name, Len: f.Len(), Line: func(i int) int { return f.At(i).Line },
		Input: func(i int) tokenize.Input { return tokenize.Input{Text: f.At(i).Text} },
	}
	set, err := d.Encode(ctx, texts, tokenize.LongestFirst, nil)
	if err != nil {
		return nil, err
	}
	for _, e := range f.All() {
		set.Values = append(set.Values, 0)
		if len(strings.Fields(e.Text)) >= d.LongFrom {
			set.Values[len(set.Values)-1] = 1
		}
	}
	return set, nil
}

func (d *detector) logits(ctx context.Context, set *tasks.TextSet) ([]float32, error) {
	return d.Rows(ctx, set, set.Len(), 1, d.Net.Logits, nil)
}

// score returns the share of texts on the right side, and the loss.
func (d *detector) score(set *tasks.TextSet, logits []float32) train.Metrics {
	right, loss := 0.0, 0.0
	for i, x := range logits {
		z := float64(x) * float64(2*set.Values[i]-1)
		loss += math.Max(-z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
		if z > 0 {
			right++
		}
	}
	n := float64(len(logits))
	return train.Metrics{Main: "right", Values: []train.Metric{
		{Name: "right", Value: right / n}, {Name: "loss", Value: loss / n, LowerIsBetter: true},
	}}
}

func openTrained(o tasks.Opening) (*base.Trained[models.SequenceClassifier], error) {
	return base.OpenTrained(o.Opening, lengthType.Of, base.Outputs(models.OpenSequenceClassifier, 1), nil)
}

func openDetector(o tasks.Opening) (*detector, error) {
	s, err := tasks.SettingsOf[settings](o)
	if err != nil {
		return nil, err
	}
	t, err := openTrained(o)
	if err != nil {
		return nil, err
	}
	return newDetector(*s, t.Net, o.Base.Tokenizer, o.Core(t.AdapterSet(), nil, s.TokensPerBatch)), nil
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	t, err := openTrained(o)
	if err != nil {
		return nil, err
	}
	return tasks.NewMerging(t, models.SequenceClassifier.Logits, nil), nil
}

// finetuning is the configuration of a run that trains a detector.
type finetuning struct {
	tasks.Run
	LongFrom int

	parts tasks.Parts[*text.File]
	model models.SequenceClassifier
	task  *lengthTask
}

func (c *finetuning) Plan() *tasks.Plan {
	return &tasks.Plan{
		Command: lengthType.Command, Adapter: tasks.DefaultAdapter(), Training: tasks.DefaultTraining(),
		Options: options(&c.LongFrom), Check: c.check, Read: c.read, Open: c.open, NewTask: c.newTask,
		Identity: func(id map[string]string) {
			id["long_from"] = fmt.Sprint(c.task.LongFrom)
		},
		Describe: func(r *tasks.Results) {
			r.Facts = append(r.Facts, tasks.Fact{Key: "long_from", Value: c.task.LongFrom})
		},
		Labels: func() *data.Labels {
			l, err := data.NewLabels(data.SingleLabel, []string{"short", "long"})
			if err != nil {
				panic(err)
			}
			return l
		},
		Rows: &c.parts,
	}
}

func (c *finetuning) check() []error {
	if c.LongFrom < 0 {
		return []error{fmt.Errorf("`long_from` is %d; want 1 or more", c.LongFrom)}
	}
	return nil
}

func (c *finetuning) read(s *tasks.Session) (err error) {
	none := tasks.Parts[*text.File]{}
	if c.parts, err = tasks.ReadParts(&c.Run, none, lines, text.Read, text.ReadFrom); err != nil {
		return err
	}
	return c.parts.Choose(&c.Run, s.Config.Seed)
}

// lines reads a text in every line.
var lines = text.Options{Format: data.PlainText, NoLabels: true}

func (c *finetuning) open(s *tasks.Session) (subject *tasks.Subject, err error) {
	c.model, subject, err = tasks.OpenSubject(s, lengthType.Of, base.Outputs(models.OpenSequenceClassifier, 1))
	return subject, err
}

func (c *finetuning) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	d := newDetector(settings{LongFrom: c.LongFrom}, c.model, s.Base.Tokenizer, s.Core(nil))
	c.task = &lengthTask{d, tasks.Splits[*tasks.TextSet]{}}
	add := func(ctx context.Context, split batch.Split, f *text.File) (err error) {
		c.task.Splits[split], err = d.encode(ctx, f)
		return err
	}
	return c.task, c.parts.Consume(ctx, add, func(batch.Split, *text.File) {})
}

// lengthTask is the training of a detector.
type lengthTask struct {
	*detector
	tasks.Splits[*tasks.TextSet]
}

func (t *lengthTask) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	return op.BCEWithLogits(p.Tape, t.Net.Logits(p, b), b.Values), float64(len(b.Values)), nil
}

func (t *lengthTask) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	logits, err := t.logits(ctx, set)
	if err != nil {
		return train.Metrics{}, err
	}
	return t.score(set, logits), nil
}
