package tasks

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// encoderRun is a training run of PEFT on an encoder with the head of a task (reference/encoder_fixtures.py).
type encoderRun struct {
	parityCase
	Task         string   `json:"task"`
	TypesDropped bool     `json:"types_dropped"`
	Symmetric    []string `json:"symmetric"`

	src     *checkpoint.Source
	model   spago.Model
	forward func(p *nn.Pass, b *batch.Batch) mat.Tensor // logits or hidden states
	set     *lora.Set
	pool    *op.Pool
	rows    *encoderRows
}

// encoderRows are the rows of a fixture. An item is a sequence, a question with its choices, or a pair.
type encoderRows struct {
	textSet
	groups []int // item i is the sequences groups[i] to groups[i+1]
	each   int   // labels of an item; 0: one for each token
}

// Len returns the number of items.
func (s *encoderRows) Len() int { return len(s.groups) - 1 }

// Tokens returns the length of an item.
func (s *encoderRows) Tokens(i int) int { return s.starts[s.groups[i+1]] - s.starts[s.groups[i]] }

// Batch puts the sequences of items together.
func (s *encoderRows) Batch(_ context.Context, items []int, _ op.Key) (*batch.Batch, error) {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}, Groups: []int{0}}
	for _, i := range items {
		for seq := s.groups[i]; seq < s.groups[i+1]; seq++ {
			lo, hi := s.starts[seq], s.starts[seq+1]
			b.Seqs.Index, b.IDs, b.Seqs.Starts = append(b.Seqs.Index, seq), append(b.IDs, s.ids[lo:hi]...), append(b.Seqs.Starts, len(b.IDs)+hi-lo)
			if s.types != nil {
				b.Types = append(b.Types, s.types[lo:hi]...)
			}
			if s.each == 0 {
				b.Labels = append(b.Labels, s.labels[lo:hi]...)
			}
		}
		b.Groups = append(b.Groups, len(b.Seqs.Starts)-1)
		if s.each > 0 && s.labels != nil {
			b.Labels = append(b.Labels, s.labels[i*s.each:(i+1)*s.each]...)
		}
		if s.values != nil {
			b.Values = append(b.Values, s.values[i*s.width:(i+1)*s.width]...)
		}
	}
	return b, nil
}

func openEncoderRun(t *testing.T, dir string) *encoderRun {
	t.Helper()
	r := &encoderRun{pool: op.NewPool(2)}
	t.Cleanup(r.pool.Close)
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	r.dir, r.base = dir, filepath.Join(dir, "base")
	if r.src, err = checkpoint.Open(r.base); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.src.Close() })
	r.model, r.forward = r.open(t)
	if r.set, _, err = lora.Load(filepath.Join(dir, "adapter_init"), r.model); err != nil {
		t.Fatal(err)
	}
	r.read(t)
	return r
}

// open builds the model of the case, without dropout, with what computes its output.
func (r *encoderRun) open(t *testing.T) (m spago.Model, forward func(*nn.Pass, *batch.Batch) mat.Tensor) {
	t.Helper()
	type head interface {
		spago.Model
		Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
	}
	var h head
	var err error
	switch r.Task {
	case "seq_cls":
		h, _, err = models.OpenSequenceClassifier(r.src, r.NumLabels, 1)
	case "token_cls":
		h, _, err = models.OpenTokenClassifier(r.src, r.NumLabels, 1)
	case "question_answering":
		h, _, err = models.OpenQuestionAnswerer(r.src, 1)
	case "multiple_choice":
		h, _, err = models.OpenMultipleChoice(r.src, 1)
	case "feature_extraction":
		var e models.Encoder
		if e, _, err = models.OpenEncoder(r.src, 1); err != nil {
			t.Fatal(err)
		}
		nn.SetDropout(e, 0)
		return e, e.Forward
	default:
		t.Fatalf("task %q", r.Task)
	}
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(h, 0)
	return h, h.Logits
}

// read reads the rows.
func (r *encoderRun) read(t *testing.T) {
	t.Helper()
	g := golden.Open(t, filepath.Join(r.dir, "batches.safetensors"))
	int32s := func(name string) (list []int32) {
		for _, x := range g.Ints(name) {
			list = append(list, int32(x))
		}
		return list
	}
	s := &encoderRows{textSet: textSet{ids: int32s("ids"), starts: g.Ints("starts")}, each: 1}
	if g.Has("types") && !r.TypesDropped {
		s.types = int32s("types")
	}
	if g.Has("groups") {
		s.groups = g.Ints("groups")
	} else {
		for i := range len(s.starts) {
			s.groups = append(s.groups, i)
		}
	}
	if r.Task == "feature_extraction" || r.Problem != "single_label_classification" {
		s.values = g.Float32("labels")
		s.width = len(s.values) / s.Len()
	} else {
		s.labels = int32s("labels")
		s.each = map[string]int{"token_cls": 0, "question_answering": 2}[r.Task]
		if r.Task == "seq_cls" || r.Task == "multiple_choice" {
			s.each = 1
		}
	}
	r.rows = s
}

// Set returns the rows for training, and nothing to evaluate.
func (r *encoderRun) Set(s batch.Split) batch.Set {
	if s != batch.Train {
		return nil
	}
	return r.rows
}

// Loss is that of transformers' head for the task.
func (r *encoderRun) Loss(p *nn.Pass, b *batch.Batch) (sum mat.Tensor, targets float64, err error) {
	y := r.forward(p, b)
	switch r.Task {
	case "question_answering":
		sum, targets = op.GroupCrossEntropy(p.Tape, y, b.Seqs.Starts, b.Labels)
	case "multiple_choice":
		sum, targets = op.GroupCrossEntropy(p.Tape, y, b.Groups, b.Labels)
	case "feature_extraction":
		cosines := op.PairDots(p.Tape, op.NormalizeRows(p.Tape, op.MeanRows(p.Tape, y, b.Seqs.Starts)))
		sum, targets = op.MSE(p.Tape, cosines, b.Values), float64(len(b.Values))
	default:
		problem, e := data.ParseProblem(r.Problem)
		if e != nil {
			return nil, 0, e
		}
		sum, targets = (&SeqCls{cfg: SeqClsConfig{Labels: &data.Labels{Problem: problem}}}).loss(p.Tape, y, b) // a token's class is as good as a sequence's
	}
	return sum, targets, nil
}

// Evaluate is never asked for.
func (r *encoderRun) Evaluate(context.Context, batch.Split) (train.Metrics, error) {
	return train.Metrics{}, nil
}

// output returns what the model makes of the first batch.
func (r *encoderRun) output(t *testing.T, forward func(*nn.Pass, *batch.Batch) mat.Tensor, adapter nn.AdapterSet) []float32 {
	t.Helper()
	tape := op.NewEvalTape(r.pool)
	defer tape.Close()
	items := make([]int, r.BatchSize)
	for i := range items {
		items[i] = i
	}
	y := forward(&nn.Pass{Tape: tape, Adapter: adapter}, BatchOf(t, r.rows, items...))
	out := append([]float32(nil), op.Values(y)...)
	if len(r.Symmetric) > 0 {
		_, width := op.Size(y)
		center(out, width)
	}
	return out
}

// writeOutput writes the ids, types and output of each sequence of the first batch, for reference/check_adapter.py --task.
func (r *encoderRun) writeOutput(t *testing.T, file string) {
	t.Helper()
	tape := op.NewEvalTape(r.pool)
	defer tape.Close()
	b := BatchOf(t, r.rows, 0, 1)
	y := r.forward(&nn.Pass{Tape: tape, Adapter: r.set}, b)
	values, rows := op.Values(y), b.Seqs.Starts
	if n, _ := op.Size(y); n != len(b.IDs) { // one for each sequence
		rows = nil
		for i := range n + 1 {
			rows = append(rows, i)
		}
	}
	_, width := op.Size(y)
	var lines []byte
	for i := range len(b.Seqs.Starts) - 1 {
		var line struct {
			IDs    []int32     `json:"ids"`
			Types  []int32     `json:"types,omitempty"`
			Logits [][]float32 `json:"logits"`
		}
		line.IDs = b.IDs[b.Seqs.Starts[i]:b.Seqs.Starts[i+1]]
		if b.Types != nil {
			line.Types = b.Types[b.Seqs.Starts[i]:b.Seqs.Starts[i+1]]
		}
		for row := rows[i]; row < rows[i+1]; row++ {
			line.Logits = append(line.Logits, values[row*width:(row+1)*width])
		}
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, text...), '\n')
	}
	if err := os.WriteFile(file, lines, 0o644); err != nil {
		t.Fatal(err)
	}
}

// center takes the mean of each column away: what a softmax over rows does not see.
func center(x []float32, width int) {
	rows := len(x) / width
	for c := range width {
		mean := 0.0
		for n := range rows {
			mean += float64(x[n*width+c]) / float64(rows)
		}
		for n := range rows {
			x[n*width+c] -= float32(mean)
		}
	}
}

// from compares with an output of the fixture, relative to the largest.
func (r *encoderRun) from(expected *golden.Fixture, name string, got []float32) float64 {
	want := slices.Clone(expected.Float32(name))
	if shape := expected.Shape(name); len(r.Symmetric) > 0 {
		center(want, shape[len(shape)-1])
	}
	return golden.MaxRel(got, want)
}

// merged returns the output of the model with the trained adapter merged in.
func (r *encoderRun) merged(t *testing.T) []float32 {
	t.Helper()
	s, _, err := lora.Load(filepath.Join(r.dir, "adapter_final"), r.model)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := lora.Merge(r.model, s, r.pool)
	if err != nil {
		t.Fatal(err)
	}
	m, forward := r.open(t)
	if err := lora.Assign(m, weights); err != nil {
		t.Fatal(err)
	}
	return r.output(t, forward, nil)
}

// params lists what trains: not what PEFT adapts although no gradient reaches it, a pooler that nothing reads.
func (r *encoderRun) params(expected *golden.Fixture) []nn.NamedParam {
	return slices.DeleteFunc(r.set.Params(), func(p nn.NamedParam) bool { return !expected.Has("grad." + p.Name) })
}

// tensors compares a saved adapter with PEFT's, but for tensors that have no gradient.
func (r *encoderRun) tensors(t *testing.T, dir string) (worst float64, name string) {
	t.Helper()
	return r.adapter(t, dir, func(name string) bool {
		return slices.ContainsFunc(r.Symmetric, func(end string) bool { return strings.HasSuffix(name, end) })
	})
}

// TestEncodersEqualPEFT repeats PEFT's training of encoders with the head of every task. With -v it prints the table of docs/parity.md.
func TestEncodersEqualPEFT(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/encoder/*")
	if err != nil || len(dirs) < 25 {
		t.Fatalf("fixtures: %v, %v", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, expected, out := openEncoderRun(t, dir), golden.Open(t, filepath.Join(dir, "expected.safetensors")), outputDir(t, filepath.Base(dir))
			if expected.Has("base.logits") {
				if d := r.from(expected, "base.logits", r.output(t, r.forward, nil)); !(d <= 2e-5) {
					t.Errorf("output of the base: off by %.2g of the largest", d)
				}
			}
			d := deviations{initial: r.from(expected, "init.logits", r.output(t, r.forward, r.set))}
			d.loss, d.norm, d.rate = deviationsOf(r.repeat(t, r, r.set, r.params(expected), r.pool, out), r.Log)
			d.adapter, d.tensor = r.tensors(t, out)
			d.final = r.from(expected, "final.logits", r.output(t, r.forward, r.set))
			d.check(t, filepath.Base(dir), r.MaxSteps)
			r.writeOutput(t, filepath.Join(out, "logits.jsonl"))
			if d := r.from(expected, "merged.logits", r.merged(t)); !(d <= 2e-5) {
				t.Errorf("output of the merged model: off by %.2g of the largest", d)
			}
		})
	}
}
