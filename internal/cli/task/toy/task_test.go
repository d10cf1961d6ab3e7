package toy_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
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

func options(longFrom *int) []base.Option { return []base.Option{{Name: "long-from", Value: longFrom}} }

// detector computes the logits of texts, and scores them.
type detector struct {
	settings
	model   models.SequenceClassifier
	tok     *tokenize.Tokenizer
	adapter nn.AdapterSet
	tapes   *tasks.Tapes
}

func newDetector(
	s settings, m models.SequenceClassifier, tok *tokenize.Tokenizer, adapter nn.AdapterSet, pool *op.Pool,
) *detector {
	if s.LongFrom == 0 {
		s.LongFrom = 8
	}
	return &detector{settings: s, model: m, tok: tok, adapter: adapter, tapes: tasks.NewTapes(pool)}
}

func (d *detector) Close() error { return d.tapes.Close() }

// encode tokenises the rows of a file; the value of a long text is 1, that of a short one 0.
func (d *detector) encode(ctx context.Context, f *text.File) (*tasks.TextSet, error) {
	texts := tasks.Texts{
		Name: f.Name, Len: f.Len(), Line: func(i int) int { return f.At(i).Line },
		Input: func(i int) tokenize.Input { return tokenize.Input{Text: f.At(i).Text} },
	}
	o := tokenize.Options{MaxLength: tasks.TextLimit(d.model, d.tok, 0)}
	set, err := tasks.EncodeSet(ctx, d.tok, texts, o, true, d.tapes.Pool().Workers(), func(int) {})
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
	out := make([]float32, set.Len())
	n := tasks.Inference{Tapes: d.tapes, Adapter: d.adapter, Tokens: d.TokensPerBatch, Forward: d.model.Logits}
	return out, n.Run(ctx, set, func(examples []int, _ *op.Tape, _ *batch.Batch, y mat.Tensor) error {
		for i, e := range examples {
			out[e] = op.Values(y)[i]
		}
		return nil
	})
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

// opener returns a function that opens a model, whose head, if it is missing, is drawn with a seed.
func opener(seed uint64) func(*checkpoint.Source) (models.SequenceClassifier, checkpoint.Report, error) {
	return func(src *checkpoint.Source) (models.SequenceClassifier, checkpoint.Report, error) {
		return models.OpenSequenceClassifier(src, 1, seed)
	}
}

func openTrained(o tasks.Opening) (*base.Trained[models.SequenceClassifier], error) {
	of := func(models.SequenceClassifier) base.TaskType { return lengthType }
	return base.OpenTrained(o.Opening, of, opener(0), nil)
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
	return newDetector(*s, t.Net, o.Base.Tokenizer, t.AdapterSet(), o.Pool), nil
}

func merging(o tasks.Opening) (*tasks.Merging, error) {
	t, err := openTrained(o)
	if err != nil {
		return nil, err
	}
	outputs := func(m models.SequenceClassifier) func(*nn.Pass, *batch.Batch) mat.Tensor { return m.Logits }
	return tasks.NewMerging(t, outputs, opener(0), nil), nil
}

// finetuning is the configuration of a run that trains a detector.
type finetuning struct {
	tasks.Run
	LongFrom int

	parts tasks.Parts[*text.File]
	model *base.Model[models.SequenceClassifier]
	task  *lengthTask
}

func (c *finetuning) Plan() *tasks.Plan {
	return &tasks.Plan{
		Command: lengthType.Command, Adapter: tasks.DefaultAdapter(), Training: tasks.DefaultTraining(),
		Options: options(&c.LongFrom), Check: c.check, Read: c.read, Open: c.open, NewTask: c.newTask,
		Identity: func(id map[string]string) {
			c.parts.Identity(id)
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
		TestRows: func() int { return c.parts.TestRows() },
	}
}

func (c *finetuning) check() []error {
	if c.LongFrom < 0 {
		return []error{fmt.Errorf("`long_from` is %d; want 1 or more", c.LongFrom)}
	}
	return nil
}

func (c *finetuning) read(s *tasks.Session) (err error) {
	c.parts, err = tasks.ReadParts(&c.Run, tasks.Parts[*text.File]{}, func(path string) (*text.File, error) {
		return readLines(path, c.Stdin)
	})
	if err != nil {
		return err
	}
	return c.parts.Choose(&c.Run, s.Config.Seed)
}

// readLines reads a file with a text in every line; "-" is standard input.
func readLines(path string, stdin io.Reader) (*text.File, error) {
	return tasks.ReadFile(path, stdin, text.Options{Format: data.PlainText, NoLabels: true}, text.Read, text.ReadFrom)
}

func (c *finetuning) open(s *tasks.Session) (*tasks.Subject, error) {
	var err error
	if c.model, err = base.OpenModel(s.Base, s.Log, opener(s.Config.Seed)); err != nil {
		return nil, err
	}
	return tasks.NewSubject(c.model, lengthType), nil
}

func (c *finetuning) newTask(ctx context.Context, s *tasks.Session) (train.Task, error) {
	d := newDetector(settings{LongFrom: c.LongFrom}, c.model.Net, s.Base.Tokenizer, s.AdapterSet(), s.Pool)
	c.task = &lengthTask{detector: d, sets: map[batch.Split]*tasks.TextSet{}}
	return c.task, c.parts.Consume(func(split batch.Split, f *text.File) (err error) {
		c.task.sets[split], err = d.encode(ctx, f)
		return err
	})
}

// lengthTask is the training of a detector.
type lengthTask struct {
	*detector
	sets map[batch.Split]*tasks.TextSet
}

func (t *lengthTask) Set(s batch.Split) batch.Set {
	if set, ok := t.sets[s]; ok {
		return set
	}
	return nil
}

func (t *lengthTask) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	return op.BCEWithLogits(p.Tape, t.model.Logits(p, b), b.Values), float64(len(b.Values)), nil
}

func (t *lengthTask) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, ok := t.sets[s]
	if !ok {
		return train.Metrics{}, tasks.NoExamples(s)
	}
	logits, err := t.logits(ctx, set)
	if err != nil {
		return train.Metrics{}, err
	}
	return t.score(set, logits), nil
}
