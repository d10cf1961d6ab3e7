package lora_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn/op"
)

const combined = "../testdata/combine"

// combineCase is a combination of PEFT, of testdata/combine/cases.json.
type combineCase struct {
	Group, Base string
	Adapters    []string
	Weights     []float64
	Options     struct {
		Type     lora.CombinationType `json:"combination_type"`
		Rank     int                  `json:"svd_rank"`
		Clamp    float64              `json:"svd_clamp"`
		Density  float64
		Majority string `json:"majority_sign_method"`
	}
	Config struct {
		R       int
		Alpha   float64      `json:"lora_alpha"`
		Dropout float32      `json:"lora_dropout"`
		Targets lora.Targets `json:"target_modules"`
	}
	IDs [][]int32
}

// detached reads an adapter of testdata/combine.
func detached(t testing.TB, group, name string) *lora.Detached {
	t.Helper()
	d, warnings, err := lora.ReadDetached(filepath.Join(combined, group, name))
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	return d
}

func eachCombineCase(t *testing.T, f func(t *testing.T, i int, c combineCase)) {
	var all struct {
		IDs   [][]int32
		Cases []combineCase
	}
	if err := json.Unmarshal(read(t, combined, "cases.json"), &all); err != nil || len(all.Cases) < 20 {
		t.Fatalf("%d cases: %v", len(all.Cases), err)
	}
	for i, c := range all.Cases {
		c.IDs = all.IDs
		name := fmt.Sprintf("%s_%s_%s", c.Group, strings.Join(c.Adapters, ""), c.Options.Type)
		t.Run(name, func(t *testing.T) { f(t, i, c) })
	}
}

// product returns B·A of a layer with tensors of PEFT.
func product(a, b []float32, rank int) []float32 {
	in, out := len(a)/rank, len(b)/rank
	p := make([]float32, in*out)
	for i := range out {
		for j := range in {
			var sum float64
			for k := range rank {
				sum += float64(b[i*rank+k]) * float64(a[k*in+j])
			}
			p[i*in+j] = float32(sum)
		}
	}
	return p
}

// TestCombineEqualsPEFT compares all types of combinations with add_weighted_adapter: A and B, or their product where a
// decomposition leaves signs open, the configuration, and the logits of the model with the result.
func TestCombineEqualsPEFT(t *testing.T) {
	want := golden.Open(t, filepath.Join(combined, "expected.safetensors"))
	eachCombineCase(t, func(t *testing.T, i int, c combineCase) {
		var adapters []*lora.Detached
		for _, name := range c.Adapters {
			adapters = append(adapters, detached(t, c.Group, name))
		}
		o := lora.Combination{Type: c.Options.Type, Weights: c.Weights, SVDRank: c.Options.Rank, Density: c.Options.Density,
			Frequency: c.Options.Majority == "frequency"}
		o.Mask = func(layer, part string, adapter int, keep []bool) {
			for j, bit := range want.Ints(fmt.Sprintf("%d.%s.mask.%s.%d", i, layer, part, adapter)) {
				keep[j] = bit != 0
			}
		}
		d, err := lora.Combine(adapters, o)
		if err != nil {
			t.Fatal(err)
		}
		k := d.Config
		if k.R != c.Config.R || k.Alpha != c.Config.Alpha || k.Dropout != c.Config.Dropout ||
			!k.TargetModules.Equal(c.Config.Targets) || k.UseRSLoRA || k.RankPattern != nil || k.AlphaPattern != nil {
			t.Errorf("configuration %+v, want %+v", k, c.Config)
		}
		if c.Options.Clamp > 0 { // limits depend on the signs of singular vectors; see TestClamp
			return
		}
		layers := 0
		for _, name := range want.Names() {
			path, ok := strings.CutPrefix(strings.TrimSuffix(name, ".A"), fmt.Sprintf("%d.", i))
			if !ok || !strings.HasSuffix(name, ".A") || strings.Contains(name, ".mask.") {
				continue
			}
			layers++
			l := layerOf(t, d, path)
			a, b := want.Float32(name), want.Float32(strings.TrimSuffix(name, "A")+"B")
			if rank := want.Shape(name)[0]; rank != l.Rank || c.Options.Type.Decomposes() {
				closeTo(t, path, product(l.A, l.B, l.Rank), product(a, b, rank), 3e-6)
			} else {
				closeTo(t, path+" A", l.A, a, 3e-7)
				closeTo(t, path+" B", l.B, b, 3e-7)
			}
		}
		if layers == 0 || layers != len(d.Layers) {
			t.Errorf("%d layers, want %d", len(d.Layers), layers)
		}
		m := openScorer(t, c.Base)
		s, warnings, err := d.Attach(m)
		if err != nil || len(warnings) > 0 {
			t.Fatal(err, warnings)
		}
		x := adapterCase{model: m, IDs: c.IDs}
		closeTo(t, "logits", x.logits(m, s), want.Float32(fmt.Sprintf("%d.logits", i)), 2e-5)
	})
}

func layerOf(t testing.TB, d *lora.Detached, path string) lora.Layer {
	t.Helper()
	for _, l := range d.Layers {
		if l.Path == path {
			return l
		}
	}
	t.Fatalf("no layer %s", path)
	return lora.Layer{}
}

// combineOf combines adapters of testdata/combine/llama.
func combineOf(t testing.TB, o lora.Combination, names ...string) *lora.Detached {
	t.Helper()
	var adapters []*lora.Detached
	for _, name := range names {
		adapters = append(adapters, detached(t, "llama", name))
	}
	d, err := lora.Combine(adapters, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// correction returns Scale·B·A of the layer at path, all zero if d does not have it.
func correction(d *lora.Detached, path string, size int) []float32 {
	p := make([]float32, size)
	for _, l := range d.Layers {
		if l.Path == path {
			p = product(l.A, l.B, l.Rank)
			for i := range p {
				p[i] *= float32(l.Scale)
			}
		}
	}
	return p
}

// TestCatIsTheSum: cat and svd of full rank add corrections, rsLoRA's too, also in layers that one adapter does not
// have.
func TestCatIsTheSum(t *testing.T) {
	weights := map[string]float64{"c": -1.25, "a": 0.5, "d": 2}
	for _, o := range []lora.Combination{{Type: lora.Cat}, {Type: lora.SVD, SVDRank: 10}} {
		o.Weights = []float64{weights["c"], weights["a"], weights["d"]}
		sum := combineOf(t, o, "c", "a", "d")
		if len(sum.Layers) != 5 {
			t.Fatalf("%d layers", len(sum.Layers))
		}
		for _, l := range sum.Layers {
			want := make([]float32, l.In*l.Out)
			for name, w := range weights {
				for i, v := range correction(detached(t, "llama", name), l.Path, len(want)) {
					want[i] += float32(w) * v
				}
			}
			closeTo(t, string(o.Type)+" "+l.Path, correction(sum, l.Path, len(want)), want, 2e-6)
		}
	}
}

// TestCombineOne: the weights 1 and 0 give the first adapter.
func TestCombineOne(t *testing.T) {
	for _, o := range []lora.Combination{{Type: lora.Cat}, {Type: lora.Linear}, {Type: lora.SVD},
		{Type: lora.DARELinear, Density: 1}} {
		o.Weights = []float64{1, 0}
		d, first := combineOf(t, o, "b", "e"), detached(t, "llama", "b")
		for _, l := range d.Layers {
			size := l.In * l.Out
			want := correction(first, l.Path, size)
			closeTo(t, string(o.Type)+" "+l.Path, correction(d, l.Path, size), want, 2e-6)
		}
	}
}

// TestDAREDraws: the seed alone decides which values are kept, about as many as the density says.
func TestDAREDraws(t *testing.T) {
	values := func(seed uint64) []float32 {
		o := lora.Combination{Type: lora.DARELinear, Weights: []float64{1, 1}, Density: 0.5, Seed: seed}
		d := combineOf(t, o, "b", "e")
		var list []float32
		for _, l := range d.Layers {
			list = append(append(list, l.A...), l.B...)
		}
		return list
	}
	a := values(1)
	if !slices.Equal(a, values(1)) || slices.Equal(a, values(2)) {
		t.Error("the draws do not follow the seed")
	}
	d := combineOf(t, lora.Combination{Type: lora.DARELinear, Weights: []float64{1, 0}, Density: 0.25, Seed: 3}, "e", "b")
	first, zeros, all := detached(t, "llama", "e"), 0, 0
	for _, l := range d.Layers {
		for i, v := range l.A {
			all++
			w := layerOf(t, first, l.Path).A[i]
			if v == 0 {
				zeros++
			} else if r := v / w; math.Abs(float64(r)/(4*math.Sqrt(7./4))-1) > 1e-6 { // divided by the density, times √(w·s)
				t.Fatalf("%s: %g became %g", l.Path, w, v)
			}
		}
	}
	if share := float64(zeros) / float64(all); share < 0.68 || share > 0.82 {
		t.Errorf("%.2f of the values are zero, want about 0.75", share)
	}
}

// TestCombineTargets: the result adapts what one of the adapters adapts, although their limits differ.
func TestCombineTargets(t *testing.T) {
	m := openScorer(t, "causal/llama_bias/base")
	some := func(edit func(c *lora.Config)) *lora.Detached {
		c := lora.Config{R: 2, Alpha: 3, TargetModules: lora.Names("q_proj", "v_proj"), TaskType: lora.CausalLM}
		edit(&c)
		s, err := lora.Attach(m, c, 1)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Detach()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	plain := some(func(*lora.Config) {})
	for name, x := range map[string]struct {
		other *lora.Detached
		want  lora.Targets
		n     int
	}{
		"other names": {some(func(c *lora.Config) { c.TargetModules = lora.Names("v_proj", "k_proj") }),
			lora.Names("q_proj", "v_proj", "k_proj"), 6},
		"a layer": {some(func(c *lora.Config) { c.TargetModules, c.LayersToTransform = lora.Names("k_proj"), []int{1} }),
			lora.Names("model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.k_proj",
				"model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"), 5},
		"excluded": {some(func(c *lora.Config) { c.ExcludeModules = lora.Names("0.self_attn.q_proj") }),
			lora.Names("model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.q_proj",
				"model.layers.1.self_attn.v_proj"), 4},
	} {
		d, err := lora.Combine([]*lora.Detached{plain, x.other}, lora.Combination{Type: lora.Cat, Weights: []float64{1, 1}})
		if err != nil {
			t.Fatal(err)
		}
		if !d.Config.TargetModules.Equal(x.want) || len(d.Layers) != x.n {
			t.Errorf("%s: targets %v with %d layers", name, d.Config.TargetModules, len(d.Layers))
		}
		if _, _, err := d.Attach(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	all := some(func(c *lora.Config) { c.TargetModules = lora.Pattern(lora.AllLinear) })
	o := lora.Combination{Type: lora.Cat, Weights: []float64{1, 1}}
	d, err := lora.Combine([]*lora.Detached{all, all}, o)
	if err != nil || d.Config.TargetModules.String() != lora.AllLinear {
		t.Errorf("all-linear twice: %v, %v", d.Config.TargetModules, err)
	}
	if d, err = lora.Combine([]*lora.Detached{plain, all}, o); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Attach(m); err != nil || len(d.Layers) != len(all.Layers) {
		t.Errorf("all-linear with others: %d layers, %v", len(d.Layers), err)
	}
}

// TestCombineHead: the head of one adapter stays, two of them are refused, and so is a different task.
func TestCombineHead(t *testing.T) {
	m := openScorer(t, "bert/query_value/base")
	attach := func(task lora.TaskType, seed uint64, saved ...string) *lora.Detached {
		s, err := lora.Attach(m, lora.Config{R: 2, Alpha: 3, TargetModules: lora.Names("query"), TaskType: task,
			ModulesToSave: saved}, seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Params() {
			op.Values(p.Param)[0] = float32(seed)
		}
		s.SetNote("use", "x")
		s.SetFingerprint("f")
		d, err := s.Detach()
		if err != nil {
			t.Fatal(err)
		}
		d.Name = string(task)
		return d
	}
	headless, head := attach(lora.NoTask, 1), attach(lora.SeqCls, 2)
	d, err := lora.Combine([]*lora.Detached{headless, head}, lora.Combination{Type: lora.Cat, Weights: []float64{1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := d.Attach(m)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Saved(), []string{"classifier.weight", "classifier.bias"}) || d.Config.TaskType != lora.SeqCls ||
		d.Notes["use"] != "x" || s.Fingerprint() != "f" {
		t.Errorf("saved %v, task %v, notes %v, fingerprint %s", s.Saved(), d.Config.TaskType, d.Notes, s.Fingerprint())
	}
	for _, p := range s.Params() {
		if strings.Contains(p.Name, "classifier") && op.Values(p.Param)[0] != 2 {
			t.Errorf("%s is not that of the adapter", p.Name)
		}
	}
	for _, x := range []struct {
		second *lora.Detached
		want   string
	}{
		{attach(lora.SeqCls, 3), "SEQ_CLS and SEQ_CLS both have modules_to_save (classifier.weight)"},
		{attach(lora.FeatureExtraction, 3), "SEQ_CLS is for SEQ_CLS, FEATURE_EXTRACTION for FEATURE_EXTRACTION"},
		{attach(lora.NoTask, 3, "bert.pooler"), "both have modules_to_save (bert.pooler.dense.weight)"},
	} {
		_, err := lora.Combine([]*lora.Detached{head, x.second}, lora.Combination{Type: lora.Cat, Weights: []float64{1, 1}})
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("got %v, want %q", err, x.want)
		}
	}
	other := attach(lora.NoTask, 3)
	other.Fingerprint = "g"
	o := lora.Combination{Type: lora.Cat, Weights: []float64{1, 1}}
	if _, err := lora.Combine([]*lora.Detached{head, other}, o); err == nil ||
		!strings.Contains(err.Error(), "different base models") {
		t.Errorf("other base model: %v", err)
	}
	mine, yours := attach(lora.NoTask, 3), attach(lora.NoTask, 4)
	mine.Notes[lora.TokenizerNote], yours.Notes[lora.TokenizerNote] = "mine", "yours"
	if _, err := lora.Combine([]*lora.Detached{mine, yours}, o); err == nil ||
		!strings.Contains(err.Error(), "with the custom tokenizer yours, others with mine") {
		t.Errorf("other tokenizer: %v", err)
	}
	if d, err := lora.Combine([]*lora.Detached{head, mine}, o); err != nil || d.Notes[lora.TokenizerNote] != "mine" {
		t.Errorf("one custom tokenizer: %v", err)
	}
	o.OtherBase, o.Weights = true, []float64{1, 1, 1}
	for _, second := range []*lora.Detached{other, mine, yours} {
		if _, err := lora.Combine([]*lora.Detached{head, second, mine}, o); err != nil {
			t.Error(err)
		}
	}
}

// TestCombineRefused gives wrong arguments and adapters that do not fit.
func TestCombineRefused(t *testing.T) {
	two := []float64{1, 1}
	nan := float32(math.NaN())
	read := func(names ...string) (list []*lora.Detached) {
		for _, n := range names {
			group, name, _ := strings.Cut(n, "/")
			list = append(list, detached(t, group, name))
		}
		return list
	}
	for _, x := range []struct {
		adapters []string
		o        lora.Combination
		want     string
	}{
		{nil, lora.Combination{Type: lora.Cat}, "no adapter is given"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Weights: two}, "want one of cat, svd, linear"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: "mean", Weights: two}, "`combination_type` is \"mean\""},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.Cat, Weights: two[:1]}, "1 numbers for 2 adapters"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.Cat, Weights: []float64{1, math.Inf(1)}},
			"+Inf for adapter 2"},
		{[]string{"llama/a", "llama/c"}, lora.Combination{Type: lora.Linear, Weights: two}, "linear needs equal ranks"},
		{[]string{"llama/b", "llama/d"}, lora.Combination{Type: lora.Linear, Weights: two},
			"rank_pattern gives this layer 4 and 2"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.Cat, Weights: two, SVDRank: 2}, "`svd_rank` and"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.SVD, Weights: two, SVDRank: -2}, "`svd_rank` is -2"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.SVD, Weights: two, SVDRank: 25},
			"model.embed_tokens (96→24) takes at most 24"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.SVD, Weights: two, Density: 0.5}, "`density` acts only"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.TIES, Weights: two}, "`density` is 0"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.TIES, Weights: two, Density: 1.5}, "`density` is 1.5"},
		{[]string{"llama/a", "llama/b"}, lora.Combination{Type: lora.Cat, Weights: two, Frequency: true},
			"`majority_sign_method` acts only"},
		{[]string{"llama/a"}, lora.Combination{Type: lora.SVD, Weights: two[:1], SVDRank: 2}, "combined linearly"},
		{[]string{"bert/a", "llama/b"}, lora.Combination{Type: lora.Cat, Weights: two}, "target_modules is a list in some"},
	} {
		_, err := lora.Combine(read(x.adapters...), x.o)
		if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: got %v, want %q", x.adapters, err, x.want)
		}
	}
	list := read("llama/a", "llama/e")
	list[1].Layers[1].B[3] = nan
	if _, err := lora.Combine(list, lora.Combination{Type: lora.Cat, Weights: two}); err == nil ||
		!strings.Contains(err.Error(), "q_proj.lora_B.weight holds 1 NaN") {
		t.Errorf("NaN: %v", err)
	}
	list = read("llama/a", "llama/e")
	list[1].Layers[0].In--
	if _, err := lora.Combine(list, lora.Combination{Type: lora.Cat, Weights: two}); err == nil ||
		!strings.Contains(err.Error(), "the adapters are for different base models") {
		t.Errorf("another size: %v", err)
	}
}
