package tokenize

import (
	"context"
	"errors"
	"fmt"
)

// Windowing is how to cut what is too long for one encoding into several that overlap, as transformers' tokenizers do with
// return_overflowing_tokens, stride and truncation only_second (only_first for a text without a pair).
type Windowing struct {
	// MaxLength is the greatest number of tokens of a window, special tokens counted. It must be set.
	MaxLength int
	// Stride is how many tokens of the cut text a window has in common with the one before it.
	Stride int
	// Shrink makes the overlap of an input half of its windows' room where Stride would fill it. Without it that is an error.
	Shrink bool
	// MaxText is how many tokens of the text are kept if the input has a pair, counted from the beginning; 0: all.
	MaxText int
}

// Windows are the encodings of one input: each has the whole text and a part of the pair, or a part of the text if there is no pair.
type Windows struct {
	// List holds the windows in order, at least one. Offsets, words and sequences are filled in; the tokens of the pair are those
	// whose sequence is 1. Truncated is 0: no token of the text that is cut is lost.
	List []Encoding
	// Dropped is how many tokens of the text MaxText has cost.
	Dropped int
	// Shrunk says that the overlap is less than Stride.
	Shrunk bool
}

// Windows encodes an input into as many windows as it needs. Each text is tokenised once, so the time is linear in its length and in
// the number of tokens that come out. It errors when the text alone leaves no room for the pair, or the stride fills the room.
func (t *Tokenizer) Windows(in Input, w Windowing) (Windows, error) {
	out, err := t.windows(in, w)
	if err != nil {
		return Windows{}, fmt.Errorf("tokenize: %w", err)
	}
	return out, nil
}

// WindowsBatch encodes inputs with the given number of goroutines, in the order of the inputs. The error is that of the first input
// that fails, an [*InputError], or ctx's.
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
	texts, parts := t.readBoth(in, buf)
	var out Windows
	cut := 0 // the text that is cut
	if in.HasPair {
		cut = 1
		if w.MaxText < 0 {
			return out, fmt.Errorf("the text may have %d tokens; want 1 or more, or 0 for all", w.MaxText)
		}
		if n := len(texts[0]); w.MaxText > 0 && n > w.MaxText {
			texts[0], out.Dropped = texts[0][:w.MaxText], n-w.MaxText
		}
	}
	ranges, shrunk, err := w.ranges(len(texts[cut]), len(texts[1-cut]), added(parts))
	if err != nil {
		return Windows{}, err
	}
	out.Shrunk = shrunk
	out.List = make([]Encoding, len(ranges))
	for i, r := range ranges {
		part := texts
		part[cut] = texts[cut][r.from:r.to]
		if t.template.trim != keepOffsets { // trimming changes tokens, which other windows have too
			for k := range part {
				part[k] = append([]token(nil), part[k]...)
				t.trimText(part[k])
			}
		}
		out.List[i] = assemble(parts, part, Options{Offsets: true, Words: true})
	}
	return out, nil
}

// ranges returns which of the n tokens of the cut text each window has, beside other tokens of the other text and the special ones.
func (w Windowing) ranges(n, other, special int) (list []span, shrunk bool, err error) {
	room, stride := w.MaxLength-special-other, w.Stride
	switch {
	case w.MaxLength < 1 || w.Stride < 0:
		return nil, false, fmt.Errorf("windows of %d tokens with a stride of %d: want a length above 0 and a stride of at least 0", w.MaxLength, w.Stride)
	case n <= room:
		return []span{{0, n}}, false, nil
	case room < 1 && other > 0:
		return nil, false, fmt.Errorf("%w: the text has %d tokens, the special tokens are %d, and max length %d leaves no room for the pair's %d",
			ErrNoRoom, other, special, w.MaxLength, n)
	case room < 1:
		return nil, false, fmt.Errorf("%w: max length %d leaves none beside the %d special tokens", ErrNoRoom, w.MaxLength, special)
	case stride >= room && !w.Shrink:
		return nil, false, fmt.Errorf("%w: max length %d leaves room for %d tokens of the text that is cut (%d are special, %d of the other text), and the stride is %d",
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

// ErrNoRoom is wrapped by errors about windows that could hold nothing new.
var ErrNoRoom = errors.New("no room in a window")
