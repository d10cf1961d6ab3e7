package lora

import "fmt"

// DefaultTargets returns the modules that PEFT adapts when nothing else is said, by config.json's model_type. An
// architecture without a default is an error. PEFT 0.21 has none for DistilBERT: the one here names what it adapts of BERT.
func DefaultTargets(modelType string) (Targets, error) {
	switch modelType {
	case "bert", "roberta", "xlm-roberta", "electra":
		return Names("query", "value"), nil
	case "distilbert":
		return Names("q_lin", "v_lin"), nil
	case "gpt2":
		return Names("c_attn"), nil
	case "llama", "mistral", "qwen2", "qwen3":
		return Names("q_proj", "v_proj"), nil
	}
	return Targets{}, fmt.Errorf("lora: model_type %q has no default target_modules; name them (the printed model shows the names)", modelType)
}
