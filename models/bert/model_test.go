package bert_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// small returns a model with weights, biases and gains of trained size; dropout acts at all three kinds of place.
func small(seed uint64) *bert.ForSequenceClassification {
	c := bert.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize, c.MaxPositions =
		40, 24, 3, 3, 32, 64
	c.HiddenDropout, c.AttentionDropout = 0.2, 0.3
	return filled(bert.NewForSequenceClassification(c, 5), seed)
}

func filled(m *bert.ForSequenceClassification, seed uint64) *bert.ForSequenceClassification {
	for _, w := range nn.Weights(m) {
		r := nn.NewRand(seed, w.Name)
		v := make([]float32, w.Weight.Len())
		for i := range v {
			v[i] = float32(r.NormFloat64()) * 0.25
		}
		if err := w.Weight.SetValues(v); err != nil {
			panic(err)
		}
	}
	return m
}

// example is number n of a data set without end, with 1 to 11 tokens.
func example(n int) (ids, types []int32) {
	r := nn.NewRand(uint64(n), "example")
	for i := range 1 + r.IntN(11) {
		ids, types = append(ids, int32(r.IntN(40))), append(types, int32(i/6))
	}
	return ids, types
}

func examples(numbers ...int) *batch.Batch {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	for _, n := range numbers {
		ids, types := example(n)
		b.Seqs.Index, b.IDs, b.Types = append(b.Seqs.Index, n), append(b.IDs, ids...), append(b.Types, types...)
		b.Seqs.Starts, b.Labels = append(b.Seqs.Starts, len(b.IDs)), append(b.Labels, int32(n%5))
	}
	return b
}

// unpruned computes the logits through the layers, all rows to the end.
func unpruned(m *bert.ForSequenceClassification, p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(b.Seqs)
	x := m.Bert.Forward(p, b)
	first := nn.FirstRows(p.Seqs)
	p = p.With(first.Seqs)
	return m.Classifier.Forward(p, m.Drop.Forward(p, m.Bert.Pooler.Forward(p, op.Rows(p.Tape, x, first.Rows))))
}

type forward func(m *bert.ForSequenceClassification, p *nn.Pass, b *batch.Batch) mat.Tensor

func logits(m *bert.ForSequenceClassification, p *nn.Pass, b *batch.Batch) mat.Tensor {
	return m.Logits(p, b)
}

// TestPruning: in the last layer only first tokens go further than keys and values, and neither logits nor gradients
// notice.
func TestPruning(t *testing.T) {
	for _, train := range []bool{false, true} {
		t.Run(fmt.Sprintf("dropout %v", train), func(t *testing.T) {
			m := small(1)
			params := nn.Train(m)
			b := examples(7, 3, 12, 90, 4)
			results := map[string][]float32{}
			grads := map[string]map[string][]float32{}
			for name, f := range map[string]forward{"pruned": logits, "whole": unpruned} {
				tape := op.NewTape(nil)
				p := &nn.Pass{Tape: tape, Train: train, Key: op.Key{Seed: 4, Step: 9}}
				y := f(m, p, b)
				results[name] = append([]float32(nil), op.Values(y)...)
				loss, _ := op.CrossEntropy(tape, y, b.Labels, op.CrossEntropyConfig{})
				if err := tape.Backward(loss); err != nil {
					t.Fatal(err)
				}
				grads[name] = map[string][]float32{}
				for _, q := range params {
					grads[name][q.Name] = append([]float32(nil), op.Grad(q.Param)...)
					op.ZeroGrad(q.Param)
				}
				tape.Close()
			}
			closeTo(t, "logits", results["pruned"], results["whole"], 1e-6, 0)
			for _, q := range params {
				closeTo(t, q.Name, grads["pruned"][q.Name], grads["whole"][q.Name], 2e-6, 1e-6)
			}
		})
	}
}

// closeTo compares in the Frobenius norm; small is a norm below which nothing but rounding is left (key biases).
func closeTo(t *testing.T, what string, got, want []float32, bar, small float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	diff, norm := 0.0, 0.0
	for i := range got {
		diff += math.Pow(float64(got[i])-float64(want[i]), 2)
		norm += math.Pow(float64(want[i]), 2)
	}
	if !(math.Sqrt(diff) <= bar*math.Sqrt(norm)+small) {
		t.Errorf("%s: off by %.2g of %.2g", what, math.Sqrt(diff), math.Sqrt(norm))
	}
}

func evaluate(m *bert.ForSequenceClassification, p nn.Pass, b *batch.Batch) []float32 {
	p.Tape = op.NewEvalTape(nil)
	defer p.Tape.Close()
	return append([]float32(nil), op.Values(m.Logits(&p, b))...)
}

// TestDropoutKnowsExamples: an example has the same mask, and so the same logits, alone and in any batch.
func TestDropoutKnowsExamples(t *testing.T) {
	m := small(2)
	pass := nn.Pass{Train: true, Key: op.Key{Seed: 4, Step: 9}}
	numbers := []int{7, 3, 12, 90, 4}
	whole := evaluate(m, pass, examples(numbers...))
	for i, n := range numbers {
		closeTo(t, fmt.Sprintf("example %d alone", n), evaluate(m, pass, examples(n)), whole[5*i:5*i+5], 1e-6, 0)
	}
	turned := evaluate(m, pass, examples(4, 90, 12, 3, 7))
	for i := range numbers {
		closeTo(t, "turned", turned[5*(4-i):5*(4-i)+5], whole[5*i:5*i+5], 1e-6, 0)
	}
	other := pass
	other.Key.Step++
	if d := distance(evaluate(m, other, examples(numbers...)), whole); d < 0.01 {
		t.Errorf("the next step has the same masks: logits %.2g apart", d)
	}
	same := examples(7, 7)
	same.Seqs.Index[1] = 8
	twice := evaluate(m, pass, same)
	if d := distance(twice[:5], twice[5:]); d < 0.01 {
		t.Errorf("another example with the same text has the same mask: logits %.2g apart", d)
	}
}

func distance(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += math.Pow(float64(a[i])-float64(b[i]), 2)
	}
	return math.Sqrt(sum)
}

// TestEvaluationDropsNothing: without Train the probabilities and the key do not matter.
func TestEvaluationDropsNothing(t *testing.T) {
	m := small(2)
	b := examples(7, 3, 12)
	want := evaluate(m, nn.Pass{Key: op.Key{Seed: 1}}, b)
	nn.SetDropout(m, 0)
	for name, p := range map[string]nn.Pass{
		"evaluation": {}, "training without dropout": {Train: true, Key: op.Key{Seed: 3}},
	} {
		if d := distance(evaluate(m, p, b), want); d != 0 {
			t.Errorf("%s: logits %.2g apart", name, d)
		}
	}
	nn.SetDropout(m, 0.5)
	if d := distance(evaluate(m, nn.Pass{Train: true}, b), want); d < 0.01 {
		t.Error("SetDropout does nothing")
	}
}

// TestSameBits: logits and gradients have the same bits for any number of workers and in every run.
func TestSameBits(t *testing.T) {
	m := small(3)
	params := nn.Train(m)
	b := examples(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
	var want []float32
	for _, workers := range []int{1, 2, 3, 7, 2} {
		pool := op.NewPool(workers)
		tape := op.NewTape(pool)
		y := m.Logits(&nn.Pass{Tape: tape, Train: true, Key: op.Key{Seed: 1}}, b)
		got := append([]float32(nil), op.Values(y)...)
		loss, _ := op.CrossEntropy(tape, y, b.Labels, op.CrossEntropyConfig{})
		if err := tape.Backward(loss); err != nil {
			t.Fatal(err)
		}
		for _, p := range params {
			got = append(got, op.Grad(p.Param)...)
			op.ZeroGrad(p.Param)
		}
		tape.Reset()
		if now, _ := tape.Memory(); now != 0 {
			t.Errorf("%d bytes left in the arena", now)
		}
		tape.Close()
		pool.Close()
		if want == nil {
			want = got
		}
		for i := range want {
			if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
				t.Fatalf("%d workers: value %d is %g, before %g", workers, i, got[i], want[i])
			}
		}
	}
}

// TestLengths: the shortest and the longest sequences, without types.
func TestLengths(t *testing.T) {
	m := small(4)
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, 1, 65}}, IDs: make([]int32, 65)}
	typed := &batch.Batch{Seqs: op.Seqs{Starts: b.Seqs.Starts}, IDs: b.IDs, Types: make([]int32, 65)}
	if got := evaluate(m, nn.Pass{}, b); len(got) != 10 || distance(got, evaluate(m, nn.Pass{}, typed)) != 0 {
		t.Errorf("no types must be type 0: %v", got)
	}
	if m.MaxLength() != 64 || m.Labels() != 5 || m.Vocabulary() != 40 {
		t.Errorf("limits %d, %d, %d", m.MaxLength(), m.Labels(), m.Vocabulary())
	}
}
