// Package distilbert is DistilBERT (Sanh et al. 2019, arXiv:1910.01108), as transformers'
// models/distilbert/modeling_distilbert.py has it: an encoder like BERT without token types and pooler, with other
// names. Checkpoints have model_type "distilbert".
//
//	c := distilbert.DefaultConfig() // then decode config.json into it
//	err := c.Check()
//	m := distilbert.NewForSequenceClassification(c, labels)
//	// fill nn.Weights(m)
//	logits := m.Logits(&nn.Pass{Tape: tape}, batch)
package distilbert
