package lora

import "fmt"

// DefaultTargets returns the modules that PEFT adapts when nothing else is said, by config.json's model_type. An
// architecture without a default is an error.
func DefaultTargets(modelType string) (Targets, error) {
	switch modelType {
	case "bert":
		return Names("query", "value"), nil
	case "gpt2":
		return Names("c_attn"), nil
	case "llama", "mistral", "qwen2", "qwen3":
		return Names("q_proj", "v_proj"), nil
	}
	return Targets{}, fmt.Errorf("lora: model_type %q has no default target_modules; name them (the printed model shows the names)", modelType)
}
