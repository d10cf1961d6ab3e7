package causallm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/generation"
)

// When is the point of a run at which samples were generated.
type When int

// The points of a run.
const (
	BeforeTraining When = iota
	AtEvaluation
	AfterTraining
)

// Samples are the texts that a model generates after the prompts at one point of its training.
type Samples struct {
	When When
	Step int // of an evaluation
	List []Sample
}

// Sample is a prompt with the text that a model generated after it.
type Sample struct{ Prompt, Text string }

// sampler lets the model continue prompts while it trains.
type sampler struct {
	task    *Task
	cfg     generate.Config
	shown   []string // the prompts as they are printed
	prompts []generate.Prompt
}

// sampleTokens returns the number of tokens of a sample.
func (c *Finetuning) sampleTokens() int {
	if c.SampleMaxNewTokens == nil {
		return StandardSample
	}
	return *c.SampleMaxNewTokens
}

// newSampler returns nil if no samples are wanted, or there is no prompt. Samples of texts are drawn from the same
// numbers each time, so that they can be compared; those of answers are the most probable tokens.
func (r *run) newSampler(s *tasks.Session) (*sampler, error) {
	if r.sampleTokens() == 0 || r.OnSamples == nil {
		return nil, nil
	}
	kind := r.parts.Train.Kind
	p := &sampler{task: r.task, cfg: generate.Defaults()}
	p.cfg.EosTokenIDs, _ = generation.EndIDs(s.Base, r.task.Vocabulary())
	if kind == document.Text {
		p.cfg.DoSample, p.cfg.Temperature, p.cfg.TopP = true, 0.8, 0.95
	}
	p.cfg.MaxNewTokens, p.cfg.Seed = r.sampleTokens(), s.Config.Seed
	for _, text := range r.SamplePrompts {
		messages := []document.Message{{Role: "user", Content: text}}
		if kind != document.Chat {
			messages = nil
		}
		if err := p.add(text, messages, 0); err != nil {
			return nil, base.Settings(fmt.Errorf("`sample_prompt`: %w", err))
		}
	}
	if len(r.SamplePrompts) == 0 {
		text, messages := promptOf(r.parts.Train)
		if text == "" {
			return nil, nil
		}
		if err := p.add(text, messages, r.model.MaxLength()/2); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add adds a prompt: a text, or the messages of a chat. Of a longer prompt the last limit tokens are taken; 0 is no
// limit.
func (p *sampler) add(shown string, messages []document.Message, limit int) error {
	prompt, err := p.task.Prompt(shown, messages)
	if err != nil {
		return err
	}
	n, positions := len(prompt.IDs), p.task.Positions()
	if limit > 0 && n > limit {
		prompt.IDs = prompt.IDs[n-limit:]
	} else if n >= positions {
		return fmt.Errorf("the prompt has %d tokens; the model has %d positions, which leaves none for new ones",
			n, positions)
	}
	prompt.Number = len(p.prompts)
	p.shown, p.prompts = append(p.shown, shown), append(p.prompts, prompt)
	return nil
}

// promptWords is how many words of a text make a prompt.
const promptWords = 8

// promptOf returns a prompt for samples: the first one of the data, or the first words. The text is for display;
// messages are set for a chat.
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

// sample generates samples and passes them to OnSamples.
func (r *run) sample(ctx context.Context, when When, step int) error {
	if r.samples == nil {
		return nil
	}
	p := r.samples
	list, err := p.task.Generate(ctx, p.prompts, p.cfg, nil)
	if err != nil {
		return err
	}
	out := Samples{When: when, Step: step}
	for i, s := range list {
		out.List = append(out.List, Sample{p.shown[i], s.Text})
	}
	r.OnSamples(out)
	return nil
}

// logSamples generates samples after an evaluation. A failure is logged and does not stop training.
func (r *run) logSamples(ctx context.Context, step int) {
	if err := r.sample(ctx, AtEvaluation, step); err != nil && !errors.Is(err, context.Canceled) {
		r.Logger.Warn().Msg(err.Error())
	}
}
