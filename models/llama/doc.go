// Package llama is the LLaMA family (Touvron et al. 2023): LLaMA, Mistral, Qwen2 and Qwen3, which share one block and
// differ in biases, norms of the heads and windows, and their heads for next tokens, sequences and tokens. The
// sources are transformers' models/llama, mistral, qwen2 and qwen3.
//
//	c, err := llama.DefaultConfig("llama") // then decode config.json into it
//	err = c.Check()
//	m := llama.NewForCausalLM(c)
//	// fill nn.Weights(m), or m.Init for a model from scratch
//	logits := m.Logits(&nn.Pass{Tape: tape}, batch)
package llama
