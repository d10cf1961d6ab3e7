package causallm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// script is the text of a document with the parts of it that are learned.
type script struct {
	text    string
	learned [][2]int // ranges of code points of text
	all     bool     // everything is learned, whatever learned says
	ends    bool     // a token that ends the text is learned after it
}

// script renders a document: a text as it is, a prompt and its completion one after the other, a chat by its template.
func (p *Predictor) script(kind document.Kind, d *document.Document) (script, error) {
	s := script{all: p.cfg.TrainOnPrompt}
	switch kind {
	case document.Text:
		s.text, s.all = d.Text, true
	case document.Prompt:
		s.text, s.ends = d.Prompt+d.Completion, true
		from := utf8.RuneCountInString(d.Prompt)
		s.learned = [][2]int{{from, from + utf8.RuneCountInString(d.Completion)}}
	default:
		s.all = s.all && !slices.ContainsFunc(d.Messages, unlearned)
		segments, err := p.segments(d)
		if err != nil {
			return s, err
		}
		var text strings.Builder
		at := 0
		for _, g := range segments {
			n := utf8.RuneCountInString(g.Text)
			if g.Trained {
				s.learned = append(s.learned, [2]int{at, at + n})
			}
			at += n
			text.WriteString(g.Text)
		}
		s.text = text.String()
	}
	return s, nil
}

// unlearned reports whether a message is marked as not to be learned.
func unlearned(m document.Message) bool { return m.Unlearned }

// segments renders a chat. If all of it is learned, the template need not mark the turns.
func (p *Predictor) segments(d *document.Document) ([]chat.Segment, error) {
	if !p.cfg.TrainOnPrompt {
		return p.cfg.Template.Segments(d.Messages, d.Given, p.cfg.Chat)
	}
	if slices.ContainsFunc(d.Messages, unlearned) { // the turns that are not learned are found like those that are
		messages := slices.Clone(d.Messages)
		for i := range messages {
			messages[i].Unlearned = !messages[i].Unlearned
		}
		list, err := p.cfg.Template.Segments(messages, 0, p.cfg.Chat)
		for i := range list {
			list[i].Trained = !list[i].Trained
		}
		return list, err
	}
	text, err := p.cfg.Template.Render(d.Messages, p.cfg.Chat)
	return []chat.Segment{{Text: text, Trained: true}}, err
}

// withInstructions returns a file in which instructions are chats if there is a template, else Alpaca's prompts.
func withInstructions(docs *document.File, template *chat.Template) *document.File {
	if template != nil {
		return docs.Chats()
	}
	return docs.Prompts()
}

// WithInstructions returns a file in which instructions ([document.Instruction]) are chats if the checkpoint has a chat
// template, else prompts in the form of Alpaca. Other files are returned unchanged.
func (p *Predictor) WithInstructions(docs *document.File) *document.File {
	return withInstructions(docs, p.cfg.Template)
}

// learns reports whether a token made from the code points from ≤ i < to is learned. A token that straddles a border
// is learned.
func (s *script) learns(from, to int) bool {
	to = max(to, from+1) // a token without text belongs to the text after it
	return slices.ContainsFunc(s.learned, func(r [2]int) bool { return from < r[1] && to > r[0] })
}

// sequence is a tokenised document.
type sequence struct {
	ids     []int32
	learned []bool // one for each id
}

// sequence marks the tokens of a script that are learned, by the part of the text that each was made from.
func (s *script) sequence(e tokenize.Encoding, eos int32) sequence {
	q := sequence{ids: e.IDs, learned: make([]bool, len(e.IDs))}
	end := true // behind the last token of the text
	for i := len(e.IDs) - 1; i >= 0; i-- {
		switch {
		case s.all:
			q.learned[i] = true
		case e.Sequences[i] < 0: // added by the tokenizer: a token that ends the text, or one that begins it
			q.learned[i] = s.ends && end
		default:
			end = false
			q.learned[i] = s.learns(e.Offsets[i][0], e.Offsets[i][1])
		}
	}
	if n := len(q.ids); s.ends && eos >= 0 {
		if n == 0 || q.ids[n-1] != eos {
			q.ids, q.learned = append(q.ids, eos), append(q.learned, true)
		} else {
			q.learned[n-1] = true
		}
	}
	return q
}

// documentsAtOnce is how many documents are tokenised before their sequences are put together.
const documentsAtOnce = 1024

// eachSequence tokenises documents and calls f for each in order.
func (p *Predictor) eachSequence(
	ctx context.Context, docs *document.File, f func(d *document.Document, q sequence) error,
) error {
	docs = p.WithInstructions(docs)
	if docs.Kind == document.Chat && p.cfg.Template == nil {
		return fmt.Errorf("causallm: %s: the rows are chats, but %w: give texts, or prompts with completions",
			docs.Name, chat.ErrNoTemplate)
	}
	parts := docs.Kind == document.Chat || docs.Kind != document.Text && !p.cfg.TrainOnPrompt
	o := tokenize.Options{Offsets: parts, Words: parts, NoSpecial: docs.Kind == document.Chat}
	for lo := 0; lo < docs.Len(); lo += documentsAtOnce {
		part := slices.Collect(data.Part(docs, lo, min(lo+documentsAtOnce, docs.Len())).Values())
		scripts, err := p.scripts(ctx, docs, part)
		if err != nil {
			return err
		}
		inputs := make([]tokenize.Input, len(part))
		for i := range scripts {
			inputs[i].Text = scripts[i].text
		}
		encodings, err := p.Tok.EncodeBatch(ctx, inputs, o, p.Pool.Workers())
		if err != nil {
			return tasks.InputError(err, docs.Name, func(i int) int { return part[i].Line })
		}
		for i, e := range encodings {
			q := scripts[i].sequence(e, p.Tok.EosID())
			if err := p.Tok.Check(q.ids); err != nil { // the eos token that ends it
				return tasks.InputError(&tokenize.InputError{Index: i, Err: err}, docs.Name,
					func(i int) int { return part[i].Line })
			}
			if err := f(&part[i], q); err != nil {
				return err
			}
		}
	}
	return nil
}

// scripts renders documents on all workers. It returns the error of the first document that cannot be rendered.
func (p *Predictor) scripts(ctx context.Context, docs *document.File, part []document.Document) ([]script, error) {
	list, errs := make([]script, len(part)), make([]error, len(part))
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(max(p.Pool.Workers(), 1), len(part)) {
		wg.Go(func() {
			for ctx.Err() == nil && !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(part) {
					return
				}
				if list[i], errs[i] = p.script(docs.Kind, &part[i]); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, &data.Error{File: docs.Name, Line: part[i].Line, Msg: "the chat cannot be used", Err: err}
		}
	}
	return list, ctx.Err()
}
