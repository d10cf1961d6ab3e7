package embed

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/tasks"
)

// sentenceCases are vectors that sentence-transformers makes with settings files beside a small encoder
// (reference/sentence_fixture.py).
type sentenceCases struct {
	Texts []string
	Cases []struct {
		Name   string
		Encode struct {
			Prompt    *string
			Name      string `json:"prompt_name"`
			Normalize *bool  `json:"normalize_embeddings"`
		}
		Files        map[string]json.RawMessage
		Vectors      [][]float32
		Similarities []float32
	}
}

const sentenceDir = "../../testdata/sentence"

func readSentenceCases(t *testing.T) *sentenceCases {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(sentenceDir, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := &sentenceCases{}
	if err := json.Unmarshal(content, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// sentenceFiles returns the files of the small encoder with others beside them.
func sentenceFiles(t *testing.T, beside map[string]json.RawMessage) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
		var err error
		if files[name], err = os.ReadFile(filepath.Join(sentenceDir, "model", name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range beside {
		files[name] = content
	}
	return files
}

// openSentence opens an encoder in memory with settings; warnings has what is logged.
func openSentence(t *testing.T, files map[string][]byte, s Settings) (p *Opened, warnings string, err error) {
	t.Helper()
	b, err := base.FromFiles("m", files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	var log strings.Builder
	o := tasks.Opening{Opening: base.Opening{Base: b, Log: zerolog.New(&log).Level(zerolog.WarnLevel)}, Settings: &s}
	if p, err = Open(o); err == nil {
		t.Cleanup(func() { p.Close() })
	}
	return p, log.String(), err
}

// TestEqualsSentenceTransformers compares vectors and similarities with sentence-transformers' for all settings files
// and arguments of encode, and checks that every key that acts occurs in the files.
func TestEqualsSentenceTransformers(t *testing.T) {
	all := readSentenceCases(t)
	seen := map[string]bool{}
	for _, c := range all.Cases {
		t.Run(c.Name, func(t *testing.T) {
			s := Settings{Prompt: c.Encode.Prompt, PromptName: c.Encode.Name, Normalize: c.Encode.Normalize}
			p, warnings, err := openSentence(t, sentenceFiles(t, c.Files), s)
			if err != nil {
				t.Fatal(err)
			}
			if expected := strings.HasSuffix(c.Name, "maxsim"); (warnings != "") != expected {
				t.Errorf("warnings: %s", warnings)
			}
			vectors, err := p.Vectors(t.Context(), all.Texts)
			if err != nil {
				t.Fatal(err)
			}
			var neighbours []float32
			for i, v := range vectors {
				if len(v) != len(c.Vectors[i]) || len(v) != p.Width() {
					t.Fatalf("vector %d has %d values, want %d; the width is %d", i, len(v), len(c.Vectors[i]), p.Width())
				}
				if d := golden.MaxRel(v, c.Vectors[i]); !(d <= 2e-5) {
					t.Errorf("vector %d is off by %.2g of the largest value", i, d)
				}
				if i > 0 {
					neighbours = append(append(neighbours, vectors[i-1]...), v...)
				}
			}
			if d := golden.MaxRel(p.Similarities(neighbours), c.Similarities); !(d <= 2e-5) {
				t.Errorf("similarities are off by %.2g of the largest", d)
			}
		})
		for name, content := range c.Files {
			collect(t, seen, name, content)
		}
	}
	for _, f := range sentenceTables {
		for _, k := range f.Keys {
			if k.Effect == settings.Acts && !seen[f.Name+": "+k.Name] {
				t.Errorf("%s: %s is in none of the cases", f.Name, k.Name)
			}
		}
	}
}

var sentenceTables = []settings.File{
	settings.TransformerModule, settings.ProcessorKwargs, settings.ProcessingKwargs, settings.TextKwargs,
	settings.ModelKwargs, settings.ConfigKwargs, settings.SentenceTransformer, settings.Module, settings.PoolingModule,
	settings.NormalizeModule,
}

// collect notes the keys of a file by the names of their tables.
func collect(t *testing.T, seen map[string]bool, name string, content json.RawMessage) {
	t.Helper()
	var list []map[string]json.RawMessage
	if json.Unmarshal(content, &list) != nil {
		list = make([]map[string]json.RawMessage, 1)
		if err := json.Unmarshal(content, &list[0]); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Contains(transformerNames, name) {
		name = settings.TransformerModule.Name
	}
	for _, keys := range list {
		for key, value := range keys {
			seen[name+": "+key] = true
			switch inner := name + ": " + key; inner {
			case settings.ProcessorKwargs.Name, settings.ProcessingKwargs.Name, settings.TextKwargs.Name:
				collect(t, seen, inner, value)
			}
		}
	}
}

// object returns a file with one key, within the keys that lead to its table.
func object(table, key, value string) map[string]json.RawMessage {
	parts := strings.Split(table, ": ")
	text := `{"` + key + `": ` + value + `}`
	for _, p := range slices.Backward(parts[1:]) {
		text = `{"` + p + `": ` + text + `}`
	}
	files := map[string]json.RawMessage{
		modulesName: json.RawMessage(`[{"type": "sentence_transformers.models.Transformer", "path": ""},` +
			`{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},` +
			`{"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]`),
		"1_Pooling/config.json": json.RawMessage(`{"embedding_dimension": 16}`),
	}
	if table == settings.PoolingModule.Name && key != "embedding_dimension" { // a file without either names no pooling
		text = `{"embedding_dimension": 16, ` + text[1:]
	}
	files[parts[0]] = json.RawMessage(text)
	return files
}

// TestSentenceTables writes every key that does not act with a value that matters and with those that do not, and a key
// that no table has.
func TestSentenceTables(t *testing.T) {
	const odd = `"odd value"`
	for _, f := range sentenceTables {
		if f.Name == settings.Module.Name {
			continue // a list; see below
		}
		open := func(key, value string) (string, error) {
			_, warnings, err := openSentence(t, sentenceFiles(t, object(f.Name, key, value)), Settings{})
			return warnings, err
		}
		for _, k := range f.Keys {
			if k.Effect == settings.Acts {
				continue
			}
			for _, value := range append([]string{"null"}, k.Silent...) {
				if warnings, err := open(k.Name, value); err != nil || warnings != "" {
					t.Errorf("%s: %s is %s: %v, %s", f.Name, k.Name, value, err, warnings)
				}
			}
			warnings, err := open(k.Name, odd)
			says := k.Name + ` is "odd value": ` + k.Note
			quoted := strings.ReplaceAll(says, `"`, `\"`)
			if (k.Effect == settings.Warned) != strings.Contains(warnings, quoted) {
				t.Errorf("%s: %s: warnings %s", f.Name, k.Name, warnings)
			}
			if k.Effect == settings.Refused != (err != nil) || err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %s: %v", f.Name, k.Name, err)
			}
		}
		warnings, err := open("no_such_key", odd)
		if f.Name == settings.ConfigKwargs.Name {
			if err == nil || !strings.Contains(err.Error(), "config_kwargs has no_such_key, which replaces") {
				t.Errorf("%s: %v", f.Name, err)
			}
		} else if err != nil || !strings.Contains(warnings, "not known and without effect: no_such_key") {
			t.Errorf("%s: an unknown key: %v, %s", f.Name, err, warnings)
		}
	}
	files := sentenceFiles(t, map[string]json.RawMessage{
		modulesName: json.RawMessage(`[{"type": "sentence_transformers.models.Transformer", "path": "", "no_such_key": 1}]`),
	})
	if _, warnings, err := openSentence(t, files, Settings{}); err != nil ||
		!strings.Contains(warnings, "module 0: not known and without effect: no_such_key") {
		t.Errorf("modules.json: %v, %s", err, warnings)
	}
}

// TestSentenceErrors gives values that have no meaning.
func TestSentenceErrors(t *testing.T) {
	for _, c := range []struct{ table, key, value, want string }{
		{settings.TransformerModule.Name, "do_lower_case", `"yes"`, "sentence_bert_config.json: do_lower_case: json:"},
		{settings.TransformerModule.Name, "max_seq_length", "0", "max_seq_length is 0; want 1 or more"},
		{settings.ProcessorKwargs.Name, "model_max_length", "-1", "model_max_length is -1"},
		{settings.TransformerModule.Name, "processing_kwargs", "[1]", "processing_kwargs: json:"},
		{settings.TransformerModule.Name, "config_args", `{"hidden_act": "relu", "use_cache": false}`,
			"config_args has hidden_act, which replaces the values of config.json"},
		{settings.SentenceTransformer.Name, "default_prompt_name", `"q"`,
			`default_prompt_name is "q", which is none of the prompts (document, query)`},
		{settings.SentenceTransformer.Name, "truncate_dim", "0", "truncate_dim is 0; want 1 or more"},
		{settings.SentenceTransformer.Name, "prompts", `["a"]`, "prompts: json:"},
		{settings.PoolingModule.Name, "pooling_mode", `"attention"`, "the pooling attention is not supported; mean, cls"},
		{settings.PoolingModule.Name, "pooling_mode", `["cls", "top"]`, "the pooling cls,top is not supported"},
		{settings.PoolingModule.Name, "pooling_mode", `7`, "pooling_mode: want a name or a list of names"},
		{settings.PoolingModule.Name, "pooling_mode_max_tokens", `1`, "pooling_mode_max_tokens: json:"},
		{settings.PoolingModule.Name, "include_prompt", `"no"`, "include_prompt: json:"},
	} {
		_, _, err := openSentence(t, sentenceFiles(t, object(c.table, c.key, c.value)), Settings{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s is %s: %v, want %q", c.key, c.value, err, c.want)
		}
	}
	files := sentenceFiles(t, object(settings.TransformerModule.Name, "max_seq_length", "8"))
	files[modulesName] = []byte(`[{"type": "sentence_transformers.models.Transformer", "path": "0_Transformer"}]`)
	_, _, err := openSentence(t, files, Settings{})
	if err == nil || !strings.Contains(err.Error(), "is in 0_Transformer") {
		t.Errorf("a model in another directory: %v", err)
	}
	delete(files, modulesName)
	p, warnings, err := openSentence(t, files, Settings{})
	if err != nil || p.Limit() != 8 || strings.Count(warnings, "there is no modules.json") != 2 {
		t.Errorf("without modules.json: %v, %s", err, warnings)
	}
	if _, _, err := openSentence(t, files, Settings{PromptName: "q"}); err == nil ||
		!strings.Contains(err.Error(), "`prompt_name` is \"q\"; want one of document, query") {
		t.Errorf("an unknown prompt: %v", err)
	}
}

// TestPromptAlone: a text of which pooling would see nothing is an error of its line.
func TestPromptAlone(t *testing.T) {
	files := sentenceFiles(t, object(settings.PoolingModule.Name, "include_prompt", "false"))
	prompt := strings.Repeat("a long prompt ", 9)
	var tokenizer map[string]any
	if err := json.Unmarshal(files["tokenizer.json"], &tokenizer); err != nil {
		t.Fatal(err)
	}
	tokenizer["post_processor"] = nil // no token ends a text
	var err error
	if files["tokenizer.json"], err = json.Marshal(tokenizer); err != nil {
		t.Fatal(err)
	}
	p, _, err := openSentence(t, files, Settings{Prompt: &prompt})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Vectors(t.Context(), []string{"b"}); err == nil ||
		!strings.Contains(err.Error(), "texts:1: nothing is left of the text") {
		t.Errorf("a prompt of all tokens: %v", err)
	}
}

func TestSimilarity(t *testing.T) {
	v := []float32{1, 2, 4, -2, 0, 0, 3, 4}
	for s, want := range map[Similarity][]float32{
		"": {0, 0}, CosineOf: {0, 0}, DotProduct: {0, 0}, Euclidean: {-5, -5}, Manhattan: {-7, -7},
	} {
		if got := s.Of(v, 2); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	if got := CosineOf.Of([]float32{1, 0, 1, 1}, 2)[0]; math.Abs(float64(got)-math.Sqrt2/2) > 1e-7 {
		t.Errorf("a cosine of %g", got)
	}
}
