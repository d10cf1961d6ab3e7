package train

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// toy is multinomial logistic regression with dropout on its inputs: softmax(drop(x)·wᵀ + b).
type toy struct {
	x       []float32
	y       []int32
	width   int
	lengths []int // nil: 1 each
	drop    float32
	w, b    *op.Weight
	pair    *op.Correction // of w, which does not train then; nil: none
	held    *toySet        // examples for evaluation, nil: none

	onLoss func(p *nn.Pass, b *batch.Batch)  // before the loss
	alter  func(b *batch.Batch, v []float32) // changes the features
	score  func(evaluation int) Metrics      // instead of the true score
	onEval func(ctx context.Context)         // before an evaluation
	// onBatch is called while a batch is made. Its error becomes that of the batch.
	onBatch func(ctx context.Context, rows []int, key op.Key) error
	evals   int
}

// toySet is a batch.Set over rows of a toy.
type toySet struct {
	t     *toy
	first int
	n     int
}

func (s toySet) Len() int { return s.n }

func (s toySet) Tokens(i int) int {
	if s.t.lengths == nil {
		return 1
	}
	return s.t.lengths[s.first+i]
}

func (s toySet) Batch(ctx context.Context, rows []int, key op.Key) (*batch.Batch, error) {
	if s.t.onBatch != nil {
		if err := s.t.onBatch(ctx, rows, key); err != nil {
			return nil, err
		}
	}
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}, Index: slices.Clone(rows)}}
	for i, row := range rows {
		at := s.first + row
		b.Features = append(b.Features, s.t.x[at*s.t.width:(at+1)*s.t.width]...)
		b.Labels = append(b.Labels, s.t.y[at])
		b.Seqs.Starts = append(b.Seqs.Starts, i+1)
	}
	return b, nil
}

// newToy returns a toy with the given number of rows, of which the last held are for evaluation, with some ignored
// labels and initial values from a fixed seed.
func newToy(rows, held int) *toy {
	const width, classes = 7, 3
	r := rand.New(rand.NewPCG(1, 2))
	t := &toy{width: width, drop: 0.2, w: op.NewMatrix(classes, width), b: op.NewVector(classes)}
	for i := range rows {
		for range width {
			t.x = append(t.x, float32(r.NormFloat64()))
		}
		t.y = append(t.y, int32(r.IntN(classes)))
		if i%6 == 5 {
			t.y[i] = batch.Ignore
		}
		t.lengths = append(t.lengths, 1+r.IntN(9))
	}
	w := make([]float32, width*classes)
	for i := range w {
		w[i] = float32(r.NormFloat64() * 0.3)
	}
	must(t.w.SetValues(w))
	must(t.b.SetValues(make([]float32, classes)))
	if held > 0 {
		t.held = &toySet{t, rows - held, held}
	}
	return t
}

func leaf(rows, cols int, v []float32) mat.Tensor {
	return mat.NewDense[float32](mat.WithShape(rows, cols), mat.WithBacking(v))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// adapt gives the toy a low-rank pair that trains in place of w.
func (t *toy) adapt() {
	const rank = 2
	r := rand.New(rand.NewPCG(3, 4))
	draw := func(rows, cols int) []float32 {
		v := make([]float32, rows*cols)
		for i := range v {
			v[i] = float32(r.NormFloat64() * 0.3)
		}
		return v
	}
	t.pair = &op.Correction{
		A: op.NewParam(rank, t.width, draw(rank, t.width)), B: op.NewParam(t.w.Rows, rank, draw(t.w.Rows, rank)), Scale: 0.5,
	}
}

func (t *toy) params() []nn.NamedParam {
	if c := t.pair; c != nil {
		return []nn.NamedParam{{Name: "w.A", Param: c.A, Role: nn.FactorA},
			{Name: "w.B", Param: c.B, Role: nn.FactorB, A: c.A, Scale: c.Scale},
			{Name: "b", Param: t.b.Train(), NoDecay: true, Role: nn.Vector}}
	}
	return []nn.NamedParam{{Name: "w", Param: t.w.Train()}, {Name: "b", Param: t.b.Train(), NoDecay: true}}
}

func (t *toy) Set(s batch.Split) batch.Set {
	held := 0
	if t.held != nil {
		held = t.held.n
	}
	switch {
	case s == batch.Train:
		return toySet{t, 0, len(t.y) - held}
	case s == batch.Eval && t.held != nil:
		return *t.held
	}
	return nil
}

func (t *toy) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	if t.onLoss != nil {
		t.onLoss(p, b)
	}
	if t.alter != nil {
		t.alter(b, b.Features)
	}
	p.Seqs = b.Seqs
	x := leaf(len(b.Seqs.Index), t.width, b.Features)
	if p.Train {
		x = op.Dropout(p.Tape, x, op.Drop{P: t.drop, Site: 1, Key: p.Key, Seqs: p.Seqs})
	}
	logits := op.Affine(p.Tape, x, op.Drop{}, op.Projection{Weight: t.w, Bias: t.b, Adapt: t.pair})
	sum, targets := op.CrossEntropy(p.Tape, logits, b.Labels, op.CrossEntropyConfig{})
	return sum, targets, nil
}

func (t *toy) MetricNames() []string { return []string{"accuracy", "loss"} }

func (t *toy) Evaluate(ctx context.Context, s batch.Split) (Metrics, error) {
	t.evals++
	if t.onEval != nil {
		t.onEval(ctx)
	}
	if err := ctx.Err(); err != nil {
		return Metrics{}, err
	}
	if t.score != nil {
		return t.score(t.evals), nil
	}
	set := t.Set(s)
	rows := make([]int, set.Len())
	for i := range rows {
		rows[i] = i
	}
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	b, err := set.Batch(ctx, rows, op.Key{})
	if err != nil {
		return Metrics{}, err
	}
	sum, targets, err := t.Loss(&nn.Pass{Tape: tape}, b)
	if err != nil {
		return Metrics{}, err
	}
	loss := float64(op.Values(sum)[0]) / targets
	return Metrics{Main: "loss", Values: []Metric{{Name: "accuracy", Value: 1 / (1 + loss)},
		{Name: "loss", Value: loss, LowerIsBetter: true}}}, nil
}

// saver returns a Save function that writes the toy's adapter in two files, like a real adapter.
func (t *toy) saver(disk files.FS) func(string) error {
	return func(dir string) error {
		tensors := []safetensors.Tensor{
			{Name: "w", DType: safetensors.F32, Shape: t.w.Shape(), Data: safetensors.Bytes(t.w.Float32())},
			{Name: "b", DType: safetensors.F32, Shape: t.b.Shape(), Data: safetensors.Bytes(t.b.Float32())},
		}
		if err := safetensors.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), tensors, nil,
			files.Using(disk)); err != nil {
			return err
		}
		return files.WriteFile(filepath.Join(dir, "adapter_config.json"), func(w io.Writer) error {
			_, err := io.WriteString(w, "{}\n")
			return err
		}, files.Using(disk))
	}
}

// unsynced is the system's disk without syncing, which takes time.
type unsynced struct{ files.System }

type unsyncedFile struct{ files.File }

func (unsynced) Create(path string, perm fs.FileMode) (files.File, error) {
	f, err := files.System{}.Create(path, perm)
	return unsyncedFile{f}, err
}

func (unsyncedFile) Sync() error { return nil }

func (unsynced) SyncDir(string) error { return nil }

// toyConfig returns the settings of a run of the toy in dir with all features that a resumed run could get wrong.
func toyConfig(t *toy, dir string) Config {
	c := Defaults()
	c.BatchSize, c.GradientAccumulationSteps, c.NumTrainEpochs = 4, 2, 2
	c.LearningRate, c.WeightDecay, c.WarmupSteps, c.MaxGradNorm = 0.05, 0.1, 2, 0.5
	c.Schedule, c.NoDecayNormBias, c.SaveEvery = Cosine, true, 0
	c.Identity = map[string]string{"data": "5eed"}
	if t.held != nil {
		c.EvalSteps = 2
	}
	if dir != "" {
		c.disk = unsynced{}
		c.OutputDir, c.Save = dir, t.saver(c.disk)
	}
	return c
}

// train runs the toy and fails the test on an error.
func (t *toy) train(tb testing.TB, c Config) Report {
	tb.Helper()
	r, err := Run(context.Background(), t, t.params(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// outcome returns the files that must be equal between two runs: adapters, and the log without times.
func outcome(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	for _, name := range []string{"adapter_model.safetensors", "last/adapter_model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			tb.Fatal(err)
		}
		out[name] = string(b)
	}
	out[metricsName] = untimed(tb, dir)
	return out
}

// untimed returns metrics.jsonl without tokens_per_second.
func untimed(tb testing.TB, dir string) string {
	tb.Helper()
	var out bytes.Buffer
	for _, line := range readLog(tb, dir) {
		delete(line, "tokens_per_second")
		b, err := json.Marshal(line)
		if err != nil {
			tb.Fatal(err)
		}
		out.Write(append(b, '\n'))
	}
	return out.String()
}

// readLog returns the lines of metrics.jsonl with their numbers as text.
func readLog(tb testing.TB, dir string) []map[string]any {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(dir, metricsName))
	if err != nil {
		tb.Fatal(err)
	}
	var lines []map[string]any
	for _, raw := range bytes.Split(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\n'}) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			tb.Fatalf("line %q: %v", raw, err)
		}
		lines = append(lines, line)
	}
	return lines
}

func sameOutcome(tb testing.TB, name string, got, want map[string]string) {
	tb.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			g, w := got[key], want[key]
			if key == metricsName {
				tb.Errorf("%s: %s differs\ngot\n%s\nwant\n%s", name, key, g, w)
			} else {
				tb.Errorf("%s: %s differs (%d and %d bytes)", name, key, len(g), len(w))
			}
		}
	}
}

func list(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func near(got, want, rel float64) bool {
	return got == want || math.Abs(got-want) <= rel*math.Max(math.Abs(got), math.Abs(want))
}
