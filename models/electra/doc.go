// Package electra is ELECTRA (Clark et al. 2020, arXiv:2003.10555), as transformers'
// models/electra/modeling_electra.py has it: the encoder of BERT without pooler, with tables that may be narrower
// than the encoder, and with other heads for sequences and choices. Checkpoints, most of them of the discriminator,
// have model_type "electra".
//
//	c := electra.DefaultConfig() // then decode config.json into it
//	err := c.Check()
//	m := electra.NewForMultipleChoice(c)
//	// fill nn.Weights(m)
//	scores := m.Logits(&nn.Pass{Tape: tape}, batch)
package electra
