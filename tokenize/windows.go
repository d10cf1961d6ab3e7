package tokenize

import (
	"context"
	"errors"
	"fmt"
)

// Windowing says how to cut an input that is too long for one encoding into several overlapping ones, as transformers'
// tokenizers do with return_overflowing_tokens, stride and truncation only_second (only_first for a text without a
// pair).
type Windowing struct {
	// MaxLength is the maximum number of tokens of a window, including special tokens. It must be set.
	MaxLength int
	// Stride is the number of tokens of the cut text that a window shares with the preceding one.
	Stride int
	// Shrink reduces the overlap of an input to half of its windows' room if Stride would fill the room. Without Shrink
	// this is an error.
	Shrink bool
	// MaxText is the maximum number of tokens that the text keeps if the input has a pair, counted from the beginning; 0
	// means all.
	MaxText int
}

// Windows holds the encodings of one input: each has the whole text and a part of the pair or, if there is no pair, a
// part of the text.
type Windows struct {
	// List holds the windows, at least one, from the beginning of the cut text to its end or, if the checkpoint's files
	// say that texts are cut on the left, from its end to its beginning. Offsets, Words and Sequences are filled in; the
	// tokens of the pair are those with sequence 1. Truncated is 0: no token of the cut text is lost.
	List []Encoding
	// Starts holds for each window the number of the cut text's tokens before it.
	Starts []int
	// Dropped is the number of tokens of the text that were dropped because of MaxText.
	Dropped int
	// Shrunk reports whether the overlap is less than Stride.
	Shrunk bool
}

// Windows encodes an input into as many windows as it needs. Each text is tokenised once, so the time is linear in its
// length and in the number of tokens in the windows. Windows returns an error that wraps [ErrNoRoom] if the text alone
// leaves no room for the pair, or if the stride fills the room.
func (t *Tokenizer) Windows(in Input, w Windowing) (Windows, error) {
	out, err := t.windows(in, w)
	if err != nil {
		return Windows{}, fmt.Errorf("tokenize: %w", err)
	}
	return out, nil
}

// WindowsBatch encodes inputs with the given number of goroutines and returns the windows in the order of the inputs.
// It returns the error of the first input that fails, an [*InputError], or the error of ctx.
func (t *Tokenizer) WindowsBatch(ctx context.Context, inputs []Input, w Windowing, workers int) ([]Windows, error) {
	out := make([]Windows, len(inputs))
	err := each(ctx, len(inputs), workers, func(i int) (err error) {
		out[i], err = t.windows(inputs[i], w)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (t *Tokenizer) windows(in Input, w Windowing) (Windows, error) {
	buf, done, err := t.buffers(in)
	if err != nil {
		return Windows{}, err
	}
	defer done()
	texts, parts, err := t.readBoth(in, buf)
	if err != nil {
		return Windows{}, err
	}
	var out Windows
	cut := 0 // the text that is cut
	if in.HasPair {
		cut = 1
		if w.MaxText < 0 {
			return out, fmt.Errorf("max text is %d, want at least 1, or 0 for all tokens", w.MaxText)
		}
		if n := len(texts[0]); w.MaxText > 0 && n > w.MaxText {
			texts[0], out.Dropped = texts[0][:w.MaxText], n-w.MaxText
		}
	}
	n := len(texts[cut])
	ranges, shrunk, err := w.ranges(n, len(texts[1-cut]), added(parts))
	if err != nil {
		return Windows{}, err
	}
	out.Shrunk = shrunk
	out.List, out.Starts = make([]Encoding, len(ranges)), make([]int, len(ranges))
	for i, r := range ranges {
		if t.side == Left {
			r = span{n - r.to, n - r.from}
		}
		out.Starts[i] = r.from
		part := texts
		part[cut] = texts[cut][r.from:r.to]
		if t.template.trim != keepOffsets { // trimming changes tokens, which other windows also contain
			for k := range part {
				part[k] = append([]token(nil), part[k]...)
				t.trimText(part[k])
			}
		}
		out.List[i] = t.assemble(parts, part, Options{Offsets: true, Words: true})
		if err := t.Check(out.List[i].IDs); err != nil {
			return Windows{}, err
		}
	}
	return out, nil
}

// ranges returns for each window the range of the n tokens of the cut text, beside other tokens of the other text and
// the special ones.
func (w Windowing) ranges(n, other, special int) (list []span, shrunk bool, err error) {
	room, stride := w.MaxLength-special-other, w.Stride
	switch {
	case w.MaxLength < 1 || w.Stride < 0:
		return nil, false,
			fmt.Errorf("windows of %d tokens with a stride of %d: want a length above 0 and a stride of at least 0",
				w.MaxLength, w.Stride)
	case n <= room:
		return []span{{0, n}}, false, nil
	case room < 1 && other > 0:
		return nil, false,
			fmt.Errorf("%w: the text has %d tokens, the special tokens are %d, and max length %d leaves no room "+
				"for the pair's %d; shorten the text or raise max length", ErrNoRoom, other, special, w.MaxLength, n)
	case room < 1:
		return nil, false, fmt.Errorf("%w: max length %d leaves no room beside the %d special tokens",
			ErrNoRoom, w.MaxLength, special)
	case stride >= room && !w.Shrink:
		return nil, false, fmt.Errorf("%w: max length %d leaves room for %d tokens of the text that is cut "+
			"(%d are special, %d of the other text), and the stride is %d",
			ErrNoRoom, w.MaxLength, room, special, other, stride)
	case stride >= room:
		stride, shrunk = room/2, true
	}
	for from := 0; ; from += room - stride {
		to := min(from+room, n)
		list = append(list, span{from, to})
		if to == n {
			return list, shrunk, nil
		}
	}
}

// ErrNoRoom is the error, wrapped, if a window has no room for new tokens.
var ErrNoRoom = errors.New("no room in a window")
