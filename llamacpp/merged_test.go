package llamacpp_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/llamacpp"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn/op"
)

// adapted returns the directory of a random adapter for a model.
func adapted(t *testing.T, dir string, c lora.Config) string {
	t.Helper()
	m := open(t, dir, "")
	c.TaskType = lora.CausalLM
	set, err := lora.Attach(m.Net, c, 5)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, p := range set.Params() {
		for i, v := 0, op.Values(p.Param); i < len(v); i++ {
			v[i] = float32(rng.NormFloat64()) * 0.2
		}
	}
	out := t.TempDir()
	if err := set.Save(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func config(r int, alpha float64, targets ...string) lora.Config {
	c := lora.DefaultConfig()
	c.R, c.Alpha, c.TargetModules = r, alpha, lora.Names(targets...)
	return c
}

// tensorOf returns the bytes of a tensor of a file, nil if there is none.
func tensorOf(t *testing.T, path, name string) []byte {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, _ := f.Tensor(name)
	return append([]byte(nil), x.Data...)
}

// TestExportMerged exports models with adapters: the logits of the file are those of model and adapter, and adapted
// weights differ from those of the model alone.
func TestExportMerged(t *testing.T) {
	for _, c := range []struct {
		model, tensor string
		config        lora.Config
	}{
		{"llama", "blk.1.attn_k.weight", config(4, 16, "q_proj", "k_proj", "down_proj")},
		{"qwen2", "blk.0.ffn_up.weight", config(2, 8, "all-linear")},
		{"qwen3", "output.weight", config(3, 6, "lm_head", "o_proj")},
		{"gpt2", "blk.1.attn_qkv.weight", config(4, 8, "c_attn", "c_proj", "c_fc")},
		{"gpt2", "token_embd.weight", config(2, 8, "wte")}, // gets a head of its own
	} {
		dir := adapted(t, fixtures+c.model, c.config)
		with, without := filepath.Join(t.TempDir(), "with.gguf"), filepath.Join(t.TempDir(), "without.gguf")
		pool := op.NewPool(2)
		e, err := llamacpp.Export(context.Background(), open(t, fixtures+c.model, dir), with, "f32", pool)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := llamacpp.Export(context.Background(), open(t, fixtures+c.model, ""), without, "f32", pool); err != nil {
			t.Fatal(err)
		}
		pool.Close()
		if e.Difference > 2e-5*e.Logit {
			t.Errorf("%s: the logits differ by %g of %g", c.model, e.Difference, e.Logit)
		}
		a, b := tensorOf(t, with, c.tensor), tensorOf(t, without, c.tensor)
		if len(a) == 0 || string(a) == string(b) {
			t.Errorf("%s: %s is missing or not merged (%d bytes)", c.model, c.tensor, len(a))
		}
		if head := tensorOf(t, with, "output.weight"); c.tensor == "token_embd.weight" && len(head) == 0 {
			t.Errorf("%s: no head of its own", c.model)
		}
	}
}

// TestExportTypes exports a model in every type and reads it back.
func TestExportTypes(t *testing.T) {
	m := open(t, fixtures+"qwen3", "")
	bounds := map[string]float64{"f32": 1e-5, "f16": 1e-3, "bf16": 0.02, "q8_0": 0.1, "q4_1": 1, "q4_k_m": 1}
	for _, kind := range llamacpp.Types() {
		path := filepath.Join(t.TempDir(), kind+".gguf")
		e, err := llamacpp.Export(context.Background(), m, path, kind, nil)
		if err != nil {
			t.Fatal(err)
		}
		if bound := bounds[kind]; bound == 0 || e.Difference > bound*e.Logit {
			t.Errorf("%s: the logits differ by %g of %g", kind, e.Difference, e.Logit)
		}
	}
}

// TestExportRefuses exports what llama.cpp would compute differently. Nothing is written.
func TestExportRefuses(t *testing.T) {
	replaced := func(model, file, old, new string) map[string][]byte {
		files := map[string][]byte{}
		for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
			text, err := os.ReadFile(fixtures + model + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if name == file {
				if changed := strings.Replace(string(text), old, new, 1); changed != string(text) {
					text = []byte(changed)
				} else {
					t.Fatalf("%s does not have %s", name, old)
				}
			}
			files[name] = text
		}
		return files
	}
	for name, c := range map[string]struct {
		files      map[string][]byte
		kind, want string
	}{
		"type":       {replaced("gpt2", "", "", ""), "q3_k_m", "want one of bf16, f16, f32, q4_1, q4_k_m, q8_0"},
		"activation": {replaced("gpt2", "config.json", "gelu_new", "relu"), "f16", "activation_function is relu"},
		"rope":       {replaced("llama", "config.json", `"rope_type": "linear"`, `"rope_type": "dynamic"`), "f16", "dynamic"},
		"splitting": {replaced("gpt2", "tokenizer.json", `"add_prefix_space":false`, `"add_prefix_space":true`), "f16",
			"split in a way"},
		// SentencePiece merges whatever makes a token; here one of the merges is missing.
		"merges": {
			replaced("llama", "tokenizer.json", `"merges":[["e","▁"],`, `"merges":[`), "f16",
			"cannot express the tokenizer",
		},
	} {
		b, err := base.FromFiles(name, c.files)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer b.Close()
		m, err := llamacpp.Open(base.Opening{Base: b, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x.gguf")
		_, err = llamacpp.Export(context.Background(), m, path, c.kind, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file is written", name)
		}
	}
}

// TestExportEncoder refuses a model that does not predict the next token.
func TestExportEncoder(t *testing.T) {
	b, err := base.Open("../testdata/sentence/model")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := llamacpp.Open(base.Opening{Base: b, Log: zerolog.Nop()}); err == nil ||
		!strings.Contains(err.Error(), `model_type "bert" does not predict the next token`) {
		t.Errorf("got %v", err)
	}
}
