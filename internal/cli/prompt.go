package cli

import (
	"fmt"

	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/tokenize"
)

// EncodePrompt returns the tokens of what a model goes on with: of the messages of a chat, written down by the template up to where the
// assistant begins, or without messages of a text as the tokenizer encodes it.
func EncodePrompt(tok *tokenize.Tokenizer, t *chat.Template, text string, messages []document.Message) (generate.Prompt, error) {
	if messages == nil {
		return generate.New(nil, tok, nil).Encode(text)
	}
	if t == nil {
		return generate.Prompt{}, chat.ErrNoTemplate
	}
	text, err := t.Render(messages, chat.Options{AddGenerationPrompt: true})
	if err != nil {
		return generate.Prompt{}, err
	}
	e, err := tok.Encode(text, tokenize.Options{NoSpecial: true}) // the template has written the special tokens
	if err == nil && len(e.IDs) == 0 {
		err = fmt.Errorf("the chat template makes an empty text of it")
	}
	return generate.Prompt{IDs: e.IDs}, err
}

// EndIDs returns the tokens that end what a model writes: those of the checkpoint's configuration, else the tokenizer's.
func (b *Base) EndIDs() []int32 {
	if len(b.Info.EosIDs) > 0 {
		return b.Info.EosIDs
	}
	if id := b.Tokenizer.EosID(); id >= 0 {
		return []int32{id}
	}
	return nil
}

// SampleConfig returns how samples are taken while a model trains: of texts drawn from the same numbers each time, so that samples can be
// compared; of answers the most probable tokens.
func SampleConfig(b *Base, kind document.Kind) generate.Config {
	c := generate.Defaults()
	c.EosTokenIDs = b.EndIDs()
	if kind == document.Text {
		c.DoSample, c.Temperature, c.TopP = true, 0.8, 0.95
	}
	return c
}
