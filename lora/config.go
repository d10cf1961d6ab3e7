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
	"github.com/spalora/spalora/internal/settings"
)

// Config selects the modules to adapt and how to adapt them, with the names of PEFT's LoraConfig. [DefaultConfig]
// returns PEFT's defaults; the zero value is not valid.
type Config struct {
	R               int        // rank, default 8
	Alpha           float64    // lora_alpha: numerator of the scale, default 8
	Dropout         float32    // lora_dropout: probability on the input of A, in [0, 1), default 0
	TargetModules   Targets    // modules that get a correction
	ModulesToSave   []string   // modules whose weights are copied, trained and saved; those of TaskType.Heads are added
	UseRSLoRA       bool       // scale α/√r instead of α/r (Kalajdzievski 2023, arXiv:2312.03732)
	UseDoRA         bool       // train norms of weights apart from directions (Liu et al. 2024, arXiv:2402.09353)
	LoRABias        bool       // lora_bias: corrections have a bias; not with UseDoRA, nor for embeddings
	Bias            Bias       // biases of the base model that train and are saved, default none
	InitLoraWeights Init       // starting values of a new adapter, default InitTrue
	EVA             *EVAConfig // eva_config, for InitEVA; nil: PEFT's defaults
	TaskType        TaskType   // task that the adapter is for
	BaseModel       string     // base_model_name_or_path

	// Some of the layers that TargetModules names can be left out or differ in rank and scale. Paths are matched with the
	// regular expressions of Python.
	ExcludeModules    Targets            // these modules get no correction
	LayersToTransform []int              // only blocks with these numbers do; empty: all. TargetModules has to be names
	LayersPattern     []string           // names of the list of blocks that are counted; empty: the first list in a path
	RankPattern       Overrides[int]     // ranks other than R
	AlphaPattern      Overrides[float64] // values other than Alpha

	// TrainableTokenIndices lists rows of tables that train while the tables are frozen.
	TrainableTokenIndices TokenRows
	// EnsureWeightTying lets a head that shares the table of words follow the copy of it in ModulesToSave.
	EnsureWeightTying bool

	// FanInFanOut says that adapted weights are stored in×out, as GPT-2's Conv1D. Attach and Load set it from the model,
	// as PEFT does.
	FanInFanOut bool
}

// DefaultConfig returns PEFT's defaults. TargetModules is empty, since it depends on the model.
func DefaultConfig() Config { return Config{R: 8, Alpha: 8} }

// Scale returns the factor of a correction: α/r, or α/√r with UseRSLoRA. Layers that RankPattern or AlphaPattern
// match have another one.
func (c Config) Scale() float32 { return c.scale(c.R, c.Alpha) }

func (c Config) scale(r int, alpha float64) float32 { return float32(c.factor(r, alpha)) }

// factor is scale in the precision of PEFT's own arithmetic.
func (c Config) factor(r int, alpha float64) float64 {
	if c.UseRSLoRA {
		return alpha / math.Sqrt(float64(r))
	}
	return alpha / float64(r)
}

// Check returns one error that lists all invalid fields, or nil if there are none.
func (c Config) Check() error {
	var errs []error
	if c.R < 1 {
		errs = append(errs, fmt.Errorf("r is %d; want 1 or more", c.R))
	}
	if !(c.Alpha > 0) || math.IsInf(c.Alpha, 0) {
		errs = append(errs, fmt.Errorf("lora_alpha is %g; want a number above 0", c.Alpha))
	} else if s := float64(c.Scale()); c.R > 0 && (s == 0 || math.IsInf(s, 0)) {
		errs = append(errs, fmt.Errorf("lora_alpha %g and r %d give the scale %g; want a finite scale above 0", c.Alpha, c.R,
			s))
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		errs = append(errs, fmt.Errorf("lora_dropout is %g; want at least 0 and below 1", c.Dropout))
	}
	if c.TargetModules.empty() {
		errs = append(errs, errors.New("target_modules is empty; name the modules to adapt, or all-linear"))
	}
	if _, err := c.TargetModules.matcher("target_modules"); err != nil {
		errs = append(errs, err)
	}
	if _, err := newSelector(c); err != nil {
		errs = append(errs, err)
	}
	if err := c.TrainableTokenIndices.check(); err != nil {
		errs = append(errs, err)
	}
	if c.LoRABias && c.UseDoRA {
		errs = append(errs, errors.New("lora_bias and use_dora exclude each other, as in PEFT; give one"))
	}
	if i := c.InitLoraWeights; c.LoRABias && i != InitTrue && i != InitFalse {
		errs = append(errs, fmt.Errorf("lora_bias needs init_lora_weights true or false, not %s, as in PEFT; drop one", i))
	}
	if _, err := ParseBias(string(c.Bias)); err != nil {
		errs = append(errs, err)
	}
	if _, err := ParseTaskType(string(c.TaskType)); err != nil {
		errs = append(errs, err)
	}
	if err := c.InitLoraWeights.check(); err != nil {
		errs = append(errs, err)
	}
	if err := c.EVAConfig().check(); err != nil && c.InitLoraWeights == InitEVA {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return fmt.Errorf("lora: config: %w", errors.Join(errs...))
	}
	return nil
}

// saved returns the names of modules_to_save and of the heads of the task type, sorted, without duplicates.
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

// configFile is adapter_config.json as MarshalJSON writes it: the required fields, and those that differ from PEFT's
// defaults.
type configFile struct {
	AlphaPattern    Overrides[float64] `json:"alpha_pattern,omitempty"`
	BaseModel       *string            `json:"base_model_name_or_path"`
	Bias            Bias               `json:"bias,omitempty"`
	EnsureTying     bool               `json:"ensure_weight_tying,omitempty"`
	EVA             *EVAConfig         `json:"eva_config,omitempty"`
	ExcludeModules  Targets            `json:"exclude_modules,omitzero"`
	FanInFanOut     bool               `json:"fan_in_fan_out,omitempty"`
	InferenceMode   bool               `json:"inference_mode"`
	InitLoraWeights *Init              `json:"init_lora_weights,omitempty"`
	LayersPattern   []string           `json:"layers_pattern,omitempty"`
	Layers          []int              `json:"layers_to_transform,omitempty"`
	Alpha           float64            `json:"lora_alpha"`
	LoRABias        bool               `json:"lora_bias,omitempty"`
	Dropout         float32            `json:"lora_dropout"`
	ModulesToSave   []string           `json:"modules_to_save,omitempty"`
	PeftType        string             `json:"peft_type"`
	R               int                `json:"r"`
	RankPattern     Overrides[int]     `json:"rank_pattern,omitempty"`
	Targets         Targets            `json:"target_modules"`
	TaskType        *TaskType          `json:"task_type"`
	TokenIndices    TokenRows          `json:"trainable_token_indices,omitempty"`
	UseDoRA         bool               `json:"use_dora,omitempty"`
	UseRSLoRA       bool               `json:"use_rslora,omitempty"`
}

// MarshalJSON returns the text of adapter_config.json.
func (c Config) MarshalJSON() ([]byte, error) {
	f := configFile{
		InferenceMode: true, Alpha: c.Alpha, Dropout: c.Dropout, ModulesToSave: c.saved(),
		PeftType: "LORA", R: c.R, Targets: c.TargetModules, UseRSLoRA: c.UseRSLoRA, FanInFanOut: c.FanInFanOut,
		ExcludeModules: c.ExcludeModules, Layers: c.LayersToTransform, LayersPattern: c.LayersPattern,
		RankPattern: c.RankPattern, AlphaPattern: c.AlphaPattern, UseDoRA: c.UseDoRA, LoRABias: c.LoRABias, Bias: c.Bias,
		EnsureTying: c.EnsureWeightTying, TokenIndices: c.TrainableTokenIndices,
	}
	if len(c.LayersToTransform) == 0 { // which layers_pattern needs
		f.LayersPattern = nil
	}
	if c.InitLoraWeights == InitEVA { // without the settings, PEFT warns
		f.EVA = new(c.EVAConfig())
	}
	if c.InitLoraWeights != InitTrue {
		f.InitLoraWeights = &c.InitLoraWeights
	}
	if c.BaseModel != "" {
		f.BaseModel = &c.BaseModel
	}
	if c.TaskType != NoTask {
		f.TaskType = &c.TaskType
	}
	return json.Marshal(f)
}

// required are the fields that cannot be null. The first four cannot be absent either.
var required = []string{"r", "lora_alpha", "target_modules", "peft_type", "lora_dropout"}

// DecodeConfig returns the configuration in text, the content of adapter_config.json, and a warning for each field that
// is not one of PEFT's and is ignored. It returns an error that names all fields that are missing, have an invalid
// value, or have a value that changes the adapter and is not supported.
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
			warnings = append(warnings, fmt.Sprintf("%s: %q is not a field of PEFT's LoraConfig; it is ignored", configName,
				key))
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

// set sets the field key. known is false for a field that PEFT does not have.
func (c *Config) set(key string, value json.RawMessage) (known bool, err error) {
	into := func(v any) (bool, error) {
		if err := json.Unmarshal(value, v); err != nil {
			return true, fmt.Errorf("%s is %s: %w", key, clip(value), err)
		}
		return true, nil
	}
	null := string(value) == "null"
	if null && slices.Contains(required, key) {
		if key == "target_modules" {
			return true, errors.New("target_modules is null, which stands for names that depend on the model; list those of " +
				"the adapter's tensors")
		}
		return true, fmt.Errorf("%s is null; give its value", key)
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
	case "exclude_modules":
		if null {
			return true, nil
		}
		if _, err := into(&c.ExcludeModules); err != nil || !c.ExcludeModules.empty() {
			return true, err
		}
		c.ExcludeModules = Targets{}
		return true, nil
	case "layers_to_transform":
		if err := oneOrMore(value, &c.LayersToTransform); err != nil {
			return true, fmt.Errorf("%s is %s: %w", key, clip(value), err)
		}
		return true, nil
	case "layers_pattern":
		if err := oneOrMore(value, &c.LayersPattern); err != nil {
			return true, fmt.Errorf("%s is %s: %w", key, clip(value), err)
		}
		if slices.Equal(c.LayersPattern, []string{""}) {
			c.LayersPattern = nil
		}
		return true, nil
	case "eva_config":
		return into(&c.EVA)

	case "trainable_token_indices":
		return into(&c.TrainableTokenIndices)
	case "ensure_weight_tying":
		return into(&c.EnsureWeightTying)
	case "rank_pattern":
		return into(&c.RankPattern)
	case "alpha_pattern":
		return into(&c.AlphaPattern)
	case "use_rslora":
		return into(&c.UseRSLoRA)
	case "use_dora":
		return into(&c.UseDoRA)
	case "lora_bias":
		return into(&c.LoRABias)
	case "bias":
		var s string
		if _, err := into(&s); err != nil {
			return true, err
		}
		c.Bias, err = ParseBias(s)
		return true, err
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
			return true, fmt.Errorf(`peft_type is %s; want "LORA", the only supported type`, clip(value))
		}
		return true, nil
	case "init_lora_weights":
		if err := json.Unmarshal(value, &c.InitLoraWeights); err != nil {
			return true, err
		}
		return true, nil
	}
	field, known := settings.AdapterConfig.Key(key)
	if !known {
		return false, nil
	}
	if problem := field.Problem(value); problem != "" {
		return true, errors.New(problem)
	}
	return true, nil
}

// oneOrMore sets list to the elements of a JSON list, or to a single value.
func oneOrMore[T any](value json.RawMessage, list *[]T) error {
	if len(value) > 0 && value[0] != '[' && string(value) != "null" {
		*list = make([]T, 1)
		return json.Unmarshal(value, &(*list)[0])
	}
	return json.Unmarshal(value, list)
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
