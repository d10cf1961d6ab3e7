package models_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// withHead returns the files of a tied checkpoint with lm_head.weight: the word table, its rows moved by some places.
// config.json says whether they are tied. In shards, each of the two is in a file of its own.
func withHead(t *testing.T, dir, table string, rows int, tied, shards bool) map[string][]byte {
	t.Helper()
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var config map[string]any
	if err := json.Unmarshal(read("config.json"), &config); err != nil {
		t.Fatal(err)
	}
	config["tie_word_embeddings"] = tied
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"config.json": text}
	f, err := safetensors.Parse(read("model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	var tensors, heads []safetensors.Tensor
	where := map[string]string{}
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		x.Name = name
		tensors, where[name] = append(tensors, x), "model-00001-of-00002.safetensors"
		if strings.HasSuffix(name, table) {
			at := rows * len(x.Data) / x.Shape[0]
			x.Name, x.Data = "lm_head.weight", append(bytes.Clone(x.Data[at:]), x.Data[:at]...)
			heads, where[x.Name] = append(heads, x), "model-00002-of-00002.safetensors"
		}
	}
	if len(heads) != 1 {
		t.Fatalf("%d word tables", len(heads))
	}
	write := func(name string, list []safetensors.Tensor) {
		var b bytes.Buffer
		if err := safetensors.Write(&b, list, nil); err != nil {
			t.Fatal(err)
		}
		files[name] = b.Bytes()
	}
	if !shards {
		write("model.safetensors", append(tensors, heads...))
		return files
	}
	write("model-00001-of-00002.safetensors", tensors)
	write("model-00002-of-00002.safetensors", heads)
	if files["model.safetensors.index.json"], err = json.Marshal(map[string]any{"weight_map": where}); err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTiedBothStored: a head that is stored with other values than the word table is used although config.json ties
// them, as in transformers 5.8 and later; an equal one stays tied.
func TestTiedBothStored(t *testing.T) {
	open := func(t *testing.T, files map[string][]byte) (models.CausalLM, checkpoint.Report) {
		src, err := checkpoint.FromBytes(files)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { src.Close() })
		m, report, err := models.OpenCausalLM(src)
		if err != nil {
			t.Fatal(err)
		}
		return m, report
	}
	for dir, table := range map[string]string{"llama_embed_tied": "embed_tokens.weight", "gpt2_c_attn": "wte.weight",
		"gpt2_old": "wte.weight"} {
		for _, shards := range []bool{false, true} {
			t.Run(fmt.Sprint(dir, shards), func(t *testing.T) {
				dir := filepath.Join("../testdata/causal", dir, "base")
				b := causalBatch(5, 9)
				differing, report := open(t, withHead(t, dir, table, 3, true, shards))
				if !strings.Contains(report.String(), "warning: lm_head.weight is not equal to the word table") ||
					!strings.Contains(report.String(), "tie_word_embeddings") || len(nn.TiedHeads(differing)) > 0 {
					t.Errorf("report %v, %d tied heads", report, len(nn.TiedHeads(differing)))
				}
				untied, report := open(t, withHead(t, dir, table, 3, false, shards))
				if strings.Contains(report.String(), "tie") {
					t.Errorf("report %v", report)
				}
				want := causalLogits(untied, nn.Pass{}, b)
				near(t, "logits", causalLogits(differing, nn.Pass{}, b), want, 0)
				equal, report := open(t, withHead(t, dir, table, 0, true, shards))
				if strings.Contains(report.String(), "tie") || len(nn.TiedHeads(equal)) != 1 {
					t.Errorf("equal: report %v, %d tied heads", report, len(nn.TiedHeads(equal)))
				}
				// What is merged has both weights.
				set := adapter(t, differing, lora.Names("lm_head"))
				merged, err := lora.Merge(differing, set, nil)
				if err != nil {
					t.Fatal(err)
				}
				whole, _ := open(t, withHead(t, dir, table, 1, true, shards))
				if err := lora.Assign(whole, merged); err != nil {
					t.Fatal(err)
				}
				near(t, "merged", causalLogits(whole, nn.Pass{}, b), causalLogits(differing, nn.Pass{Adapter: set}, b), 1e-5)
			})
		}
	}
}
