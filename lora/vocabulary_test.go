package lora_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// known is the number of tokens of the fixtures' base models.
const known = 96

// eachVocabulary calls f with the fixtures of testdata/vocabulary (reference/vocabulary_fixtures.py), whose adapters
// have other numbers of tokens than their base models.
func eachVocabulary(t *testing.T, f func(t *testing.T, x *optionsFixture)) {
	files, err := filepath.Glob("../testdata/vocabulary/*/case.json")
	if err != nil || len(files) < 16 {
		t.Fatalf("%d fixtures: %v", len(files), err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			x := openOptions(t, dir)
			of := x.batch
			x.batch = func(lo, hi int) *batch.Batch {
				b := of(lo, hi)
				b.IDs = renumber(b.IDs, x.Vocabulary)
				if _, ok := x.model.(models.CausalLM); ok {
					b.Labels = renumber(b.Labels, x.Vocabulary)
				}
				return b
			}
			f(t, x)
		})
	}
}

// renumber is the function of that name in reference/lora_fixtures.py.
func renumber(ids []int32, vocabulary int) []int32 {
	out := slices.Clone(ids)
	for i, id := range ids {
		switch n := int32(vocabulary - known); {
		case id < 0:
		case n > 0 && id%5 == 2:
			out[i] = known + id%n
		default:
			out[i] = id % int32(vocabulary)
		}
	}
	return out
}

// TestVocabulary: adapters for another number of tokens than the base model's give PEFT's logits, losses, norms and
// gradients of ten steps, tensors and merged logits; the base model's own logits do not change.
func TestVocabulary(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, x *optionsFixture) {
		s := x.load(filepath.Join(x.dir, "adapter_init"))
		m := x.model.(nn.Reader)
		if got := s.Vocabulary(m); got != x.Vocabulary || m.Vocabulary() != known {
			t.Errorf("%d tokens, the base model %d; want %d", got, m.Vocabulary(), x.Vocabulary)
		}
		if got := s.Summary(x.model); got != x.TrainableLine {
			t.Errorf("summary is %q, PEFT's %q", got, x.TrainableLine)
		}
		tree := string(read(t, x.dir, "print_lora.txt"))
		if s.Config().EnsureWeightTying { // PEFT makes the head's copy with the sizes of the table
			tree = strings.Replace(tree, "in_features=101, out_features=24,", "in_features=24, out_features=101,", 1)
		}
		if got := s.Tree(x.model); strings.TrimSpace(got) != strings.TrimSpace(tree) {
			t.Error(firstDifference(got, tree))
		}
		closeTo(t, "init", x.logits(x.model, s), x.expected.Float32("init.logits"), 2e-5)
		x.train(s)
		want := x.expected.Float32("final.logits")
		closeTo(t, "final", x.logits(x.model, s), want, 1e-4)
		final := golden.Open(t, filepath.Join(x.dir, "adapter_final", "adapter_model.safetensors"))
		for _, p := range s.Params() {
			if d := golden.RelFrobenius(op.Values(p.Param), final.Float32(p.Name)); !(d <= 1e-3) {
				t.Errorf("%s after training: off by %.2g (relative Frobenius norm)", p.Name, d)
			}
		}
		x.compareVocabulary(want)
	})
}

// compareVocabulary loads PEFT's trained adapter, and compares logits, the saved file and the merged model.
func (x *optionsFixture) compareVocabulary(want []float32) {
	x.t.Helper()
	from := filepath.Join(x.dir, "adapter_final")
	s := x.load(from)
	got := x.logits(x.model, s)
	closeTo(x.t, "PEFT's file", got, want, 2e-5)
	dir := save(x.t, s)
	compareConfigs(x.t, dir, from)
	const file = "adapter_model.safetensors"
	ours, theirs := golden.Open(x.t, filepath.Join(dir, file)), golden.Open(x.t, filepath.Join(from, file))
	for _, name := range ours.Names() { // PEFT has some of them twice
		if !theirs.Has(name) || !slices.Equal(ours.Tensor(name).Data, theirs.Tensor(name).Data) {
			x.t.Errorf("%s is not PEFT's", name)
		}
	}
	if !sameBits(x.logits(x.model, x.load(dir)), got) {
		x.t.Error("the saved adapter gives other logits")
	}
	merged, err := lora.Merge(x.model, s, x.pool)
	if err != nil {
		x.t.Fatal(err)
	}
	m := x.open()
	if err := lora.Assign(m, merged); err != nil {
		x.t.Fatal(err)
	}
	if n := m.(nn.Reader).Vocabulary(); n != x.Vocabulary {
		x.t.Errorf("the merged model has %d tokens, want %d", n, x.Vocabulary)
	}
	closeTo(x.t, "merged and attached", x.logits(m, nil), got, 2e-5)
	if x.expected.Has("merged.logits") {
		closeTo(x.t, "merged", x.logits(m, nil), x.expected.Float32("merged.logits"), 2e-5)
	}
}
