// Package bert is BERT (Devlin et al. 2019, arXiv:1810.04805), as transformers' models/bert/modeling_bert.py has it:
// the encoder with its pooler, and its heads. Checkpoints have model_type "bert".
//
//	c := bert.DefaultConfig() // then decode config.json into it
//	err := c.Check()
//	m := bert.NewForSequenceClassification(c, labels)
//	// fill nn.Weights(m)
//	logits := m.Logits(&nn.Pass{Tape: tape}, batch)
package bert
