package lora_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn/op"
)

// everything returns a configuration that adapts linear layers and tables and saves two modules.
func everything() lora.Config {
	return lora.Config{R: 3, Alpha: 7, Dropout: 0.1, TargetModules: lora.Names("query", "dense", "word_embeddings"),
		TaskType: lora.SeqCls, BaseModel: "base"}
}

func save(t testing.TB, s *lora.Set) string {
	t.Helper()
	dir := t.TempDir()
	if err := s.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t testing.TB, parts ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSaveLoad: a saved adapter is the same after loading, and saving it again gives the same bytes.
func TestSaveLoad(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, everything())
	shake(s, 3)
	s.SetNote("use", "a test")
	s.SetNote("length", "7")
	s.SetNote("length", "")
	dir := save(t, s)
	if notes, err := lora.ReadNotes(dir); err != nil || len(notes) != 1 || notes["use"] != "a test" {
		t.Errorf("notes %v, %v", notes, err)
	}
	back, warnings, err := lora.Load(dir, m)
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	for i, p := range s.Params() {
		if q := back.Params()[i]; q.Name != p.Name || q.NoDecay != p.NoDecay ||
			!sameBits(op.Values(q.Param), op.Values(p.Param)) {
			t.Errorf("%s has other values after loading", p.Name)
		}
	}
	if !sameBits(logitsOf(m, s, nil, newBatch()), logitsOf(m, back, nil, newBatch())) {
		t.Error("the loaded adapter gives other logits")
	}
	again := save(t, back)
	for _, file := range []string{"adapter_config.json", "adapter_model.safetensors"} {
		if !bytes.Equal(read(t, dir, file), read(t, again, file)) {
			t.Errorf("%s has other bytes", file)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("files %v, %v", entries, err)
	}
	if err := s.Save(dir); err != nil {
		t.Errorf("saving over an older state: %v", err)
	}
	if err := s.Save(filepath.Join(dir, "none")); err == nil {
		t.Error("Save to a directory that does not exist returned no error")
	}
}

// TestFixturesSavedAgain: PEFT's adapters have the same tensors, byte for byte, under the same names after loading and
// saving.
func TestFixturesSavedAgain(t *testing.T) {
	eachCase(t, func(t *testing.T, x *fixture) {
		for _, state := range []string{"adapter_init", "adapter_final"} {
			dir := save(t, x.load(state))
			ours, theirs := open(t, dir), open(t, filepath.Join(x.dir, state))
			if !slices.Equal(sorted(ours.Names()), sorted(theirs.Names())) {
				t.Errorf("names\n%v\nPEFT's\n%v", ours.Names(), theirs.Names())
			}
			for _, name := range theirs.Names() {
				a, _ := ours.Tensor(name)
				b, _ := theirs.Tensor(name)
				if a.DType != b.DType || !slices.Equal(a.Shape, b.Shape) || !bytes.Equal(a.Data, b.Data) {
					t.Errorf("%s differs from PEFT's", name)
				}
			}
			if ours.Metadata()["format"] != "pt" {
				t.Errorf("metadata %v", ours.Metadata())
			}
			// The fields that Save writes have the values of PEFT's file.
			var mine, peft map[string]any
			for target, d := range map[*map[string]any]string{&mine: dir, &peft: filepath.Join(x.dir, state)} {
				if err := json.Unmarshal(read(t, d, "adapter_config.json"), target); err != nil {
					t.Fatal(err)
				}
			}
			for key, v := range mine {
				if a, b := asJSON(v), asJSON(peft[key]); a != b {
					t.Errorf("%s is %s, PEFT has %s", key, a, b)
				}
			}
		}
	})
}

func asJSON(v any) string {
	if list, ok := v.([]any); ok { // PEFT writes sets, in any order
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

func open(t testing.TB, dir string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// rewrite replaces the tensors of the adapter in dir by those that change returns.
func rewrite(t testing.TB, dir string, change func(tensors []safetensors.Tensor) []safetensors.Tensor) {
	t.Helper()
	f, err := safetensors.Parse(read(t, dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	for _, n := range f.Names() {
		x, _ := f.Tensor(n)
		x.Name = n
		tensors = append(tensors, x)
	}
	if err := safetensors.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), change(tensors), nil); err != nil {
		t.Fatal(err)
	}
}

func without(part string) func([]safetensors.Tensor) []safetensors.Tensor {
	return func(list []safetensors.Tensor) []safetensors.Tensor {
		return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return strings.Contains(x.Name, part) })
	}
}

// edit changes the text of adapter_config.json.
func edit(old, new string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, "adapter_config.json")
		text := string(read(t, path))
		if !strings.Contains(text, old) {
			t.Fatalf("%s has no %s", text, old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(text, old, new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func tensors(change func([]safetensors.Tensor) []safetensors.Tensor) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) { rewrite(t, dir, change) }
}

func remove(file string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	m := newModel(1)
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		want   []string
	}{
		{"A without B", tensors(without("layer.1.attention.self.query.lora_B")),
			[]string{"1 tensors are missing", "layer.1.attention.self.query.lora_B.weight"}},
		{"B without A", tensors(without("word_embeddings.lora_embedding_A")), []string{"word_embeddings.lora_embedding_A"}},
		{"layer missing", tensors(without("layer.0.attention.self.query")), []string{"2 tensors are missing"}},
		{"head missing", tensors(without("classifier")),
			[]string{"2 tensors are missing", "base_model.model.classifier.bias"}},
		{"no tensors", tensors(without("")), []string{"tensors are missing", "…"}},
		{"extra layer", tensors(func(l []safetensors.Tensor) []safetensors.Tensor {
			x := l[0]
			x.Name = "base_model.model.bert.encoder.layer.7.attention.self.query.lora_A.weight"
			return append(l, x)
		}), []string{"1 tensors are not expected", "layer.7"}},
		{"missing and extra at once", tensors(func(l []safetensors.Tensor) []safetensors.Tensor {
			for i := range l {
				l[i].Name = strings.Replace(l[i].Name, "self.query.lora_A.weight", "self.query.lora_A.default.weight", 1)
			}
			return l
		}), []string{"2 tensors are missing", "2 tensors are not expected", "lora_A.default.weight"}},
		{"another rank", edit(`"r": 3`, `"r": 4`),
			[]string{"of another shape", "layer.0.attention.self.query.lora_A.weight is [3 16], want [4 16]"}},
		{"absurd rank", edit(`"r": 3`, `"r": 1000000000`), []string{"r is 1000000000", "takes at most 16"}},
		{"fewer targets", edit(`"dense",`, ``), []string{"not expected"}},
		{"more targets", edit(`"dense",`, `"dense", "key",`), []string{"missing", "self.key.lora_A"}},
		{"a target that takes no correction", edit(`"dense",`, `"dense", "LayerNorm",`),
			[]string{`"LayerNorm"`, "neither linear"}},
		{"unsupported", edit(`"lora_dropout"`, `"layer_replication": [[0, 1]], "lora_dropout"`),
			[]string{"layer_replication"}},
		{"without magnitudes", edit(`"lora_dropout"`, `"use_dora": true, "lora_dropout"`),
			[]string{"missing", "query.lora_magnitude_vector"}},
		{"integer tensor", tensors(func(l []safetensors.Tensor) []safetensors.Tensor {
			for i := range l {
				if l[i].Name == "base_model.model.classifier.bias" {
					l[i].DType = safetensors.I32
				}
			}
			return l
		}), []string{"classifier.bias", "I32"}},
		{"no config", remove("adapter_config.json"), []string{"adapter_config.json"}},
		{"no weights", remove("adapter_model.safetensors"), []string{"has no adapter_model.safetensors"}},
		{"pickle only", func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "adapter_model.safetensors"),
				filepath.Join(dir, "adapter_model.bin")); err != nil {
				t.Fatal(err)
			}
		}, []string{"only adapter_model.bin", "pickle", "save_pretrained"}},
		{"pickle renamed", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "adapter_model.safetensors"),
				[]byte("PK\x03\x04 archive/data.pkl and so on"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"adapter_model.safetensors", "PyTorch"}},
		{"cut", func(t *testing.T, dir string) {
			text := read(t, dir, "adapter_model.safetensors")
			if err := os.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), text[:len(text)-1], 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"adapter_model.safetensors"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := attach(t, m, everything())
			shake(s, 3)
			dir := save(t, s)
			c.change(t, dir)
			got, _, err := lora.Load(dir, m)
			if err == nil || got != nil {
				t.Fatalf("got a set and %v", err)
			}
			for _, w := range append(c.want, dir) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %v\nwant %q in it", err, w)
				}
			}
		})
	}
	if _, _, err := lora.Load(filepath.Join(t.TempDir(), "nowhere"), m); err == nil ||
		!strings.Contains(err.Error(), "nowhere") {
		t.Errorf("no directory: %v", err)
	}
	s := attach(t, m, everything())
	if _, _, err := lora.Load(save(t, s), newModelOfWidth(8)); err == nil ||
		!strings.Contains(err.Error(), "[3 16], want [3 8]") {
		t.Errorf("another base: %v", err)
	}
}

// TestHalfAdapter: Load widens tensors in half precision exactly.
func TestHalfAdapter(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, everything())
	for _, p := range s.Params() {
		for i, v := 0, op.Values(p.Param); i < len(v); i++ {
			v[i] = float32(i%9)/4 - 1 // exact in BF16
		}
	}
	dir := save(t, s)
	rewrite(t, dir, func(list []safetensors.Tensor) []safetensors.Tensor {
		for i, x := range list {
			var half []byte
			for j := 2; j < len(x.Data); j += 4 {
				half = append(half, x.Data[j], x.Data[j+1])
			}
			list[i].DType, list[i].Data = safetensors.BF16, half
		}
		return list
	})
	back, _, err := lora.Load(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	if !sameBits(logitsOf(m, s, nil, newBatch()), logitsOf(m, back, nil, newBatch())) {
		t.Error("the widened adapter gives other logits")
	}
}

// TestNotFinite: Save returns an error on NaN and infinity, and Load returns a warning.
func TestNotFinite(t *testing.T) {
	m := newModel(1)
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		s := attach(t, m, everything())
		dir := save(t, s)
		before := read(t, dir, "adapter_model.safetensors")
		p := s.Params()[3]
		op.Values(p.Param)[5] = float32(bad)
		if err := s.Save(dir); err == nil || !strings.Contains(err.Error(), p.Name) ||
			!strings.Contains(err.Error(), "element 5") {
			t.Errorf("saving %g: %v", bad, err)
		}
		if !bytes.Equal(before, read(t, dir, "adapter_model.safetensors")) {
			t.Error("the older adapter has changed")
		}
		if _, err := lora.Merge(m, s, nil); err == nil || !strings.Contains(err.Error(), "lora: merge: bert.encoder") {
			t.Errorf("merging %g: %v", bad, err)
		}
		rewrite(t, dir, func(list []safetensors.Tensor) []safetensors.Tensor {
			for i := range list {
				if list[i].Name == p.Name {
					list[i].Data = safetensors.Bytes([]float32{float32(bad), float32(bad)})
					list[i].Data = append(bytes.Clone(list[i].Data), make([]byte, 4*len(op.Values(p.Param))-8)...)
				}
			}
			return list
		})
		_, warnings, err := lora.Load(dir, m)
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], p.Name+" holds 2 NaN") {
			t.Errorf("loading %g: %q, %v", bad, warnings, err)
		}
	}
}

// TestTensors: Tensors lists the tensors of an adapter without a model.
func TestTensors(t *testing.T) {
	s := attach(t, newModel(1), lora.Config{R: 3, Alpha: 7, TargetModules: lora.Pattern(`.*layer\.0.*query`),
		TaskType: lora.SeqCls})
	dir := save(t, s)
	list, err := lora.Tensors(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range list {
		names = append(names, x.Path)
	}
	want := []string{"bert.encoder.layer.0.attention.self.query.lora_A.weight",
		"bert.encoder.layer.0.attention.self.query.lora_B.weight", "classifier.bias", "classifier.weight"}
	if !slices.Equal(names, want) || !slices.Equal(list[0].Shape, []int{3, 16}) || list[0].DType != safetensors.F32 {
		t.Errorf("got %+v", list)
	}
	remove("adapter_model.safetensors")(t, dir)
	if _, err := lora.Tensors(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("no weights: %v", err)
	}
}

// FuzzLoad: Load of any bytes as an adapter file returns an error or a set and does not panic.
func FuzzLoad(f *testing.F) {
	m := newModel(1)
	config := lora.Config{R: 1, Alpha: 2, TargetModules: lora.Pattern(`.*layer\.0.*query`)}
	dir := save(f, attach(f, m, config))
	good := read(f, dir, "adapter_model.safetensors")
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(bytes.Replace(good, []byte("lora_A"), []byte("lora_B"), 1))
	f.Add(bytes.Replace(good, []byte("F32"), []byte("I32"), 1))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, _, err := lora.Load(dir, m)
		if (s == nil) != (err != nil) {
			t.Fatalf("set %v, error %v", s, err)
		}
		if err == nil && len(s.Params()) != 2 {
			t.Errorf("%d parameters", len(s.Params()))
		}
	})
}

// TestNamesWithAdapter loads tensors whose names hold PEFT's default name of an adapter, as in the state of a model.
func TestNamesWithAdapter(t *testing.T) {
	m := newModel(1)
	s := attach(t, m, everything())
	shake(s, 3)
	dir := save(t, s)
	rename := func(dir string, with func(string) string) {
		t.Helper()
		var tensors []safetensors.Tensor
		f := open(t, dir)
		for _, name := range f.Names() {
			x, _ := f.Tensor(name)
			x.Name, x.Data = with(name), bytes.Clone(x.Data)
			tensors = append(tensors, x)
		}
		if err := safetensors.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), tensors, nil); err != nil {
			t.Fatal(err)
		}
	}
	rename(dir, strings.NewReplacer(".lora_A.weight", ".lora_A.default.weight", ".lora_B.weight", ".lora_B.default.weight",
		".lora_embedding_A", ".lora_embedding_A.default", ".lora_embedding_B", ".lora_embedding_B.default").Replace)
	back, warnings, err := lora.Load(dir, m)
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	if !sameBits(logitsOf(m, s, nil, newBatch()), logitsOf(m, back, nil, newBatch())) {
		t.Error("the loaded adapter gives other logits")
	}
	rename(dir, strings.NewReplacer(".default", ".other").Replace)
	const want = "or save the adapter again with PEFT's save_pretrained"
	if _, _, err := lora.Load(dir, m); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
