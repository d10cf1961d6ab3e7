package embed

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

const denseDir = "../../testdata/dense"

// denseFiles returns the files of a sentence encoder with Dense modules by their names.
func denseFiles(t *testing.T, name string) map[string][]byte {
	t.Helper()
	files, root := map[string][]byte{}, filepath.Join(denseDir, name)
	for _, pattern := range []string{"*.json", "*/*.json", "*.safetensors", "*/*.safetensors"} {
		list, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range list {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			if files[filepath.ToSlash(rel)], err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// denseVectors are texts and their vectors in sentence-transformers.
type denseVectors struct {
	Texts   []string
	Vectors [][]float32
}

func checkDenseVectors(t *testing.T, files map[string][]byte, want denseVectors) {
	t.Helper()
	p, warnings, err := openSentence(t, files, Settings{})
	if err != nil || warnings != "" {
		t.Fatalf("%v, warnings: %s", err, warnings)
	}
	vectors, err := p.Vectors(t.Context(), want.Texts)
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, v := range vectors {
		if len(v) != len(want.Vectors[i]) || p.Width() != len(v) {
			t.Fatalf("vector %d has %d values, want %d; the width is %d", i, len(v), len(want.Vectors[i]), p.Width())
		}
		worst = max(worst, golden.MaxRel(v, want.Vectors[i]))
	}
	if t.Logf("off by %.2g of the largest value", worst); !(worst <= 2e-5) {
		t.Error("off by more than 2e-5")
	}
}

// TestDense compares the vectors of encoders with Dense modules, a T5 among them, with sentence-transformers'
// (reference/dense_fixture.py), and those of the files that a merged checkpoint gets.
func TestDense(t *testing.T) {
	for _, name := range []string{"t5", "bert"} {
		t.Run(name, func(t *testing.T) {
			files := denseFiles(t, name)
			var want denseVectors
			if err := json.Unmarshal(files["vectors.json"], &want); err != nil {
				t.Fatal(err)
			}
			checkDenseVectors(t, files, want)
			b, err := base.FromFiles("m", files)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { b.Close() })
			m, err := readModules(b, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			written, err := m.files("", 16, nil)
			if err != nil {
				t.Fatal(err)
			}
			merged := map[string][]byte{}
			for _, kept := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
				merged[kept] = files[kept]
			}
			for name, content := range written {
				merged[name] = content
			}
			checkDenseVectors(t, merged, want)
		})
	}
}

// TestDenseTrains: the gradient of a loss goes through the modules, which stay as they are.
func TestDenseTrains(t *testing.T) {
	p, _, err := openSentence(t, denseFiles(t, "bert"), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	task, err := NewTask(p.Net, p.Tok, TaskConfig{Config: p.cfg, Loss: MultipleNegatives})
	if err != nil {
		t.Fatal(err)
	}
	f := text.New("pairs", text.Example{Text: "one", Pair: "two", HasPair: true, Line: 1},
		text.Example{Text: "red", Pair: "blue", HasPair: true, Line: 2})
	if err := task.Add(t.Context(), batch.Train, f); err != nil {
		t.Fatal(err)
	}
	params := nn.Train(p.Net)
	tape := op.NewTape(nil)
	defer tape.Close()
	b, err := task.Set(batch.Train).Batch(t.Context(), []int{0, 1}, op.Key{})
	if err != nil {
		t.Fatal(err)
	}
	sum, _, err := task.Loss(&nn.Pass{Tape: tape}, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := tape.Backward(sum); err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, q := range params {
		for _, g := range op.Grad(q.Param) {
			if g != 0 {
				moved++
				break
			}
		}
	}
	if moved < len(params)/2 {
		t.Errorf("%d of %d weights have a gradient", moved, len(params))
	}
}

// TestDenseWrong reads damaged modules.
func TestDenseWrong(t *testing.T) {
	const config, weights = "2_Dense/config.json", "2_Dense/model.safetensors"
	for _, c := range []struct{ name, file, from, to, want string }{
		{"other activation", config, "Identity", "ReLU", "the activation_function torch.nn.modules.linear.ReLU is not"},
		{"other input", config, `"module_input_name": "sentence_embedding"`, `"module_input_name": "token_embeddings"`,
			"module_input_name"},
		{"residual", config, `"bias": false`, `"bias": false, "use_residual": true`, "use_residual"},
		{"bias without a tensor", config, `"bias": false`, `"bias": true`,
			"it has the tensors linear.weight, want linear.bias, linear.weight"},
		{"other size", config, `"out_features": 12`, `"out_features": 13`,
			"linear.weight is [12 16], but config.json says [13 16]"},
		{"no size", config, `"out_features": 12`, `"out_features": 0`, "in_features is 16 and out_features 0"},
		{"other pooling", "1_Pooling/config.json", `"mean"`, `["mean", "cls"]`,
			"2_Dense takes vectors of 16 values, but gets 32"},
		{"damaged", weights, "linear.weight", "linear.weighs", "it has the tensors"},
		{"outside", "modules.json", `"2_Dense"`, `"../2_Dense"`, "not in this directory"},
		{"no weights", weights, "", "", "2_Dense/model.safetensors: there is no such file"},
		{"no config", config, "", "", "2_Dense/config.json: there is no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := denseFiles(t, "t5")
			if c.from == "" {
				delete(files, c.file)
			} else {
				if !strings.Contains(string(files[c.file]), c.from) {
					t.Fatalf("%s has no %s", c.file, c.from)
				}
				files[c.file] = []byte(strings.Replace(string(files[c.file]), c.from, c.to, 1))
			}
			_, _, err := openSentence(t, files, Settings{})
			if err == nil || !strings.Contains(filepath.ToSlash(err.Error()), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}
