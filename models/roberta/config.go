package roberta

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
)

// Config holds the fields of config.json that the model needs: those of BERT, with other defaults.
type Config struct{ bert.Config }

// DefaultConfig returns the values of transformers' RobertaConfig() or XLMRobertaConfig(), by model_type. Another model
// type is an error.
func DefaultConfig(modelType string) (Config, error) {
	c, pad := bert.DefaultConfig(), 1
	c.ModelType, c.PadTokenID = modelType, &pad
	switch modelType {
	case "roberta":
		c.VocabSize = 50265
	case "xlm-roberta":
		c.VocabSize = 30522
	default:
		return Config{}, fmt.Errorf("roberta: model_type %q; want roberta or xlm-roberta", modelType)
	}
	return Config{c}, nil
}

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	c.CheckInto(&k)
	if c.PadTokenID == nil {
		k.Add(errors.New("pad_token_id is missing; positions are counted from it"))
	} else if pad := *c.PadTokenID; pad >= 0 && c.MaxPositions > 0 && c.positions() < 1 {
		k.Add(fmt.Errorf("max_position_embeddings %d leaves no position: they begin at pad_token_id + 1 = %d",
			c.MaxPositions, pad+1))
	}
	return k.Err("roberta: config.json")
}

// positions returns the largest number of tokens of a sequence. Tokens do not use the rows of the table up to the
// padding token's.
func (c Config) positions() int { return c.MaxPositions - c.Padding() - 1 }

// limits returns the limits of the inputs.
func (c Config) limits() nn.Limits {
	return nn.Limits{Positions: c.positions(), Words: c.VocabSize, Types: c.TypeVocabSize}
}
