package spagonn_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/birnn"
	"github.com/nlpodyssey/spago/nn/crf"
	"github.com/nlpodyssey/spago/nn/linear"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/nn/spagonn"
	"github.com/spalora/spalora/train"
)

// tagHead is a head as a spago program has it: a BiGRU, emissions and a CRF.
type tagHead struct {
	spago.Module
	RNN    *birnn.Model
	Scores *linear.Model
	CRF    *crf.Model
}

// tagger is a model with the head, and the task that trains it: the tag of a row is the sign of the row before.
type tagger struct {
	spago.Module
	In   *nn.Linear               `hf:"in.query"`
	Head *spagonn.Layer[*tagHead] `hf:"head"`

	x    []float32 `hf:"-"` // rows of 4 values
	seqs op.Seqs   `hf:"-"`
}

func newTagger(t *testing.T) *tagger {
	t.Helper()
	head, err := spagonn.New(&tagHead{RNN: birnn.NewBiGRU[float32](4, 3, birnn.Concat), Scores: linear.New[float32](6, 2),
		CRF: crf.New[float32](2)})
	if err != nil {
		t.Fatal(err)
	}
	m := &tagger{In: nn.NewLinear(4, 4, true), Head: head, seqs: many()}
	if err := nn.Init(m, 1, func(string) float64 { return 0.3 }); err != nil {
		t.Fatal(err)
	}
	m.x = random(seeded("features"), m.seqs.Rows()*4)
	return m
}

func (m *tagger) Len() int         { return m.seqs.Len() }
func (m *tagger) Tokens(i int) int { return m.seqs.Starts[i+1] - m.seqs.Starts[i] }

func (m *tagger) Batch(_ context.Context, rows []int, _ op.Key) (*batch.Batch, error) {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}, Index: slices.Clone(rows)}}
	for _, i := range rows {
		last := float32(0)
		for r := m.seqs.Starts[i]; r < m.seqs.Starts[i+1]; r++ {
			b.Features = append(b.Features, m.x[r*4:(r+1)*4]...)
			tag := int32(0)
			if last > 0 {
				tag = 1
			}
			b.Labels, last = append(b.Labels, tag), m.x[r*4]
		}
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.Labels))
	}
	return b, nil
}

func (m *tagger) Set(s batch.Split) batch.Set {
	if s == batch.Train {
		return m
	}
	return nil
}

func (m *tagger) Evaluate(context.Context, batch.Split) (train.Metrics, error) {
	return train.Metrics{}, nil
}

func (m *tagger) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	p.Seqs = b.Seqs
	x := mat.NewDense[float32](mat.WithShape(len(b.Labels), 4), mat.WithBacking(b.Features))
	losses, err := m.Head.Forward(p, m.In.Forward(p, x), func(h *tagHead, i int, rows []mat.Tensor) []mat.Tensor {
		var tags []int
		for _, l := range b.Labels[b.Seqs.Starts[i]:b.Seqs.Starts[i+1]] {
			tags = append(tags, int(l))
		}
		return []mat.Tensor{h.CRF.NegativeLogLoss(h.Scores.Forward(h.RNN.Forward(rows...)...), tags)}
	})
	if err != nil {
		return nil, 0, err
	}
	return op.Sum(p.Tape, losses), float64(b.Seqs.Len()), nil
}

var tagNames = []string{
	"head.RNN.Positive.WPart", "head.RNN.Positive.WPartRec", "head.RNN.Positive.BPart", "head.RNN.Positive.WRes",
	"head.RNN.Positive.WResRec", "head.RNN.Positive.BRes", "head.RNN.Positive.WCand", "head.RNN.Positive.WCandRec",
	"head.RNN.Positive.BCand", "head.RNN.Negative.WPart", "head.RNN.Negative.WPartRec", "head.RNN.Negative.BPart",
	"head.RNN.Negative.WRes", "head.RNN.Negative.WResRec", "head.RNN.Negative.BRes", "head.RNN.Negative.WCand",
	"head.RNN.Negative.WCandRec", "head.RNN.Negative.BCand", "head.Scores.W", "head.Scores.B",
	"head.CRF.TransitionScores",
}

// trainTagger trains an adapter in dir, from its newest checkpoint if there is one, until the given step if it is not
// 0. It returns the loss of each step.
func trainTagger(t *testing.T, dir string, pool *op.Pool, stop int) (*tagger, *lora.Set, []float64) {
	t.Helper()
	m := newTagger(t)
	set, err := lora.Attach(m, lora.Config{R: 2, Alpha: 4, TargetModules: lora.Names("query"),
		ModulesToSave: []string{"head"}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Saved(); !slices.Equal(got, tagNames) {
		t.Fatalf("the set has copies of %v, want %v", got, tagNames)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cfg := train.Defaults()
	cfg.BatchSize, cfg.MaxSteps, cfg.LearningRate, cfg.Pool, cfg.Adapter = 8, 14, 2e-2, pool, set
	cfg.MaxGradNorm, cfg.WeightDecay, cfg.OutputDir, cfg.SaveSteps, cfg.Save = 0.5, 0.01, dir, 1000, set.Save
	if _, err := os.Stat(filepath.Join(dir, "metrics.jsonl")); err == nil {
		cfg.ResumeFrom = dir
	}
	clipped := false
	var losses []float64
	reason := errors.New("ctrl-c")
	cfg.OnStep = func(s train.StepInfo) {
		losses = append(losses, s.Loss)
		clipped = clipped || s.GradNorm > cfg.MaxGradNorm
		if s.Step == stop {
			cancel(reason)
		}
	}
	if _, err := train.Run(ctx, m, set.Params(), cfg); err != nil && !(stop > 0 && errors.Is(err, reason)) {
		t.Fatal(err)
	}
	if !clipped {
		t.Error("no gradient was clipped")
	}
	return m, set, losses
}

func tensorsOf(t *testing.T, set *lora.Set) (string, string) {
	t.Helper()
	dir := t.TempDir()
	if err := set.Save(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, string(b)
}

// TestTraining: a head of spago's layers in modules_to_save trains, is clipped, gives the same bytes with any number of
// workers and after it was stopped and resumed, and is saved and loaded under the names of its fields.
func TestTraining(t *testing.T) {
	pool := op.NewPool(2)
	defer pool.Close()
	m, set, losses := trainTagger(t, t.TempDir(), pool, 0)
	saved, want := tensorsOf(t, set)
	_, alone, _ := trainTagger(t, t.TempDir(), nil, 0)
	if _, got := tensorsOf(t, alone); got != want {
		t.Error("one worker trains another adapter than two")
	}
	dir := t.TempDir()
	trainTagger(t, dir, pool, 9)
	_, resumed, rest := trainTagger(t, dir, pool, 0)
	if _, got := tensorsOf(t, resumed); got != want || !slices.Equal(rest, losses[9:]) {
		t.Error("a run that was stopped and resumed trains another adapter")
	}

	infos, err := lora.Tensors(saved)
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{}
	for _, i := range infos {
		shapes[i.Path] = i.Shape
	}
	for name, shape := range map[string][]int{"head.CRF.TransitionScores": {3, 3}, "head.Scores.B": {2},
		"head.RNN.Negative.WPart": {3, 4}} {
		if !slices.Equal(shapes[name], shape) {
			t.Errorf("%s has the shape %v in the file, want %v", name, shapes[name], shape)
		}
	}
	loaded, warnings, err := lora.Load(saved, m)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	loss := func(a nn.AdapterSet) float32 {
		tape := op.NewEvalTape(pool)
		defer tape.Close()
		all := make([]int, m.Len())
		for i := range all {
			all[i] = i
		}
		b, _ := m.Batch(t.Context(), all, op.Key{})
		y, _, err := m.Loss(&nn.Pass{Tape: tape, Adapter: a}, b)
		if err != nil {
			t.Fatal(err)
		}
		return op.Values(y)[0]
	}
	if trained, base := loss(set), loss(nil); loss(loaded) != trained || !(trained < 0.85*base) {
		t.Errorf("loss %g with the loaded adapter, %g with the trained one, %g with none", loss(loaded), trained, base)
	}
	if s := set.Tree(m); !strings.Contains(s, "(CRF.TransitionScores): Param(3×3)") ||
		!strings.Contains(s, "(modules_to_save)") {
		t.Errorf("printed\n%s", s)
	}
	copied, err := m.Head.Copy(loaded)
	if err != nil {
		t.Fatal(err)
	}
	params := set.Params()
	equalBits(t, "transitions of the copy", mat.Data[float32](copied.CRF.TransitionScores.Matrix),
		op.Values(params[len(params)-1].Param))
}

// TestFullTraining: nn.Train makes the parameters trainable in the model itself.
func TestFullTraining(t *testing.T) {
	m := newTagger(t)
	cfg := train.Defaults()
	cfg.BatchSize, cfg.MaxSteps, cfg.LearningRate = 23, 8, 3e-2
	var losses []float64
	cfg.OnStep = func(s train.StepInfo) { losses = append(losses, s.Loss) }
	params := nn.Train(m)
	if len(params) != 2+len(tagNames) {
		t.Errorf("%d parameters", len(params))
	}
	if _, err := train.Run(t.Context(), m, params, cfg); err != nil {
		t.Fatal(err)
	}
	if !(losses[len(losses)-1] < losses[0]) {
		t.Errorf("losses %v", losses)
	}
}
