package spalora_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/spalora/spalora"

// mayImport says which of our packages a package may import: data flows in one direction. A name ending in a slash
// stands for everything below it, "" for all packages, and a name after "!" is an exception. Tests may import more.
var mayImport = map[string][]string{
	"internal/kernel":   {},
	"internal/files":    {},
	"internal/golden":   {"checkpoint/"},
	"internal/linalg":   {},
	"internal/settings": {},
	"checkpoint":        {"internal/files", "checkpoint/"},
	"checkpoint/":       {"internal/files", "checkpoint/"},
	"tokenize":          {"internal/settings"},
	"tokenize/":         {"tokenize"},
	"batch":             {"nn/op"},
	"audio":             {"internal/files", "internal/kernel", "internal/settings", "nn/op"},
	"vision":            {"internal/kernel", "internal/settings", "nn/op"},
	"data":              {"batch"},
	"data/":             {"data", "batch", "audio", "vision"},
	"chat":              {"data/document", "internal/settings"},
	"nn/op":             {"internal/kernel"},
	"nn":                {"nn/op"},
	"nn/spagonn":        {"nn", "nn/op"},
	"lora": {
		"nn", "nn/op", "checkpoint", "checkpoint/", "internal/files", "internal/linalg", "internal/settings",
	},
	"models/arch":    {"nn", "nn/op", "batch"},
	"models/":        {"models/arch", "nn", "nn/op", "batch"},
	"models/roberta": {"models/bert", "models/arch", "nn", "nn/op", "batch"},
	"models/whisper": {"models/bart", "models/arch", "nn", "nn/op", "batch"},
	"models/electra": {"models/bert", "models/arch", "nn", "nn/op", "batch"},
	"models":         {"models/", "checkpoint", "batch", "nn", "nn/op"},
	"train":          {"nn", "nn/op", "batch", "internal/files", "internal/kernel", "checkpoint/safetensors"},
	"generate":       {"models", "nn", "nn/op", "batch", "tokenize"},
	"transcribe": {
		"audio", "batch", "checkpoint", "generate", "internal/settings", "models", "nn", "nn/op", "tokenize",
	},
	"base": {
		"checkpoint", "checkpoint/safetensors", "data", "internal/files", "internal/kernel", "internal/settings", "lora",
		"models", "nn", "nn/op", "tokenize",
	},
	"tasks/metrics":           {"batch", "data/", "tasks/metrics/normalize"},
	"tasks/metrics/normalize": {},
	"tasks": {
		"base", "batch", "checkpoint", "checkpoint/safetensors", "data", "internal/files", "internal/settings", "lora",
		"models", "models/arch", "nn", "nn/op", "tasks/metrics", "tokenize", "train",
	},
	"tasks/generation": {
		"base", "checkpoint", "generate", "internal/settings", "models", "models/arch",
	},
	"tasks/classification": {"tasks", "tasks/metrics", "base", "batch", "data", "nn/op", "train"},
	"tasks/": { // a task type knows no other
		"tasks", "tasks/classification", "tasks/generation", "tasks/metrics", "tasks/metrics/normalize", "audio", "base",
		"batch", "chat", "checkpoint", "checkpoint/safetensors", "data", "data/", "generate", "internal/files",
		"internal/settings", "lora", "models", "models/arch", "nn", "nn/op", "tokenize", "train", "transcribe", "vision",
	},
	"llamacpp": {
		"base", "batch", "chat", "checkpoint", "checkpoint/gguf", "checkpoint/safetensors", "data/document",
		"internal/files", "internal/kernel", "lora", "models", "nn", "nn/op", "tasks", "tasks/causallm", "tokenize",
	},
	"": { // the front door
		"audio", "base", "batch", "data", "data/", "generate", "lora", "nn/op", "tasks", "tasks/", "tokenize", "transcribe",
		"vision",
	},
	"embedded":          {},
	"internal/cli":      {"", "!cmd/", "!internal/cli/", "!examples/", "!internal/tasktest"},
	"internal/cli/":     {"", "!cmd/", "!examples/", "!internal/tasktest"},
	"internal/cli/task": {"", "!cmd/", "!examples/", "!tasks/", "!internal/cli/", "!internal/tasktest"},
	"internal/cli/task/": {
		"", "!cmd/", "!examples/", "!internal/cli/", "internal/cli/task", "internal/cli/task/classes",
		"internal/cli/task/generation", "!internal/tasktest",
	},
	"internal/cli/task/all": {"internal/cli/task", "internal/cli/task/"},
	"internal/tasktest":     {"", "!cmd/", "!internal/cli", "!internal/cli/", "!examples/"}, // for tests of all tasks
	"cmd/":                  {"", "!examples/"},
	"examples/":             {"", "!cmd/", "!internal/cli", "!internal/cli/", "!internal/tasktest"},
	"bench":                 {"", "!cmd/"},
	"bench/":                {"", "!cmd/"},
	"internal/":             nil, // every other internal package must be listed above
}

// embeddedBy lists who may compile the default model and data in.
var embeddedBy = []string{"cmd/", "internal/cli", "internal/cli/", "internal/tasktest", "examples/", "bench", "bench/"}

// tokenizerLibrary is a library that only programs which ask for it shall link: one package imports it, and only
// examples import that.
const (
	tokenizerLibrary = "github.com/nlpodyssey/gotokenizers"
	tokenizerBridge  = "tokenize/gotokenizers"
)

// source is a Go file of the module.
type source struct {
	path string // from the root, with slashes
	dir  string
	file *ast.File
	text []byte
}

func (s source) test() bool      { return strings.HasSuffix(s.path, "_test.go") }
func (s source) generated() bool { return ast.IsGenerated(s.file) }

// sources parses every Go file of this module, whatever its build tags say.
func sources(t *testing.T) (list []source, set *token.FileSet) {
	t.Helper()
	set = token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			hidden := name != "." && strings.HasPrefix(d.Name(), ".")
			if hidden || d.Name() == "testdata" || d.Name() == "runs" || name != "." && err == nil { // a module of its own
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		p := filepath.ToSlash(name)
		dir := path.Dir(p)
		if dir == "." {
			dir = ""
		}
		list = append(list, source{p, dir, f, text})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 100 {
		t.Fatalf("only %d files found", len(list))
	}
	return list, set
}

// fits reports whether dir is what name stands for.
func fits(dir, name string) bool {
	if strings.HasSuffix(name, "/") {
		return strings.HasPrefix(dir, name)
	}
	return dir == name
}

// rule returns what the most exact entry of mayImport allows dir.
func rule(dir string) (allowed []string, ok bool) {
	best := -1
	for name, list := range mayImport {
		if (name == dir || strings.HasSuffix(name, "/") && strings.HasPrefix(dir, name)) && len(name) > best {
			best, allowed, ok = len(name), list, list != nil
		}
	}
	return allowed, ok
}

// permitted reports whether a list allows dir: an exact name counts more than one with "/", and that more than "".
func permitted(dir string, allowed []string) bool {
	best, ok := -1, false
	for _, a := range allowed {
		name, no := strings.CutPrefix(a, "!")
		if weight := len(name); (name == "" || fits(dir, name)) && weight >= best {
			best, ok = weight, !no
		}
	}
	return ok
}

// TestImports: imports go only down.
func TestImports(t *testing.T) {
	list, _ := sources(t)
	for _, s := range list {
		if s.test() {
			continue
		}
		allowed, known := rule(s.dir)
		if !known {
			t.Errorf("%s: the package %q has no rule; say in mayImport what it may import", s.path, s.dir)
			continue
		}
		for _, i := range s.file.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if name == "C" {
				t.Errorf("%s uses cgo", s.path)
			}
			if strings.HasPrefix(name+"/", tokenizerLibrary+"/") && s.dir != tokenizerBridge {
				t.Errorf("%s imports %s; only %s does", s.path, name, tokenizerBridge)
			}
			ours, ok := strings.CutPrefix(name+"/", module+"/")
			if !ok {
				continue
			}
			ours = strings.TrimSuffix(ours, "/")
			if !permitted(ours, allowed) {
				t.Errorf("%s imports %s, which is not below %q", s.path, ours, s.dir)
			}
			if ours == tokenizerBridge && !strings.HasPrefix(s.dir, "examples/") {
				t.Errorf("%s imports %s, which links %s into every program that imports it", s.path, ours, tokenizerLibrary)
			}
			if ours == "embedded" && !slices.ContainsFunc(embeddedBy, func(name string) bool { return fits(s.dir, name) }) {
				t.Errorf("%s compiles the default model into every program that uses the library", s.path)
			}
		}
	}
}

// leaves are the layers whose fields are settings: no weights, no names.
var leaves = []string{"nn.Dropout", "nn.Activation", "op.Weight"}

// TestFieldsHaveTags: a field of a module without an hf tag would be left out when loading and saving.
func TestFieldsHaveTags(t *testing.T) {
	list, set := sources(t)
	structs := 0
	for _, s := range list {
		if s.test() || !strings.HasPrefix(s.dir, "models/") && s.dir != "nn" && s.dir != "nn/op" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok || !isModule(body) || slices.Contains(leaves, s.file.Name.Name+"."+spec.Name.Name) {
				return true
			}
			structs++
			seen := map[string]bool{}
			for _, f := range body.Fields.List {
				if len(f.Names) == 0 {
					continue // spago.Module
				}
				tag, ok := tagOf(t, f)
				if !ok || tag == "" {
					t.Errorf("%v: field %s.%s has no hf tag", set.Position(f.Pos()), spec.Name.Name, f.Names[0].Name)
				}
				if isNote(f) { // stands in the printed tree for a part that may be left out
					continue
				}
				if tag != "-" && (seen[tag] || len(f.Names) > 1) {
					t.Errorf("%v: two fields of %s are called %s", set.Position(f.Pos()), spec.Name.Name, tag)
				}
				seen[tag] = true
			}
			return true
		})
	}
	if structs < 7 {
		t.Errorf("only %d modules found", structs)
	}
}

func isModule(s *ast.StructType) bool {
	for _, f := range s.Fields.List {
		if x, ok := f.Type.(*ast.SelectorExpr); ok && len(f.Names) == 0 && x.Sel.Name == "Module" {
			return true
		}
	}
	return false
}

// isNote reports whether a field is a *nn.Note, which has no weights.
func isNote(f *ast.Field) bool {
	p, ok := f.Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	x, ok := p.X.(*ast.SelectorExpr)
	return ok && x.Sel.Name == "Note"
}

func tagOf(t *testing.T, f *ast.Field) (string, bool) {
	t.Helper()
	if f.Tag == nil {
		return "", false
	}
	text, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		t.Fatal(err)
	}
	return reflect.StructTag(text).Lookup("hf")
}

// TestFiles checks the size of files and the length of lines, and that every package says what it is for: none is for
// odds and ends.
func TestFiles(t *testing.T) {
	list, _ := sources(t)
	documented := map[string]bool{}
	for _, s := range list {
		if s.file.Doc != nil && !s.test() {
			documented[s.dir] = true
		}
		if lines := strings.Count(string(s.text), "\n"); lines > 600 && !s.test() && !s.generated() {
			t.Errorf("%s has %d lines, more than 600", s.path, lines)
		}
		for i, line := range strings.Split(string(s.text), "\n") {
			if len(line) > 120 && !s.generated() {
				t.Errorf("%s:%d has %d bytes, more than 120", s.path, i+1, len(line))
			}
		}
		switch name := path.Base(s.dir); name {
		case "util", "utils", "common", "helpers", "misc", "pkg":
			t.Errorf("%s: a package called %s says nothing about what is in it", s.path, name)
		}
	}
	for _, s := range list {
		if !s.test() && !documented[s.dir] {
			t.Errorf("package %q has no package comment", s.dir)
			documented[s.dir] = true
		}
	}
}

// TestRules holds the rules themselves to cases that must and must not pass.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"nn", "nn/op", true}, {"nn", "lora", false}, {"nn", "internal/kernel", false}, {"nn/op", "nn", false},
		{"nn", "nn/spagonn", false}, {"nn/spagonn", "nn", true}, {"lora", "nn/spagonn", false},
		{"models/bert", "nn", true}, {"models/bert", "lora", false}, {"models/bert", "batch", true},
		{"models/bert", "data", false}, {"models", "data", false}, {"train", "data", false},
		{"batch", "nn/op", true}, {"batch", "nn", false}, {"batch", "data", false},
		{"data", "batch", true}, {"data", "nn", false}, {"data", "data/text", false},
		{"data/text", "data", true}, {"data/text", "data/tagged", false}, {"data/pair", "data/document", false},
		{"chat", "data/document", true},
		{"models/bert", "models/gpt", false}, {"models", "models/bert", true}, {"models", "tasks", false},
		{"train", "tasks", false}, {"train", "lora", false}, {"generate", "models", true}, {"generate", "lora", false},
		{"checkpoint/safetensors", "checkpoint/internal/magic", true}, {"checkpoint/safetensors", "nn", false},
		{"lora", "models", false}, {"base", "lora", true}, {"base", "tasks", false}, {"base", "train", false},
		{"tasks", "base", true}, {"tasks", "tasks/seqcls", false}, {"tasks", "data/text", false}, {"tasks", "", false},
		{"tasks/seqcls", "tasks", true}, {"tasks/seqcls", "tasks/tokencls", false}, {"tasks/seqcls", "", false},
		{"tasks/seqcls", "internal/cli", false}, {"tasks/seqcls", "embedded", false},
		{"", "tasks/seqcls", true}, {"", "embedded", false}, {"", "internal/cli", false},
		{"cmd/finetune", "internal/cli/finetune", true}, {"internal/cli", "internal/cli/finetune", false},
		{"internal/cli/finetune", "internal/cli", true}, {"internal/cli/finetune", "internal/cli/task/all", true},
		{"internal/cli/task", "", true}, {"internal/cli/task", "tasks", true}, {"internal/cli/task", "tasks/seqcls", false},
		{"internal/cli/task/seqcls", "", true}, {"internal/cli/task/seqcls", "tasks/seqcls", true},
		{"internal/cli/task/seqcls", "internal/cli", true}, {"internal/cli/task/seqcls", "internal/cli/task", true},
		{"internal/cli/task/seqcls", "internal/cli/task/qa", false},
		{"internal/cli/task/seqcls", "internal/cli/finetune", false},
		{"internal/cli/task/all", "internal/cli/task/seqcls", true}, {"internal/cli/task/all", "tasks/seqcls", false},
		{"internal/cli/predict", "internal/tasktest", false}, {"nn", "", false},
		{"examples/intents", "internal/cli", false}, {"examples/intents", "embedded", true}, {"examples/intents", "", true},
		{"internal/secret", "nn", false},
	} {
		allowed, _ := rule(c.from)
		if got := permitted(c.to, allowed); got != c.want {
			t.Errorf("%s may import %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if _, ok := rule("internal/secret"); ok {
		t.Error("a new internal package needs a rule")
	}
	if _, ok := rule("wonder"); ok {
		t.Error("a new package needs a rule")
	}
}
