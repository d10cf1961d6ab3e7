package lora_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	training "github.com/spalora/spalora/train"
)

// seq2seqFixture is a directory of testdata/seq2seq or testdata/speech: an encoder–decoder with the results of
// transformers and PEFT (reference/seq2seq_fixtures.py, reference/whisper_fixtures.py). It is the task of its training
// run.
type seq2seqFixture struct {
	tasktest.Case
	t        *testing.T
	model    models.Seq2SeqLM
	report   checkpoint.Report
	batches  *golden.Fixture
	expected *golden.Fixture
	pool     *op.Pool

	ModelType     string `json:"model_type"`
	Observed      int    `json:"observed_rows"`
	ShortFrames   int    `json:"short_frames"` // of speech: frames of a part of the window
	TrainableLine string `json:"trainable_line"`
	KeepsTie      bool   `json:"merge_keeps_tie"`
}

func eachSeq2Seq(t *testing.T, f func(t *testing.T, x *seq2seqFixture)) {
	text, err := filepath.Glob("../testdata/seq2seq/*/case.json")
	speech, err2 := filepath.Glob("../testdata/speech/*/case.json")
	if err != nil || err2 != nil || len(text) < 11 || len(speech) < 4 {
		t.Fatalf("%d and %d fixtures: %v, %v", len(text), len(speech), err, err2)
	}
	for _, file := range slices.Concat(text, speech) {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, openSeq2Seq(t, dir)) })
	}
}

func openSeq2Seq(t *testing.T, dir string) *seq2seqFixture {
	t.Helper()
	x := &seq2seqFixture{t: t, pool: op.NewPool(2)}
	t.Cleanup(x.pool.Close)
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, x); err != nil {
		t.Fatal(err)
	}
	x.Dir = dir
	x.model = x.open()
	x.batches = golden.Open(t, filepath.Join(dir, "batches.safetensors"))
	x.expected = golden.Open(t, filepath.Join(dir, "expected.safetensors"))
	return x
}

// open returns a new model with the weights of the fixture's base.
func (x *seq2seqFixture) open() models.Seq2SeqLM {
	x.t.Helper()
	src, err := checkpoint.Open(filepath.Join(x.Dir, "base"))
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { src.Close() })
	var m models.Seq2SeqLM
	if x.speech() {
		m, x.report, err = models.OpenSpeechSeq2SeqLM(src)
	} else {
		m, x.report, err = models.OpenSeq2SeqLM(src)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	return m
}

// speech reports whether the sources are sound.
func (x *seq2seqFixture) speech() bool { return x.ModelType == "whisper" }

func (x *seq2seqFixture) load(name string) *lora.Set {
	x.t.Helper()
	s, _, err := lora.Load(filepath.Join(x.Dir, name), x.model)
	if err != nil {
		x.t.Fatal(err)
	}
	return s
}

// examples are the fixture's sources and targets as a set of examples.
type examples struct{ x *seq2seqFixture }

func (e examples) Len() int       { return len(e.x.batches.Ints("starts")) - 1 }
func (e examples) Tokens(int) int { return 1 }

func (e examples) Batch(_ context.Context, which []int, _ op.Key) (*batch.Batch, error) {
	return e.x.batch(which...), nil
}

// batch returns the examples with the given numbers.
func (x *seq2seqFixture) batch(which ...int) *batch.Batch {
	labels, starts := x.batches.Ints("labels"), x.batches.Ints("starts")
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}, Target: &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}}
	t := b.Target
	for _, i := range which {
		b.Seqs.Index, t.Seqs.Index = append(b.Seqs.Index, i), append(t.Seqs.Index, i)
		b.Seqs.Starts = append(b.Seqs.Starts, b.Seqs.Rows()+x.addSource(b, i))
		var own []int32
		for _, l := range labels[starts[i]:starts[i+1]] {
			own = append(own, int32(l))
		}
		t.Labels, t.IDs = append(t.Labels, own...), append(t.IDs, x.model.Shift(own)...)
		t.Seqs.Starts = append(t.Seqs.Starts, len(t.IDs))
	}
	return b
}

// addSource adds the source of an example to b and returns the number of its rows.
func (x *seq2seqFixture) addSource(b *batch.Batch, i int) int {
	if x.speech() { // the examples share the clips
		shape, values := x.batches.Shape("features"), x.batches.Float32("features")
		size := shape[1] * shape[2]
		b.Features = append(b.Features, values[i%shape[0]*size:][:size]...)
		return shape[1]
	}
	ids, at := x.batches.Ints("sources"), x.batches.Ints("source_starts")
	for _, id := range ids[at[i]:at[i+1]] {
		b.IDs = append(b.IDs, int32(id))
	}
	return at[i+1] - at[i]
}

// Set implements [train.Task].
func (x *seq2seqFixture) Set(s batch.Split) batch.Set {
	if s == batch.Train {
		return examples{x}
	}
	return nil
}

// Loss implements [train.Task].
func (x *seq2seqFixture) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	p.Smoothing = x.Smoothing
	sum, stats := x.model.Loss(p, b)
	return sum, float64(stats.Targets), nil
}

// Evaluate implements [train.Task].
func (x *seq2seqFixture) Evaluate(context.Context, batch.Split) (training.Metrics, error) {
	return training.Metrics{}, nil
}

func (x *seq2seqFixture) observed() *batch.Batch {
	which := make([]int, x.Observed)
	for i := range which {
		which[i] = i
	}
	return x.batch(which...)
}

func pass(tape *op.Tape, s *lora.Set) *nn.Pass {
	p := &nn.Pass{Tape: tape}
	if s != nil {
		p.Adapter = s
	}
	return p
}

func (x *seq2seqFixture) logits(m models.Seq2SeqLM, s *lora.Set) []float32 {
	tape := op.NewEvalTape(x.pool)
	defer tape.Close()
	return slices.Clone(op.Values(m.Logits(pass(tape, s), x.observed())))
}

// TestSeq2SeqLogits compares the encoder's rows and the logits of the base, the adapter before and after training, and
// the merged model with PEFT's.
func TestSeq2SeqLogits(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, x *seq2seqFixture) {
		if len(x.report.Untied) > 0 || len(x.report.Notes) > 0 {
			t.Errorf("report: %v", x.report)
		}
		tape := op.NewEvalTape(x.pool)
		defer tape.Close()
		rows := op.Values(x.model.Encode(pass(tape, nil), x.observed()).X)
		want := x.expected.Float32("base.encoder")
		closeTo(t, "encoder", rows[:len(want)], want, 2e-5)
		closeTo(t, "base", x.logits(x.model, nil), x.expected.Float32("base.logits"), 2e-5)
		closeTo(t, "init", x.logits(x.model, x.load("adapter_init")), x.expected.Float32("init.logits"), 2e-5)
		final := x.load("adapter_final")
		attached := x.logits(x.model, final)
		closeTo(t, "final", attached, x.expected.Float32("final.logits"), 2e-5)
		merged, err := lora.Merge(x.model, final, x.pool)
		if err != nil {
			t.Fatal(err)
		}
		m := x.open()
		if err := lora.Assign(m, merged); err != nil {
			t.Fatal(err)
		}
		// PEFT merges the adapters of both word tables into the one that they share, which makes another model.
		closeTo(t, "merged", x.logits(m, nil), attached, 2e-5)
		if !x.KeepsTie && !final.Unties(x.model) {
			t.Error("PEFT's merged model is another one, although no table comes apart")
		}
	})
}

// TestSpeechBeginnings compares the encoder's rows for the first frames of the clips with those of a model of
// transformers that has no more positions.
func TestSpeechBeginnings(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, x *seq2seqFixture) {
		if !x.speech() {
			return
		}
		tape := op.NewEvalTape(x.pool)
		defer tape.Close()
		whole := x.observed()
		bins := len(whole.Features) / whole.Seqs.Rows()
		b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
		for _, first := range whole.Seqs.Starts[:whole.Seqs.Len()] {
			b.Features = append(b.Features, whole.Features[first*bins:][:x.ShortFrames*bins]...)
			b.Seqs.Starts = append(b.Seqs.Starts, b.Seqs.Rows()+x.ShortFrames)
		}
		rows := op.Values(x.model.Encode(pass(tape, nil), b).X)
		closeTo(t, "encoder", rows, x.expected.Float32("short.encoder"), 2e-5)
	})
}

// TestSeq2SeqRun repeats PEFT's training: losses, norms, the adapter's tensors and the logits afterwards.
func TestSeq2SeqRun(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, x *seq2seqFixture) {
		s := x.load("adapter_init")
		if got := s.Summary(x.model); got != x.TrainableLine {
			t.Errorf("summary is %q, PEFT's %q", got, x.TrainableLine)
		}
		var d tasktest.Deviations
		d.Initial = golden.MaxRel(x.logits(x.model, s), x.expected.Float32("init.logits"))
		dir := t.TempDir()
		d.Steps(x.Repeat(t, x, s, s.Params(), x.pool, dir), x.Log)
		d.Adapter, d.Tensor = x.Adapter(t, dir, tasktest.None)
		d.Final = golden.MaxRel(x.logits(x.model, s), x.expected.Float32("final.logits"))
		d.Check(t, filepath.Base(x.Dir), len(x.Log))
	})
}

// TestSeq2SeqGradients compares the gradient of the first step's mean loss, tensor by tensor, with PEFT's.
func TestSeq2SeqGradients(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, x *seq2seqFixture) {
		s := x.load("adapter_init")
		tape := op.NewTape(x.pool)
		defer tape.Close()
		targets := 0
		for i := range x.Accumulate {
			var which []int
			for k := range x.BatchSize {
				which = append(which, i*x.BatchSize+k)
			}
			p := pass(tape, s)
			p.Train, p.Smoothing = true, x.Smoothing
			sum, stats := x.model.Loss(p, x.batch(which...))
			targets += stats.Targets
			if err := tape.Backward(sum); err != nil {
				t.Fatal(err)
			}
			tape.Reset()
		}
		compared := 0
		for _, p := range s.Params() {
			g := slices.Clone(op.Grad(p.Param))
			for i := range g {
				g[i] /= float32(targets)
			}
			closeTo(t, p.Name, g, x.expected.Float32("grad."+p.Name), 1e-4)
			compared++
		}
		for _, name := range x.expected.Names() {
			if strings.HasPrefix(name, "grad.") {
				compared--
			}
		}
		if compared != 0 {
			t.Errorf("%d parameters more than PEFT has", compared)
		}
	})
}

// TestSeq2SeqFiles: an adapter that is loaded and saved again has PEFT's tensors, bit for bit, and PEFT's settings.
func TestSeq2SeqFiles(t *testing.T) {
	eachSeq2Seq(t, func(t *testing.T, x *seq2seqFixture) {
		to := t.TempDir()
		if err := x.load("adapter_final").Save(to); err != nil {
			t.Fatal(err)
		}
		compareFiles(t, to, filepath.Join(x.Dir, "adapter_final"))
		compareConfigs(t, to, filepath.Join(x.Dir, "adapter_final"))
	})
}

// TestSeq2SeqPrint compares the printed trees with Python's.
func TestSeq2SeqPrint(t *testing.T) {
	adapted := 0
	eachSeq2Seq(t, func(t *testing.T, x *seq2seqFixture) {
		for name, got := range map[string]string{
			"print_base.txt": x.model.String(), "print_lora.txt": x.load("adapter_init").Tree(x.model),
		} {
			want, err := os.ReadFile(filepath.Join(x.Dir, name))
			if name == "print_lora.txt" && os.IsNotExist(err) { // some cases have it
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if name == "print_lora.txt" {
				adapted++
			}
			if strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
				t.Errorf("%s: %s", name, firstDifference(got, string(want)))
			}
		}
	})
	if adapted < 3 {
		t.Errorf("%d adapted models are compared, want at least 3", adapted)
	}
}

// TestSharedTableTargets: nothing reads the shared table under its own name, so it cannot be adapted, saved or trained
// in rows by it.
func TestSharedTableTargets(t *testing.T) {
	x := openSeq2Seq(t, "../testdata/seq2seq/t5")
	for name, c := range map[string]struct {
		config lora.Config
		want   string
	}{
		"pair":  {lora.Config{R: 2, TargetModules: lora.Names("shared", "q")}, "name those, such as embed_tokens"},
		"copy":  {lora.Config{R: 2, TargetModules: lora.Names("q"), ModulesToSave: []string{"shared"}}, "names shared"},
		"tying": {lora.Config{R: 2, TargetModules: lora.Names("q"), EnsureWeightTying: true}, "not supported"},
		"rows": {lora.Config{R: 2, TargetModules: lora.Names("q"), TrainableTokenIndices: lora.TokenRows{
			{Table: "embed_tokens", Indices: []int32{3}}}}, "not supported"},
	} {
		c.config.Alpha = 2
		if _, err := lora.Attach(x.model, c.config, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
