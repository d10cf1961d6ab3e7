package spalora

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/tasks/causallm"
)

// Generated is the text that a language model generated after a prompt, with its tokens.
type Generated = generate.Sequence

// Message is a turn of a chat.
type Message = document.Message

// Generate continues a prompt with new text, with the settings of [causallm.Settings], else of the checkpoint's
// generation_config.json. The prompt gets NumReturnSequences texts (1 by default), or as many for each adapter that
// [Use] names. If the model is for another task, Generate returns an error. If ctx ends, the texts that are written by
// then are returned with the error.
func (m *Model) Generate(ctx context.Context, prompt string, options ...CallOption) ([]Generated, error) {
	names := each(options)
	return m.generate(ctx, slices.Repeat([]string{prompt}, len(names)), func(int) int { return 0 }, names)
}

// GenerateAll continues each prompt, in order, with the adapter that it names. Prompts of several adapters share
// batches. See [Model.Generate].
func (m *Model) GenerateAll(ctx context.Context, prompts []Text, options ...CallOption) ([]Generated, error) {
	names, err := perRow(len(prompts), adapterOf(prompts), options)
	if err != nil {
		return nil, err
	}
	return m.generate(ctx, textsOf(prompts), func(i int) int { return i }, names)
}

// generate continues prompts. number returns the number of each, which with the seed determines its random numbers.
func (m *Model) generate(
	ctx context.Context, prompts []string, number func(i int) int, adapters []string,
) ([]Generated, error) {
	return call(m, adapters, func(p []*causallm.Opened) ([]Generated, error) {
		if len(p) == 0 {
			return nil, ctx.Err()
		}
		list := make([]generate.Prompt, len(prompts))
		for i, text := range prompts {
			var err error
			if list[i], err = p[i].Prompt(text, nil); err != nil {
				return nil, fmt.Errorf("prompt %d: %w", i+1, err)
			}
			list[i].Number = number(i)
		}
		return causallm.GenerateEach(ctx, list, func(i int) *causallm.Predictor { return p[i].Predictor }, p[0].Decoding, nil)
	})
}

// Stream continues one prompt with one text and calls onText with each piece of it as it becomes certain, on the
// caller's goroutine. [Use] may name one adapter. If ctx ends, the text that is written by then is returned with the
// error.
func (m *Model) Stream(
	ctx context.Context, prompt string, onText func(text string), options ...CallOption,
) (Generated, error) {
	return m.stream(ctx, prompt, nil, onText, options)
}

// Chat answers the last message of a chat, which the checkpoint's chat template renders, as [Model.Stream] continues
// a prompt. onText may be nil.
func (m *Model) Chat(
	ctx context.Context, messages []Message, onText func(text string), options ...CallOption,
) (Generated, error) {
	if len(messages) == 0 {
		return Generated{}, errors.New("spalora: the chat has no messages; give at least one")
	}
	return m.stream(ctx, "", messages, onText, options)
}

// stream continues a prompt, or a chat if there are messages, with one text.
func (m *Model) stream(
	ctx context.Context, prompt string, messages []Message, onText func(string), options []CallOption,
) (Generated, error) {
	var on func(int, string)
	if onText != nil {
		on = func(_ int, text string) { onText(text) }
	}
	name, err := one(options)
	if err != nil {
		return Generated{}, err
	}
	return call(m, []string{name}, func(p []*causallm.Opened) (g Generated, err error) {
		c := p[0].Decoding
		c.NumReturnSequences = 1
		start, err := p[0].Prompt(prompt, messages)
		if err != nil {
			return g, err
		}
		list, err := p[0].Generate(ctx, []generate.Prompt{start}, c, on)
		if len(list) > 0 {
			g = list[0]
		}
		return g, err
	})
}
