package llamacpp_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/llamacpp"
	"github.com/spalora/spalora/models"
)

const fixtures = "../testdata/llamacpp/"

// described is a GGUF file as reference/llamacpp_fixture.py describes it.
type described struct {
	Metadata map[string][]any `json:"metadata"`
	Tensors  map[string][]any `json:"tensors"`
}

// describe reads the values and tensors of a file that want has, and adds those that want lacks.
func describe(t *testing.T, path string, want described) described {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := described{map[string][]any{}, map[string][]any{}}
	for _, key := range f.Keys() {
		d.Metadata[key] = value(t, f, key, want.Metadata[key])
	}
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		sum := sha256.Sum256(x.Data)
		shape := make([]any, len(x.Shape))
		for i, n := range x.Shape {
			shape[i] = float64(n)
		}
		d.Tensors[name] = []any{x.Type.String(), shape, hex.EncodeToString(sum[:])}
	}
	return d
}

// value returns the value of a key in the form of want.
func value(t *testing.T, f *gguf.File, key string, want []any) []any {
	t.Helper()
	if want == nil {
		return []any{"unexpected"}
	}
	hash := func(list []string) any {
		sum := sha256.Sum256([]byte(strings.Join(list, "\n")))
		return "sha256 " + hex.EncodeToString(sum[:])
	}
	kinds := make([]string, len(want)-1)
	for i := range kinds {
		kinds[i] = want[i].(string)
	}
	var got any
	var err error
	switch strings.Join(kinds, " ") {
	case "STRING":
		got, _, err = f.Text(key)
	case "BOOL":
		got, _, err = f.Bool(key)
	case "FLOAT32":
		got, _, err = f.Float(key)
	case "UINT32", "INT32":
		var n uint64
		n, _, err = f.Uint(key)
		got = float64(n)
	case "ARRAY STRING":
		var list []string
		list, err = f.Texts(key)
		got = hash(list)
	case "ARRAY FLOAT32": // the scores, which differ on purpose
		return nil
	case "ARRAY INT32":
		var list []int64
		list, err = f.Ints(key)
		var texts []string
		for _, n := range list {
			texts = append(texts, strconv.FormatInt(n, 10))
		}
		got = hash(texts)
	default:
		t.Fatalf("%s: no form for %v", key, kinds)
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(slices.Clone(want[:len(want)-1]), got)
}

// compare reports every difference but for the given keys.
func compare(t *testing.T, got, want described, apart map[string]string) {
	t.Helper()
	for what, maps := range map[string][2]map[string][]any{
		"key": {got.Metadata, want.Metadata}, "tensor": {got.Tensors, want.Tensors},
	} {
		for _, name := range keysOf(maps[0], maps[1]) {
			if _, ok := apart[name]; ok {
				continue
			}
			if g, w := fmt.Sprint(maps[0][name]), fmt.Sprint(maps[1][name]); g != w {
				t.Errorf("%s %s: got %s, want %s", what, name, g, w)
			}
		}
	}
}

func keysOf(a, b map[string][]any) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// open opens a base model with an adapter, "" for none.
func open(t *testing.T, dir, adapter string) *base.Trained[models.CausalLM] {
	t.Helper()
	b, err := base.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	m, err := llamacpp.Open(base.Opening{Base: b, Adapter: base.Adapter{Dir: adapter}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestExportEqualsConverter compares the metadata and every tensor's bytes with what llama.cpp's convert_hf_to_gguf.py
// writes for the same model.
func TestExportEqualsConverter(t *testing.T) {
	apart := map[string]string{ // with the reasons
		"tokenizer.ggml.add_bos_token":    "the converter writes it only if the template shows it",
		"tokenizer.ggml.add_eos_token":    "as add_bos_token",
		"tokenizer.ggml.add_sep_token":    "of pairs of texts, which language models do not have",
		"tokenizer.ggml.add_space_prefix": "the converter takes it from tokenizer_config.json only",
		"tokenizer.ggml.eot_token_id":     "the further end tokens of generation_config.json",
		"tokenizer.ggml.scores":           "without tokenizer.model the converter writes -1000 for all",
		"tokenizer.ggml.unknown_token_id": "the default of the tokenizer's class counts, too",
	}
	for _, name := range []string{"llama", "llama3", "mistral", "qwen2", "qwen3", "gpt2"} {
		t.Run(name, func(t *testing.T) {
			m := open(t, fixtures+name, "")
			text, err := os.ReadFile(fixtures + name + "/expected.json")
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]described
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			for kind, w := range want {
				path := filepath.Join(t.TempDir(), name+".gguf")
				e, err := llamacpp.Export(context.Background(), m, path, kind, nil)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, describe(t, path, w), w, apart)
				if e.Tensors == 0 || e.Logit == 0 {
					t.Errorf("%s: %+v", kind, e)
				}
			}
		})
	}
}
