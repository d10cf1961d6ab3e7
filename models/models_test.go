package models_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// tree is a checkpoint that a test takes apart: the fixture query_value, with prefix and a head of three labels.
type tree struct {
	t       *testing.T
	config  map[string]any
	tensors []safetensors.Tensor
	shards  int
}

func newTree(t *testing.T) *tree { return treeOf(t, "bert", "query_value") }

// treeOf is the checkpoint of a fixture.
func treeOf(t *testing.T, family, name string) *tree {
	t.Helper()
	base := filepath.Join("..", "testdata", family, name, "base")
	text, err := os.ReadFile(filepath.Join(base, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := &tree{t: t}
	if err := json.Unmarshal(text, &c.config); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(base, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	for _, n := range f.Names() {
		x, _ := f.Tensor(n)
		x.Name = n
		c.tensors = append(c.tensors, x)
	}
	return c
}

// rename gives every tensor another name, or none to leave it out.
func (c *tree) rename(f func(name string) string) {
	var list []safetensors.Tensor
	for _, x := range c.tensors {
		if x.Name = f(x.Name); x.Name != "" {
			list = append(list, x)
		}
	}
	c.tensors = list
}

func (c *tree) drop(part string) {
	c.rename(func(n string) string {
		if strings.Contains(n, part) {
			return ""
		}
		return n
	})
}

func (c *tree) add(name string, shape ...int) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	c.tensors = append(c.tensors, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: shape,
		Data: make([]byte, 4*n)})
}

func (c *tree) open() *checkpoint.Source {
	c.t.Helper()
	text, err := json.Marshal(c.config)
	if err != nil {
		c.t.Fatal(err)
	}
	files := map[string][]byte{"config.json": text}
	write := func(name string, tensors []safetensors.Tensor) {
		var b bytes.Buffer
		if err := safetensors.Write(&b, tensors, nil); err != nil {
			c.t.Fatal(err)
		}
		files[name] = b.Bytes()
	}
	if c.shards < 2 {
		write("model.safetensors", c.tensors)
	} else {
		index := map[string]string{}
		parts := make([][]safetensors.Tensor, c.shards)
		for i, x := range c.tensors {
			parts[i%c.shards] = append(parts[i%c.shards], x)
			index[x.Name] = "part" + string(rune('0'+i%c.shards)) + ".safetensors"
		}
		for i, p := range parts {
			write("part"+string(rune('0'+i))+".safetensors", p)
		}
		text, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": index})
		if err != nil {
			c.t.Fatal(err)
		}
		files["model.safetensors.index.json"] = text
	}
	src, err := checkpoint.FromBytes(files)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { src.Close() })
	return src
}

func logits(m models.SequenceClassifier) []float32 {
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0, 4, 7}, Index: []int{0, 1}}, IDs: []int32{2, 17, 40, 3, 2, 9, 3}}
	return append([]float32(nil), op.Values(m.Logits(&nn.Pass{Tape: tape}, b))...)
}

var head = []string{"classifier.weight", "classifier.bias"}

// TestOpen: however a checkpoint is stored, it is the same model.
func TestOpen(t *testing.T) {
	m, r, err := models.OpenSequenceClassifier(newTree(t).open(), 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Fresh)+len(r.Skipped)+r.Renamed != 0 || r.Loaded != len(nn.Weights(m)) {
		t.Errorf("report %+v", r)
	}
	want := logits(m)
	for _, c := range []struct {
		name   string
		change func(c *tree)
		check  func(r checkpoint.Report) bool
	}{
		{"without prefix", func(c *tree) {
			c.rename(func(n string) string { return strings.TrimPrefix(n, "bert.") })
		}, func(r checkpoint.Report) bool { return r.Loaded == len(nn.Weights(m)) }},
		{"gamma and beta", func(c *tree) {
			c.rename(func(n string) string {
				return strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(n)
			})
		}, func(r checkpoint.Report) bool { return r.Renamed == 10 }},
		{"sharded", func(c *tree) { c.shards = 3 }, func(r checkpoint.Report) bool { return r.Loaded == len(nn.Weights(m)) }},
		{"heads of other tasks and buffers", func(c *tree) {
			c.add("cls.predictions.bias", 96)
			c.add("cls.seq_relationship.weight", 2, 32)
			c.add("bert.embeddings.position_ids", 1, 40)
			c.add("qa_outputs.weight", 2, 32)
		}, func(r checkpoint.Report) bool { return len(r.Skipped) == 4 && len(r.Fresh) == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := newTree(t)
			c.change(tr)
			m, r, err := models.OpenSequenceClassifier(tr.open(), 3, 1)
			if err != nil {
				t.Fatal(err)
			}
			if !c.check(r) {
				t.Errorf("report %+v", r)
			}
			if !slices.Equal(logits(m), want) {
				t.Error("another model")
			}
		})
	}
}

// TestFreshHead: a head that is missing or has another size is made fresh from the seed, and reported.
func TestFreshHead(t *testing.T) {
	for _, c := range []struct {
		name   string
		labels int
		change func(c *tree)
		fresh  []string
		same   []string // weights that come from the file
	}{
		{"more labels", 5, func(*tree) {}, head, nil},
		{"one label", 1, func(*tree) {}, head, nil},
		{"missing", 3, func(c *tree) { c.drop("classifier") }, head, nil},
		{"missing, without prefix", 3, func(c *tree) {
			c.drop("classifier")
			c.rename(func(n string) string { return strings.TrimPrefix(n, "bert.") })
		}, head, nil},
		{"bias missing", 3, func(c *tree) { c.drop("classifier.bias") }, head[1:], head[:1]},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := func(seed uint64) (models.SequenceClassifier, checkpoint.Report) {
				tr := newTree(t)
				c.change(tr)
				m, r, err := models.OpenSequenceClassifier(tr.open(), c.labels, seed)
				if err != nil {
					t.Fatal(err)
				}
				return m, r
			}
			m, r := open(1)
			if got := slices.Sorted(slices.Values(r.Fresh)); !slices.Equal(got, slices.Sorted(slices.Values(c.fresh))) {
				t.Errorf("reported as fresh: %v, want %v", r.Fresh, c.fresh)
			}
			if !strings.Contains(r.String(), "classifier") {
				t.Errorf("the report does not say it: %s", r)
			}
			again, _ := open(1)
			other, _ := open(2)
			if !slices.Equal(logits(m), logits(again)) {
				t.Error("the same seed makes another head")
			}
			if len(c.fresh) == 2 && slices.Equal(logits(m), logits(other)) {
				t.Error("another seed makes the same head")
			}
			for _, w := range nn.Weights(m) {
				if !w.Weight.Filled() {
					t.Errorf("%s has no values", w.Name)
				}
				if v := w.Weight.Float32(); w.Name == "classifier.bias" &&
					slices.ContainsFunc(v, func(x float32) bool { return x != 0 }) {
					t.Errorf("a fresh bias is %v", v)
				}
			}
			if m.Labels() != c.labels {
				t.Errorf("%d labels", m.Labels())
			}
		})
	}
}

// TestOpenErrors: what does not fit is an error with its name, all of it at once.
func TestOpenErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(c *tree)
		labels int
		want   []string
	}{
		{"missing tensors", func(c *tree) { c.drop("layer.1.output.dense") }, 3,
			[]string{"2 missing", "bert.encoder.layer.1.output.dense.weight", "bert.encoder.layer.1.output.dense.bias"}},
		{"unexpected tensors", func(c *tree) { c.add("bert.encoder.layer.2.output.dense.bias", 32); c.add("extra", 1) }, 3,
			[]string{"2 unexpected", "bert.encoder.layer.2.output.dense.bias", "extra"}},
		{"missing and unexpected", func(c *tree) {
			c.rename(func(n string) string {
				return strings.Replace(n, "layer.0.attention.self.query", "layer.0.attention.query", 1)
			})
		}, 3, []string{"2 missing", "2 unexpected", "attention.self.query.weight", "attention.query.weight"}},
		{"another shape", func(c *tree) { c.drop("pooler.dense.bias"); c.add("bert.pooler.dense.bias", 31) }, 3,
			[]string{"bert.pooler.dense.bias is [31], want [32]"}},
		{"vocab_size", func(c *tree) { c.config["vocab_size"] = 97 }, 3, []string{"vocab_size 97", "96×32"}},
		{"vocab_size without prefix", func(c *tree) {
			c.config["vocab_size"] = 1 << 20
			c.rename(func(n string) string { return strings.TrimPrefix(n, "bert.") })
		}, 3, []string{"vocab_size 1048576", "96×32"}},
		{"hidden_size", func(c *tree) { c.config["hidden_size"] = 64 }, 3, []string{"hidden_size 64", "96×32"}},
		{"more layers than in the file", func(c *tree) { c.config["num_hidden_layers"] = 900 }, 3,
			[]string{"missing", "layer.2."}},
		{"10^9 layers", func(c *tree) { c.config["num_hidden_layers"] = 1000000000 }, 3,
			[]string{"num_hidden_layers is 1000000000"}},
		{"heads", func(c *tree) { c.config["num_attention_heads"] = 5 }, 3, []string{"num_attention_heads 5"}},
		{"activation", func(c *tree) { c.config["hidden_act"] = "mish" }, 3, []string{"hidden_act", "mish"}},
		{"unknown architecture", func(c *tree) { c.config["model_type"] = "wav2vec2" }, 3,
			[]string{`model_type "wav2vec2" is not supported`}},
		{"no architecture", func(c *tree) { delete(c.config, "model_type") }, 3, []string{"no model_type"}},
		{"wrong type", func(c *tree) { c.config["hidden_size"] = "32" }, 3, []string{"hidden_size", "string"}},
		{"fraction", func(c *tree) { c.config["hidden_size"] = 32.5 }, 3, []string{"hidden_size"}},
		{"id2label key", func(c *tree) { c.config["id2label"] = map[string]string{"zero": "a"} }, 3,
			[]string{`id2label has the key "zero"`}},
		{"id2label negative", func(c *tree) { c.config["id2label"] = map[string]string{"-1": "a"} }, 3,
			[]string{`id2label has the key "-1"`}},
		{"id2label written otherwise", func(c *tree) { c.config["id2label"] = map[string]string{"0": "a", "00": "b"} }, 3,
			[]string{`id2label has the key "00"`}},
		{"id2label list", func(c *tree) { c.config["id2label"] = []string{"a"} }, 3, []string{"id2label"}},
		{"no labels", func(*tree) {}, 0, []string{"0 labels"}},
		{"adapter", func(c *tree) { c.add("base_model.model.classifier.weight", 3, 32) }, 3, []string{"adapter"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := newTree(t)
			c.change(tr)
			m, _, err := models.OpenSequenceClassifier(tr.open(), c.labels, 1)
			if err == nil || m != nil {
				t.Fatalf("got a model and %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %v\nwant %q in it", err, w)
				}
			}
		})
	}
}

func TestLabelNames(t *testing.T) {
	for _, c := range []struct {
		labels map[int]string
		want   []string
		err    string
	}{
		{nil, nil, ""},
		{map[int]string{0: "no", 1: "yes"}, []string{"no", "yes"}, ""},
		{map[int]string{0: "a", 2: "c"}, nil, "lacks the key 1"},
		{map[int]string{1: "a", 2: "c"}, nil, "lacks the key 0"},
		{map[int]string{0: "a", 1: "a"}, nil, `"a" twice`},
	} {
		got, err := models.Info{Labels: c.labels}.LabelNames()
		if !slices.Equal(got, c.want) || (err != nil) != (c.err != "") || err != nil &&
			!strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: got %v, %v", c.labels, got, err)
		}
	}
	tr := newTree(t)
	tr.config["problem_type"] = "multi_label_classification"
	info, err := models.ReadInfo(tr.open())
	if err != nil || info.ModelType != "bert" || info.Problem != "multi_label_classification" {
		t.Errorf("got %+v, %v", info, err)
	}
	if want := map[int]string{0: "negative", 1: "positive", 2: "mixed"}; !maps.Equal(info.Labels, want) {
		t.Errorf("labels %v", info.Labels)
	}
}

// TestFixtures: every fixture opens, and its head is fresh just where the file has none.
func TestFixtures(t *testing.T) {
	cases, err := filepath.Glob("../testdata/bert/*/case.json")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, path := range cases {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			var c struct {
				NumLabels  int  `json:"num_labels"`
				HeadInBase bool `json:"head_in_base"`
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &c); err != nil {
				t.Fatal(err)
			}
			src, err := checkpoint.Open(filepath.Join(filepath.Dir(path), "base"))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			m, r, err := models.OpenSequenceClassifier(src, c.NumLabels, 1)
			if err != nil {
				t.Fatal(err)
			}
			if fresh := len(r.Fresh) > 0; fresh == c.HeadInBase {
				t.Errorf("head in the file: %v, made fresh: %v", c.HeadInBase, r.Fresh)
			}
			if m.Labels() != c.NumLabels {
				t.Errorf("%d labels, want %d", m.Labels(), c.NumLabels)
			}
		})
	}
}
