package whisper

import (
	"fmt"

	"github.com/spalora/spalora/models/bart"
	"github.com/spalora/spalora/nn"
)

// Config holds the fields of config.json that the model needs. DefaultConfig has transformers' defaults for fields
// that a file leaves out.
type Config struct {
	bart.Common
	MelBins         int  `json:"num_mel_bins"`
	SourcePositions int  `json:"max_source_positions"` // rows of the encoder: half the frames of a window
	TargetPositions int  `json:"max_target_positions"`
	SpecAugment     bool `json:"apply_spec_augment"`
	DecoderStart    int  `json:"decoder_start_token_id"`
}

// DefaultConfig returns the defaults of transformers' WhisperConfig: the sizes of Whisper tiny.
func DefaultConfig() Config {
	return Config{
		MelBins: 80, SourcePositions: 1500, TargetPositions: 448, DecoderStart: 50257,
		Common: bart.Common{
			VocabSize: 51865, Width: 384, EncoderLayers: 4, EncoderFeedForward: 1536, EncoderHeads: 6, DecoderLayers: 4,
			DecoderFeedForward: 1536, DecoderHeads: 6, Activation: "gelu", InitStd: 0.02, PadTokenID: 50256,
			TieWordEmbeddings: true,
		},
	}
}

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	c.Common.Check(&k)
	if c.Width%2 != 0 || c.Width == 2 {
		k.Add(fmt.Errorf("d_model %d does not fit sinusoidal positions; want an even number of 4 or more", c.Width))
	}
	k.Size("num_mel_bins", c.MelBins, nn.MaxWidth)
	k.Size("max_source_positions", c.SourcePositions, nn.MaxVocabulary)
	k.Size("max_target_positions", c.TargetPositions, nn.MaxVocabulary)
	if c.DecoderStart < 0 || c.DecoderStart >= c.VocabSize {
		k.Add(fmt.Errorf("decoder_start_token_id %d is outside the vocabulary of %d", c.DecoderStart, c.VocabSize))
	}
	if c.SpecAugment {
		k.Add(fmt.Errorf("apply_spec_augment is not supported; write false"))
	}
	return k.Err("whisper: config.json")
}

func (c Config) limits() nn.Limits {
	return nn.Limits{Positions: c.TargetPositions, Words: c.VocabSize}
}

// style says how the blocks differ from BART's.
var style = bart.Style{Class: "Whisper", Before: true}
