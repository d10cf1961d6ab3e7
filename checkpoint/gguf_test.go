package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/internal/gguftest"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/tokenize"
)

const ggufFixtures = "../testdata/gguf/"

func openFixture(t testing.TB, name string) *Source {
	t.Helper()
	s, err := Open(ggufFixtures + name + ".gguf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// readFixture decodes the JSON file of a fixture.
func readFixture(t testing.TB, name string, v any) {
	t.Helper()
	text, err := os.ReadFile(ggufFixtures + name)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Names, shapes, types and the bytes in Hugging Face's order of rows equal those of the model that was converted.
func TestGGUFTensors(t *testing.T) {
	for _, name := range []string{"llama", "qwen2", "gpt2"} {
		s := openFixture(t, name)
		want, err := safetensors.Open(ggufFixtures + name + "_dequantized.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		hashes := map[string]string{}
		readFixture(t, name+"_hashes.json", &hashes)
		names, wanted := s.Names(), want.Names()
		slices.Sort(names)
		slices.Sort(wanted)
		if !slices.Equal(names, wanted) {
			t.Errorf("%s: names %q, want %q", name, names, wanted)
		}
		for _, n := range names {
			got, _ := s.Tensor(n)
			w, _ := want.Tensor(n)
			if !slices.Equal(got.Shape, w.Shape) || got.Name != n {
				t.Errorf("%s: %q is %v, want %v", n, got.Name, got.Shape, w.Shape)
			}
			sum := sha256.Sum256(got.Data)
			if found := string(got.DType) + " " + hex.EncodeToString(sum[:]); found != hashes[n] {
				t.Errorf("%s: %s, want %s", n, found, hashes[n])
			}
			conv1d := name == "gpt2" && len(w.Shape) == 2 && strings.Contains(n, ".h.")
			if s.Transposed(n) != conv1d {
				t.Errorf("%s: transposed %v", n, s.Transposed(n))
			}
			if again, _ := s.Tensor(n); &again.Data[0] != &got.Data[0] {
				t.Errorf("%s: the rows were copied twice", n)
			}
			s.Release(got.Data)
			if again := sha256.Sum256(got.Data); again != sum {
				t.Errorf("%s: the data changed after Release", n)
			}
		}
		if _, ok := s.Tensor("rope_freqs.weight"); ok || s.Transposed("x") {
			t.Error("found a tensor that does not exist")
		}
	}
}

// The configuration equals that of transformers, except for settings that this project reads and transformers ignores.
func TestGGUFConfig(t *testing.T) {
	better := map[string]string{
		"llama.attention_bias": "true", // the file has biases
		"llama.rope_parameters": "map[factor:8 high_freq_factor:4 low_freq_factor:1 original_max_position_embeddings:8192 " +
			"rope_theta:500000 rope_type:llama3]",
		"gpt2.n_positions": "64", // transformers keeps its default of 1024
		"gpt2.n_inner":     "128",
	}
	for _, name := range []string{"llama", "qwen2", "gpt2"} {
		s := openFixture(t, name)
		var got, want map[string]any
		readFixture(t, name+"_config.json", &want)
		if err := s.DecodeConfig(&got); err != nil {
			t.Fatal(err)
		}
		for key, value := range got {
			expected, ok := want[key]
			if text, deviates := better[name+"."+key]; deviates {
				if fmt.Sprint(value) != text || reflect.DeepEqual(value, expected) {
					t.Errorf("%s: %s is %v, want %v instead of %v", name, key, value, text, expected)
				}
			} else if ok && !reflect.DeepEqual(value, expected) {
				t.Errorf("%s: %s is %v, want %v", name, key, value, expected)
			}
		}
		for _, key := range []string{"vocab_size", "model_type", "tie_word_embeddings", "initializer_range", "eos_token_id"} {
			if _, ok := got[key]; !ok {
				t.Errorf("%s: no %s", name, key)
			}
		}
	}
}

// The tokenizer equals that of transformers, except for the parts that its GGUF reader leaves out.
func TestGGUFTokenizer(t *testing.T) {
	for _, name := range []string{"llama", "qwen2", "gpt2"} {
		s := openFixture(t, name)
		text, err := s.File("tokenizer.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := checkJSON(text); err != nil {
			t.Error(err)
		}
		var got, want map[string]any
		readFixture(t, name+"_tokenizer.json", &want)
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "qwen2":
			want["normalizer"] = map[string]any{"type": "NFC"} // as in Qwen2's own tokenizer.json
		case "llama":
			want["model"].(map[string]any)["unk_token"] = "<unk>" // as in LLaMA's own tokenizer.json
		}
		for key := range want {
			if !reflect.DeepEqual(got[key], want[key]) {
				t.Errorf("%s: %s is\n%.600v, want\n%.600v", name, key, got[key], want[key])
			}
		}
	}
}

// Texts get the same ids as from transformers' tokenizer of the same file.
func TestGGUFTokenIDs(t *testing.T) {
	for _, name := range []string{"llama", "qwen2", "gpt2"} {
		s := openFixture(t, name)
		tok, err := tokenize.Load(s.File)
		if err != nil {
			t.Fatal(err)
		}
		var samples []struct {
			Text string  `json:"text"`
			IDs  []int32 `json:"ids"`
		}
		readFixture(t, name+"_ids.json", &samples)
		if len(samples) < 20 || tok.VocabSize() == 0 {
			t.Fatalf("%d samples", len(samples))
		}
		for _, x := range samples {
			e, err := tok.Encode(x.Text, tokenize.Options{})
			if err != nil || !slices.Equal(e.IDs, x.IDs) {
				t.Errorf("%s: %q: %v, %v; want %v", name, x.Text, e.IDs, err, x.IDs)
			}
		}
	}
}

func TestGGUFFiles(t *testing.T) {
	for _, c := range []struct{ model, file, want string }{
		{"llama", "generation_config.json", `{"bos_token_id":1,"eos_token_id":2}`},
		{"llama", "tokenizer_config.json", `{"add_bos_token":true,"add_eos_token":false,"bos_token":"<s>",` +
			`"chat_template":"{% for m in messages %}{{ m['content'] }}{% endfor %}",` +
			`"clean_up_tokenization_spaces":false,"eos_token":"</s>",` +
			`"model_max_length":64,"tokenizer_class":"PreTrainedTokenizerFast","unk_token":"<unk>"}`},
		{"qwen2", "generation_config.json", `{"eos_token_id":[302,300],"pad_token_id":300}`},
		{"gpt2", "generation_config.json", `{"bos_token_id":300,"eos_token_id":300}`},
	} {
		s := openFixture(t, c.model)
		text, err := s.File(c.file)
		if got := strings.TrimSpace(string(text)); err != nil || got != c.want {
			t.Errorf("%s: %s: %s, %v; want %s", c.model, c.file, got, err, c.want)
		}
		for _, name := range []string{"vocab.json", "model.safetensors", "chat_template.jinja", c.model + ".gguf"} {
			if _, err := s.File(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if _, err := s.File(c.file); err == nil {
			t.Error("a file can be read after Close")
		}
	}
}

func TestGGUFLoad(t *testing.T) {
	s := openFixture(t, "llama")
	var wants []Want
	types := map[safetensors.DType]bool{}
	for _, n := range s.Names() {
		x, _ := s.Tensor(n)
		wants = append(wants, Want{Name: n, Shape: x.Shape})
		types[x.DType] = true
	}
	found, report, err := s.Load(wants, LoadOptions{})
	if err != nil || report.Loaded != len(wants) || len(found) != len(wants) || len(report.NonFinite) > 0 ||
		len(report.Notes) > 0 {
		t.Errorf("%v, %v", report, err)
	}
	if len(types) != len(gguf.Types()) {
		t.Errorf("the fixture has the types %v, want all of %v", types, gguf.Types())
	}
	_, _, err = s.Load(wants[1:], LoadOptions{})
	if err == nil || !strings.Contains(err.Error(), "1 unexpected: model.embed_tokens.weight") {
		t.Error(err)
	}
}

// small returns a GPT-2 with rows of 256 elements and the given tensors.
func small(tensors ...gguftest.Tensor) gguftest.File {
	return gguftest.File{
		Pairs: gguftest.Pairs("general.architecture", "gpt2", "gpt2.block_count", uint32(1), "gpt2.context_length", uint32(8),
			"gpt2.embedding_length", uint32(256), "gpt2.attention.head_count", uint32(2), "gpt2.attention.layer_norm_epsilon",
			float32(1e-5),
			"gpt2.surprise", true),
		Tensors: append([]gguftest.Tensor{{Name: "token_embd.weight", Dims: []uint64{256, 2}, Type: 12,
			Data: make([]byte, 288)}}, tensors...),
	}
}

func TestGGUFTypes(t *testing.T) {
	f := small(gguftest.Tensor{
		Name: "blk.0.attn_qkv.weight", Dims: []uint64{256, 768}, Type: 10, Data: make([]byte, 768*84),
	})
	f.Tensors[0].Data[144] = 0xff // the scale of the second row
	f.Tensors[0].Data[145] = 0x7c
	path := filepath.Join(t.TempDir(), "any name")
	if err := os.WriteFile(path, f.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Name() != path || len(s.Names()) != 2 {
		t.Errorf("%s: %q", s.Name(), s.Names())
	}
	embedding, qkv := want("transformer.wte.weight", 2, 256), want("transformer.h.0.attn.c_attn.weight", 256, 768)
	_, _, err = s.Load([]Want{embedding, qkv}, LoadOptions{})
	if err == nil || !strings.Contains(err.Error(), "1 of a type that is not supported") ||
		!strings.Contains(err.Error(), "c_attn.weight has dtype Q2_K") {
		t.Error(err)
	}
	_, report, err := s.Load([]Want{embedding}, LoadOptions{
		Skip: bertOptions().Skip, Tied: map[string]string{qkv.Name: "x"},
	})
	if err != nil || fmt.Sprint(report.NonFinite) != "[{transformer.wte.weight 256}]" {
		t.Errorf("%v, %v", report, err)
	}
	if !strings.Contains(report.String(), `note: unknown metadata that are not used: "gpt2.surprise"`) {
		t.Error(report)
	}
}

func TestOpenGGUFRefuses(t *testing.T) {
	damaged := small()
	damaged.Cut = 1
	other := small()
	other.Pairs = gguftest.Set(other.Pairs, "general.architecture", "mamba")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"damaged.gguf": {damaged.Bytes(), `tensor "token_embd.weight": its data`},
		"mamba.gguf":   {other.Bytes(), `architecture "mamba" is not supported; want gpt2, llama, qwen2`},
		"text.gguf":    {[]byte("hello"), "not a directory and not a GGUF file"},
		"short.gguf":   {[]byte("GG"), "not a directory and not a GGUF file"},
		"big.gguf":     {append([]byte("GGUF\x00\x00\x00\x03"), make([]byte, 64)...), "big-endian"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.HasPrefix(err.Error(), "checkpoint: "+path+": ") || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
