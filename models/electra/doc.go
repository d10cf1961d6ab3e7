// Package electra is ELECTRA (Clark et al. 2020, arXiv:2003.10555), as transformers' models/electra/modeling_electra.py has it: the encoder
// of BERT on tables that may be narrower than it, without pooler, with another head for sequences. Checkpoints (of the discriminator, mostly)
// say model_type "electra".
//
//	c := electra.DefaultConfig() // then decode config.json into it
//	err := c.Check()
//	m := electra.NewForMultipleChoice(c)
//	// fill nn.Weights(m)
//	scores := m.Logits(&nn.Pass{Tape: tape}, batch)
package electra
