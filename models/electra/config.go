package electra

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Config holds the fields of config.json that the model needs: BERT's and those of ELECTRA.
type Config struct {
	bert.Config
	EmbeddingSize int `json:"embedding_size"` // E, the width of the tables

	// The summary of a sequence's hidden states for multiple choice.
	SummaryType         string  `json:"summary_type"`           // which row: first; last or cls_index
	SummaryUseProj      bool    `json:"summary_use_proj"`       // a linear layer on it
	SummaryProjToLabels bool    `json:"summary_proj_to_labels"` // not supported: the classifier reads C columns
	SummaryActivation   string  `json:"summary_activation"`     // after the layer; "": none
	SummaryFirstDropout float32 `json:"summary_first_dropout"`
	SummaryLastDropout  float32 `json:"summary_last_dropout"`
}

// DefaultConfig returns the values of transformers' ElectraConfig(), which are ELECTRA-small.
func DefaultConfig() Config {
	c := bert.DefaultConfig()
	c.ModelType, c.HiddenSize, c.NumAttentionHeads, c.IntermediateSize = "electra", 256, 4, 1024
	return Config{
		Config: c, EmbeddingSize: 128,
		SummaryType: "first", SummaryUseProj: true, SummaryActivation: "gelu", SummaryLastDropout: 0.1,
	}
}

// Check returns an error that lists every field that the model cannot be built with.
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
		k.Add(errors.New("summary_proj_to_labels is not supported: " +
			"the classifier of multiple choice reads hidden_size columns"))
	}
	if c.SummaryActivation != "" {
		if _, err := op.ParseActivation(c.SummaryActivation); err != nil {
			k.Add(fmt.Errorf("summary_activation: %w", err))
		}
	}
	return k.Err("electra: config.json")
}

// limits returns the limits of the inputs.
func (c Config) limits() nn.Limits {
	return nn.Limits{Positions: c.MaxPositions, Words: c.VocabSize, Types: c.TypeVocabSize}
}
