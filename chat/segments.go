package chat

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spalora/spalora/data/document"
)

// Segment is a part of the text of a chat.
type Segment struct {
	Text    string
	Trained bool // whether the assistant wrote the part, so that it is learned
}

// ErrSegments is wrapped by errors about templates for which the assistant's turns cannot be distinguished from the
// rest.
var ErrSegments = errors.New("cannot determine which part of the chat is the assistant's")

// Segments cuts the text that [Template.Render] gives for a chat into the parts of the assistant, which are learned,
// and the rest. The first given messages are a prompt, of which nothing is learned, and nothing is learned of messages
// that are Unlearned.
//
// If the template has {% generation %} blocks, these are the assistant's parts. Otherwise a turn begins where the text
// of the messages before it ends when a generation prompt is added, and ends where the text of the messages up to it
// ends, so that it includes the tokens that end a turn; white space after these tokens is not learned. This needs each
// of these texts to be a prefix of the whole text. If the text up to a message is not a prefix, because the template
// writes more into the last turn than into earlier ones, the turn must begin with the message's content and the text
// that follows the content when the message is the last one. In all other cases Segments returns an error that wraps
// [ErrSegments].
func (t *Template) Segments(messages []document.Message, given int, o Options) ([]Segment, error) {
	o.AddGenerationPrompt = false
	if o.Now.IsZero() {
		o.Now = time.Now() // the same time for all renderings
	}
	whole, err := t.Render(messages, o)
	if err != nil {
		return nil, err
	}
	if t.generation {
		return t.marked(whole, messages, given, o)
	}
	var list []Segment
	at := 0
	for i := given; i < len(messages); i++ {
		if messages[i].Role != "assistant" || messages[i].Unlearned {
			continue
		}
		from, err := t.prefix(whole, messages, i, o, true)
		if err != nil {
			return nil, err
		}
		to, err := t.end(whole, from, messages[:i+1], o)
		if err != nil {
			return nil, err
		}
		if from < at || to < from {
			return nil, t.unclear("the turn of message %d would begin before the one before it ends", i+1)
		}
		turn := ending(whole[from:to], messages[i].Content)
		list = add(list, whole[at:from], false)
		list = add(list, turn, true)
		at = from + len(turn)
	}
	return add(list, whole[at:], false), nil
}

// add appends a segment, or joins it to the last one if that is of the same kind.
func add(list []Segment, text string, trained bool) []Segment {
	if n := len(list); n > 0 && list[n-1].Trained == trained {
		list[n-1].Text += text
		return list
	}
	if text == "" {
		return list
	}
	return append(list, Segment{text, trained})
}

// ending cuts off the white space that follows the tokens that end a turn. Without such tokens, white space is the end.
func ending(turn, content string) string {
	cut := strings.TrimSpace(turn)
	cut = turn[:strings.Index(turn, cut)+len(cut)]
	content = strings.TrimSpace(content)
	if cut == "" || content != "" && strings.HasSuffix(cut, content) {
		return turn
	}
	return cut
}

// prefix returns the length of the text of the first n messages, which must be a prefix of whole.
func (t *Template) prefix(whole string, messages []document.Message, n int, o Options, prompt bool) (int, error) {
	o.AddGenerationPrompt = prompt
	text, err := t.Render(messages[:n], o)
	if err != nil {
		return 0, t.unclear("the text of the first %d messages alone: %w", n, err)
	}
	if !strings.HasPrefix(whole, text) {
		what := ""
		if prompt {
			what = " and a generation prompt"
		}
		return 0, t.unclear("the text of the first %d messages%s is not the beginning of the whole text", n, what)
	}
	return len(text), nil
}

// end returns the position where the turn of the last message, which begins at from, ends.
func (t *Template) end(whole string, from int, messages []document.Message, o Options) (int, error) {
	to, err := t.prefix(whole, messages, len(messages), o, false)
	if err == nil {
		return to, nil
	}
	alone, failed := t.Render(messages, o)
	if failed != nil {
		return 0, err
	}
	given := messages[len(messages)-1].Content
	for _, content := range []string{given, strings.TrimSpace(given)} {
		i := strings.LastIndex(alone, content)
		if i < 0 {
			continue
		}
		if turn := alone[i:]; strings.TrimSpace(turn[len(content):]) != "" && strings.HasPrefix(whole[from:], turn) {
			return from + len(turn), nil
		}
	}
	return 0, err
}

func (t *Template) unclear(format string, args ...any) error {
	return fmt.Errorf("chat: %s: %w: %w (learn the whole text with --train-on-prompt, or mark the assistant's part of "+
		"the template with {%% generation %%} … {%% endgeneration %%})",
		t.name, ErrSegments, fmt.Errorf(format, args...))
}

// marked cuts whole at the markers of generation blocks.
func (t *Template) marked(whole string, messages []document.Message, given int, o Options) ([]Segment, error) {
	hidden, err := t.hidden(whole, messages, given, o)
	if err != nil {
		return nil, err
	}
	m := newMarkers(whole)
	text, err := t.render(messages, o, m)
	if err != nil {
		return nil, err
	}
	var list []Segment
	at := 0
	for text != "" {
		plain, rest, found := strings.Cut(text, m.begin)
		turn := ""
		if found {
			if turn, text, found = strings.Cut(rest, m.end); !found {
				return nil, t.unclear("a generation block does not print its end")
			}
		} else {
			text = ""
		}
		list = add(list, plain, false)
		at += len(plain)
		for _, h := range hidden { // the parts that belong to the prompt or to messages that are not learned
			from := min(max(h[0]-at, 0), len(turn))
			to := min(max(h[1]-at, 0), len(turn))
			list = add(add(list, turn[:from], true), turn[from:to], false)
			turn, at = turn[to:], at+to
		}
		list = add(list, turn, true)
		at += len(turn)
	}
	joined := ""
	for _, s := range list {
		joined += s.Text
	}
	if joined != whole {
		return nil, t.unclear("its generation blocks change the text")
	}
	return list, nil
}

// hidden returns the ranges of whole of which nothing is learned, in order: that of the first given messages and those
// of the assistant's messages that are Unlearned.
func (t *Template) hidden(whole string, messages []document.Message, given int, o Options) (list [][2]int, err error) {
	add := func(from, to int) error {
		var r [2]int
		for i, n := range []int{from, to} {
			if n == 0 {
				continue // the beginning of the text
			}
			if r[i], err = t.prefix(whole, messages, n, o, false); err != nil {
				return err
			}
		}
		list = append(list, r)
		return nil
	}
	if given > 0 {
		err = add(0, given)
	}
	for i := given; i < len(messages) && err == nil; i++ {
		if messages[i].Role == "assistant" && messages[i].Unlearned {
			err = add(i, i+1)
		}
	}
	return list, err
}

// newMarkers returns two strings that do not occur in text.
func newMarkers(text string) *markers {
	for i := 0; ; i++ {
		m := &markers{fmt.Sprintf("\x01<%d>", i), fmt.Sprintf("\x02<%d>", i)}
		if !strings.Contains(text, m.begin) && !strings.Contains(text, m.end) {
			return m
		}
	}
}
