package roberta

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
)

// Config is the part of config.json that the model needs: the names are BERT's, the defaults are not.
type Config struct{ bert.Config }

// DefaultConfig returns transformers' RobertaConfig() or XLMRobertaConfig(), by model_type; another type is an error.
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

// Check reports everything in the configuration that the model cannot be built with, in one error.
func (c Config) Check() error {
	var k nn.ConfigCheck
	c.CheckInto(&k)
	if c.PadTokenID == nil {
		k.Add(errors.New("pad_token_id is missing; positions are counted from it"))
	} else if pad := *c.PadTokenID; pad >= 0 && c.MaxPositions > 0 && c.positions() < 1 {
		k.Add(fmt.Errorf("max_position_embeddings %d leaves no position: they begin at pad_token_id + 1 = %d", c.MaxPositions, pad+1))
	}
	return k.Err("roberta: config.json")
}

// positions returns how many tokens a sequence may have: the table's rows up to the padding token's are not for tokens.
func (c Config) positions() int { return c.MaxPositions - c.Padding() - 1 }

// limits returns what a model of this configuration can be given.
func (c Config) limits() nn.Limits {
	return nn.Limits{Positions: c.positions(), Words: c.VocabSize, Types: c.TypeVocabSize}
}
