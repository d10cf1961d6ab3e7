package causallm_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/settings"
)

// settingCase is a generation_config.json with the tokens that transformers generates with it.
type settingCase struct {
	Key        string // the setting that the case is about
	Checkpoint string
	File       map[string]any
	Prompt     []int
	Tokens     [][]int
}

// readSettings returns the cases of reference/generation_settings_fixture.py and the keys that transformers knows.
func readSettings(t *testing.T) (cases []settingCase, keys []string) {
	t.Helper()
	var file struct {
		Keys  []string
		Cases []settingCase
	}
	path := filepath.Join(clitest.Testdata, "generate", "settings.json")
	if err := json.Unmarshal([]byte(clitest.Read(t, path)), &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases, file.Keys
}

// continued runs predict causal-lm on a prompt with a generation_config.json in a directory of a checkpoint, and
// returns the tokens of all sequences with what was written to standard error.
func continued(t *testing.T, dir string, file map[string]any, prompt []int, flags ...string) ([][]int, string) {
	t.Helper()
	clitest.Write(t, filepath.Join(dir, "generation_config.json"), string(mustJSON(t, file)))
	r := clitest.OK(t, predict.Command,
		append([]string{"causal-lm", "--quiet", "--model", dir, "--prompt", clitest.Text(prompt)}, flags...)...)
	var list [][]int
	for _, g := range clitest.Lines[generated](t, r.Out) {
		list = append(list, g.Tokens)
	}
	return list, r.Err
}

// without returns a copy of a file without a key.
func without(file map[string]any, key string) map[string]any {
	left := map[string]any{}
	for k, v := range file {
		if k != key {
			left[k] = v
		}
	}
	return left
}

// startKeys act on encoder–decoders only, where tasks/generation compares them with transformers.
var startKeys = []string{"bos_token_id", "decoder_start_token_id"}

// TestSettingsEqualTransformers: for every key of generation_config.json that acts the tokens are transformers', and
// others without the key.
func TestSettingsEqualTransformers(t *testing.T) {
	cases, known := readSettings(t)
	bases := map[string]clitest.CausalCase{}
	differs := map[string]int{}
	for _, c := range cases {
		if _, ok := bases[c.Checkpoint]; !ok {
			bases[c.Checkpoint] = clitest.ReadCausal(t, strings.TrimSuffix(c.Checkpoint, "/base"))
		}
		dir := bases[c.Checkpoint].Base
		got, messages := continued(t, dir, c.File, c.Prompt)
		if !reflect.DeepEqual(got, c.Tokens) || messages != "" {
			t.Errorf("%s, %v after %v:\n got %v\nwant %v\n%s", c.Checkpoint, c.File, c.Prompt, got, c.Tokens, messages)
		}
		if plain, _ := continued(t, dir, without(c.File, c.Key), c.Prompt); !reflect.DeepEqual(plain, got) {
			differs[c.Key]++
		}
	}
	for _, k := range settings.GenerationConfig.Keys {
		// Only damaged weights give values to remove: generate compares the scores instead.
		if k.Effect == settings.Acts && differs[k.Name] < 4 && k.Name != "remove_invalid_values" &&
			!slices.Contains(startKeys, k.Name) {
			t.Errorf("%s changes the tokens of %d cases", k.Name, differs[k.Name])
		}
	}
	for _, name := range known {
		if _, ok := settings.GenerationConfig.Key(name); !ok {
			t.Errorf("the table lacks %s, which transformers knows", name)
		}
	}
}

// TestSettingsWithoutEffect: keys that cannot matter have any value without a message and without effect, and keys that
// are not honoured are reported once, unless their value changes nothing.
func TestSettingsWithoutEffect(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/llama_gqa")
	prompt, plain := []int{35, 66, 85}, map[string]any{"eos_token_id": 0, "max_new_tokens": 8}
	want, messages := continued(t, c.Base, plain, prompt)
	if messages != "" {
		t.Fatalf("without settings: %s", messages)
	}
	for _, k := range settings.GenerationConfig.Keys {
		if k.Effect == settings.Acts && !slices.Contains(startKeys, k.Name) {
			continue
		}
		values := []any{7, "quantized", true, map[string]any{"a": 1}}
		if strings.HasSuffix(k.Name, "_token_id") {
			values = values[:1]
		}
		for _, value := range values {
			file := without(plain, "")
			file[k.Name] = value
			got, messages := continued(t, c.Base, file, prompt)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v changes the tokens to %v", k.Name, value, got)
			}
			report := "generation_config.json: " + k.Name + " is "
			if n := strings.Count(messages, report); n != map[settings.Effect]int{settings.Warned: 1}[k.Effect] ||
				n == 0 && messages != "" {
				t.Errorf("%s: %v gives %q", k.Name, value, messages)
			}
		}
		for _, silent := range append(k.Silent, "null") {
			file := without(plain, "")
			file[k.Name] = json.RawMessage(silent)
			if got, messages := continued(t, c.Base, file, prompt); !reflect.DeepEqual(got, want) || messages != "" {
				t.Errorf("%s: %s gives %v, %q", k.Name, silent, got, messages)
			}
		}
	}
}

// TestSettingsOfConfig: a checkpoint without generation_config.json has its settings in config.json, as transformers
// reads them.
func TestSettingsOfConfig(t *testing.T) {
	cases, _ := readSettings(t)
	for _, c := range cases {
		if c.Checkpoint != "causal/llama_gqa/base" || c.Key == "eos_token_id" || c.File["do_sample"] != nil {
			continue
		}
		f := clitest.ReadCausal(t, "causal/llama_gqa")
		var config map[string]any
		path := filepath.Join(f.Base, "config.json")
		if err := json.Unmarshal([]byte(clitest.Read(t, path)), &config); err != nil {
			t.Fatal(err)
		}
		for k, v := range c.File {
			config[k] = v
		}
		config["guidance_scale"] = 3
		clitest.Write(t, path, string(mustJSON(t, config)))
		r := clitest.OK(t, predict.Command, "causal-lm", "--quiet", "--model", f.Base, "--prompt", clitest.Text(c.Prompt))
		if got := clitest.Lines[generated](t, r.Out)[0].Tokens; !slices.Equal(got, c.Tokens[0]) {
			t.Errorf("%v after %v:\n got %v\nwant %v", c.File, c.Prompt, got, c.Tokens)
		}
		if strings.Count(r.Err, "\n") != 1 || !strings.Contains(r.Err, "config.json: guidance_scale is 3: ") {
			t.Errorf("messages: %s", r.Err)
		}
	}
}

// TestSettingsOfFrontDoor: the front door honours the file as the command does, and reports what it does not honour
// once, when it opens a model.
func TestSettingsOfFrontDoor(t *testing.T) {
	cases, _ := readSettings(t)
	c := clitest.ReadCausal(t, "causal/llama_gqa")
	for _, x := range cases {
		if x.Checkpoint != "causal/llama_gqa/base" || len(x.Prompt) == 1 {
			continue
		}
		x.File["guidance_scale"] = 2
		clitest.Write(t, filepath.Join(c.Base, "generation_config.json"), string(mustJSON(t, x.File)))
		var messages bytes.Buffer
		m, err := spalora.Open(c.Base, spalora.WithLogger(zerolog.New(&messages)))
		if err != nil {
			t.Fatal(err)
		}
		list, err := m.Generate(t.Context(), clitest.Text(x.Prompt))
		if err != nil {
			t.Fatal(err)
		}
		one, err := m.Stream(t.Context(), clitest.Text(x.Prompt), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range append(list, one) {
			want := x.Tokens[i%len(x.Tokens)]
			if !slices.EqualFunc(g.IDs, want, func(a int32, b int) bool { return int(a) == b }) {
				t.Errorf("%v: got %v, want %v", x.File, g.IDs, want)
			}
		}
		if len(list) != len(x.Tokens) || strings.Count(messages.String(), "guidance_scale is 2") != 1 {
			t.Errorf("%v: %d sequences, want %d; messages %s", x.File, len(list), len(x.Tokens), messages.String())
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSettingsOfGGUF: the settings that a GGUF file gives are known.
func TestSettingsOfGGUF(t *testing.T) {
	for _, name := range []string{"llama", "gpt2", "qwen2"} {
		r := clitest.OK(t, predict.Command, "causal-lm", "--quiet", "--prompt=a b", "--max-new-tokens=3",
			"--model", filepath.Join(clitest.Testdata, "gguf", name+".gguf"))
		if strings.Contains(r.Err, "generation_config.json") || len(clitest.Lines[generated](t, r.Out)[0].Tokens) == 0 {
			t.Errorf("%s: %s%s", name, r.Out, r.Err)
		}
	}
}
