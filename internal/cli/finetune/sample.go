package finetune

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/train"
)

// sampler lets the model go on with prompts while it trains.
type sampler struct {
	generator *generate.Generator
	cfg       generate.Config
	shown     []string // the prompts as people read them
	prompts   []generate.Prompt
}

// newSampler returns nil if no samples are wanted, or there is nothing to begin one with.
func (r *causalRun) newSampler(s *subject, d documents, cfg train.Config) (*sampler, error) {
	if r.sampleTokens == 0 {
		return nil, nil
	}
	chats := d.train.Kind == document.Chat
	p := &sampler{generator: generate.New(s.model, s.base.Tokenizer, cfg.Pool), cfg: cli.SampleConfig(s.base, d.train.Kind)}
	p.generator.Adapter = s.adapter()
	p.cfg.MaxNewTokens, p.cfg.Seed = r.sampleTokens, cfg.Seed
	for _, text := range r.samplePrompts {
		messages := []document.Message{{Role: "user", Content: text}}
		if !chats {
			messages = nil
		}
		if err := p.add(s, text, messages, 0); err != nil {
			return nil, cli.UsageError(fmt.Errorf("--sample-prompt: %w", err))
		}
	}
	if len(r.samplePrompts) == 0 {
		text, messages := promptOf(d.train)
		if text == "" {
			return nil, nil
		}
		if err := p.add(s, text, messages, s.model.MaxLength()/2); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add takes a prompt: a text, or the messages of a chat. Of more tokens than limit the last ones are taken; 0 is no limit.
func (p *sampler) add(s *subject, shown string, messages []document.Message, limit int) error {
	prompt, err := cli.EncodePrompt(s.base.Tokenizer, s.template, shown, messages)
	if err != nil {
		return err
	}
	n := len(prompt.IDs)
	if limit > 0 && n > limit {
		prompt.IDs = prompt.IDs[n-limit:]
	} else if n >= s.model.MaxLength() {
		return fmt.Errorf("the prompt has %d tokens; the model has %d positions, which leaves none for new ones", n, s.model.MaxLength())
	}
	prompt.Number = len(p.prompts)
	p.shown, p.prompts = append(p.shown, shown), append(p.prompts, prompt)
	return nil
}

// promptWords is how many words of a text make a prompt.
const promptWords = 8

// promptOf returns what a sample may begin with: the first prompt of the data, or the first words. The text is for people; messages are
// set for a chat.
func promptOf(docs *document.File) (text string, messages []document.Message) {
	for d := range docs.Values() {
		switch docs.Kind {
		case document.Prompt:
			text = d.Prompt
		case document.Chat:
			for i, m := range d.Messages {
				if i > 0 && m.Role == "assistant" {
					return d.Messages[i-1].Content, d.Messages[:i]
				}
			}
		default:
			text = firstWords(d.Text)
		}
		if text != "" {
			return text, nil
		}
	}
	return "", nil
}

// firstWords returns the beginning of the first line of a text that is not blank.
func firstWords(text string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(text, " \t\r\n"), "\n")
	words := strings.SplitAfterN(strings.TrimRight(line, "\r"), " ", promptWords+1)
	return strings.TrimRight(strings.Join(words[:min(promptWords, len(words))], ""), " ")
}

// texts returns what the model writes after each prompt, ready to print.
func (p *sampler) texts(ctx context.Context, when string) (string, error) {
	list, err := p.generator.Generate(ctx, p.prompts, p.cfg)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i, s := range list {
		text := strings.TrimRight(s.Text, "\n")
		fmt.Fprintf(&b, "%s, after %q:\n    %s\n", when, p.shown[i], strings.ReplaceAll(text, "\n", "\n    "))
	}
	return b.String(), nil
}

// writeSamples prints samples with the results.
func (r *causalRun) writeSamples(ctx context.Context, p *sampler, when string) error {
	if p == nil {
		return nil
	}
	text, err := p.texts(ctx, when)
	if err == nil {
		fmt.Fprint(r.env.Out, text)
	}
	return err
}

// logSamples prints samples among the messages about training, which no failure of theirs stops.
func (r *causalRun) logSamples(ctx context.Context, p *sampler, when string) {
	if p == nil {
		return
	}
	text, err := p.texts(ctx, when)
	switch {
	case err == nil:
		r.console.Log.Info().Msg(strings.TrimRight(text, "\n"))
	case !errors.Is(err, context.Canceled):
		r.console.Log.Warn().Msg(cli.OptionsAsFlags(r.flags, cli.OneLine(err)))
	}
}
