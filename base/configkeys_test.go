package base_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/models"
)

// TestConfigKeys: every key that transformers writes to config.json is known, for every architecture; a misspelt one is
// reported. A key of a new architecture is read by its configuration or listed in settings.CheckConfig's file.
func TestConfigKeys(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../testdata/*/*/base", "../testdata/sentence/model", "../testdata/gguf/*.gguf",
		"../embedded/minilm"} {
		list, err := filepath.Glob(pattern)
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		files = append(files, list...)
	}
	types := map[string]bool{}
	for _, file := range files {
		src, err := checkpoint.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		text := src.Config()
		info, err := models.ReadInfo(src)
		if err != nil {
			t.Fatal(err)
		}
		types[info.ModelType] = true
		keys := models.ConfigKeys(info.ModelType)
		if w, err := settings.CheckConfig(text, keys); err != nil || w != "" {
			t.Errorf("%s: %q, %v", file, w, err)
		}
		for _, key := range []string{"hidden_sizes", "rope_scalling", "a\nb"} {
			odd := append([]byte(`{"`+key+`": 1,`), text[1:]...)
			want := "config.json: not known and without effect: " + key
			if key == "a\nb" {
				odd = append([]byte(`{"a\nb": 1,`), text[1:]...)
				want = `config.json: not known and without effect: "a\nb"`
			}
			if w, err := settings.CheckConfig(odd, keys); err != nil || w != want {
				t.Errorf("%s: %q, %v, want %q", file, w, err, want)
			}
		}
	}
	for _, name := range []string{"bert", "roberta", "xlm-roberta", "distilbert", "electra", "gpt2", "llama", "mistral",
		"qwen2", "qwen3"} {
		if !types[name] {
			t.Errorf("no config.json of %s was looked at", name)
		}
	}
	if k := models.ConfigKeys("roberta"); !slices.Contains(k, "hidden_size") || !slices.IsSorted(k) {
		t.Errorf("keys of RoBERTa: %q", k)
	}
	if k := models.ConfigKeys("mamba"); k != nil {
		t.Errorf("keys of a model that is not supported: %q", k)
	}
	if _, err := settings.CheckConfig([]byte("["), nil); err == nil {
		t.Error("damaged JSON is accepted")
	}
}
