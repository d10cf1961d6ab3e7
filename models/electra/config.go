package electra

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Config is the part of config.json that the model needs: BERT's fields and its own.
type Config struct {
	bert.Config
	EmbeddingSize int `json:"embedding_size"` // E, the width of the tables

	// What multiple choice makes of a sequence's hidden states.
	SummaryType         string  `json:"summary_type"`           // which row: first; last or cls_index
	SummaryUseProj      bool    `json:"summary_use_proj"`       // a linear layer on it
	SummaryProjToLabels bool    `json:"summary_proj_to_labels"` // not supported: the classifier reads C columns
	SummaryActivation   string  `json:"summary_activation"`     // after the layer; "": none
	SummaryFirstDropout float32 `json:"summary_first_dropout"`
	SummaryLastDropout  float32 `json:"summary_last_dropout"`
}

// DefaultConfig returns ELECTRA-small as transformers' ElectraConfig() has it.
func DefaultConfig() Config {
	c := bert.DefaultConfig()
	c.ModelType, c.HiddenSize, c.NumAttentionHeads, c.IntermediateSize = "electra", 256, 4, 1024
	return Config{Config: c, EmbeddingSize: 128, SummaryType: "first", SummaryUseProj: true, SummaryActivation: "gelu", SummaryLastDropout: 0.1}
}

// Check reports everything in the configuration that the model cannot be built with, in one error.
func (c Config) Check() error {
	var k nn.ConfigCheck
	c.CheckInto(&k)
	k.Size("embedding_size", c.EmbeddingSize, nn.MaxWidth)
	k.Probability("summary_first_dropout", c.SummaryFirstDropout)
	k.Probability("summary_last_dropout", c.SummaryLastDropout)
	switch c.SummaryType {
	case "first", "last", "cls_index":
	default:
		k.Add(fmt.Errorf("summary_type %q is not supported; want first, last or cls_index", c.SummaryType))
	}
	if c.SummaryProjToLabels {
		k.Add(errors.New("summary_proj_to_labels is not supported: the classifier of multiple choice reads hidden_size columns"))
	}
	if c.SummaryActivation != "" {
		if _, err := op.ParseActivation(c.SummaryActivation); err != nil {
			k.Add(fmt.Errorf("summary_activation: %w", err))
		}
	}
	return k.Err("electra: config.json")
}

// limits returns what a model of this configuration can be given.
func (c Config) limits() nn.Limits {
	return nn.Limits{Positions: c.MaxPositions, Words: c.VocabSize, Types: c.TypeVocabSize}
}
