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
		"qwen2", "qwen3", "t5", "bart", "whisper"} {
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

// TestConfigKeysOfPublishedModels: keys of published encoder–decoders that no longer have an effect are not reported.
func TestConfigKeysOfPublishedModels(t *testing.T) {
	const bart = `"encoder_layers": 6, "add_bias_logits": false, "add_final_layer_norm": true, "classif_dropout": 0.1,
		"extra_pos_embeddings": 2, "normalize_before": true, "normalize_embedding": false,
		"static_position_embeddings": true, "do_blenderbot_90_layernorm": false,
		"force_bos_token_to_be_generated": false`
	const warning = "config.json: not known and without effect: "
	for _, x := range []struct{ modelType, text, want string }{
		{"marian", bart + `, "num_hidden_layers": 6`, ""},
		{"pegasus", bart + `, "num_hidden_layers": 12`, warning + "num_hidden_layers"},
		{"bart", bart + `, "n_positions": 512`, warning + "n_positions"},
		{"t5", `"n_positions": 512`, ""},
		{"whisper", `"encoder_layers": 4, "num_hidden_layers": 4, "max_length": 448, "forced_decoder_ids": null`, ""},
		{"t5", `"mask_time_prob": 0.05, "scale_embedding": true`, warning + "mask_time_prob, scale_embedding"},
		{"t5", `"n_positions": 512, "num_hidden_layers": 6`, warning + "num_hidden_layers"},
	} {
		w, err := settings.CheckConfig([]byte("{"+x.text+"}"), models.ConfigKeys(x.modelType))
		if err != nil || w != x.want {
			t.Errorf("%s {%s}: %q, %v, want %q", x.modelType, x.text, w, err, x.want)
		}
	}
}
