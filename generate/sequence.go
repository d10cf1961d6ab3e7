package generate

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tokenize"
)

// Finish says why a sequence ended.
type Finish string

// The reasons.
const (
	Stop        Finish = "stop"        // an end token was chosen
	Length      Finish = "length"      // it has MaxNewTokens, or the model has no more positions
	StopString  Finish = "stop_string" // its text came to a stop string
	Interrupted Finish = "interrupted" // the call ended before the sequence did
)

// Prompt is what a model goes on with.
type Prompt struct {
	// IDs are its tokens, at least one. A text without any can begin with the tokenizer's BosID or EosID.
	IDs []int32
	// Number tells the prompts of a whole job apart: with the seed it decides what is sampled, so that it does not matter how
	// prompts are spread over calls. Prompts of one number get the same random numbers.
	Number int
}

// Sequence is what one prompt got.
type Sequence struct {
	Prompt int     // its prompt's place in the call
	Copy   int     // 0 ≤ Copy < NumReturnSequences
	IDs    []int32 // the new tokens, an end token and those of a stop string included
	Text   string  // their text without special tokens, end token and stop string; "" without a tokenizer
	Finish Finish
}

// live is a sequence that goes on.
type live struct {
	at     int // its place in the result
	last   int32
	rows   int // positions that its tokens take, the last one's too
	seen   []int32
	known  map[int32]bool // what is in seen
	draw   *rand.Rand
	stream *tokenize.Stream // nil: no text
	stop   stopText
	text   strings.Builder
	out    *Sequence
}

func newLive(at int, p Prompt, out *Sequence, cfg Config, tok *tokenize.Tokenizer) *live {
	s := &live{at: at, last: p.IDs[len(p.IDs)-1], rows: len(p.IDs), out: out, stop: stopText{stops: cfg.StopStrings}}
	if cfg.DoSample { // one number for each position, in order
		s.draw = nn.NewRand(cfg.Seed, fmt.Sprintf("generate.%d.%d", p.Number, out.Copy))
	}
	if cfg.RepetitionPenalty != 1 {
		s.known = map[int32]bool{}
		for _, id := range p.IDs {
			s.see(id)
		}
	}
	if tok != nil {
		s.stream = tok.Stream(true)
	}
	return s
}

// see remembers a token for the repetition penalty, if there is one.
func (s *live) see(id int32) {
	if s.known != nil && !s.known[id] {
		s.known[id] = true
		s.seen = append(s.seen, id)
	}
}

// add takes the next token and returns the text that is certain with it. It sets out.Finish if the sequence ends. limit is how many
// positions there are, ends tells the tokens that stop.
func (s *live) add(id int32, cfg Config, limit int, ends map[int32]Finish) (text string) {
	s.last = id
	s.rows++
	s.out.IDs = append(s.out.IDs, id)
	s.see(id)
	if s.out.Finish = ends[id]; s.out.Finish == "" && s.stream != nil {
		var found bool
		if text, found = s.stop.add(s.stream.Next(id)); found {
			s.out.Finish = StopString
			s.stream = nil // nothing of the text follows
		}
	}
	if s.out.Finish == "" && (len(s.out.IDs) >= cfg.MaxNewTokens || s.rows >= limit) {
		s.out.Finish = Length
	}
	if s.out.Finish != "" {
		text += s.end()
	}
	s.write(text)
	return text
}

// interrupt ends a sequence that has not ended and returns the rest of its text.
func (s *live) interrupt() string {
	if s.out.Finish != "" {
		return ""
	}
	s.out.Finish = Interrupted
	text := s.end()
	s.write(text)
	return text
}

// write adds to the text and makes it the result's when the sequence has ended.
func (s *live) write(text string) {
	s.text.WriteString(text)
	if s.out.Finish != "" {
		s.out.Text = s.text.String()
	}
}

// end returns the rest of the text. It may be the first to hold a stop string, where the decoder had kept something back.
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
