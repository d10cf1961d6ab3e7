package lora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/spalora/spalora/checkpoint"
)

// Config says what to adapt and how, with PEFT's names and defaults (peft.LoraConfig).
type Config struct {
	R             int      // rank, default 8
	Alpha         float64  // lora_alpha: numerator of the scale, default 8
	Dropout       float32  // lora_dropout: on the input of A, in [0, 1)
	TargetModules Targets  // what gets a correction
	ModulesToSave []string // modules that are copied, trained whole and saved; heads of the task type are added
	FanInFanOut   bool     // the adapted weights are stored in×out (GPT-2's Conv1D); Attach and Load set it by the model, as PEFT does
	UseRSLoRA     bool     // scale α/√r (Kalajdzievski 2023, arXiv:2312.03732)
	TaskType      TaskType
	BaseModel     string // base_model_name_or_path
}

// DefaultConfig returns PEFT's defaults; TargetModules, which depend on the model, are left to the caller.
func DefaultConfig() Config { return Config{R: 8, Alpha: 8} }

// Scale returns α/r, or α/√r with UseRSLoRA.
func (c Config) Scale() float32 {
	if c.UseRSLoRA {
		return float32(c.Alpha / math.Sqrt(float64(c.R)))
	}
	return float32(c.Alpha / float64(c.R))
}

// Check reports every field that has no meaning, in one error.
func (c Config) Check() error {
	var errs []error
	if c.R < 1 {
		errs = append(errs, fmt.Errorf("r is %d; want 1 or more", c.R))
	}
	if !(c.Alpha > 0) || math.IsInf(c.Alpha, 0) {
		errs = append(errs, fmt.Errorf("lora_alpha is %g; want a number above 0", c.Alpha))
	} else if s := float64(c.Scale()); c.R > 0 && (s == 0 || math.IsInf(s, 0)) {
		errs = append(errs, fmt.Errorf("lora_alpha is %g, which makes the scale %g with r %d", c.Alpha, s, c.R))
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		errs = append(errs, fmt.Errorf("lora_dropout is %g; want at least 0 and below 1", c.Dropout))
	}
	if c.TargetModules.empty() {
		errs = append(errs, errors.New("target_modules is empty; name the modules to adapt, or all-linear"))
	}
	if err := c.TargetModules.check(); err != nil {
		errs = append(errs, err)
	}
	if _, err := ParseTaskType(string(c.TaskType)); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return fmt.Errorf("lora: config: %w", errors.Join(errs...))
	}
	return nil
}

// saved returns modules_to_save with the heads of the task type, each once.
func (c Config) saved() []string {
	names := slices.Clone(c.ModulesToSave)
	for _, h := range c.TaskType.Heads() {
		if !slices.Contains(names, h) {
			names = append(names, h)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// configFile is adapter_config.json as we write it: what is essential and what differs from PEFT's defaults.
type configFile struct {
	BaseModel     *string   `json:"base_model_name_or_path"`
	FanInFanOut   bool      `json:"fan_in_fan_out,omitempty"`
	InferenceMode bool      `json:"inference_mode"`
	Alpha         float64   `json:"lora_alpha"`
	Dropout       float32   `json:"lora_dropout"`
	ModulesToSave []string  `json:"modules_to_save,omitempty"`
	PeftType      string    `json:"peft_type"`
	R             int       `json:"r"`
	Targets       Targets   `json:"target_modules"`
	TaskType      *TaskType `json:"task_type"`
	UseRSLoRA     bool      `json:"use_rslora,omitempty"`
}

// MarshalJSON writes adapter_config.json.
func (c Config) MarshalJSON() ([]byte, error) {
	f := configFile{
		InferenceMode: true, Alpha: c.Alpha, Dropout: c.Dropout, ModulesToSave: c.saved(),
		PeftType: "LORA", R: c.R, Targets: c.TargetModules, UseRSLoRA: c.UseRSLoRA, FanInFanOut: c.FanInFanOut,
	}
	if c.BaseModel != "" {
		f.BaseModel = &c.BaseModel
	}
	if c.TaskType != NoTask {
		f.TaskType = &c.TaskType
	}
	return json.Marshal(f)
}

// peftDefaults are the fields of PEFT 0.21's LoraConfig that this package does not act on, with PEFT's defaults. A file
// that sets one of them to something else asks for what we would silently not do, so it is refused.
var peftDefaults = map[string]string{
	"alora_invocation_tokens": "null", "alpha_pattern": "{}", "arrow_config": "null", "bias": `"none"`, "corda_config": "null",
	"ensure_weight_tying": "false", "eva_config": "null", "exclude_modules": "null", "kasa_config": "null",
	"layer_replication": "null", "layers_pattern": "null", "layers_to_transform": "null", "loftq_config": "{}", "lora_bias": "false",
	"lora_ga_config": "null", "megatron_config": "null", "monteclora_config": "null", "rank_pattern": "{}", "target_parameters": "null",
	"trainable_token_indices": "null", "use_bdlora": "null", "use_dora": "false", "use_qalora": "false", "velora_config": "null",
}

// peftNeutral are fields that change nothing about an adapter that is read: bookkeeping, or settings of a feature whose
// switch is above.
var peftNeutral = []string{
	"auto_mapping", "inference_mode", "megatron_core", "peft_version", "qalora_group_size", "revision", "runtime_config",
}

// required are the fields that cannot be null; the first four must be there.
var required = []string{"r", "lora_alpha", "target_modules", "peft_type", "lora_dropout"}

// plainInits are the values of init_lora_weights that leave the base weights alone; the tensors are in the file anyway.
var plainInits = []string{"true", "false", `"gaussian"`, `"orthogonal"`, `"eva"`, "null"}

// DecodeConfig reads adapter_config.json. A field that PEFT knows, that differs from its default and that is not
// supported is an error naming it; fields that PEFT does not know are returned as warnings.
func DecodeConfig(text []byte) (c Config, warnings []string, err error) {
	var raw map[string]json.RawMessage
	if err := checkpoint.DecodeJSON(configName, text, &raw); err != nil {
		return c, nil, fmt.Errorf("lora: %w", err)
	}
	c = DefaultConfig()
	var errs []error
	for _, key := range sortedKeys(raw) {
		known, e := c.set(key, raw[key])
		switch {
		case e != nil:
			errs = append(errs, e)
		case !known:
			warnings = append(warnings, fmt.Sprintf("%s: %q is not a field of PEFT's LoraConfig; it is ignored", configName, key))
		}
	}
	for _, key := range required[:4] {
		if _, ok := raw[key]; !ok {
			errs = append(errs, fmt.Errorf("%s is missing", key))
		}
	}
	if len(errs) > 0 {
		return c, warnings, fmt.Errorf("lora: "+configName+": %w", errors.Join(errs...))
	}
	return c, warnings, c.Check()
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// set takes over one field; known is false for a field that PEFT does not have.
func (c *Config) set(key string, value json.RawMessage) (known bool, err error) {
	into := func(v any) (bool, error) {
		if err := json.Unmarshal(value, v); err != nil {
			return true, fmt.Errorf("%s is %s: %w", key, clip(value), err)
		}
		return true, nil
	}
	null := string(value) == "null"
	if null && slices.Contains(required, key) {
		return true, fmt.Errorf("%s is null", key)
	}
	switch key {
	case "r":
		return into(&c.R)
	case "lora_alpha":
		return into(&c.Alpha)
	case "lora_dropout":
		return into(&c.Dropout)
	case "target_modules":
		return into(&c.TargetModules)
	case "modules_to_save":
		return into(&c.ModulesToSave)
	case "use_rslora":
		return into(&c.UseRSLoRA)
	case "fan_in_fan_out":
		if null {
			return true, nil
		}
		return into(&c.FanInFanOut)
	case "base_model_name_or_path":
		return into(&c.BaseModel)
	case "task_type":
		var s *string
		if _, err := into(&s); err != nil || s == nil {
			return true, err
		}
		c.TaskType, err = ParseTaskType(*s)
		return true, err
	case "peft_type":
		if string(value) != `"LORA"` {
			return true, fmt.Errorf("peft_type is %s; only LORA adapters are read", clip(value))
		}
		return true, nil
	case "init_lora_weights":
		if !slices.Contains(plainInits, string(compact(value))) {
			return true, fmt.Errorf("init_lora_weights is %s, which changes the base weights; convert the adapter to plain LoRA with PEFT (path_initial_model_for_weight_conversion)", clip(value))
		}
		return true, nil
	}
	if slices.Contains(peftNeutral, key) {
		return true, nil
	}
	def, ok := peftDefaults[key]
	if ok && string(compact(value)) != def && !null {
		return true, fmt.Errorf("%s is %s, which is not supported yet (PEFT's default is %s)", key, clip(value), def)
	}
	return ok, nil
}

func compact(value json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return value
	}
	return b.Bytes()
}

func clip(value []byte) string {
	if s := string(compact(value)); len(s) > 80 {
		return s[:80] + "…"
	} else {
		return s
	}
}
