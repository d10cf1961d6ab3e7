package causallm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks/causallm"
)

// talk answers each line of standard input as a turn of one chat, until the end of the input or a signal.
func (r *predicting) talk(ctx context.Context, m *causallm.Opened, cfg generate.Config) error {
	cfg.NumReturnSequences = 1
	var history []document.Message
	if r.system != "" {
		history = append(history, document.Message{Role: "system", Content: r.system})
	}
	if r.env.InTerminal {
		r.console.Log.Info().Msg("type a message; Ctrl-D ends the chat")
	}
	out := writer{w: r.env.Out}
	lines := readTurns(ctx, r.env.In)
	for number := 0; ; number++ {
		if r.env.InTerminal {
			out.write("> ")
		}
		text, err := nextTurn(ctx, lines)
		if err != nil {
			if r.env.InTerminal {
				out.write("\n")
			}
			if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) && r.env.InTerminal {
				err = nil
			}
			return errors.Join(err, out.err)
		}
		history = append(history, document.Message{Role: "user", Content: text})
		p, rest, err := r.turn(m, history)
		if err != nil {
			return err
		}
		if len(rest) < len(history) {
			r.console.Log.Warn().Msgf("the chat has more than %d tokens; its first %d messages are forgotten",
				m.Decoding.LongestPrompt(m.Positions()), len(history)-len(rest))
			history = rest
		}
		p.Number = number
		list, err := m.Generate(ctx, []generate.Prompt{p}, cfg, func(_ int, text string) { out.write(text) })
		out.write("\n")
		if errors.Is(err, context.Canceled) && r.env.InTerminal {
			return out.err
		}
		if err := errors.Join(err, out.err); err != nil {
			return err
		}
		history = append(history, document.Message{Role: "assistant", Content: list[0].Text})
	}
}

// turn encodes a chat up to where the assistant answers. If it leaves no room, the oldest turns are dropped, the
// system message never.
func (r *predicting) turn(m *causallm.Opened, history []document.Message) (generate.Prompt, []document.Message, error) {
	first := 0
	if history[0].Role == "system" {
		first = 1
	}
	for {
		p, err := m.Prompt("", history)
		if err != nil {
			return p, history, err
		}
		err = leavesRoom(m, "the message, with what the chat template adds,", len(p.IDs))
		if err == nil || len(history) < first+3 { // the last message alone
			return p, history, err
		}
		history = append(append([]document.Message(nil), history[:first]...), history[first+2:]...)
	}
}

// turnLine is a line of the input, or how reading ended.
type turnLine struct {
	text string
	err  error
}

// mostTurn bounds a line of a chat.
const mostTurn = 1 << 20

// readTurns reads lines on a goroutine of its own, since reading a terminal cannot be interrupted. It skips blank
// lines.
func readTurns(ctx context.Context, in io.Reader) <-chan turnLine {
	lines := make(chan turnLine)
	send := func(l turnLine) bool {
		select {
		case lines <- l:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		s := bufio.NewScanner(in)
		s.Buffer(nil, mostTurn)
		for s.Scan() {
			if text := strings.TrimRight(s.Text(), "\r"); strings.TrimSpace(text) != "" && !send(turnLine{text: text}) {
				return
			}
		}
		err := s.Err()
		if err == nil {
			err = io.EOF
		}
		send(turnLine{err: err})
	}()
	return lines
}

// nextTurn waits for a line or the end of the context.
func nextTurn(ctx context.Context, lines <-chan turnLine) (string, error) {
	select {
	case l := <-lines:
		if l.err != nil && !errors.Is(l.err, io.EOF) {
			return "", cli.InputError(fmt.Errorf("standard input: %w", l.err))
		}
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
