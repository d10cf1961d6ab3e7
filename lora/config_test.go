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

	"github.com/spalora/spalora/lora"
)

// plain has the required fields of adapter_config.json.
const plain = `"r": 4, "lora_alpha": 6, "target_modules": ["query"], "peft_type": "LORA"`

func TestDecodeConfig(t *testing.T) {
	unsupported := map[string][]string{ // fields of PEFT that change the model, with values other than the default
		"alora_invocation_tokens": {`[1, 2]`}, "alpha_pattern": {`{"query": 3}`}, "arrow_config": {`{"top_k": 1}`},
		"bias":         {`"all"`, `"lora_only"`},
		"corda_config": {`{}`}, "ensure_weight_tying": {`true`}, "eva_config": {`{"rho": 2}`},
		"exclude_modules": {`["key"]`, `"key"`},
		"kasa_config":     {`{}`}, "layer_replication": {`[[0, 4]]`}, "layers_pattern": {`"layer"`},
		"layers_to_transform": {`[0]`, `1`}, "loftq_config": {`{"loftq_bits": 4}`},
		"lora_bias": {`true`}, "lora_ga_config": {`{}`}, "megatron_config": {`{}`}, "monteclora_config": {`{}`},
		"rank_pattern":      {`{"query": 3}`},
		"target_parameters": {`["w"]`}, "trainable_token_indices": {`[5]`}, "use_bdlora": {`{}`}, "use_dora": {`true`},
		"use_qalora": {`true`}, "velora_config": {`{}`},
		"init_lora_weights": {`"pissa"`, `"pissa_niter_4"`, `"olora"`, `"corda"`, `"loftq"`, `"lora_ga"`, `7`},
	}
	for field, values := range unsupported {
		for _, v := range values {
			t.Run(field+" "+v, func(t *testing.T) {
				_, _, err := lora.DecodeConfig(fmt.Appendf(nil, `{%s, %q: %s}`, plain, field, v))
				if err == nil || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), "adapter_config.json") {
					t.Errorf("got %v, want an error naming %s", err, field)
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
		{"bad expression", replace(`["query"]`, `"que(ry"`), `"que(ry" is not a regular expression`},
		{"lookahead", replace(`["query"]`, `"(?!a)query"`), "no look-around"},
		{"back-reference", replace(`["query"]`, `"(a)\\1"`), "no back-references"},
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
	_, _, err := lora.DecodeConfig([]byte(`{"r": 0, "use_dora": true, "bias": "all"}`))
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
		{"question answering", `, "task_type": "QUESTION_ANSWERING"`,
			func(c lora.Config) bool { return c.TaskType == lora.QuestionAns }},
		{"rank-stabilised", `, "use_rslora": true`, func(c lora.Config) bool { return c.Scale() == 3 }},
		{"defaults in other spellings", `, "alpha_pattern": { }, "bias": null, "loftq_config": null, ` +
			`"init_lora_weights": "gaussian", "runtime_config": {"ephemeral_gpu_offload": true}`,
			func(c lora.Config) bool { return c.R == 4 }},
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
		back.TaskType != c.TaskType ||
		back.BaseModel != c.BaseModel || !back.TargetModules.Equal(c.TargetModules) {
		t.Errorf("%+v was read back as %+v", c, back)
	}
}

func TestConfigRoundTrip(t *testing.T) {
	for _, c := range []lora.Config{
		{R: 1, Alpha: 0.5, TargetModules: lora.Names("a", "b")},
		{R: 8, Alpha: 16, Dropout: 0.1, TargetModules: lora.Pattern(`.*\.(query|value)`), TaskType: lora.SeqCls,
			ModulesToSave: []string{"pooler"}, BaseModel: "dir with \"quotes\""},
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
