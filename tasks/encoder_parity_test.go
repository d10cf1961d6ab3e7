package tasks_test

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
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// encoderRun is a training run of PEFT on an encoder, or an encoder–decoder, with the head of a task
// (reference/encoder_fixtures.py, reference/seq2seq_heads_fixtures.py).
type encoderRun struct {
	tasktest.Case
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
	texts  *tasks.TextSet
	groups []int     // n+1: item i is the sequences groups[i] to groups[i+1]
	labels []int32   // each for every item, or nil
	each   int       // labels of an item
	values []float32 // width for every item, or nil
	width  int
}

// Len returns the number of items.
func (s *encoderRows) Len() int { return len(s.groups) - 1 }

// Tokens returns the length of an item.
func (s *encoderRows) Tokens(i int) int {
	return s.texts.Start(s.groups[i+1]) - s.texts.Start(s.groups[i])
}

// Batch puts the sequences of items together.
func (s *encoderRows) Batch(ctx context.Context, items []int, key op.Key) (*batch.Batch, error) {
	var seqs []int
	groups := []int{0}
	for _, i := range items {
		for seq := s.groups[i]; seq < s.groups[i+1]; seq++ {
			seqs = append(seqs, seq)
		}
		groups = append(groups, len(seqs))
	}
	b, err := s.texts.Batch(ctx, seqs, key)
	if err != nil {
		return nil, err
	}
	b.Groups = groups
	for _, i := range items {
		if s.labels != nil {
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
	r.Dir, r.Base = dir, filepath.Join(dir, "base")
	if r.src, err = checkpoint.Open(r.Base); err != nil {
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
	g := golden.Open(t, filepath.Join(r.Dir, "batches.safetensors"))
	s := &encoderRows{texts: tasktest.Rows(g, g.Has("types") && !r.TypesDropped)}
	if g.Has("groups") {
		s.groups = g.Ints("groups")
	} else {
		s.groups = tasktest.First(s.texts.Len() + 1)
	}
	switch {
	case r.Task == "feature_extraction" || r.Problem != "single_label_classification":
		s.values = g.Float32("labels")
		s.width = len(s.values) / s.Len()
	case r.Task == "token_cls":
		s.texts.TokenLabels.Append(tasktest.Int32s(g, "labels")...)
	default:
		s.labels, s.each = tasktest.Int32s(g, "labels"), 1
		if r.Task == "question_answering" {
			s.each = 2
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
		sum, targets, err = classLoss(p.Tape, r.Problem, y, b) // of tokens as of sequences
	}
	return sum, targets, err
}

// Evaluate is never asked for.
func (r *encoderRun) Evaluate(context.Context, batch.Split) (train.Metrics, error) {
	return train.Metrics{}, nil
}

// output returns what the model makes of the first batch.
func (r *encoderRun) output(
	t *testing.T, forward func(*nn.Pass, *batch.Batch) mat.Tensor, adapter nn.AdapterSet,
) []float32 {
	t.Helper()
	tape := op.NewEvalTape(r.pool)
	defer tape.Close()
	b := tasktest.BatchOf(t, r.rows, tasktest.First(r.BatchSize)...)
	y := forward(&nn.Pass{Tape: tape, Adapter: adapter}, b)
	out := append([]float32(nil), op.Values(y)...)
	if len(r.Symmetric) > 0 {
		_, width := op.Size(y)
		tasktest.Center(out, width)
	}
	return out
}

// writeOutput writes the ids, types and output of each sequence of the first batch, for reference/check_adapter.py
// --task.
func (r *encoderRun) writeOutput(t *testing.T, file string) {
	t.Helper()
	tape := op.NewEvalTape(r.pool)
	defer tape.Close()
	b := tasktest.BatchOf(t, r.rows, 0, 1)
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

// from compares with an output of the fixture, relative to the largest.
func (r *encoderRun) from(expected *golden.Fixture, name string, got []float32) float64 {
	want := slices.Clone(expected.Float32(name))
	if shape := expected.Shape(name); len(r.Symmetric) > 0 {
		tasktest.Center(want, shape[len(shape)-1])
	}
	return golden.MaxRel(got, want)
}

// merged returns the output of the model with the trained adapter merged in.
func (r *encoderRun) merged(t *testing.T) []float32 {
	t.Helper()
	s, _, err := lora.Load(filepath.Join(r.Dir, "adapter_final"), r.model)
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
	return r.Adapter(t, dir, func(name string) bool {
		return slices.ContainsFunc(r.Symmetric, func(end string) bool { return strings.HasSuffix(name, end) })
	})
}

// TestEncodersEqualPEFT repeats PEFT's training of encoders with the head of every task, and of encoder–decoders with
// the heads that they have (reference/seq2seq_heads_fixtures.py). With -v it prints the table of
// docs/parity.md.
func TestEncodersEqualPEFT(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/encoder/*")
	if err != nil || len(dirs) < 25 {
		t.Fatalf("fixtures: %v, %v", dirs, err)
	}
	both, err := filepath.Glob("../testdata/seq2seq_heads/*")
	if err != nil || len(both) < 16 {
		t.Fatalf("fixtures: %v, %v", both, err)
	}
	dirs = append(dirs, both...)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, expected := openEncoderRun(t, dir), golden.Open(t, filepath.Join(dir, "expected.safetensors"))
			out := tasktest.OutputDir(t, filepath.Base(dir))
			if expected.Has("base.logits") {
				if d := r.from(expected, "base.logits", r.output(t, r.forward, nil)); !(d <= 2e-5) {
					t.Errorf("output of the base: off by %.2g of the largest", d)
				}
			}
			d := tasktest.Deviations{Initial: r.from(expected, "init.logits", r.output(t, r.forward, r.set))}
			d.Steps(r.Repeat(t, r, r.set, r.params(expected), r.pool, out), r.Log)
			d.Adapter, d.Tensor = r.tensors(t, out)
			d.Final = r.from(expected, "final.logits", r.output(t, r.forward, r.set))
			d.Check(t, filepath.Base(dir), r.MaxSteps)
			r.writeOutput(t, filepath.Join(out, "logits.jsonl"))
			merged := "merged.logits"
			if !expected.Has(merged) { // PEFT adds the corrections of two tables to the one that they share
				merged = "final.logits"
			}
			if d := r.from(expected, merged, r.merged(t)); !(d <= 2e-5) {
				t.Errorf("output of the merged model: off by %.2g of the largest", d)
			}
		})
	}
}
