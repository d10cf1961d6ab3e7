// Package gpt is GPT-2 (Radford et al. 2019): the decoder and its heads for next tokens, sequences and tokens, as
// transformers' models/gpt2/modeling_gpt2.py has them.
//
//	c := gpt.DefaultConfig() // then decode config.json into it
//	err := c.Check()
//	m := gpt.NewForCausalLM(c)
//	// fill nn.Weights(m), or nn.Init for a model from scratch
//	logits := m.Logits(&nn.Pass{Tape: tape}, batch)
package gpt
