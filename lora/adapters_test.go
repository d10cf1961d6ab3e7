package lora_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

const adapters = "../testdata/adapters"

// scorer is a language model or a sequence classifier.
type scorer interface {
	models.TextModel
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
}

// openScorer opens the model at a path below testdata: a sequence classifier if it is a BERT, else a language model.
func openScorer(t testing.TB, base string) scorer {
	t.Helper()
	src, err := checkpoint.Open(filepath.Join("../testdata", base))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	var m scorer
	if strings.HasPrefix(base, "bert/") {
		head, ok := src.Tensor("classifier.bias")
		if !ok {
			t.Fatalf("%s has no head", base)
		}
		m, _, err = models.OpenSequenceClassifier(src, head.Shape[0], 0)
	} else {
		m, _, err = models.OpenCausalLM(src)
	}
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	return m
}

// adapterCase is a folder of testdata/adapters.
type adapterCase struct {
	dir      string
	model    scorer
	Base     string
	IDs      [][]int32
	Replaced []string
}

func eachAdapterCase(t *testing.T, f func(t *testing.T, x *adapterCase)) {
	files, err := filepath.Glob(filepath.Join(adapters, "*", "case.json"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	for _, file := range files {
		x := &adapterCase{dir: filepath.Dir(file)}
		t.Run(filepath.Base(x.dir), func(t *testing.T) {
			if err := json.Unmarshal(read(t, file), x); err != nil {
				t.Fatal(err)
			}
			x.model = openScorer(t, x.Base)
			f(t, x)
		})
	}
}

func (x *adapterCase) logits(m scorer, s *lora.Set) []float32 {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	for i, ids := range x.IDs {
		b.IDs = append(b.IDs, ids...)
		b.Types = append(b.Types, make([]int32, len(ids))...)
		b.Seqs.Index, b.Seqs.Starts = append(b.Seqs.Index, i), append(b.Seqs.Starts, len(b.IDs))
	}
	p := &nn.Pass{Tape: op.NewEvalTape(nil)}
	defer p.Tape.Close()
	if s != nil {
		p.Adapter = s
	}
	return slices.Clone(op.Values(m.Logits(p, b)))
}

// copyAdapter copies the adapter in dir.
func copyAdapter(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range lora.FileNames() {
		if err := os.WriteFile(filepath.Join(to, name), read(t, dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestAdaptersEqualPEFT: adapters that replace weights of the base model, or adapt some of the layers only, give PEFT's
// logits, are saved with what they replace, and are merged with it.
func TestAdaptersEqualPEFT(t *testing.T) {
	eachAdapterCase(t, func(t *testing.T, x *adapterCase) {
		want := golden.Open(t, filepath.Join(x.dir, "expected.safetensors")).Float32("logits")
		s, warnings, err := lora.Load(x.dir, x.model)
		if err != nil {
			t.Fatal(err)
		}
		got := x.logits(x.model, s)
		closeTo(t, "logits", got, want, 2e-5)
		told := 0
		for _, name := range x.Replaced {
			if slices.Contains(warnings,
				"adapter_model.safetensors: "+name+" is not the base model's and replaces it, as in PEFT") {
				told++
			}
		}
		if min(len(x.Replaced), 1) > told || len(warnings) != told {
			t.Errorf("replaced %q, warnings %q", x.Replaced, warnings)
		}
		for _, p := range s.Params() {
			if slices.Contains(x.Replaced, p.Name) {
				t.Errorf("%s is trained", p.Name)
			}
		}
		back, _, err := lora.Load(save(t, s), x.model)
		if err != nil {
			t.Fatal(err)
		}
		if !sameBits(x.logits(x.model, back), got) {
			t.Error("the saved adapter gives other logits")
		}
		merged, err := lora.Merge(x.model, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := openScorer(t, x.Base)
		if err := lora.Assign(m, merged); err != nil {
			t.Fatal(err)
		}
		closeTo(t, "merged", x.logits(m, nil), want, 2e-5)
	})
}

// TestStoredBaseWeights: weights of the base model that an adapter file holds say nothing if they are equal to the
// base's, whatever type they are stored in.
func TestStoredBaseWeights(t *testing.T) {
	eachAdapterCase(t, func(t *testing.T, x *adapterCase) {
		dir := copyAdapter(t, x.dir)
		base := map[string]*op.Weight{}
		for _, w := range nn.Weights(x.model) {
			base["base_model.model."+w.Name] = w.Weight
		}
		for _, h := range nn.TiedHeads(x.model) {
			base["base_model.model."+h.Path+".weight"] = h.Linear.Weight
		}
		rewrite(t, dir, func(list []safetensors.Tensor) []safetensors.Tensor {
			for i, c := range list {
				if slices.Contains(x.Replaced, c.Name) {
					w := base[strings.Replace(c.Name, ".base_layer", "", 1)]
					list[i].DType, list[i].Data = safetensors.F32, safetensors.Bytes(w.Float32())
				}
			}
			return list
		})
		s, warnings, err := lora.Load(dir, x.model)
		if err != nil || len(warnings) > 0 {
			t.Fatal(warnings, err)
		}
		rewrite(t, dir, func(list []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(list, func(c safetensors.Tensor) bool { return slices.Contains(x.Replaced, c.Name) })
		})
		without, warnings, err := lora.Load(dir, x.model)
		if err != nil || len(warnings) > 0 {
			t.Fatal(warnings, err)
		}
		if !sameBits(x.logits(x.model, s), x.logits(x.model, without)) {
			t.Error("equal weights change the logits")
		}
		if s.Unties(x.model) != without.Unties(x.model) {
			t.Error("equal weights untie the head")
		}
		if len(open(t, save(t, s)).Names()) != len(s.Params()) {
			t.Error("equal weights are saved")
		}
	})
}

// TestWrongBaseWeights: weights of the base model that cannot be used are errors that name them.
func TestWrongBaseWeights(t *testing.T) {
	const prefix = "base_model.model."
	add := func(name string, shape ...int) func([]safetensors.Tensor) []safetensors.Tensor {
		return func(list []safetensors.Tensor) []safetensors.Tensor {
			n := 1
			for _, d := range shape {
				n *= d
			}
			return append(list, safetensors.Tensor{Name: prefix + name, DType: safetensors.F32, Shape: shape,
				Data: safetensors.Bytes(make([]float32, n))})
		}
	}
	resize := func(part string, from, to int) func([]safetensors.Tensor) []safetensors.Tensor {
		return func(list []safetensors.Tensor) []safetensors.Tensor {
			for i, c := range list {
				if at := slices.Index(c.Shape, from); at >= 0 && strings.Contains(c.Name, part) {
					list[i].Shape = slices.Clone(c.Shape)
					list[i].Shape[at] = to
					list[i].Data = make([]byte, len(c.Data)/from*to)
				}
			}
			return list
		}
	}
	const advice = "call resize_token_embeddings(98)"
	for _, c := range []struct {
		name, adapter string
		change        func([]safetensors.Tensor) []safetensors.Tensor
		want          []string
	}{
		{"tied tables contradict each other", "tables_tied", func(list []safetensors.Tensor) []safetensors.Tensor {
			for i, c := range list {
				if c.Name == prefix+"lm_head.weight" {
					list[i].Data = make([]byte, len(c.Data))
				}
			}
			return list
		}, []string{"stored twice with different values",
			prefix + "model.embed_tokens.weight and " + prefix + "lm_head.weight"}},
		{"resized table", "tables_tied", resize("embed_tokens.weight", 96, 98),
			[]string{prefix + "model.embed_tokens.weight is [98 24], want [96 24]", "96", advice, "`model`"}},
		{"resized head", "tables_untied", resize("lm_head.weight", 96, 98),
			[]string{prefix + "lm_head.weight is [98 24]", advice}},
		{"resized pair without its table", "table_below_pair", func(list []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(resize("embed_tokens", 96, 98)(list), func(c safetensors.Tensor) bool {
				return strings.HasSuffix(c.Name, ".base_layer.weight")
			})
		}, []string{"lora_embedding_A is [3 98], want [3 96]", advice}},
		{"resized pair beside another table", "table_below_pair", resize("embed_tokens.lora", 96, 98),
			[]string{"lora_embedding_A is [3 98], want [3 96]", advice}},
		{"resized copy", "head_beside_copy", resize("embed_tokens", 96, 98),
			[]string{prefix + "model.embed_tokens.weight is [98 24]", advice}},
		{"the weight of an adapted layer under its plain name", "tables_untied",
			add("model.layers.0.self_attn.q_proj.weight", 24, 24),
			[]string{"not expected", prefix + "model.layers.0.self_attn.q_proj.weight"}},
		{"a base layer without a pair", "tables_untied", add("model.layers.0.self_attn.k_proj.base_layer.weight", 12, 24),
			[]string{"not expected", "k_proj.base_layer.weight"}},
		{"a layer that is not there", "tables_untied", add("model.layers.9.self_attn.k_proj.weight", 12, 24),
			[]string{"not expected", "layers.9"}},
		{"an integer table", "tables_untied", func(list []safetensors.Tensor) []safetensors.Tensor {
			for i, c := range list {
				if strings.HasSuffix(c.Name, "embed_tokens.weight") {
					list[i].DType = safetensors.I32
				}
			}
			return list
		}, []string{prefix + "model.embed_tokens.weight", "I32"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := filepath.Join(adapters, c.adapter)
			var x adapterCase
			if err := json.Unmarshal(read(t, from, "case.json"), &x); err != nil {
				t.Fatal(err)
			}
			dir := copyAdapter(t, from)
			rewrite(t, dir, c.change)
			_, _, err := lora.Load(dir, openScorer(t, x.Base))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant %q in it", err, want)
				}
			}
		})
	}
}

// TestSelectionEqualsPEFT: the layers that a configuration adapts, with their ranks and scales, are PEFT's.
func TestSelectionEqualsPEFT(t *testing.T) {
	var file struct {
		Cases []struct {
			Base   string
			Config map[string]json.RawMessage
			Layers map[string][2]float64
		}
	}
	if err := json.Unmarshal(read(t, adapters, "selection.json"), &file); err != nil || len(file.Cases) < 25 {
		t.Fatalf("%d cases: %v", len(file.Cases), err)
	}
	for _, c := range file.Cases {
		for key, value := range map[string]string{"peft_type": `"LORA"`, "r": "8", "lora_alpha": "8"} {
			if c.Config[key] == nil {
				c.Config[key] = json.RawMessage(value)
			}
		}
		text, err := json.Marshal(c.Config)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(string(text), func(t *testing.T) {
			config, warnings, err := lora.DecodeConfig(text)
			if err != nil || len(warnings) > 0 {
				t.Fatal(warnings, err)
			}
			m := openScorer(t, c.Base)
			s, err := lora.Attach(m, config, 1)
			if c.Layers == nil {
				if err == nil || !strings.Contains(err.Error(), "matches no layer within ") {
					t.Errorf("got %v; PEFT adapts no layer", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][2]float64{}
			nn.Walk(m, func(path string, module any) {
				var key *op.Weight
				switch l := module.(type) {
				case *nn.Linear:
					key = l.Key()
				case *nn.Embedding:
					key = l.Weight
				}
				if corr := s.Correction(key); key != nil && corr != nil {
					got[path] = [2]float64{float64(corr.Rank()), float64(corr.Scale)}
				}
			})
			same := func(a, b [2]float64) bool { return a[0] == b[0] && math.Abs(a[1]-b[1]) < 1e-6*b[1] }
			if !maps.EqualFunc(got, c.Layers, same) {
				t.Errorf("got %v\nPEFT %v", got, c.Layers)
			}
			// The saved configuration selects the same layers when it is loaded.
			back, _, err := lora.Load(save(t, s), m)
			if err != nil || len(back.Params()) != len(s.Params()) {
				t.Errorf("loaded again: %v", err)
			}
		})
	}
}

// TestSlowExpression: an expression that backtracks without end is an error.
func TestSlowExpression(t *testing.T) {
	m := newModel(1)
	for field, c := range map[string]lora.Config{
		"target_modules": {TargetModules: lora.Pattern(`(([a-z.]+)+)+!`)},
		"the regular expression \"(([a-z.]+)+)+!\"": {TargetModules: lora.Names("query"),
			ExcludeModules: lora.Pattern(`(([a-z.]+)+)+!`)},
		`takes more than 1s on bert.`: {TargetModules: lora.Names("query"),
			RankPattern: lora.Overrides[int]{{Pattern: `(([a-z.0-9]+)+)+!`, Value: 2}}},
	} {
		c.R, c.Alpha = 2, 2
		if _, err := lora.Attach(m, c, 1); err == nil || !strings.Contains(err.Error(), field) ||
			!strings.Contains(err.Error(), "nested repetitions") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// FuzzPattern: any text as a regular expression is accepted or an error.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{`.*\.(?!1\b)\d+\.q`, `(?P<a>x)(?P=a)`, `[]a[^]`, `a{,3}`, `(?#x)`, `(?(1)a|b)`, `\`, `[\`,
		`(?i)x`, `(?<=a)b`, `\Z\_`, `a{2147483647}`, `(?>a*)`, `[a-z-[aeiou]]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := lora.Config{R: 1, Alpha: 1, TargetModules: lora.Names("q"), ExcludeModules: lora.Pattern(s),
			RankPattern: lora.Overrides[int]{{Pattern: s, Value: 2}}}
		if err := c.Check(); err == nil && fmt.Sprint(c.ExcludeModules) != s {
			t.Error("the pattern has changed")
		}
	})
}
