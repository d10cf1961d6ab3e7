// Package bert holds the BERT encoder (Devlin et al. 2019, arXiv:1810.04805) with its pooler and the head for sequence
// classification, named as in Hugging Face checkpoints of model_type "bert".
package bert
