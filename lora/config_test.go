package lora_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/lora"
)

// plain has the required fields of adapter_config.json.
const plain = `"r": 4, "lora_alpha": 6, "target_modules": ["query"], "peft_type": "LORA"`

func TestDecodeConfig(t *testing.T) {
	for _, f := range loraFields {
		for _, v := range f.refused {
			t.Run(f.name+" "+v, func(t *testing.T) {
				_, _, err := lora.DecodeConfig(fmt.Appendf(nil, `{%s, %q: %s}`, plain, f.name, v))
				if err == nil || !strings.Contains(err.Error(), f.name) || !strings.Contains(err.Error(), "lora: ") {
					t.Errorf("got %v, want an error naming %s", err, f.name)
				}
			})
		}
	}
	replace := func(old, new string) string { return "{" + strings.Replace(plain, old, new, 1) + "}" }
	for _, c := range []struct{ name, text, want string }{
		{"no r", replace(`"r": 4, `, ``), "r is missing"},
		{"no alpha", replace(`"lora_alpha": 6, `, ``), "lora_alpha is missing"},
		{"no targets", replace(`"target_modules": ["query"], `, ``), "target_modules is missing"},
		{"no type", replace(`, "peft_type": "LORA"`, ``), "peft_type is missing"},
		{"r null", replace(`4`, `null`), "r is null"},
		{"alpha null", replace(`6`, `null`), "lora_alpha is null"},
		{"targets null", replace(`["query"]`, `null`), "target_modules is null"},
		{"dropout null", `{` + plain + `, "lora_dropout": null}`, "lora_dropout is null"},
		{"r 0", replace(`4`, `0`), "r is 0"},
		{"r negative", replace(`4`, `-8`), "r is -8"},
		{"r fraction", replace(`4`, `4.5`), "r is 4.5"},
		{"r text", replace(`4`, `"4"`), `r is "4"`},
		{"r beyond integers", replace(`4`, `1e40`), "r is 1e40"},
		{"alpha 0", replace(`6`, `0`), "lora_alpha is 0"},
		{"alpha negative", replace(`6`, `-1`), "lora_alpha is -1"},
		{"alpha NaN", replace(`6`, `NaN`), "adapter_config.json"},
		{"alpha beyond floats", replace(`6`, `1e999`), "lora_alpha is 1e999"},
		{"alpha list", replace(`6`, `[6]`), "lora_alpha is [6]"},
		{"dropout 1", `{` + plain + `, "lora_dropout": 1}`, "lora_dropout is 1"},
		{"dropout negative", `{` + plain + `, "lora_dropout": -0.1}`, "lora_dropout is -0.1"},
		{"targets empty", replace(`["query"]`, `[]`), "target_modules is empty"},
		{"targets empty text", replace(`["query"]`, `""`), "target_modules is empty"},
		{"target empty", replace(`["query"]`, `["query", ""]`), "empty name"},
		{"target null", replace(`["query"]`, `["query", null]`), "empty name"},
		{"targets number", replace(`["query"]`, `5`), "target_modules is 5"},
		{"targets object", replace(`["query"]`, `{}`), "target_modules is {}"},
		{"two kinds", `{` + plain + `, "use_dora": true, "lora_bias": true}`, "exclude each other"},
		{"bad expression", replace(`["query"]`, `"que(ry"`), `"que(ry" is not a regular expression`},
		{"not Python", replace(`["query"]`, `"(?P=a)query"`), `"(?P=a)query" is not a regular expression`},
		{"long expression", replace(`["query"]`, `"`+strings.Repeat("a", 5000)+`"`), "5000 bytes; want at most 4096"},
		{"layers of an expression", replace(`["query"]`, `".*query", "layers_to_transform": [0]`),
			"layers_to_transform needs a list of names in target_modules"},
		{"layers of all-linear", replace(`["query"]`, `"all-linear", "layers_to_transform": 0`), "layers_to_transform needs"},
		{"expression in layers_pattern", `{` + plain + `, "layers_to_transform": [0], "layers_pattern": ["(a"]}`,
			"layers_pattern: "},
		{"expression in exclude_modules", `{` + plain + `, "exclude_modules": "(a"}`, "exclude_modules: "},
		{"expression in rank_pattern", `{` + plain + `, "rank_pattern": {"(a": 2}}`, "rank_pattern: "},
		{"expression in alpha_pattern", `{` + plain + `, "alpha_pattern": {"(a": 2}}`, "alpha_pattern: "},
		{"another method", replace(`"LORA"`, `"IA3"`), `peft_type is "IA3"`},
		{"task type", `{` + plain + `, "task_type": "SEQ_CLASS"}`, `task_type "SEQ_CLASS"`},
		{"task type number", `{` + plain + `, "task_type": 3}`, "task_type is 3"},
		{"saved text", `{` + plain + `, "modules_to_save": "classifier"}`, `modules_to_save is "classifier"`},
		{"rsLoRA text", `{` + plain + `, "use_rslora": "yes"}`, `use_rslora is "yes"`},
		{"key twice", `{` + plain + `, "r": 8}`, `"r"`},
		{"text after the end", `{` + plain + `} {}`, "adapter_config.json"},
		{"comment", `{` + plain + ` // r is the rank` + "\n}", "adapter_config.json"},
		{"byte order mark", "\xef\xbb\xbf{" + plain + "}", "byte order mark"},
		{"list", `[1]`, "adapter_config.json"},
		{"empty", ``, "empty"},
		{"cut", `{"r": 4, "lora_al`, "adapter_config.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := lora.DecodeConfig([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "lora: ") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	_, _, err := lora.DecodeConfig([]byte(`{"r": 0, "use_dora": 1, "bias": "some"}`))
	for _, want := range []string{"use_dora", "bias", "lora_alpha is missing", "target_modules is missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want all mistakes at once, also %q", err, want)
		}
	}
}

func TestDecodeConfigAccepts(t *testing.T) {
	for _, c := range []struct {
		name, more string
		check      func(c lora.Config) bool
	}{
		{"plain", ``, func(c lora.Config) bool {
			return c.R == 4 && c.Alpha == 6 && c.Dropout == 0 && c.TargetModules.Equal(lora.Names("query")) &&
				c.TaskType == lora.NoTask && c.Scale() == 1.5
		}},
		{"no task", `, "task_type": null, "auto_mapping": {"base_model_class": "BertModel"}, "inference_mode": true`,
			func(c lora.Config) bool { return c.TaskType == lora.NoTask }},
		{"rows of the table of words", `, "trainable_token_indices": [5, 3], "ensure_weight_tying": true`,
			func(c lora.Config) bool {
				return c.EnsureWeightTying && c.TrainableTokenIndices.Equal(lora.TokenRows{{Indices: []int32{5, 3}}})
			}},
		{"rows of tables", `, "trainable_token_indices": {"lm_head": [5], "embed_tokens": [7, 7]}`,
			func(c lora.Config) bool {
				return c.TrainableTokenIndices.Equal(lora.TokenRows{{Table: "lm_head", Indices: []int32{5}},
					{Table: "embed_tokens", Indices: []int32{7, 7}}})
			}},
		{"question answering", `, "task_type": "QUESTION_ANSWERING"`,
			func(c lora.Config) bool { return c.TaskType == lora.QuestionAns }},
		{"DoRA", `, "use_dora": true, "bias": "all"`,
			func(c lora.Config) bool { return c.UseDoRA && c.Bias == lora.BiasAll }},
		{"biases", `, "lora_bias": true, "bias": "lora_only"`,
			func(c lora.Config) bool { return c.LoRABias && c.Bias == lora.BiasLoRAOnly }},
		{"rank-stabilised", `, "use_rslora": true`, func(c lora.Config) bool { return c.Scale() == 3 }},
		{"defaults in other spellings", `, "alpha_pattern": { }, "bias": null, "loftq_config": null, ` +
			`"init_lora_weights": "gaussian", "runtime_config": {"ephemeral_gpu_offload": true}`,
			func(c lora.Config) bool { return c.R == 4 }},
		{"layers", `, "layers_to_transform": 1, "layers_pattern": "layer"`, func(c lora.Config) bool {
			return slices.Equal(c.LayersToTransform, []int{1}) && slices.Equal(c.LayersPattern, []string{"layer"})
		}},
		{"patterns in their order", `, "rank_pattern": {"b": 2, "a": 3}, "alpha_pattern": {"z": 1.5, "b|c": 2}`,
			func(c lora.Config) bool {
				return slices.Equal(c.RankPattern, lora.Overrides[int]{{Pattern: "b", Value: 2}, {Pattern: "a", Value: 3}}) &&
					slices.Equal(c.AlphaPattern,
						lora.Overrides[float64]{{Pattern: "z", Value: 1.5}, {Pattern: "b|c", Value: 2}})
			}},
		{"excluded", `, "exclude_modules": ["key"]`,
			func(c lora.Config) bool { return c.ExcludeModules.Equal(lora.Names("key")) }},
		{"excluded by an expression", `, "exclude_modules": ".*(?<!a)key"`,
			func(c lora.Config) bool { return c.ExcludeModules.Equal(lora.Pattern(`.*(?<!a)key`)) }},
		{"base", `, "base_model_name_or_path": "org/model", "revision": "main", "lora_dropout": 0.25`,
			func(c lora.Config) bool { return c.BaseModel == "org/model" && c.Dropout == 0.25 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, warnings, err := lora.DecodeConfig([]byte("{" + plain + c.more + "}"))
			if err != nil || len(warnings) != 0 || !c.check(got) {
				t.Errorf("got %+v, %q, %v", got, warnings, err)
			}
		})
	}
	_, warnings, err := lora.DecodeConfig([]byte(`{` + plain + `, "zz_new": 1, "R": 5, "enable_lora": null}`))
	if err != nil || len(warnings) != 3 || !strings.Contains(strings.Join(warnings, "\n"), `"zz_new"`) ||
		!slices.IsSorted(warnings) {
		t.Errorf("unknown fields: %q, %v", warnings, err)
	}
}

// loraFields lists the fields of PEFT 0.21.2's LoraConfig and PeftConfig: values that change nothing for the layers of
// plain, and values that are errors.
var loraFields = []struct {
	name             string
	neutral, refused []string
}{
	{"peft_type", []string{`"LORA"`}, []string{`"IA3"`, `"ADALORA"`, `null`}},
	{"task_type", []string{`null`, `"SEQ_CLS"`}, []string{`"SEQ_CLASS"`}},
	{"auto_mapping", []string{`null`, `{}`, `{"base_model_class": "BertModel"}`}, nil},
	{"peft_version", []string{`null`, `"0.21.2"`, `"0.5.0"`}, nil},
	{"base_model_name_or_path", []string{`null`, `""`, `"org/model"`}, []string{`1`}},
	{"revision", []string{`null`, `"main"`}, nil},
	{"inference_mode", []string{`null`, `true`, `false`}, nil},
	{"r", []string{`4`}, []string{`null`, `0`, `"4"`}},
	{"lora_alpha", []string{`6`, `6.0`}, []string{`null`, `0`}},
	{"lora_dropout", []string{`0`, `0.0`, `0.25`}, []string{`null`, `1`}},
	{"target_modules", []string{`["query"]`, `".*query"`, `"all-linear"`, `".*(?!x)query"`}, []string{`null`, `[]`, `""`}},
	{"exclude_modules", []string{`null`, `[]`, `""`, `["none"]`}, []string{`1`, `[null]`, `"("`}},
	{"layers_to_transform", []string{`null`, `[]`, `[0, 1]`}, []string{`"0"`, `[0.5]`, `{}`}},
	{"layers_pattern", []string{`null`, `[]`, `""`}, []string{`"layer"`, `1`, `["("]`}}, // without layers_to_transform
	{"rank_pattern", []string{`null`, `{}`, `{"query": 4}`}, []string{`{"query": 0}`, `{"query": 1.5}`, `[]`, `{"(": 4}`}},
	{"alpha_pattern", []string{`null`, `{}`, `{"query": 6}`, `{"query": 6.0}`},
		[]string{`{"query": 0}`, `{"query": -1}`, `{"query": "6"}`, `[]`, `{"(": 4}`}},
	{"use_rslora", []string{`null`, `false`}, []string{`"yes"`, `1`}},
	{"modules_to_save", []string{`null`, `[]`}, []string{`"classifier"`}},
	{"fan_in_fan_out", []string{`null`, `false`, `true`}, []string{`"yes"`}},
	{"init_lora_weights", []string{`null`, `true`, `false`, `"gaussian"`, `"Gaussian"`, `"orthogonal"`, `"eva"`, `"pissa"`,
		`"pissa_niter_4"`, `"olora"`, `"OLoRA"`},
		[]string{`"corda"`, `"loftq"`, `"lora_ga"`, `"mica"`, `7`, `"true"`, `""`, `"pissa_niter_"`, `"pissa_niter_-1"`}},
	{"bias", []string{`null`, `"none"`}, []string{`"some"`, `true`}},
	{"lora_bias", []string{`null`, `false`}, []string{`"yes"`}},
	{"use_dora", []string{`null`, `false`}, []string{`1`}},
	{"trainable_token_indices", []string{`null`, `[]`, `{}`, `[5]`, `{"word_embeddings": [5]}`},
		[]string{`5`, `["a"]`, `[1.5]`, `[3000000000]`, `{"a": 5}`, `{"a": []}`}},
	{"target_parameters", []string{`null`, `[]`}, []string{`["w"]`}},
	{"layer_replication", []string{`null`, `[]`}, []string{`[[0, 4]]`}},
	{"ensure_weight_tying", []string{`null`, `false`}, []string{`"yes"`}},
	{"alora_invocation_tokens", []string{`null`, `[]`}, []string{`[1, 2]`}},
	{"arrow_config", []string{`null`}, []string{`{}`, `{"top_k": 1}`}},
	{"use_bdlora", []string{`null`}, []string{`{}`, `true`}},
	{"use_qalora", []string{`null`, `false`}, []string{`true`}},
	{"qalora_group_size", []string{`null`, `16`, `32`}, nil},
	{"kasa_config", []string{`null`}, []string{`{}`}},
	{"monteclora_config", []string{`null`}, []string{`{}`}},
	{"velora_config", []string{`null`}, []string{`{}`}},
	{"loftq_config", []string{`null`, `{}`, `{"loftq_bits": 4}`}, nil}, // PEFT ignores it, too, unless loftq is set
	{"eva_config", []string{`null`, `{"rho": 2}`}, nil},
	{"corda_config", []string{`null`, `{}`}, nil},
	{"lora_ga_config", []string{`null`, `{}`}, nil},
	{"megatron_config", []string{`null`, `{}`, `{"a": 1}`}, nil},
	{"megatron_core", []string{`null`, `"megatron.core"`}, nil},
	{"runtime_config", []string{`null`, `{"ephemeral_gpu_offload": true}`}, nil},
}

// TestNeutralFields: values of PEFT's fields that change nothing give the adapter that their absence gives.
func TestNeutralFields(t *testing.T) {
	m := newModel(1)
	config := func(field, value string) lora.Config {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte("{"+plain+"}"), &fields); err != nil {
			t.Fatal(err)
		}
		if value != "" {
			fields[field] = json.RawMessage(value)
		}
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		c, warnings, err := lora.DecodeConfig(text)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%s %s: %q, %v", field, value, warnings, err)
		}
		return c
	}
	pairs := func(c lora.Config) (list []string) {
		for _, p := range attach(t, m, c).Params() {
			if strings.Contains(p.Name, ".lora_") {
				list = append(list, fmt.Sprint(p.Name, p.Param.Value().Shape()))
			}
		}
		return list
	}
	want := pairs(config("", ""))
	for _, f := range loraFields {
		if _, known := settings.AdapterConfig.Key(f.name); !known {
			t.Errorf("the table of adapter_config.json lacks %s", f.name)
		}
		if len(f.neutral) == 0 {
			t.Errorf("%s has no neutral value", f.name)
		}
		for _, v := range f.neutral {
			if got := pairs(config(f.name, v)); f.name != "target_modules" && !slices.Equal(got, want) {
				t.Errorf("%s %s: got the pairs %v, want %v", f.name, v, got, want)
			}
		}
	}
	if len(loraFields) != len(settings.AdapterConfig.Keys) {
		t.Errorf("%d fields, but the table of adapter_config.json has %d", len(loraFields), len(settings.AdapterConfig.Keys))
	}
}

// TestConfigFixtures: DecodeConfig accepts all fields of PEFT's own files.
func TestConfigFixtures(t *testing.T) {
	files, err := filepath.Glob("../testdata/*/*/adapter_config.json")
	more, _ := filepath.Glob("../testdata/*/*/*/adapter_config.json")
	if files = append(files, more...); err != nil || len(files) < 10 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c, warnings, err := lora.DecodeConfig(text)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %q, %v", f, warnings, err)
			continue
		}
		roundTrip(t, c)
	}
}

func roundTrip(t *testing.T, c lora.Config) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	back, warnings, err := lora.DecodeConfig(text)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%s: %q, %v", text, warnings, err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(text) {
		t.Errorf("%s is written again as %s (%v)", text, again, err)
	}
	if back.R != c.R || back.Alpha != c.Alpha || back.Dropout != c.Dropout || back.UseRSLoRA != c.UseRSLoRA ||
		back.UseDoRA != c.UseDoRA || back.LoRABias != c.LoRABias || back.Bias != c.Bias ||
		back.TaskType != c.TaskType || back.InitLoraWeights != c.InitLoraWeights ||
		c.InitLoraWeights == lora.InitEVA && back.EVAConfig() != c.EVAConfig() ||
		back.BaseModel != c.BaseModel || !back.ExcludeModules.Equal(c.ExcludeModules) ||
		!slices.Equal(back.RankPattern, c.RankPattern) || !slices.Equal(back.AlphaPattern, c.AlphaPattern) ||
		!slices.Equal(back.LayersToTransform, c.LayersToTransform) ||
		len(c.LayersToTransform) > 0 && !slices.Equal(back.LayersPattern, c.LayersPattern) ||
		!back.TargetModules.Equal(c.TargetModules) {
		t.Errorf("%+v was read back as %+v", c, back)
	}
}

func TestConfigRoundTrip(t *testing.T) {
	for _, c := range []lora.Config{
		{R: 1, Alpha: 0.5, TargetModules: lora.Names("a", "b")},
		{R: 1, Alpha: 1, TargetModules: lora.Names("a"), InitLoraWeights: lora.InitFalse},
		{R: 1, Alpha: 1, TargetModules: lora.Names("a"), InitLoraWeights: lora.PiSSAIterations(3)},
		{R: 1, Alpha: 1, TargetModules: lora.Names("a"), InitLoraWeights: lora.InitEVA},
		{R: 1, Alpha: 1, TargetModules: lora.Names("a"), InitLoraWeights: lora.InitEVA,
			EVA: &lora.EVAConfig{Rho: 1, Tau: 0.5, LabelMaskValue: 7, Whiten: true}},
		{R: 8, Alpha: 16, Dropout: 0.1, TargetModules: lora.Pattern(`.*\.(query|value)`), TaskType: lora.SeqCls,
			ModulesToSave: []string{"pooler"}, BaseModel: "dir with \"quotes\""},
		{R: 4, Alpha: 8, TargetModules: lora.Names("query"), ExcludeModules: lora.Pattern(`.*\.1\..*`),
			LayersToTransform: []int{0, 2}, LayersPattern: []string{"layer", "h"},
			RankPattern:  lora.Overrides[int]{{Pattern: "b", Value: 2}, {Pattern: `a\.b`, Value: 3}},
			AlphaPattern: lora.Overrides[float64]{{Pattern: "query", Value: 0.5}}},
		{R: 4, Alpha: 8, UseDoRA: true, Bias: lora.BiasAll, TargetModules: lora.Names("query")},
		{R: 4, Alpha: 8, LoRABias: true, Bias: lora.BiasLoRAOnly, TargetModules: lora.Names("query")},
		{R: 300, Alpha: 1e-3, UseRSLoRA: true, TargetModules: lora.Names(lora.AllLinear), TaskType: lora.CausalLM},
	} {
		roundTrip(t, c)
	}
	text, err := json.Marshal(lora.Config{R: 2, Alpha: 2, TargetModules: lora.Names("q"), TaskType: lora.TokenCls})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"base_model_name_or_path":null,"inference_mode":true,"lora_alpha":2,"lora_dropout":0,` +
		`"modules_to_save":["classifier","score"],"peft_type":"LORA","r":2,"target_modules":["q"],"task_type":"TOKEN_CLS"}`
	if string(text) != want {
		t.Errorf("written as %s", text)
	}
}

func TestConfigCheck(t *testing.T) {
	good := lora.Config{R: 8, Alpha: 8, TargetModules: lora.Names("query")}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(c *lora.Config){
		"r is 0":              func(c *lora.Config) { c.R = 0 },
		"lora_alpha is NaN":   func(c *lora.Config) { c.Alpha = math.NaN() },
		"lora_alpha is +Inf":  func(c *lora.Config) { c.Alpha = math.Inf(1) },
		"give the scale +Inf": func(c *lora.Config) { c.Alpha = 1e300 },
		"give the scale 0":    func(c *lora.Config) { c.Alpha = 1e-60 },
		"lora_alpha is -2":    func(c *lora.Config) { c.Alpha = -2 },
		"lora_dropout is NaN": func(c *lora.Config) { c.Dropout = float32(math.NaN()) },
		"exclude each other":  func(c *lora.Config) { c.LoRABias, c.UseDoRA = true, true },
		"not gaussian":        func(c *lora.Config) { c.LoRABias, c.InitLoraWeights = true, lora.InitGaussian },
		`bias is "some"`:      func(c *lora.Config) { c.Bias = "some" },
		"lora_dropout is 1":   func(c *lora.Config) { c.Dropout = 1 },
		"is empty":            func(c *lora.Config) { c.TargetModules = lora.Targets{} },
		`"*" is not`:          func(c *lora.Config) { c.TargetModules = lora.Pattern("*") },
		`task_type "x"`:       func(c *lora.Config) { c.TaskType = "x" },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := (lora.Config{}).Check(); err == nil || !strings.Contains(err.Error(), "r is 0") ||
		!strings.Contains(err.Error(), "target_modules") {
		t.Errorf("the zero value: %v", err)
	}
	if d := lora.DefaultConfig(); d.R != 8 || d.Alpha != 8 || d.Dropout != 0 || d.Scale() != 1 {
		t.Errorf("defaults %+v are not PEFT's", d)
	}
}

func TestTargets(t *testing.T) {
	if got := lora.Names("query", "value").String(); got != "query,value" {
		t.Errorf("got %s", got)
	}
	var mixed lora.Targets
	if err := json.Unmarshal([]byte(`"All-Linear"`), &mixed); err != nil || !mixed.Equal(lora.Names("ALL-LINEAR")) ||
		mixed.String() != lora.AllLinear {
		t.Errorf("All-Linear gives %s, %v", mixed, err)
	}
	if got := lora.Names("all-linear").String(); got != lora.AllLinear ||
		!lora.Names("all-linear").Equal(lora.Pattern("all-linear")) {
		t.Errorf("got %s", got)
	}
	if !lora.Names("a", "b").Equal(lora.Names("b", "a")) || lora.Names("a").Equal(lora.Pattern("a")) ||
		lora.Names("a").Equal(lora.Names("a", "b")) {
		t.Error("Equal")
	}
}

func FuzzDecodeConfig(f *testing.F) {
	f.Add([]byte("{" + plain + "}"))
	f.Add([]byte(`{"r": 1e3, "target_modules": ".*(", "alpha_pattern": {"a": [[[]]]}}`))
	files, _ := filepath.Glob("../testdata/bert/*/adapter_init/adapter_config.json")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, _, err := lora.DecodeConfig(text)
		if err != nil {
			return
		}
		if err := c.Check(); err != nil {
			t.Errorf("decoded, but %v", err)
		}
		roundTrip(t, c)
	})
}
