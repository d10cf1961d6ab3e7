package llamacpp_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/llamacpp"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
)

// trained opens a model of testdata/causal, which has no tokenizer, with its adapter.
func trained(t *testing.T, name string) *base.Trained[models.CausalLM] {
	t.Helper()
	dir := "../testdata/causal/" + name
	src, err := checkpoint.Open(dir + "/base")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	net, _, err := models.OpenCausalLM(src)
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := lora.Load(dir+"/adapter_final", net)
	if err != nil {
		t.Fatal(err)
	}
	return &base.Trained[models.CausalLM]{
		Model: &base.Model[models.CausalLM]{Net: net, Base: &base.Base{Name: name, Source: src}}, Set: set,
	}
}

// TestAdapterEqualsConverter compares metadata and tensors with what llama.cpp's convert_lora_to_gguf.py writes.
func TestAdapterEqualsConverter(t *testing.T) {
	for _, name := range []string{"llama_gqa", "llama_embed", "mistral_full", "qwen2", "qwen3"} {
		text, err := os.ReadFile(fixtures + "adapter_" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var want described
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		apart := map[string]string{}
		for key := range want.Metadata { // names that the converter guesses from paths
			if strings.HasPrefix(key, "general.") && key != "general.architecture" && key != "general.type" &&
				key != "general.quantization_version" {
				apart[key] = ""
			}
		}
		apart["general.name"] = ""
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := llamacpp.WriteAdapter(trained(t, name), path, "f32", nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		compare(t, describe(t, path, want), want, apart)
	}
}

// TestAdapterBack writes adapters and reads them again: corrections are equal, also with ranks and scales of their own
// and for GPT-2, whose Conv1D llama.cpp's converter turns the wrong way round.
func TestAdapterBack(t *testing.T) {
	patterns := config(4, 16, "q_proj", "k_proj", "up_proj")
	patterns.RankPattern = lora.Overrides[int]{{Pattern: "up_proj", Value: 2}}
	patterns.AlphaPattern = lora.Overrides[float64]{{Pattern: `layers\.1\.self_attn\.q_proj`, Value: 3}}
	rs := config(8, 16, "c_attn", "c_proj")
	rs.UseRSLoRA = true
	for _, c := range []struct {
		model  string
		config lora.Config
	}{
		{"llama", patterns}, {"gpt2", rs}, {"qwen3", config(2, 4, "all-linear")},
		{"mistral", config(3, 5, "lm_head", "k_proj")}, {"llama", config(2, 2, "embed_tokens")},
	} {
		m := open(t, fixtures+c.model, adapted(t, fixtures+c.model, c.config))
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := llamacpp.WriteAdapter(m, path, "f32", nil); err != nil {
			t.Fatal(err)
		}
		d, err := llamacpp.ReadAdapter(path, m.Base)
		if err != nil {
			t.Fatal(err)
		}
		if err := llamacpp.Targets(d, m.Net); err != nil {
			t.Fatal(err)
		}
		back, _, err := d.Attach(m.Net)
		if err != nil {
			t.Fatal(err)
		}
		want, err := lora.Merge(m.Net, m.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := lora.Merge(m.Net, back, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			for j, x := range w.Values {
				if math.Abs(float64(got[i].Values[j]-x)) > 1e-5 {
					t.Fatalf("%s: %s[%d] is %g, want %g", c.model, w.Name, j, got[i].Values[j], x)
				}
			}
		}
	}
}

// TestAdapterRefuses converts what llama.cpp cannot apply.
func TestAdapterRefuses(t *testing.T) {
	head := config(2, 4, "q_proj")
	head.ModulesToSave = []string{"lm_head"}
	dora := config(2, 4, "q_proj")
	dora.UseDoRA = true
	for _, c := range []struct {
		model  string
		config lora.Config
		want   string
	}{
		{"llama3", config(2, 4, "lm_head"), "cannot adapt lm_head alone"},
		{"qwen2", config(2, 4, "embed_tokens"), "cannot adapt model.embed_tokens alone"},
		{"llama", head, "cannot hold base_model.model.lm_head.weight"},
		{"llama", dora, "lora_magnitude_vector"},
	} {
		m := open(t, fixtures+c.model, adapted(t, fixtures+c.model, c.config))
		path := filepath.Join(t.TempDir(), "x.gguf")
		err := llamacpp.WriteAdapter(m, path, "f32", nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "merge the adapter") {
			t.Errorf("%s: got %v, want an error with %q", c.model, err, c.want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file is written", c.model)
		}
	}
	if _, err := llamacpp.ReadAdapter("../testdata/gguf/llama.gguf", open(t, fixtures+"llama", "").Base); err == nil ||
		!strings.Contains(err.Error(), `general.type "model", want "adapter"`) {
		t.Errorf("got %v", err)
	}
	m := open(t, fixtures+"llama", adapted(t, fixtures+"llama", config(2, 4, "q_proj")))
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := llamacpp.WriteAdapter(m, path, "bf16", op.NewPool(1)); err != nil {
		t.Fatal(err)
	}
	other := open(t, fixtures+"qwen2", "")
	_, err := llamacpp.ReadAdapter(path, other.Base)
	if err == nil || !strings.Contains(err.Error(), `architecture "llama"`) {
		t.Errorf("got %v", err)
	}
}
