package spalora

import (
	"context"

	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/tasks/causallm"
)

// Generated is a text that a language model wrote after a prompt.
type Generated = generate.Sequence

// Message is a turn of a chat.
type Message = document.Message

// Generate continues prompts with new text, as the checkpoint's generation_config.json and [causallm.Settings] say.
// Each prompt gets NumReturnSequences texts (1, unless the settings say otherwise), in the order of the prompts.
func (m *Model) Generate(ctx context.Context, prompts ...string) ([]Generated, error) {
	return m.generate(ctx, nil, func(p *causallm.Opened, i int) (generate.Prompt, error) {
		return p.Prompt(prompts[i], nil)
	}, len(prompts))
}

// Stream continues one prompt and calls onText with each piece of the text as it becomes certain, on the caller's
// goroutine.
func (m *Model) Stream(ctx context.Context, prompt string, onText func(text string)) (Generated, error) {
	return m.stream(ctx, onText, func(p *causallm.Opened) (generate.Prompt, error) { return p.Prompt(prompt, nil) })
}

// Chat answers the last message of a chat, which the checkpoint's chat template renders. onText, if it is not nil, is
// called with each piece of the answer as it becomes certain.
func (m *Model) Chat(ctx context.Context, messages []Message, onText func(text string)) (Generated, error) {
	return m.stream(ctx, onText, func(p *causallm.Opened) (generate.Prompt, error) { return p.Prompt("", messages) })
}

func (m *Model) stream(
	ctx context.Context, onText func(string), prompt func(*causallm.Opened) (generate.Prompt, error),
) (g Generated, err error) {
	var on func(int, string)
	if onText != nil {
		on = func(_ int, text string) { onText(text) }
	}
	list, err := m.generate(ctx, on, func(p *causallm.Opened, _ int) (generate.Prompt, error) { return prompt(p) }, 1)
	if len(list) > 0 {
		g = list[0]
	}
	return g, err
}

func (m *Model) generate(
	ctx context.Context, onText func(int, string), prompt func(p *causallm.Opened, i int) (generate.Prompt, error), n int,
) ([]Generated, error) {
	p, err := Predictor[*causallm.Opened](m)
	if err != nil {
		return nil, err
	}
	c, err := p.Generation.Config(p.Base)
	if err != nil {
		return nil, err
	}
	prompts := make([]generate.Prompt, n)
	for i := range prompts {
		if prompts[i], err = prompt(p, i); err != nil {
			return nil, err
		}
		prompts[i].Number = i
	}
	return p.Generate(ctx, prompts, c, onText)
}
