// Package roberta is RoBERTa (Liu et al. 2019, arXiv:1907.11692) and XLM-RoBERTa (Conneau et al. 2019,
// arXiv:1911.02116), as transformers' models/roberta/modeling_roberta.py has them: the encoder of BERT with other
// position ids and another head for sequences. Checkpoints have model_type "roberta" or "xlm-roberta".
//
//	c, err := roberta.DefaultConfig("roberta") // then decode config.json into it
//	err = c.Check()
//	m := roberta.NewForTokenClassification(c, labels)
//	// fill nn.Weights(m)
//	logits := m.Logits(&nn.Pass{Tape: tape}, batch)
package roberta
