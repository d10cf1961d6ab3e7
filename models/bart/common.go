package bart

import (
	"fmt"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
)

// Common holds the fields of config.json that BART, its relatives and Whisper share.
type Common struct {
	VocabSize          int     `json:"vocab_size"`
	Width              int     `json:"d_model"`
	EncoderLayers      int     `json:"encoder_layers"`
	EncoderFeedForward int     `json:"encoder_ffn_dim"`
	EncoderHeads       int     `json:"encoder_attention_heads"`
	DecoderLayers      int     `json:"decoder_layers"`
	DecoderFeedForward int     `json:"decoder_ffn_dim"`
	DecoderHeads       int     `json:"decoder_attention_heads"`
	EncoderLayerDrop   float32 `json:"encoder_layerdrop"`
	DecoderLayerDrop   float32 `json:"decoder_layerdrop"`
	Activation         string  `json:"activation_function"`
	Dropout            float32 `json:"dropout"`
	AttentionDropout   float32 `json:"attention_dropout"`
	ActivationDropout  float32 `json:"activation_dropout"`
	InitStd            float64 `json:"init_std"`
	PadTokenID         int     `json:"pad_token_id"`
	TieWordEmbeddings  bool    `json:"tie_word_embeddings"`
}

// Check adds an error for every field that no model can be built with.
func (c Common) Check(k *nn.ConfigCheck) {
	k.Size("vocab_size", c.VocabSize, nn.MaxVocabulary)
	k.Size("d_model", c.Width, nn.MaxWidth)
	k.Size("encoder_ffn_dim", c.EncoderFeedForward, nn.MaxWidth)
	k.Size("decoder_ffn_dim", c.DecoderFeedForward, nn.MaxWidth)
	k.Size("encoder_layers", c.EncoderLayers, nn.MaxLayers)
	k.Size("decoder_layers", c.DecoderLayers, nn.MaxLayers)
	for _, side := range []struct {
		name      string
		heads     int
		layerDrop float32
	}{{"encoder", c.EncoderHeads, c.EncoderLayerDrop}, {"decoder", c.DecoderHeads, c.DecoderLayerDrop}} {
		k.Size(side.name+"_attention_heads", side.heads, nn.MaxWidth)
		if side.heads > 0 && c.Width%side.heads != 0 {
			k.Add(fmt.Errorf("d_model %d is not a multiple of %s_attention_heads %d", c.Width, side.name, side.heads))
		}
		if side.layerDrop != 0 {
			k.Add(fmt.Errorf("%s_layerdrop %g is not supported; write 0", side.name, side.layerDrop))
		}
	}
	if _, err := nn.NewActivation(c.Activation); err != nil {
		k.Add(fmt.Errorf("activation_function: %w", err))
	}
	k.Probability("dropout", c.Dropout)
	k.Probability("attention_dropout", c.AttentionDropout)
	k.Probability("activation_dropout", c.ActivationDropout)
	if !(c.InitStd >= 0 && c.InitStd <= 100) {
		k.Add(fmt.Errorf("init_std is %g; want 0 to 100", c.InitStd))
	}
	if c.PadTokenID < 0 || c.PadTokenID >= c.VocabSize {
		k.Add(fmt.Errorf("pad_token_id %d is outside the vocabulary of %d", c.PadTokenID, c.VocabSize))
	}
}

// Style says how the blocks of an architecture differ from those of others.
type Style struct {
	Class   string // beginning of the names of classes: "Bart"
	Before  bool   // norms are before branches, otherwise after them
	KeyBias bool   // the projection to keys has a bias
}

// Block describes the blocks of one side, the encoder or the decoder.
type Block struct {
	Style
	Heads, FeedForward int
	common             Common
}

// Encoder describes the blocks of the encoder.
func (c Common) Encoder(s Style) Block { return Block{s, c.EncoderHeads, c.EncoderFeedForward, c} }

// Decoder describes the blocks of the decoder.
func (c Common) Decoder(s Style) Block { return Block{s, c.DecoderHeads, c.DecoderFeedForward, c} }

// activation returns the function whose name Check has accepted.
func (c Common) activation() *nn.Activation {
	a, err := nn.NewActivation(c.Activation)
	if err != nil {
		panic(err)
	}
	return a
}

// Norm returns a norm of rows with the default eps of torch.nn.LayerNorm, which no configuration changes.
func (c Common) Norm() *nn.LayerNorm { return nn.NewLayerNorm(c.Width, 1e-5) }

// Shift sets ids to the decoder's inputs for labels, of which there are as many: start, then each label but the last.
// A label that is ignored becomes padding.
func (c Common) Shift(ids, labels []int32, start int32) {
	for i := range ids {
		switch {
		case i == 0:
			ids[i] = start
		case labels[i-1] == batch.Ignore:
			ids[i] = int32(c.PadTokenID)
		default:
			ids[i] = labels[i-1]
		}
	}
}
