package generation

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/models"
)

// seq2seqCase is a case of reference/seq2seq_settings_fixture.py.
type seq2seqCase struct {
	Checkpoint, Name string
	File             json.RawMessage            // generation_config.json; null: none
	Config           map[string]json.RawMessage // further keys of config.json
	Source, Tokens   []int32
}

// checkpointOf returns an encoder–decoder of testdata/seq2seq with a generation_config.json, unless that is null, and
// further keys in its config.json.
func checkpointOf(t *testing.T, c seq2seqCase) *base.Base {
	t.Helper()
	dir := filepath.Join("../../testdata/seq2seq", c.Checkpoint, "base")
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal(config, &keys); err != nil {
		t.Fatal(err)
	}
	for k, v := range c.Config {
		keys[k] = v
	}
	if config, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"config.json": config, "model.safetensors": weights}
	if string(c.File) != "null" {
		files["generation_config.json"] = c.File
	}
	b := withSettings(t, "{}", "") // for its tokenizer
	b.File = func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return text, nil
		}
		return nil, fs.ErrNotExist
	}
	if b.Source, err = checkpoint.FromBytes(files); err != nil {
		t.Fatal(err)
	}
	if b.Info, err = models.ReadInfo(b.Source); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSeq2SeqSettings: encoder–decoders write the tokens that transformers writes with the settings of their files:
// start of the decoder, lengths that count it, forced tokens, and everything in config.json alone.
func TestSeq2SeqSettings(t *testing.T) {
	var file struct{ Cases []seq2seqCase }
	text, err := os.ReadFile("../../testdata/generate/seq2seq_settings.json")
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil || len(file.Cases) != 36 {
		t.Fatalf("%d cases: %v", len(file.Cases), err)
	}
	for _, c := range file.Cases {
		b := checkpointOf(t, c)
		m, _, err := models.OpenSeq2SeqLM(b.Source)
		if err != nil {
			t.Fatal(err)
		}
		cfg, warnings, err := new(Settings).Config(b, m.Vocabulary())
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%s, %s: %v, %q", c.Checkpoint, c.Name, err, warnings)
		}
		out, err := generate.NewSeq2Seq(m, nil, nil).Generate(t.Context(), []generate.Prompt{{IDs: c.Source}}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out[0].IDs, c.Tokens) {
			t.Errorf("%s, %s: %v, want %v", c.Checkpoint, c.Name, out[0].IDs, c.Tokens)
		}
	}
}

// TestStart: what targets begin with by the setting, by the files, and for models without an encoder.
func TestStart(t *testing.T) {
	for _, x := range []struct {
		checkpoint, file string
		given            *int32
		want             *int32
		kind             error
		message          string
	}{
		{"bart", `{"decoder_start_token_id": 5, "bos_token_id": 6}`, nil, new(int32(5)), nil, ""},
		{"bart", `{"decoder_start_token_id": null, "bos_token_id": 6}`, nil, new(int32(6)), nil, ""},
		{"bart", `{"decoder_start_token_id": 5}`, new(int32(7)), new(int32(7)), nil, ""},
		{"bart", `{}`, nil, nil, nil, ""},
		{"bart", `{"decoder_start_token_id": 99}`, nil, nil, base.ErrInput, "decoder_start_token_id is 99; want an id below"},
		{"bart", `{"decoder_start_token_id": [5]}`, nil, nil, base.ErrInput, "is [5]; want a whole number"},
		{"bart", `{}`, new(int32(-1)), nil, base.ErrSettings, "`decoder_start_token_id` is -1"},
		{"", `{"decoder_start_token_id": 500, "bos_token_id": 6}`, nil, nil, nil, ""},
		{"", `{}`, new(int32(5)), nil, base.ErrSettings, "`decoder_start_token_id` is for encoder–decoders"},
	} {
		b, tokens := withSettings(t, x.file, ""), vocabulary
		if x.checkpoint != "" {
			b, tokens = checkpointOf(t, seq2seqCase{Checkpoint: x.checkpoint, File: json.RawMessage(x.file)}), 52
		}
		c, _, err := (&Settings{DecoderStartTokenID: x.given}).Config(b, tokens)
		if x.kind != nil {
			if !errors.Is(err, x.kind) || !strings.Contains(err.Error(), x.message) {
				t.Errorf("%s%s: got %v\nwant %s in it", x.checkpoint, x.file, err, x.message)
			}
			continue
		}
		if got := c.DecoderStartTokenID; err != nil || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s%s: got %v, %v", x.checkpoint, x.file, got, err)
		}
	}
}
