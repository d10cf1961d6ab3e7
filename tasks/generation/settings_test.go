package generation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tokenize"
)

// vocabulary is the number of tokens of the model that [withSettings] stands for.
const vocabulary = 100

// withSettings returns a base with a generation_config.json, none if it is empty, and keys in its config.json.
func withSettings(t testing.TB, file, config string) *base.Base {
	t.Helper()
	b := &base.Base{Name: "dir", File: func(name string) ([]byte, error) {
		if name == "generation_config.json" && file != "" {
			return []byte(file), nil
		}
		if strings.HasPrefix(name, "tokenizer") {
			return os.ReadFile(filepath.Join("..", "causallm", "testdata", "causal", name))
		}
		return nil, fs.ErrNotExist
	}}
	weights, err := os.ReadFile("../../testdata/causal/llama_gqa/base/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"config.json": []byte(`{"model_type": "gpt2"` + config + `}`), "model.safetensors": weights,
	}
	if file != "" {
		files["generation_config.json"] = []byte(file)
	}
	if b.Source, err = checkpoint.FromBytes(files); err != nil {
		t.Fatal(err)
	}
	if b.Info, err = models.ReadInfo(b.Source); err != nil {
		t.Fatal(err)
	}
	if b.Tokenizer, err = tokenize.Load(b.File); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFileKeys: the keys that the table says act are those that are read, and each is refused with another type.
func TestFileKeys(t *testing.T) {
	read := []string{"eos_token_id", "decoder_start_token_id", "bos_token_id"} // in other places, see TestStart
	for _, k := range new(Settings).fileKeys() {
		read = append(read, k.name)
		_, _, err := new(Settings).Config(withSettings(t, fmt.Sprintf(`{"%s": {"a": 1}}`, k.name), ""), vocabulary)
		if want := "dir: generation_config.json: " + k.name + ` is {"a":1}; want `; !errors.Is(err, base.ErrInput) ||
			!strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	var acts []string
	for _, k := range settings.GenerationConfig.Keys {
		if k.Effect == settings.Acts {
			acts = append(acts, k.Name)
		}
	}
	slices.Sort(read)
	slices.Sort(acts)
	if !slices.Equal(read, acts) {
		t.Errorf("read are %v\nthe table says %v", read, acts)
	}
}

// every is a generation_config.json with a value for every key that acts.
const every = `{"max_new_tokens": 30, "max_length": 70, "min_new_tokens": 3, "min_length": 60, "max_time": 1.5,
	"stop_strings": ["x", "y"], "sequence_bias": [[[1, 2], 2], [[3], -1.5], [[1, 2], 1]],
	"encoder_repetition_penalty": 1.1, "repetition_penalty": 1.2, "no_repeat_ngram_size": 4,
	"encoder_no_repeat_ngram_size": 5, "bad_words_ids": [[1], [2, 3]], "forced_bos_token_id": 6,
	"forced_eos_token_id": 7, "remove_invalid_values": true, "exponential_decay_length_penalty": [8, 1.3],
	"suppress_tokens": [9], "begin_suppress_tokens": [10, 11], "do_sample": true, "temperature": 0.8, "top_h": 0.9,
	"top_k": 12, "top_p": 0.7, "min_p": 0.1, "typical_p": 0.6, "epsilon_cutoff": 0.01, "eta_cutoff": 0.02,
	"eos_token_id": [13, 14], "num_return_sequences": 2}`

// TestGenerationConfig: settings win over generation_config.json, and that wins over the defaults.
func TestGenerationConfig(t *testing.T) {
	full := generate.Config{
		MaxNewTokens: 30, MaxLength: 70, MinNewTokens: 3, MaxTime: 1500 * time.Millisecond, EosTokenIDs: []int32{13, 14},
		StopStrings:  []string{"x", "y"},
		SequenceBias: []generate.Bias{{IDs: []int32{3}, Bias: -1.5}, {IDs: []int32{1, 2}, Bias: 1}},

		EncoderRepetitionPenalty: 1.1, RepetitionPenalty: 1.2, NoRepeatNgramSize: 4, EncoderNoRepeatNgramSize: 5,
		BadWordsIDs: [][]int32{{1}, {2, 3}}, ForcedBosTokenID: new(int32(6)), ForcedEosTokenIDs: []int32{7},
		RemoveInvalidValues: true, ExponentialDecayLengthPenalty: &generate.LengthPenalty{Start: 8, Factor: 1.3},
		SuppressTokens: []int32{9}, BeginSuppressTokens: []int32{10, 11},

		DoSample: true, Temperature: 0.8, TopH: 0.9, TopK: 12, TopP: 0.7, MinP: 0.1, TypicalP: 0.6, EpsilonCutoff: 0.01,
		EtaCutoff: 0.02, Seed: 42, NumReturnSequences: 2, NumBeams: 1, LengthPenalty: 1,
	}
	standard := generate.Defaults()
	standard.MaxNewTokens, standard.Seed, standard.EosTokenIDs = 128, 42, []int32{13}
	with := func(c generate.Config, change func(*generate.Config)) generate.Config {
		change(&c)
		return c
	}
	greedy := with(full, func(c *generate.Config) {
		d := generate.Defaults()
		c.DoSample, c.Temperature, c.TopH, c.TopK, c.TopP, c.MinP = false, d.Temperature, d.TopH, d.TopK, d.TopP, d.MinP
		c.TypicalP, c.EpsilonCutoff, c.EtaCutoff, c.NumReturnSequences = d.TypicalP, d.EpsilonCutoff, d.EtaCutoff, 1
	})
	const beams = `{"eos_token_id": 13, "num_beams": 4, "length_penalty": 2, "early_stopping": "never",
		"num_return_sequences": 7}`
	searching := with(standard, func(c *generate.Config) {
		c.NumBeams, c.LengthPenalty, c.EarlyStopping = 4, 2, generate.UntilImpossible
	})
	alone := `generation_config.json: num_return_sequences is 2, but without `
	for _, x := range []struct {
		name     string
		file     string
		given    Settings
		want     generate.Config
		warnings []string
	}{
		{"defaults", `{"eos_token_id": 13}`, Settings{}, standard, nil},
		{"nulls", `{"eos_token_id": 13, "max_length": null, "top_k": null, "stop_strings": null}`, Settings{}, standard,
			nil},
		{"file", every, Settings{}, full, nil},
		{"greedy", every, Settings{DoSample: new(false)}, greedy, []string{alone}},
		{"temperature 0", every, Settings{Temperature: new(0.0)}, greedy, []string{alone}},
		{"sampling values without sampling", `{"eos_token_id": 13, "temperature": 0, "top_p": 7, "typical_p": -1}`,
			Settings{}, standard, nil},
		{"a setting implies sampling", `{"eos_token_id": 13, "top_p": 0.9}`, Settings{TypicalP: new(0.5)},
			with(standard, func(c *generate.Config) { c.DoSample, c.TypicalP, c.TopP = true, 0.5, 0.9 }), nil},
		{"settings", every,
			Settings{
				MaxNewTokens: 5, MinNewTokens: new(0), Stop: []string{"z"}, MaxTime: time.Hour,
				SequenceBias: []generate.Bias{}, EncoderRepetitionPenalty: new(1.0), RepetitionPenalty: new(1.0),
				NoRepeatNgramSize: new(0), EncoderNoRepeatNgramSize: new(0), BadWordsIDs: [][]int32{},
				ForcedBosTokenID: new(int32(1)), ForcedEosTokenIDs: []int32{}, RemoveInvalidValues: new(false),
				ExponentialDecayLengthPenalty: &generate.LengthPenalty{Start: 1, Factor: 2}, SuppressTokens: []int32{},
				BeginSuppressTokens: []int32{}, DoSample: new(true), Temperature: new(1.0), TopH: new(0.0), TopK: new(0),
				TopP: new(1.0), MinP: new(0.0), TypicalP: new(1.0), EpsilonCutoff: new(0.0), EtaCutoff: new(0.0),
				Seed: new(uint64(1)), NumReturnSequences: 1,
			},
			generate.Config{
				MaxNewTokens: 5, StopStrings: []string{"z"}, MaxTime: time.Hour, EosTokenIDs: []int32{13, 14},
				SequenceBias: []generate.Bias{}, EncoderRepetitionPenalty: 1, RepetitionPenalty: 1, BadWordsIDs: [][]int32{},
				ForcedBosTokenID: new(int32(1)), ForcedEosTokenIDs: []int32{},
				ExponentialDecayLengthPenalty: &generate.LengthPenalty{Start: 1, Factor: 2}, SuppressTokens: []int32{},
				BeginSuppressTokens: []int32{}, DoSample: true, Temperature: 1, TopP: 1, TypicalP: 1, Seed: 1,
				NumReturnSequences: 1, NumBeams: 1, LengthPenalty: 1,
			}, nil},
		{"beams", beams, Settings{}, with(searching, func(c *generate.Config) { c.NumReturnSequences = 4 }),
			[]string{"generation_config.json: num_return_sequences is 7, but `num_beams` is 4; the search returns 4"}},
		{"other beams as settings", beams, Settings{NumBeams: 5, LengthPenalty: new(0.0), EarlyStopping: new(
			generate.UntilUnlikely), NumReturnSequences: 2}, with(searching, func(c *generate.Config) {
			c.NumBeams, c.LengthPenalty, c.EarlyStopping, c.NumReturnSequences = 5, 0, generate.UntilUnlikely, 2
		}), nil},
		{"no beams as setting", beams, Settings{NumBeams: 1, NumReturnSequences: 1},
			with(searching, func(c *generate.Config) { c.NumBeams = 1 }), nil},
		{"beams of the file, drawing as setting", beams, Settings{TopP: new(0.5)},
			with(searching, func(c *generate.Config) {
				c.NumBeams, c.DoSample, c.TopP, c.NumReturnSequences = 1, true, 0.5, 7
			}), []string{"generation_config.json: num_beams is 4, but tokens are drawn"}},
		{"drawing of the file, beams as setting", `{"eos_token_id": 13, "do_sample": true, "length_penalty": 2,
			"early_stopping": "never"}`, Settings{NumBeams: 4}, searching,
			[]string{"generation_config.json: do_sample is true, but `num_beams` is 4; no tokens are drawn"}},
		{"length of the file", `{"eos_token_id": 13, "max_length": 40, "min_length": 9}`, Settings{},
			with(standard, func(c *generate.Config) { c.MaxNewTokens, c.MaxLength, c.MinLength = 0, 40, 9 }), nil},
		{"other lengths as settings", `{"eos_token_id": 13, "max_new_tokens": 40, "min_new_tokens": 9}`,
			Settings{MaxLength: 20, MinLength: new(4)},
			with(standard, func(c *generate.Config) { c.MaxNewTokens, c.MaxLength, c.MinLength = 0, 20, 4 }), nil},
		{"more at least than at most", `{"eos_token_id": 13, "min_new_tokens": 40}`, Settings{MaxNewTokens: 6},
			with(standard, func(c *generate.Config) { c.MaxNewTokens, c.MinNewTokens = 6, 6 }),
			[]string{"generation_config.json: min_new_tokens is 40, but a text has at most 6 new tokens"}},
		{"negative counts are none", `{"eos_token_id": 13, "min_length": -1, "min_new_tokens": -5,
			"no_repeat_ngram_size": -1, "encoder_no_repeat_ngram_size": -1}`, Settings{}, standard, nil},
		{"one string", `{"eos_token_id": 13, "stop_strings": "x", "max_time": 0}`, Settings{},
			with(standard, func(c *generate.Config) { c.StopStrings, c.MaxTime = []string{"x"}, 1 }), nil},
		{"end tokens that the model lacks", `{"eos_token_id": [100, 13, 200]}`, Settings{}, standard,
			[]string{"eos_token_id has [100 200], but the model has 100 tokens; it is ignored"}},
		{"not honoured", `{"eos_token_id": 13, "guidance_scale": 2, "typo": 1}`, Settings{}, standard,
			[]string{"generation_config.json: guidance_scale is 2: ",
				"generation_config.json: not known and without effect: typo"}},
	} {
		got, warnings, err := x.given.Config(withSettings(t, x.file, ""), vocabulary)
		if err != nil || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", x.name, err, got, x.want)
		}
		if !slices.EqualFunc(warnings, x.warnings, strings.HasPrefix) {
			t.Errorf("%s: warnings are %q, want %q", x.name, warnings, x.warnings)
		}
	}
}

// TestGenerationFileMissing: without generation_config.json the settings of config.json count.
func TestGenerationFileMissing(t *testing.T) {
	keys := strings.TrimSuffix(strings.TrimPrefix(every, "{"), "}")
	b := withSettings(t, "", ", "+keys+`, "guidance_scale": 4, "n_embd": 8`)
	got, warnings, err := new(Settings).Config(b, vocabulary)
	want, _, wantErr := new(Settings).Config(withSettings(t, every, ""), vocabulary)
	if err := errors.Join(err, wantErr); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) || len(warnings) != 1 ||
		!strings.HasPrefix(warnings[0], "config.json: guidance_scale is 4") {
		t.Errorf("got %+v, %q\nwant %+v", got, warnings, want)
	}
	if got, warnings, err := new(Settings).Config(withSettings(t, "{}", ", "+keys), vocabulary); err != nil ||
		len(warnings) != 0 || got.MaxNewTokens != StandardNewTokens || got.DoSample {
		t.Errorf("config.json counts beside generation_config.json: %+v, %q, %v", got, warnings, err)
	}
	const early = `, "bos_token_id": 3, "force_bos_token_to_be_generated": `
	for value, want := range map[string]int32{"true": 3, "false": -1} {
		got, _, err := new(Settings).Config(withSettings(t, "", early+value), vocabulary)
		first := int32(-1)
		if got.ForcedBosTokenID != nil {
			first = *got.ForcedBosTokenID
		}
		if err != nil || first != want {
			t.Errorf("force_bos_token_to_be_generated %s: targets begin with %d, want %d; %v", value, first, want, err)
		}
	}
}

// TestGenerationErrors: errors say whether the file or a setting is wrong.
func TestGenerationErrors(t *testing.T) {
	for _, x := range []struct {
		file  string
		given Settings
		kind  error
		want  string
	}{
		{`{"do_sample": true, "temperature": 0}`, Settings{}, base.ErrInput, "temperature is 0"},
		{`{"do_sample": true, "temperature": 0}`, Settings{DoSample: new(false)}, nil, ""},
		{`{"do_sample": true, "temperature": 0}`, Settings{Temperature: new(0.5)}, nil, ""},
		{`{"top_k": -3, "do_sample": true}`, Settings{TopP: new(2.0)}, base.ErrInput,
			"dir: generation_config.json: top_k is -3; want"},
		{`{"top_k": -3, "do_sample": true, "bad_words_ids": [[100]]}`, Settings{}, base.ErrInput, "top_k is -3"},
		{`{"top_k": 3, "do_sample": true}`, Settings{TopP: new(2.0)}, base.ErrSettings, "`top_p` is 2"},
		{`{"max_new_tokens": 20}`, Settings{MinNewTokens: new(50)}, base.ErrSettings, "`min_new_tokens` is 50"},
		{`{"max_new_tokens": 0}`, Settings{}, base.ErrInput, "max_new_tokens is 0; want a whole number of at least 1"},
		{`{"max_length": 2.5}`, Settings{}, base.ErrInput, "max_length is 2.5; want a whole number"},
		{`{"bad_words_ids": [[3], [100]]}`, Settings{}, base.ErrInput, "bad_words_ids is 100; want an id below"},
		{`{"sequence_bias": [[[3, 101], 1]]}`, Settings{}, base.ErrInput, "sequence_bias is 101"},
		{`{"sequence_bias": {"(3, 4)": 1.5}}`, Settings{}, base.ErrInput, "want a list of pairs"},
		{`{"exponential_decay_length_penalty": [5]}`, Settings{}, base.ErrInput, "such as [15, 1.2]"},
		{`{"repetition_penalty": 0}`, Settings{}, base.ErrInput, "repetition_penalty is 0"},
		{`{"repetition_penalty": 0}`, Settings{RepetitionPenalty: new(1.0)}, nil, ""},
		{`{}`, Settings{ForcedBosTokenID: new(int32(100))}, base.ErrSettings, "`forced_bos_token_id` is 100"},
		{`{"num_return_sequences": 3}`, Settings{}, nil, ""},
		{`{"num_beams": 3}`, Settings{NumReturnSequences: 4}, base.ErrSettings, "want at most `num_beams`, 3"},
		{`{"num_beams": 0}`, Settings{}, base.ErrInput, "num_beams is 0; want a whole number of at least 1"},
		{`{"early_stopping": "sometimes"}`, Settings{}, base.ErrInput, "want true, false or \"never\""},
		{`{"early_stopping": 1}`, Settings{}, base.ErrInput, "early_stopping is 1; want true, false or \"never\""},
		{`{}`, Settings{NumBeams: -2}, base.ErrSettings, "`num_beams` is -2"},
		{`{}`, Settings{NumBeams: 2, TopK: new(5)}, base.ErrSettings, "`top_k` draws tokens"},
		{`{}`, Settings{NumBeams: 2, DoSample: new(true)}, base.ErrSettings, "`do_sample` draws tokens"},
		{`{}`, Settings{LengthPenalty: new(2.0)}, base.ErrSettings, "are for beam search; set `num_beams`"},
		{`{"num_beams": 2}`, Settings{LengthPenalty: new(2.0)}, nil, ""},
		{`{}`, Settings{NumReturnSequences: 3}, base.ErrSettings, "`num_return_sequences` is 3"},
		{`{"suppress_tokens": [-1, 4000], "begin_suppress_tokens": [220]}`, Settings{}, nil, ""},
	} {
		_, _, err := x.given.Config(withSettings(t, x.file, ""), vocabulary)
		if x.kind == nil {
			if err != nil {
				t.Errorf("%s: %v", x.file, err)
			}
			continue
		}
		inFile := x.kind == base.ErrInput
		if base.Blame(err) != x.kind || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n") ||
			strings.Contains(err.Error(), "dir: generation_config.json: ") != inFile {
			t.Errorf("%s with %+v: got %v\nwant %s in it", x.file, x.given, err, x.want)
		}
	}
}

// FuzzGenerationFile: whatever a generation_config.json has, it is an error or gives a valid configuration.
func FuzzGenerationFile(f *testing.F) {
	b := withSettings(f, "{}", "")
	for _, text := range []string{every, `{"max_length": 1e400}`, `{"stop_strings": [""]}`, `{"sequence_bias": [[[], 1]]}`,
		`{"num_beams": 2, "max_time": -1, "exponential_decay_length_penalty": [1, 1e300]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		own := *b
		own.File = func(string) ([]byte, error) { return text, nil }
		c, warnings, err := new(Settings).Config(&own, vocabulary)
		if err == nil {
			err = errors.Join(c.Validate(), c.CheckTokens(vocabulary))
		} else if base.Blame(err) == base.ErrInput {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		for _, w := range warnings {
			if strings.Contains(w, "\n") {
				t.Errorf("%s: a warning of several lines: %q", text, w)
			}
		}
	})
}
