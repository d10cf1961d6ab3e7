package generate

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tokenize"
)

// Finish is the reason why a sequence ended.
type Finish string

// The reasons.
const (
	Stop        Finish = "stop"        // at an end token
	Length      Finish = "length"      // at MaxNewTokens or MaxLength, or at the model's last position
	TimeUp      Finish = "time"        // after MaxTime
	StopString  Finish = "stop_string" // at a stop string in its text
	Interrupted Finish = "interrupted" // the call returned an error before the sequence ended
)

// Prompt is the beginning of a sequence, or the source that an encoder–decoder reads.
type Prompt struct {
	// IDs are the tokens of the prompt, at least one. A prompt for an empty text can be the tokenizer's BosID or EosID.
	IDs []int32
	// Features are the rows that a [FeatureModel] reads in place of IDs, one after another. Other models take none.
	Features []float32
	// Start, unless nil, are the tokens that the target of an encoder–decoder begins with, at least one, in place of the
	// model's; they are not among the new tokens of a sequence. It must be nil for causal models.
	Start []int32
	// Number identifies the prompt among all prompts of a job. With the seed it determines the random numbers, so that the
	// distribution of prompts over calls has no effect. Prompts with the same number get the same random numbers.
	Number int
	// Adapter serves the prompt and its continuations, in place of the generator's; nil: the generator's.
	Adapter nn.AdapterSet
}

// Sequence is one continuation of a prompt.
type Sequence struct {
	Prompt int     // index of the prompt in the call
	Copy   int     // 0 ≤ Copy < NumReturnSequences; of beam search the rank, the best first
	IDs    []int32 // new tokens, including an end token and the tokens of a stop string
	Text   string  // text of IDs without special tokens and stop string; "" without a tokenizer
	Finish Finish
	// LogProb is the mean log-probability of IDs among the tokens that the processors and the sampling left, without the
	// temperature. Only Config.LogProbs computes it; otherwise it is 0.
	LogProb float64
	// Score is the log-probability of IDs, as the processors left it, divided by its number of tokens to the power of
	// LengthPenalty. Only beam search computes it; otherwise it is 0.
	Score float32
}

// live is an unfinished sequence.
type live struct {
	history
	at      int // index in the result
	adapter nn.AdapterSet
	draw    *rand.Rand
	stream  *tokenize.Stream // nil: no text
	stop    stopText
	text    strings.Builder
	out     *Sequence
}

// newLive returns the sequence at an index of the result. positions is the number of positions of the model.
func newLive(at int, p Prompt, out *Sequence, cfg Config, positions int, tok *tokenize.Tokenizer) *live {
	s := &live{
		history: newHistory(p, positions, cfg), at: at, out: out, adapter: p.Adapter,
		stop: stopText{stops: cfg.StopStrings},
	}
	if cfg.DoSample { // it draws one number for each position, in order
		s.draw = nn.NewRand(cfg.Seed, fmt.Sprintf("generate.%d.%d", p.Number, out.Copy))
	}
	if tok != nil {
		s.stream = tok.Stream(true)
	}
	return s
}

// last returns the last token.
func (s *live) last() int32 { return s.ids[len(s.ids)-1] }

// add appends the next token and returns the text that is final with it. It sets out.Finish if the sequence ends. ends
// holds the tokens that end a sequence, with the reason.
func (s *live) add(id int32, ends map[int32]Finish) (text string) {
	s.history.add(id)
	s.out.IDs = append(s.out.IDs, id)
	if s.out.Finish = ends[id]; s.out.Finish == "" && s.stream != nil {
		var found bool
		if text, found = s.stop.add(s.stream.Next(id)); found {
			s.out.Finish = StopString
			s.stream = nil // the text ends here
		}
	}
	if s.out.Finish == "" && len(s.ids) >= s.limit {
		s.out.Finish = Length
	}
	if s.out.Finish != "" {
		text += s.end()
	}
	s.write(text)
	return text
}

// finish ends a sequence for a reason, unless it has ended, and returns the rest of its text.
func (s *live) finish(reason Finish) string {
	if s.out.Finish != "" {
		return ""
	}
	s.out.Finish = reason
	text := s.end()
	s.write(text)
	return text
}

// write appends to the text, and sets out.Text if the sequence has ended.
func (s *live) write(text string) {
	s.text.WriteString(text)
	if s.out.Finish != "" {
		s.out.Text = s.text.String()
	}
}

// end returns the rest of the text. A stop string may be complete only here, if the decoder held back the end of the
// text.
func (s *live) end() string {
	if s.stream == nil {
		return ""
	}
	text, found := s.stop.add(s.stream.Flush())
	if found {
		s.out.Finish = StopString
		return text
	}
	return text + s.stop.flush()
}
