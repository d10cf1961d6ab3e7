package lora_test

import (
	"bytes"
	"crypto/sha256"
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
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// family is a small model of an architecture that takes adapters, with the names of its modules.
type family struct {
	name, base string   // base: a directory below testdata
	targets    []string // layers of the attention
	wide       string   // a layer of the feed-forward network
	table      string   // the table of words
	norm       string
	blocks     string // name of the list of blocks
	head       string // of a language model; "": a classifier
	tied       bool   // the head shares the table
	biased     bool   // targets have a bias
}

var families = []family{
	{name: "bert", base: "encoder/bert_seq_cls/base", targets: []string{"query", "value"}, wide: "intermediate.dense",
		table: "word_embeddings", norm: "LayerNorm", blocks: "layer", biased: true},
	{name: "roberta", base: "encoder/roberta_seq_cls/base", targets: []string{"query", "value"},
		wide: "intermediate.dense", table: "word_embeddings", norm: "LayerNorm", blocks: "layer", biased: true},
	{name: "distilbert", base: "encoder/distilbert_seq_cls/base", targets: []string{"q_lin", "v_lin"}, wide: "lin1",
		table: "word_embeddings", norm: "sa_layer_norm", blocks: "layer", biased: true},
	{name: "electra", base: "encoder/electra_seq_cls/base", targets: []string{"query", "value"},
		wide: "intermediate.dense", table: "word_embeddings", norm: "LayerNorm", blocks: "layer", biased: true},
	{name: "gpt2", base: "causal/gpt2_c_attn/base", targets: []string{"c_attn", "attn.c_proj"}, wide: "c_fc",
		table: "wte", norm: "ln_f", blocks: "h", head: "lm_head", tied: true, biased: true},
	{name: "llama_tied", base: "causal/llama_gqa/base", targets: []string{"q_proj", "v_proj"}, wide: "up_proj",
		table: "embed_tokens", norm: "input_layernorm", blocks: "layers", head: "lm_head", tied: true},
	{name: "llama_biased", base: "causal/llama_bias/base", targets: []string{"q_proj", "v_proj"}, wide: "up_proj",
		table: "embed_tokens", norm: "input_layernorm", blocks: "layers", head: "lm_head", biased: true},
}

// lawOption is a way to configure adapters of a family.
type lawOption struct {
	name string
	// set changes the configuration, which has targets, r 4 and lora_alpha 6. It reports false if PEFT does not allow the
	// option for the family.
	set func(f family, c *lora.Config) bool
	// rounding is the largest change of the logits by a fresh adapter relative to the largest logit: 0 where no bit
	// changes, negative where the start acts.
	rounding float64
}

// always returns a setting that all families take.
func always(set func(f family, c *lora.Config)) func(family, *lora.Config) bool {
	return func(f family, c *lora.Config) bool {
		set(f, c)
		return true
	}
}

// causal returns a setting that language models take.
func causal(set func(f family, c *lora.Config)) func(family, *lora.Config) bool {
	return func(f family, c *lora.Config) bool {
		set(f, c)
		return f.head != ""
	}
}

// startsAs sets the starting values.
func startsAs(init lora.Init) func(family, *lora.Config) bool {
	return always(func(_ family, c *lora.Config) { c.InitLoraWeights = init })
}

// lawPatterns gives the first layer of the attention and the wide one another rank, and the first one another alpha.
func lawPatterns(f family, c *lora.Config) {
	c.TargetModules = lora.Names(append(slices.Clone(f.targets), f.wide)...)
	c.RankPattern = lora.Overrides[int]{{Pattern: f.targets[0], Value: 2}, {Pattern: f.wide, Value: 6}}
	c.AlphaPattern = lora.Overrides[float64]{{Pattern: f.targets[0], Value: 9}}
}

func lawTokens(f family, c *lora.Config) {
	c.TrainableTokenIndices = lora.TokenRows{{Table: f.table, Indices: []int32{5, 17, 3}}}
}

// lawPairs sets the options that DoRA goes with.
func lawPairs(f family, c *lora.Config) {
	lawPatterns(f, c)
	c.UseDoRA, c.UseRSLoRA, c.Bias, c.ModulesToSave = true, true, lora.BiasAll, []string{f.norm}
	lawTokens(f, c)
}

var lawOptions = []lawOption{
	{name: "plain", set: always(func(family, *lora.Config) {})},
	{name: "rslora", set: always(func(_ family, c *lora.Config) { c.UseRSLoRA = true })},
	{name: "dora", rounding: 2e-6, set: always(func(_ family, c *lora.Config) { c.UseDoRA = true })},
	{name: "dora_table", rounding: 2e-6, set: always(func(f family, c *lora.Config) {
		c.UseDoRA, c.TargetModules = true, lora.Names(f.targets[0], f.table)
	})},
	{name: "all_linear", set: always(func(_ family, c *lora.Config) { c.TargetModules = lora.Names(lora.AllLinear) })},
	{name: "table", set: always(func(f family, c *lora.Config) { c.TargetModules = lora.Names(f.targets[0], f.table) })},
	{name: "patterns", set: always(lawPatterns)},
	{name: "layers", set: always(func(_ family, c *lora.Config) { c.LayersToTransform = []int{1} })},
	{name: "layers_pattern", set: always(func(f family, c *lora.Config) {
		c.LayersToTransform, c.LayersPattern = []int{0}, []string{f.blocks}
	})},
	{name: "exclude", set: always(func(f family, c *lora.Config) { c.ExcludeModules = lora.Names(f.targets[1]) })},
	{name: "bias_all", set: always(func(_ family, c *lora.Config) { c.Bias = lora.BiasAll })},
	{name: "bias_lora_only", set: always(func(_ family, c *lora.Config) { c.Bias = lora.BiasLoRAOnly })},
	{name: "lora_bias", set: always(func(_ family, c *lora.Config) { c.LoRABias = true })},
	{name: "lora_bias_pairs", set: always(func(f family, c *lora.Config) {
		lawPatterns(f, c)
		lawTokens(f, c)
		c.LoRABias, c.UseRSLoRA, c.Bias, c.ModulesToSave = true, true, lora.BiasAll, []string{f.norm}
	})},
	{name: "save_norms", set: always(func(f family, c *lora.Config) { c.ModulesToSave = []string{f.norm} })},
	{name: "save_table", set: always(func(f family, c *lora.Config) { c.ModulesToSave = []string{f.table} })},
	{name: "save_head", set: causal(func(f family, c *lora.Config) { c.ModulesToSave = []string{f.head} })},
	{name: "save_both", set: causal(func(f family, c *lora.Config) { c.ModulesToSave = []string{f.table, f.head} })},
	{name: "head", set: causal(func(f family, c *lora.Config) { c.TargetModules = lora.Names(f.head, f.wide) })},
	{name: "tied", set: func(f family, c *lora.Config) bool { // PEFT ties a head to a table of this name only
		c.ModulesToSave, c.EnsureWeightTying = []string{f.table}, true
		return f.tied && f.table == "embed_tokens"
	}},
	{name: "tokens", set: always(lawTokens)},
	{name: "tokens_both", set: causal(func(f family, c *lora.Config) {
		c.TrainableTokenIndices = lora.TokenRows{{Table: f.table, Indices: []int32{4, 9}},
			{Table: f.head, Indices: []int32{9, 30, 1}}}
	})},
	{name: "dora_pairs", rounding: 2e-6, set: always(lawPairs)},
	{name: "dora_lora_only", rounding: 2e-6, set: always(func(f family, c *lora.Config) {
		lawPairs(f, c)
		c.Bias = lora.BiasLoRAOnly
	})},
	{name: "gaussian", set: startsAs(lora.InitGaussian)},
	{name: "orthogonal", rounding: 1e-5, set: startsAs(lora.InitOrthogonal)},
	{name: "false", rounding: -1, set: startsAs(lora.InitFalse)},
	{name: "eva", set: startsAs(lora.InitEVA)},
	{name: "pissa", rounding: 1e-5, set: startsAs(lora.InitPiSSA)},
	{name: "pissa_niter", rounding: 1e-5, set: startsAs(lora.PiSSAIterations(4))},
	{name: "olora", rounding: 1e-5, set: startsAs(lora.InitOLoRA)},
	{name: "pissa_pairs", rounding: 1e-5, set: always(func(f family, c *lora.Config) {
		lawPairs(f, c)
		c.InitLoraWeights, c.UseRSLoRA = lora.InitPiSSA, false // PEFT cannot convert patterns with rsLoRA
	})},
	{name: "olora_pairs", rounding: 1e-5, set: always(func(f family, c *lora.Config) {
		lawPairs(f, c)
		c.InitLoraWeights, c.RankPattern, c.AlphaPattern = lora.InitOLoRA, nil, nil
	})},
	{name: "orthogonal_pairs", rounding: 1e-5, set: always(func(f family, c *lora.Config) {
		lawPairs(f, c)
		c.InitLoraWeights = lora.InitOrthogonal
	})},
	{name: "eva_pairs", rounding: 1e-5, set: always(func(f family, c *lora.Config) {
		lawPairs(f, c)
		c.InitLoraWeights = lora.InitEVA
	})},
}

// law is a model with an option.
type law struct {
	family
	option lawOption
	model  scorer
	config lora.Config
	batch  *batch.Batch
}

func eachLaw(t *testing.T, f func(t *testing.T, l *law)) {
	for _, x := range families {
		t.Run(x.name, func(t *testing.T) {
			m := x.open(t)
			for _, o := range lawOptions {
				l := &law{family: x, option: o, model: m, batch: x.rows(), config: lora.Config{R: 4, Alpha: 6,
					TargetModules: lora.Names(x.targets...), TaskType: lora.CausalLM, BaseModel: "base"}}
				if x.head == "" {
					l.config.TaskType = lora.SeqCls
				}
				if o.set(x, &l.config) {
					t.Run(o.name, func(t *testing.T) { f(t, l) })
				}
			}
		})
	}
}

func (f family) open(t testing.TB) scorer {
	t.Helper()
	src, err := checkpoint.Open(filepath.Join("../testdata", f.base))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	var m scorer
	if f.head == "" {
		m, _, err = models.OpenSequenceClassifier(src, 3, 1)
	} else {
		m, _, err = models.OpenCausalLM(src)
	}
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	return m
}

// rows returns three sequences, the shortest of two tokens.
func (f family) rows() *batch.Batch {
	b := &batch.Batch{IDs: []int32{9, 5, 29, 17, 7, 7, 41, 13, 21, 3, 30, 8, 2, 55},
		Seqs: op.Seqs{Starts: []int{0, 5, 7, 14}, Index: []int{0, 1, 2}}}
	b.Types = make([]int32, len(b.IDs))
	return b
}

func (l *law) logits(m scorer, s *lora.Set) []float32 {
	p := &nn.Pass{Tape: op.NewEvalTape(nil)}
	defer p.Tape.Close()
	if s != nil {
		p.Adapter = s
	}
	return slices.Clone(op.Values(m.Logits(p, l.batch)))
}

// fresh returns a new adapter; that of EVA has its starting values from the rows.
func (l *law) fresh(t testing.TB) *lora.Set {
	t.Helper()
	s, err := lora.Attach(l.model, l.config, 7)
	if err != nil {
		t.Fatal(err)
	}
	if l.config.InitLoraWeights != lora.InitEVA {
		return s
	}
	err = s.InitEVA(1, func(int) (lora.EVABatch, error) {
		return lora.EVABatch{Tokens: len(l.batch.IDs), Forward: func(watch func(*op.Weight, mat.Tensor)) error {
			p := &nn.Pass{Tape: op.NewEvalTape(nil), Watch: watch}
			defer p.Tape.Close()
			l.model.Logits(p, l.batch)
			return nil
		}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trained returns an adapter whose values are all moved away from their start, as training does.
func (l *law) trained(t testing.TB) *lora.Set {
	t.Helper()
	s := l.fresh(t)
	for _, p := range s.Params() {
		r := nn.NewRand(11, p.Name)
		scale := 0.1
		if strings.Contains(p.Name, "lora_B") || strings.Contains(p.Name, "lora_embedding_A") {
			scale = 0.3
		}
		for i, v := 0, op.Values(p.Param); i < len(v); i++ {
			v[i] += float32(r.NormFloat64() * scale)
		}
	}
	return s
}

// hashOf returns a hash of all weights.
func hashOf(m spago.Model) [sha256.Size]byte {
	h := sha256.New()
	for _, w := range nn.Weights(m) {
		h.Write([]byte(w.Name))
		h.Write(safetensors.Bytes(w.Weight.Float32()))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// TestFreshIsTheBase: an adapter with B = 0 (A = 0 for a table) changes no bit of the logits, of any architecture and
// with any option. With DoRA, a row is multiplied by its norm and divided by it, and with starting values whose
// product is not zero (orthogonal, pissa, olora) the weight is put together again: both are equal within rounding.
func TestFreshIsTheBase(t *testing.T) {
	eachLaw(t, func(t *testing.T, l *law) {
		base, got := l.logits(l.model, nil), l.logits(l.model, l.fresh(t))
		switch {
		case l.option.rounding < 0:
			if sameBits(got, base) {
				t.Error("the start does not act")
			}
		case l.option.rounding > 0:
			closeTo(t, "fresh", got, base, l.option.rounding)
		case !sameBits(got, base):
			t.Error("a fresh adapter changes bits of the logits")
		}
		if sameBits(l.logits(l.model, l.trained(t)), base) {
			t.Error("the trained adapter has no effect")
		}
	})
}

// TestMergeLaws: with lora_alpha other than r and B other than 0, the merged model gives the logits of the attached
// one, whatever the architecture and the option. Merge returns new values: it changes neither the model nor the set,
// so that merging again gives the same bits, and leaving the merged values out is what undoes a merge, bit for bit.
func TestMergeLaws(t *testing.T) {
	eachLaw(t, func(t *testing.T, l *law) {
		base, weights := l.logits(l.model, nil), hashOf(l.model)
		s := l.trained(t)
		attached := l.logits(l.model, s)
		merged, err := lora.Merge(l.model, s, nil)
		if l.config.LoRABias && !l.biased {
			if err == nil || !strings.Contains(err.Error(), "has no bias that the one of its correction (lora_bias)") {
				t.Errorf("a bias was merged into a layer without one: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := lora.Merge(l.model, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range merged {
			if again[i].Name != w.Name || !sameBits(again[i].Values, w.Values) {
				t.Errorf("%s has other bits when it is merged again", w.Name)
			}
		}
		m := l.open(t)
		if err := lora.Assign(m, merged); err != nil {
			t.Fatal(err)
		}
		closeTo(t, "merged", l.logits(m, nil), attached, 2e-5)
		if hashOf(l.model) != weights || !sameBits(l.logits(l.model, nil), base) ||
			!sameBits(l.logits(l.model, s), attached) {
			t.Error("merging changed the model or the set")
		}
	})
}

// lawCase is what reference/check_saved.py reads beside an adapter.
type lawCase struct {
	Base string  `json:"base"` // below testdata
	Task string  `json:"task"` // seq_cls or causal_lm
	IDs  []int32 `json:"ids"`
	// Starts are the places in IDs where sequences start, and the end of the last.
	Starts []int `json:"starts"`
	// Merges says that PEFT merges the adapter with the same result: not a bias into a layer without one, and not a
	// table or head into the tensor that the two share.
	Merges bool      `json:"merges"`
	Logits []float32 `json:"logits"`
}

// keep writes what PEFT is to compute with the adapter in dir.
func (l *law) keep(t testing.TB, dir string, s *lora.Set) {
	t.Helper()
	c := lawCase{l.base, "causal_lm", l.batch.IDs, l.batch.Seqs.Starts,
		!(l.config.LoRABias && !l.biased) && !(l.tied && s.Unties(l.model)), l.logits(l.model, s)}
	if l.head == "" {
		c.Task = "seq_cls"
	}
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "case.json"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSaveLaws: saving and loading is the identity for each architecture and option. The loaded set has the logits of
// the saved one, bit for bit (within rounding where saving rewrites PiSSA and OLoRA as plain LoRA), and is saved with
// the same bytes. An adapter whose tensors are stored in half precision is saved in float32 with the same values. With
// SPALORA_ADAPTERS set, the adapters stay there for reference/check_saved.py, which opens them with PEFT.
func TestSaveLaws(t *testing.T) {
	eachLaw(t, func(t *testing.T, l *law) {
		s := l.trained(t)
		dir := tasktest.OutputDir(t, l.family.name+"_"+l.option.name)
		if err := s.Save(dir); err != nil {
			t.Fatal(err)
		}
		back := l.load(t, dir)
		got, want := l.logits(l.model, back), l.logits(l.model, s)
		closeTo(t, "loaded", got, want, 2e-5)
		if init := l.config.InitLoraWeights; !strings.HasPrefix(string(init), "pissa") && init != lora.InitOLoRA &&
			!sameBits(got, want) {
			t.Error("the loaded adapter gives other bits")
		}
		l.keep(t, dir, back)
		again := save(t, back)
		for _, name := range lora.FileNames() {
			if !bytes.Equal(read(t, dir, name), read(t, again, name)) {
				t.Errorf("%s has other bytes after loading and saving", name)
			}
		}
		switch l.family.name { // what the file stores does not depend on the architecture
		case "bert", "gpt2", "llama_tied":
			l.halves(t, again)
		}
	})
}

// TestCatIsBoth: the concatenation of two adapters acts as both at once, one merged into the model and the other
// attached to the result, whatever their ranks, scales and layers.
func TestCatIsBoth(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			m := f.open(t)
			l := &law{family: f, model: m, batch: f.rows(), config: lora.Config{R: 3, Alpha: 7,
				TargetModules: lora.Names(f.targets...)}}
			first := l.trained(t)
			l.config = lora.Config{R: 2, Alpha: 5, UseRSLoRA: true, TargetModules: lora.Names(f.targets[0], f.wide)}
			second := l.trained(t)
			var both []*lora.Detached
			for _, s := range []*lora.Set{first, second} {
				d, warnings, err := lora.ReadDetached(save(t, s))
				if err != nil || len(warnings) > 0 {
					t.Fatal(warnings, err)
				}
				both = append(both, d)
			}
			d, err := lora.Combine(both, lora.Combination{Type: lora.Cat, Weights: []float64{1, 1}})
			if err != nil {
				t.Fatal(err)
			}
			cat, _, err := d.Attach(m)
			if err != nil {
				t.Fatal(err)
			}
			got := l.logits(m, cat)
			merged, err := lora.Merge(m, first, nil)
			if err != nil {
				t.Fatal(err)
			}
			with := f.open(t)
			if err := lora.Assign(with, merged); err != nil {
				t.Fatal(err)
			}
			rest, _, err := lora.Load(save(t, second), with)
			if err != nil {
				t.Fatal(err)
			}
			closeTo(t, "cat", got, l.logits(with, rest), 5e-6)
			for _, s := range []*lora.Set{first, second} {
				if sameBits(got, l.logits(m, s)) {
					t.Error("one of the adapters has no effect in the concatenation")
				}
			}
		})
	}
}

func (l *law) load(t testing.TB, dir string) *lora.Set {
	t.Helper()
	s, warnings, err := lora.Load(dir, l.model)
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	return s
}

// halves stores the tensors of the adapter in dir in half precision, as PEFT does for a model in it, and loads, saves
// and compares them.
func (l *law) halves(t *testing.T, dir string) {
	t.Helper()
	rewrite(t, dir, func(list []safetensors.Tensor) []safetensors.Tensor {
		for i, x := range list { // BF16 is the upper half of float32
			var half []byte
			for j := 2; j < len(x.Data); j += 4 {
				half = append(half, x.Data[j], x.Data[j+1])
			}
			list[i].DType, list[i].Data = safetensors.BF16, half
		}
		return list
	})
	s := l.load(t, dir)
	kept := tasktest.OutputDir(t, l.family.name+"_"+l.option.name+"_bf16")
	if err := s.Save(kept); err != nil {
		t.Fatal(err)
	}
	l.keep(t, kept, s)
	stored, f := open(t, dir), open(t, kept)
	for _, name := range stored.Names() {
		if strings.Contains(name, ".original_module.") { // the base model's own, with which bias all is saved
			continue
		}
		half, _ := stored.Tensor(name)
		wide, ok := f.Tensor(name)
		values, err := safetensors.AsFloat32(half)
		if err != nil || !ok || wide.DType != safetensors.F32 || !bytes.Equal(wide.Data, safetensors.Bytes(values)) {
			t.Errorf("%s is not saved with the values that were loaded: %v", name, err)
		}
	}
}
