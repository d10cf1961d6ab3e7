package models_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/models/bart"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/models/distilbert"
	"github.com/spalora/spalora/models/electra"
	"github.com/spalora/spalora/models/roberta"
	"github.com/spalora/spalora/models/t5"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// encoderModel is an encoder with the head of a task and what computes its output.
type encoderModel struct {
	name string
	models.TextModel
	forward func(p *nn.Pass, b *batch.Batch) mat.Tensor
	encoder arch.Encoder // below the head
	tokens  bool         // a row for each token, not for each sequence
}

// encoderModels are small encoders with the head of every task. Dropout acts at every kind of place; weights have
// trained size.
func encoderModels() (list []encoderModel) {
	add := func(name string, m models.TextModel, forward func(*nn.Pass, *batch.Batch) mat.Tensor, encoder arch.Encoder) {
		fillModel(m)
		tokens := !strings.Contains(name, "seq-cls") && !strings.Contains(name, "multiple-choice")
		list = append(list, encoderModel{name, m, forward, encoder, tokens})
	}
	quarter := float32(0.25)
	c := bert.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize, c.MaxPositions =
		40, 24, 3, 3, 32, 64
	c.HiddenDropout, c.AttentionDropout, c.ClassifierDropout = 0.2, 0.3, &quarter
	{
		s, k, q, m, e := bert.NewForSequenceClassification(c, 5), bert.NewForTokenClassification(c, 4),
			bert.NewForQuestionAnswering(c), bert.NewForMultipleChoice(c), bert.New(c)
		add("bert seq-cls", s, s.Logits, s.Bert)
		add("bert token-cls", k, k.Logits, k.Encoder)
		add("bert question-answering", q, q.Logits, q.Encoder)
		add("bert multiple-choice", m, m.Logits, m.Bert)
		add("bert encoder", e, e.Forward, e)
	}
	{
		c := roberta.Config{Config: c}
		pad := 1
		c.ModelType, c.TypeVocabSize, c.PadTokenID = "roberta", 1, &pad
		s, k, q, m, e := roberta.NewForSequenceClassification(c, 5), roberta.NewForTokenClassification(c, 4),
			roberta.NewForQuestionAnswering(c), roberta.NewForMultipleChoice(c), roberta.New(c)
		add("roberta seq-cls", s, s.Logits, s.Roberta)
		add("roberta token-cls", k, k.Logits, k.Encoder)
		add("roberta question-answering", q, q.Logits, q.Encoder)
		add("roberta multiple-choice", m, m.Logits, m.Roberta)
		add("roberta encoder", e, e.Forward, e)
	}
	{
		c := distilbert.DefaultConfig()
		c.VocabSize, c.Width, c.Layers, c.Heads, c.Inner, c.MaxPositions = 40, 24, 3, 3, 32, 64
		c.Dropout, c.AttentionDropout, c.QADropout = 0.2, 0.3, 0.25
		s, k, q, m, e := distilbert.NewForSequenceClassification(c, 5), distilbert.NewForTokenClassification(c, 4),
			distilbert.NewForQuestionAnswering(c), distilbert.NewForMultipleChoice(c), distilbert.New(c)
		add("distilbert seq-cls", s, s.Logits, s.DistilBert)
		add("distilbert token-cls", k, k.Logits, k.Encoder)
		add("distilbert question-answering", q, q.Logits, q.DistilBert)
		add("distilbert multiple-choice", m, m.Logits, m.DistilBert)
		add("distilbert encoder", e, e.Forward, e)
	}
	{
		d := electra.DefaultConfig()
		c.ModelType = "electra"
		d.Config, d.EmbeddingSize, d.SummaryFirstDropout = c, 16, 0.15
		s, k, q, m, e := electra.NewForSequenceClassification(d, 5), electra.NewForTokenClassification(d, 4),
			electra.NewForQuestionAnswering(d), electra.NewForMultipleChoice(d), electra.New(d)
		add("electra seq-cls", s, s.Logits, s.Electra)
		add("electra token-cls", k, k.Logits, k.Encoder)
		add("electra question-answering", q, q.Logits, q.Encoder)
		add("electra multiple-choice", m, m.Logits, m.Electra)
		add("electra encoder", e, e.Forward, e)
		d.SummaryType, d.SummaryUseProj, d.SummaryActivation = "last", false, ""
		l := electra.NewForMultipleChoice(d)
		add("electra multiple-choice last", l, l.Logits, l.Electra)
	}
	for _, family := range []string{"t5", "mt5"} {
		d, err := t5.DefaultConfig(family)
		if err != nil {
			panic(err)
		}
		layers := 2
		d.VocabSize, d.Width, d.HeadSize, d.FeedForward, d.Layers, d.Heads = 40, 24, 6, 32, 3, 3
		d.Buckets, d.MaxDistance = 8, 12
		d.DecoderLayers, d.Dropout, d.HeadDropout, d.End = &layers, 0.2, 0.25, 5
		s, k, q, e := t5.NewForSequenceClassification(d, 5), t5.NewForTokenClassification(d, 4),
			t5.NewForQuestionAnswering(d), t5.NewEncoderModel(d)
		add(family+" seq-cls", s, s.Logits, s.Encoder)
		add(family+" token-cls", k, k.Logits, k.Encoder)
		add(family+" question-answering", q, q.Logits, q.Encoder)
		add(family+" encoder", e, e.Forward, e)
	}
	for _, family := range []string{"bart", "mbart"} {
		d, err := bart.DefaultConfig(family)
		if err != nil {
			panic(err)
		}
		d.VocabSize, d.Width, d.EncoderLayers, d.DecoderLayers, d.MaxPositions = 40, 24, 2, 3, 64
		d.EncoderHeads, d.DecoderHeads, d.EncoderFeedForward, d.DecoderFeedForward = 3, 4, 36, 30
		d.Dropout, d.AttentionDropout, d.ActivationDropout, d.HeadDropout, d.End = 0.2, 0.3, 0.15, 0.25, 5
		s, q, e := bart.NewForSequenceClassification(d, 5), bart.NewForQuestionAnswering(d), bart.New(d)
		add(family+" seq-cls", s, s.Logits, s.Encoder)
		add(family+" question-answering", q, q.Logits, q.Encoder)
		add(family+" encoder", e, e.Forward, e)
	}
	return list
}

func fillModel(m spago.Model) {
	for _, w := range nn.Weights(m) {
		r := nn.NewRand(1, w.Name)
		v := make([]float32, w.Weight.Len())
		for i := range v {
			v[i] = float32(r.NormFloat64()) * 0.25
		}
		if err := w.Weight.SetValues(v); err != nil {
			panic(err)
		}
	}
}

func eachEncoder(t *testing.T, f func(t *testing.T, m encoderModel)) {
	for _, m := range encoderModels() {
		t.Run(m.name, func(t *testing.T) { f(t, m) })
	}
}

// textBatch holds examples of a data set without end, by their numbers, with 1 to 11 tokens each.
func textBatch(numbers ...int) *batch.Batch {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	for _, n := range numbers {
		r := nn.NewRand(uint64(n), "example")
		for i := range 1 + r.IntN(11) {
			b.IDs, b.Types = append(b.IDs, int32(2+r.IntN(38))), append(b.Types, int32(i/6))
		}
		b.Seqs.Index, b.Seqs.Starts = append(b.Seqs.Index, n), append(b.Seqs.Starts, len(b.IDs))
	}
	return b
}

// evaluated returns the output of the model for a batch, without recording.
func (m encoderModel) evaluated(p nn.Pass, b *batch.Batch) []float32 {
	p.Tape = op.NewEvalTape(nil)
	defer p.Tape.Close()
	return append([]float32(nil), op.Values(m.forward(&p, b))...)
}

// ofExample cuts the output for example i out of that for a batch.
func (m encoderModel) ofExample(out []float32, b *batch.Batch, i int) []float32 {
	if m.tokens {
		width := len(out) / len(b.IDs)
		return out[b.Seqs.Starts[i]*width : b.Seqs.Starts[i+1]*width]
	}
	width := len(out) / len(b.Seqs.Index)
	return out[i*width : (i+1)*width]
}

// norm is the Frobenius norm of a−b; b may be nil.
func norm(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		if b != nil {
			x -= b[i]
		}
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// closeTo compares relative to the norm; small is a norm below which nothing but rounding is left (key biases).
func closeTo(t *testing.T, what string, got, want []float32, bar, small float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	if d, size := norm(got, want), norm(want, nil); !(d <= bar*size+small) {
		t.Errorf("%s: off by %.2g of %.2g", what, d, size)
	}
}

// TestEncoderPruning: rows that nobody asks for serve as keys and values only, and neither results nor gradients
// notice.
func TestEncoderPruning(t *testing.T) {
	eachEncoder(t, func(t *testing.T, m encoderModel) {
		params := nn.Train(m.encoder)
		b := textBatch(7, 3, 12, 90, 4)
		seqs := b.Seqs
		for name, kept := range map[string]*nn.Kept{"first": nn.FirstRows(seqs), "last": nn.LastRows(seqs)} {
			for _, train := range []bool{false, true} {
				run := func(pruned bool) (out []float32, grads [][]float32) {
					tape := op.NewTape(nil)
					defer tape.Close()
					p := &nn.Pass{Tape: tape, Train: train, Key: op.Key{Seed: 4, Step: 9}}
					var y mat.Tensor
					if pruned {
						p.Keep = kept
						y = m.encoder.Forward(p, b)
					} else {
						y = op.Rows(tape, m.encoder.Forward(p, b), kept.Rows)
					}
					out = append([]float32(nil), op.Values(y)...)
					if err := tape.Backward(op.MSE(tape, y, make([]float32, len(out)))); err != nil {
						t.Fatal(err)
					}
					for _, q := range params {
						grads = append(grads, append([]float32(nil), op.Grad(q.Param)...))
						op.ZeroGrad(q.Param)
					}
					return out, grads
				}
				pruned, prunedGrads := run(true)
				whole, wholeGrads := run(false)
				what := fmt.Sprintf("%s rows, dropout %v", name, train)
				closeTo(t, what, pruned, whole, 1e-6, 0)
				for i, q := range params {
					closeTo(t, what+", gradient of "+q.Name, prunedGrads[i], wholeGrads[i], 1e-5, 1e-5)
				}
			}
		}
	})
}

// TestEncoderKeep: the rows that a pass keeps are what a head for tokens computes.
func TestEncoderKeep(t *testing.T) {
	eachEncoder(t, func(t *testing.T, m encoderModel) {
		if !m.tokens {
			return
		}
		b := textBatch(7, 3, 12, 90, 4)
		all := m.evaluated(nn.Pass{Train: true, Key: op.Key{Seed: 2}}, b)
		kept := nn.LastRows(b.Seqs)
		width := len(all) / len(b.IDs)
		var want []float32
		for _, row := range kept.Rows {
			want = append(want, all[row*width:(row+1)*width]...)
		}
		closeTo(t, "kept rows", m.evaluated(nn.Pass{Train: true, Key: op.Key{Seed: 2}, Keep: kept}, b), want, 1e-6, 0)
	})
}

// TestEncoderDropout: an example has the same mask alone and in any batch; another step or another number has another
// one; evaluation drops nothing.
func TestEncoderDropout(t *testing.T) {
	eachEncoder(t, func(t *testing.T, m encoderModel) {
		pass := nn.Pass{Train: true, Key: op.Key{Seed: 4, Step: 9}}
		numbers := []int{7, 3, 12, 90, 4}
		b := textBatch(numbers...)
		whole := m.evaluated(pass, b)
		for i, n := range numbers {
			closeTo(t, fmt.Sprintf("example %d alone", n), m.evaluated(pass, textBatch(n)), m.ofExample(whole, b, i), 2e-6, 0)
		}
		next := pass
		next.Key.Step++
		if d := norm(m.evaluated(next, b), whole); d < 0.01 {
			t.Errorf("the next step has the same masks: %.2g apart", d)
		}
		twice := textBatch(7, 7)
		twice.Seqs.Index[1] = 8
		same := m.evaluated(pass, twice)
		if d := norm(m.ofExample(same, twice, 0), m.ofExample(same, twice, 1)); d < 0.01 {
			t.Errorf("another example with the same text has the same mask: %.2g apart", d)
		}
		plain := m.evaluated(nn.Pass{Key: op.Key{Seed: 1}}, b)
		nn.SetDropout(m.TextModel, 0)
		if d := norm(m.evaluated(pass, b), plain); d != 0 {
			t.Errorf("training without dropout and evaluation are %.2g apart", d)
		}
	})
}

// TestEveryDropoutActs: each place of each model changes what training computes.
func TestEveryDropoutActs(t *testing.T) {
	eachEncoder(t, func(t *testing.T, m encoderModel) {
		b := textBatch(7, 3, 12)
		plain := m.evaluated(nn.Pass{}, b)
		var places []*nn.Dropout
		var names []string
		sites := map[uint32]bool{}
		nn.Walk(m.TextModel, func(path string, module any) {
			if d, ok := module.(*nn.Dropout); ok {
				places, names = append(places, d), append(names, path)
				if sites[d.Site] || d.Site == 0 {
					t.Errorf("%s has the random stream %d of another", path, d.Site)
				}
				sites[d.Site] = true
			}
		})
		for i, d := range places {
			nn.SetDropout(m.TextModel, 0)
			d.P = 0.5
			if norm(m.evaluated(nn.Pass{Train: true, Key: op.Key{Seed: 1}}, b), plain) == 0 {
				t.Errorf("%s does nothing", names[i])
			}
		}
	})
}

// TestEncoderBits: output and gradients have the same bits for any number of workers, with and without checkpointing,
// and nothing stays in the arena.
func TestEncoderBits(t *testing.T) {
	eachEncoder(t, func(t *testing.T, m encoderModel) {
		params := nn.Train(m.TextModel)
		b := textBatch(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
		var want []float32
		for _, workers := range []int{1, 2, 7, 3} {
			pool := op.NewPool(workers)
			tape := op.NewTape(pool)
			y := m.forward(&nn.Pass{Tape: tape, Train: true, Key: op.Key{Seed: 1}, Checkpoint: workers == 3}, b)
			got := append([]float32(nil), op.Values(y)...)
			if err := tape.Backward(op.MSE(tape, y, make([]float32, len(got)))); err != nil {
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
			if err := tape.Close(); err != nil {
				t.Fatal(err)
			}
			pool.Close()
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d workers: other bits", workers)
			}
		}
	})
}

// TestTokenTypes: a model that tells no types apart computes the same whatever types a batch has.
func TestTokenTypes(t *testing.T) {
	eachEncoder(t, func(t *testing.T, m encoderModel) {
		typed, plain := textBatch(7, 3, 12), textBatch(7, 3, 12)
		for i := range typed.Types {
			typed.Types[i] = int32(i % 2)
		}
		plain.Types = nil
		same := slices.Equal(m.evaluated(nn.Pass{}, typed), m.evaluated(nn.Pass{}, plain))
		if same != (m.TokenTypes() < 2) {
			t.Errorf("%d token types, the same without them: %v", m.TokenTypes(), same)
		}
	})
}

// TestLongest: a sequence may have MaxLength tokens. Relative positions have no limit, for which some hundred tokens
// stand.
func TestLongest(t *testing.T) {
	eachEncoder(t, func(t *testing.T, m encoderModel) {
		n := min(m.MaxLength(), 300)
		b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, n}, Index: []int{0}}, IDs: slices.Repeat([]int32{5}, n)}
		if out := m.evaluated(nn.Pass{}, b); len(out) == 0 || math.IsNaN(norm(out, nil)) {
			t.Errorf("%d values for %d tokens", len(out), n)
		}
		if m.Vocabulary() != 40 {
			t.Errorf("a vocabulary of %d", m.Vocabulary())
		}
	})
}
