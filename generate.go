package spalora

import (
	"context"
	"errors"
	"fmt"

	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/tasks/causallm"
)

// Generated is the text that a language model generated after a prompt, with its tokens.
type Generated = generate.Sequence

// Message is a turn of a chat.
type Message = document.Message

// Generate continues prompts with new text, with the settings of [causallm.Settings], else of the checkpoint's
// generation_config.json. Each prompt gets NumReturnSequences texts (1 by default), in the order of the prompts. If
// the model is for another task, Generate returns an error. If ctx ends, the texts that are written by then are
// returned with the error.
func (m *Model) Generate(ctx context.Context, prompts ...string) ([]Generated, error) {
	return call(m, func(p *causallm.Opened) ([]Generated, error) {
		list := make([]generate.Prompt, len(prompts))
		for i, text := range prompts {
			var err error
			if list[i], err = p.Prompt(text, nil); err != nil {
				return nil, fmt.Errorf("prompt %d: %w", i+1, err)
			}
			list[i].Number = i
		}
		return p.Generate(ctx, list, p.Decoding, nil)
	})
}

// Stream continues one prompt with one text and calls onText with each piece of it as it becomes certain, on the
// caller's goroutine. If ctx ends, the text that is written by then is returned with the error.
func (m *Model) Stream(ctx context.Context, prompt string, onText func(text string)) (Generated, error) {
	return m.stream(ctx, prompt, nil, onText)
}

// Chat answers the last message of a chat, which the checkpoint's chat template renders, as [Model.Stream] continues
// a prompt. onText may be nil.
func (m *Model) Chat(ctx context.Context, messages []Message, onText func(text string)) (Generated, error) {
	if len(messages) == 0 {
		return Generated{}, errors.New("spalora: the chat has no messages; give at least one")
	}
	return m.stream(ctx, "", messages, onText)
}

// stream continues a prompt, or a chat if there are messages, with one text.
func (m *Model) stream(ctx context.Context, prompt string, messages []Message, onText func(string)) (Generated, error) {
	var on func(int, string)
	if onText != nil {
		on = func(_ int, text string) { onText(text) }
	}
	return call(m, func(p *causallm.Opened) (g Generated, err error) {
		c := p.Decoding
		c.NumReturnSequences = 1
		start, err := p.Prompt(prompt, messages)
		if err != nil {
			return g, err
		}
		list, err := p.Generate(ctx, []generate.Prompt{start}, c, on)
		if len(list) > 0 {
			g = list[0]
		}
		return g, err
	})
}
