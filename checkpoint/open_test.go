package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

const config = `{"model_type": "bert", "hidden_size": 4}`

// tensor returns an F32 tensor whose elements all have the given value.
func tensor(name string, value float32, shape ...int) safetensors.Tensor {
	t := safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: shape}
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = value
	}
	t.Data = safetensors.Bytes(values)
	return t
}

// pack returns the bytes of a safetensors file.
func pack(t testing.TB, tensors ...safetensors.Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack writes files to a new directory and returns it.
func unpack(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpen(t *testing.T) {
	files := map[string][]byte{
		"config.json":       []byte(config),
		"model.safetensors": pack(t, tensor("b", 1, 2), tensor("a", 2, 3)),
		"tokenizer.json":    []byte(`{"x":1}`),
		"1_Pooling/c.json":  []byte(`{"y":2}`),
		"pytorch_model.bin": []byte("not looked at when there are safetensors"),
	}
	dir := unpack(t, files)
	for name, open := range map[string]func() (*Source, error){
		dir:           func() (*Source, error) { return Open(dir) },
		"(in memory)": func() (*Source, error) { return FromBytes(files) },
	} {
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if s.Name() != name || string(s.Config()) != config {
			t.Errorf("%q: config %q", s.Name(), s.Config())
		}
		if got := s.Names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("names %q", got)
		}
		a, ok := s.Tensor("a")
		if !ok || fmt.Sprint(safetensors.Float32s(a.Data)) != "[2 2 2]" {
			t.Errorf("a: %v, %v", a, ok)
		}
		s.Release(a.Data)
		if _, ok := s.Tensor("c"); ok {
			t.Error("found a tensor that does not exist")
		}
		if text, err := s.File("tokenizer.json"); err != nil || string(text) != `{"x":1}` {
			t.Errorf("tokenizer.json: %q, %v", text, err)
		}
		if text, err := s.File("1_Pooling/c.json"); err != nil || string(text) != `{"y":2}` {
			t.Errorf("a file in a directory below: %q, %v", text, err)
		}
		for _, name := range []string{"1_Pooling/d.json", "2_Dense/c.json", "tokenizer.json/c.json"} {
			if _, err := s.File(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, name := range []string{"", "/", "1_Pooling/", "/config.json", "1_Pooling/../config.json", "./config.json",
			"1_Pooling//c.json"} {
			if _, err := s.File(name); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q: %v", name, err)
			}
		}
		if _, err := s.File("vocab.txt"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "vocab.txt") {
			t.Errorf("vocab.txt: %v", err)
		}
		if _, err := s.File("../" + filepath.Base(dir) + "/config.json"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a path: %v", err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.File("tokenizer.json"); err == nil {
			t.Error("a file can be read after Close")
		}
	}
}

// index returns the text of a model.safetensors.index.json.
func indexFile(total string, entries ...string) []byte {
	return fmt.Appendf(nil, `{"metadata":{"total_size":%s},"weight_map":{%s}}`, total, strings.Join(entries, ","))
}

func TestOpenRefuses(t *testing.T) {
	model := pack(t, tensor("a", 1, 2))
	with := func(extra ...any) map[string][]byte {
		files := map[string][]byte{"config.json": []byte(config)}
		for i := 0; i < len(extra); i += 2 {
			switch data := extra[i+1].(type) {
			case string:
				files[extra[i].(string)] = []byte(data)
			case []byte:
				files[extra[i].(string)] = data
			}
		}
		return files
	}
	const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 438007537\n"
	const part1, part2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  []string
	}{
		{"no config", map[string][]byte{"model.safetensors": model}, []string{"no config.json"}},
		{
			"adapter", map[string][]byte{"adapter_config.json": nil, "adapter_model.safetensors": model},
			[]string{"adapter", "base model"},
		},
		{"empty config", with("config.json", "", "model.safetensors", model), []string{"config.json", "empty"}},
		{"config is a list", with("config.json", "[]", "model.safetensors", model), []string{"config.json", "object"}},
		{
			"config with comment", with("config.json", "{\n  // x\n}", "model.safetensors", model),
			[]string{"config.json", "line 2, column 3", "comments"},
		},
		{
			"config with duplicate", with("config.json", `{"a":1,"a":1}`, "model.safetensors", model),
			[]string{"config.json", `duplicate key "a"`},
		},
		{
			"config with BOM", with("config.json", "\ufeff{}", "model.safetensors", model),
			[]string{"config.json", "byte order mark"},
		},
		{
			"config with rest", with("config.json", "{}{}", "model.safetensors", model),
			[]string{"config.json", "after the end"},
		},
		{
			"config is a pointer", with("config.json", lfs, "model.safetensors", model), []string{"config.json", "git lfs pull"},
		},
		{"no weights", with(), []string{"weights are missing"}},
		{"pickle", with("pytorch_model.bin", "x"), []string{"pytorch_model.bin", "pickle", "save_pretrained"}},
		{
			"sharded pickle", with("pytorch_model-00001-of-00002.bin", "x", "pytorch_model.bin.index.json", "{}"),
			[]string{"pytorch_model-00001-of-00002.bin", "pickle"},
		},
		{"only an adapter's weights", with("adapter_model.safetensors", model), []string{"adapter", "base model"}},
		{"GGUF", with("model.gguf", "x"), []string{"model.gguf", "give its path"}},
		{"Keras", with("tf_model.h5", "x"), []string{"tf_model.h5", "not read"}},
		{"pointer", with("model.safetensors", lfs), []string{"model.safetensors", "git lfs pull"}},
		{"renamed pickle", with("model.safetensors", "\x80\x02}q\x00.........."), []string{"model.safetensors", "pickle"}},
		{"cut", with("model.safetensors", model[:len(model)-1]), []string{"model.safetensors", `tensor "a"`, "cut off"}},
		{"empty", with("model.safetensors", ""), []string{"model.safetensors", "0 bytes"}},
		{"no tensors", with("model.safetensors", pack(t)), []string{"model.safetensors", "no tensors"}},
		{"part missing", with(part1, model), []string{part2 + " is missing"}},
		{
			"same tensor in two files", with("x.safetensors", model, "y.safetensors", model),
			[]string{`"a" is in x.safetensors and again in y.safetensors`},
		},
		{"index: no JSON", with(indexName, "{"), []string{indexName, "line 1"}},
		{
			"index: duplicate", with(indexName, indexFile("8", `"a":"x.safetensors"`, `"a":"x.safetensors"`)),
			[]string{indexName, `duplicate key "a"`},
		},
		{"index: empty", with(indexName, "{}"), []string{indexName, "weight_map"}},
		{
			"index: wrong type", with(indexName, `{"weight_map":{"a":1}}`),
			[]string{indexName, "weight_map", "got number, want a string"},
		},
		{
			"index: missing shard", with(indexName, indexFile("8", `"a":"x.safetensors"`)), []string{"x.safetensors is missing"},
		},
		{
			"index: other case", with("x.safetensors", model, indexName, indexFile("8", `"a":"X.safetensors"`)),
			[]string{"X.safetensors is missing"},
		},
		{
			"index: pickle", with("x.bin", "x", indexName, indexFile("8", `"a":"x.bin"`)),
			[]string{`"a"`, `"x.bin"`, ".safetensors"},
		},
		{"index: itself", with(indexName, indexFile("8", `"a":"`+indexName+`"`)), []string{`"a"`, indexName}},
		{
			"index: lists too much",
			with("x.safetensors", model, indexName, indexFile("8", `"a":"x.safetensors"`, `"b":"x.safetensors"`)),
			[]string{`"b" is not in x.safetensors`},
		},
		{
			"index: lists too little",
			with("x.safetensors", pack(t, tensor("a", 1, 2), tensor("b", 1, 2)), indexName,
				indexFile("8", `"a":"x.safetensors"`)), []string{`"b" is in x.safetensors but not in the index`},
		},
		{
			"index: other shard",
			with("x.safetensors", model, "y.safetensors", pack(t, tensor("b", 1, 2)), indexName,
				indexFile("8", `"a":"y.safetensors"`, `"b":"x.safetensors"`)),
			[]string{`"a" is in x.safetensors, not in y.safetensors`, `"b" is in y.safetensors, not in x.safetensors`},
		},
		{
			"index: tensor in both",
			with("x.safetensors", model, "y.safetensors", model, indexName,
				indexFile("8", `"a":"y.safetensors"`, `"b":"x.safetensors"`)),
			[]string{`"a" is in x.safetensors and again in y.safetensors`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := unpack(t, c.files)
			for place, open := range map[string]func() (*Source, error){
				dir:           func() (*Source, error) { return Open(dir) },
				"(in memory)": func() (*Source, error) { return FromBytes(c.files) },
			} {
				s, err := open()
				if err == nil {
					s.Close()
					t.Fatal("opened")
				}
				for _, want := range append(c.want, "checkpoint: "+place+": ") {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q does not contain %q", err, want)
					}
				}
				if strings.Count(err.Error(), place) != 1 || strings.Contains(err.Error(), "\n") {
					t.Errorf("%q names %s more than once or has several lines", err, place)
				}
			}
		})
	}
}

// Names that lead out of the directory, or have another meaning on some system, are refused before anything is opened.
func TestIndexNames(t *testing.T) {
	for _, name := range []string{
		"../x.safetensors", "a/../../x.safetensors", "/abs/x.safetensors", `..\\x.safetensors`, `C:x.safetensors`,
		`C:\\x.safetensors`,
		`\\\\host\\x.safetensors`, "sub/x.safetensors", "", ".", "..", "x.safetensors.", "x.safetensors ", "CON.safetensors",
		"nul.safetensors", "COM1.x.safetensors", `x\u0000.safetensors`, "x\u007f.safetensors", "x?.safetensors",
		"a..b.safetensors",
	} {
		_, err := FromBytes(map[string][]byte{"config.json": []byte(config), indexName: indexFile("8", `"w":"`+name+`"`)})
		if err == nil || !strings.Contains(err.Error(), "plain name") || !strings.Contains(err.Error(), `"w"`) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"model-00001-of-00002.safetensors", "weights.fp16.safetensors", "modèle.safetensors",
		"console.safetensors"} {
		if err := checkShardName(name); err != nil {
			t.Error(err)
		}
	}
}

func TestSharded(t *testing.T) {
	const first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	files := map[string][]byte{
		"config.json": []byte(config),
		first:         pack(t, tensor("a", 1, 2), tensor("c", 3, 1)),
		second:        pack(t, tensor("b", 2, 2)),
	}
	for _, c := range []struct {
		index []byte
		note  string
	}{
		{nil, ""}, // the names show that all parts exist
		{indexFile("20", `"a":"`+first+`"`, `"b":"`+second+`"`, `"c":"`+first+`"`), ""},
		{indexFile("20.0", `"a":"`+first+`"`, `"b":"`+second+`"`, `"c":"`+first+`"`), ""},
		{
			indexFile("21", `"a":"`+first+`"`, `"b":"`+second+`"`, `"c":"`+first+`"`),
			"total_size 21, but the tensors take 20 bytes",
		},
	} {
		if delete(files, indexName); c.index != nil {
			files[indexName] = c.index
		}
		s, err := Open(unpack(t, files))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Names(), []string{"a", "c", "b"}) {
			t.Errorf("names %q", s.Names())
		}
		b, ok := s.Tensor("b")
		if !ok || safetensors.Float32s(b.Data)[1] != 2 {
			t.Errorf("b: %v", b)
		}
		_, report, err := s.Load([]Want{{Name: "a", Shape: []int{2}}, {Name: "b", Shape: []int{2}},
			{Name: "c", Shape: []int{1}}}, LoadOptions{})
		if err != nil || !strings.Contains(strings.Join(report.Notes, "\n"), c.note) ||
			(len(report.Notes) > 0) != (c.note != "") {
			t.Errorf("notes %q, want %q; %v", report.Notes, c.note, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenOddPlaces(t *testing.T) {
	files := map[string][]byte{"config.json": []byte(config), "model.safetensors": pack(t, tensor("a", 1, 2))}
	dir := unpack(t, files)
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):        "no such file",
		filepath.Join(dir, "config.json"): "not a directory",
		"":                                "no such file",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
	for name, files := range map[string]map[string][]byte{
		"config.json":       {"config.json/x": nil, "model.safetensors": files["model.safetensors"]},
		"model.safetensors": {"config.json": []byte(config), "model.safetensors/x": nil},
	} {
		if _, err := Open(unpack(t, files)); err == nil || !strings.Contains(err.Error(), name+": not a regular file") {
			t.Errorf("%s is a directory: %v", name, err)
		}
	}
}

func TestLinks(t *testing.T) {
	files := map[string][]byte{"config.json": []byte(config), "model.safetensors": pack(t, tensor("a", 1, 2))}
	outside := unpack(t, files)
	link := func(from, to string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(from), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, from); err != nil {
			t.Skip("no symbolic links here")
		}
	}
	// A link to the directory itself is allowed.
	whole := filepath.Join(t.TempDir(), "model")
	link(whole, outside)
	// The cache's layout: snapshots/<revision>/name → ../../blobs/<hash>.
	cache := filepath.Join(t.TempDir(), "models--org--name")
	if err := os.Rename(unpack(t, files), cache); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(cache, cache+"x"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(cache+"x", filepath.Join(cache, "blobs")); err != nil {
		t.Fatal(err)
	}
	snapshot := filepath.Join(cache, "snapshots", "c0ffee")
	for name := range files {
		link(filepath.Join(snapshot, name), filepath.Join("..", "..", "blobs", name))
	}
	for _, dir := range []string{whole, snapshot} {
		s, err := Open(dir)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		if _, err := s.File("config.json"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}

	for name, target := range map[string]string{
		"absolute": filepath.Join(outside, "model.safetensors"),
		"relative": filepath.Join("..", filepath.Base(outside), "model.safetensors"),
		"loop":     "model.safetensors",
		"dangling": "none",
	} {
		dir := unpack(t, map[string][]byte{"config.json": []byte(config)})
		link(filepath.Join(dir, "model.safetensors"), target)
		if _, err := Open(dir); err == nil ||
			!strings.Contains(err.Error(), "model.safetensors: a symbolic link that does not lead") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzIndex(f *testing.F) {
	model := pack(f, tensor("a", 1, 2))
	f.Add(indexFile("8", `"a":"x.safetensors"`))
	f.Add(indexFile("8", `"a":"../x.safetensors"`))
	f.Add([]byte(`{"weight_map":{"a":1}}`))
	f.Add([]byte(`{"metadata":null,"weight_map":{"b":"x.safetensors"}}`))
	f.Fuzz(func(t *testing.T, index []byte) {
		s, err := FromBytes(map[string][]byte{"config.json": []byte(config), "x.safetensors": model, indexName: index})
		if err != nil {
			return
		}
		if got := s.Names(); !slices.Equal(got, []string{"a"}) {
			t.Fatalf("names %q", got)
		}
	})
}
