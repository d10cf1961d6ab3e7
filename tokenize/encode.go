package tokenize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// token is a token of a text before truncation.
type token struct {
	id       int32
	from, to int32 // code points of the source
	word     int32
	added    bool         // found by a matcher, not by the model
	space    blanksAround // of an added token, with the white space that it took
}

// Encode encodes one text. It errors when the text is too long for
// o.MaxLength and may not be truncated.
func (t *Tokenizer) Encode(text string, o Options) (Encoding, error) {
	return prefixed(t.encode(Input{Text: text}, o))
}

// EncodePair encodes a text and its pair.
func (t *Tokenizer) EncodePair(text, pair string, o Options) (Encoding, error) {
	return prefixed(t.encode(Input{Text: text, Pair: pair, HasPair: true}, o))
}

func prefixed(e Encoding, err error) (Encoding, error) {
	if err != nil {
		return Encoding{}, fmt.Errorf("tokenize: %w", err)
	}
	return e, nil
}

// EncodeBatch encodes inputs with the given number of goroutines and returns the
// encodings in the order of the inputs. The error is that of the first input
// that fails, with its index, or ctx's.
func (t *Tokenizer) EncodeBatch(ctx context.Context, inputs []Input, o Options, workers int) ([]Encoding, error) {
	out := make([]Encoding, len(inputs))
	errs := make([]error, len(inputs))
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(max(workers, 1), len(inputs)) {
		wg.Go(func() {
			for ctx.Err() == nil && !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(inputs) {
					return
				}
				if out[i], errs[i] = t.encode(inputs[i], o); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	// Inputs are taken in order, so all before the first failure were tried.
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("tokenize: input %d: %w", i, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// maxScratch is the length of the longest text whose buffers are kept for the next.
const maxScratch = 1 << 20

func (t *Tokenizer) encode(in Input, o Options) (Encoding, error) {
	size, err := in.size()
	if err != nil {
		return Encoding{}, err
	}
	buf := t.scratch.Get().(*buffers)
	if size <= maxScratch {
		defer t.scratch.Put(buf)
	}
	var texts [2][]token
	if in.Words != nil {
		texts[0] = t.readWords(buf.tokens[0][:0], in.Words, buf)
	} else {
		texts[0] = t.read(buf.tokens[0][:0], in.Text, buf)
	}
	buf.tokens[0] = texts[0]
	parts := t.template.single
	if in.HasPair {
		texts[1] = t.read(buf.tokens[1][:0], in.Pair, buf)
		buf.tokens[1] = texts[1]
		parts = t.template.pair
	}
	dropped, err := truncate(&texts, in.HasPair, added(parts), o)
	if err != nil {
		return Encoding{}, err
	}
	if t.template.trim != keepOffsets && o.Offsets {
		t.trimText(texts[0])
		t.trimText(texts[1])
	}
	e := assemble(parts, texts, o)
	e.Truncated = dropped
	return e, nil
}

// size returns the bytes of the longest text of an input that can be encoded.
func (in Input) size() (int, error) {
	size := max(len(in.Text), len(in.Pair))
	if in.Words != nil {
		if in.Text != "" || in.HasPair {
			return 0, errors.New("an input of words has neither text nor pair")
		}
		for _, w := range in.Words {
			size += len(w)
		}
	}
	if size > math.MaxInt32 {
		return 0, fmt.Errorf("text of more than %d bytes", math.MaxInt32)
	}
	return size, nil
}

// read appends the tokens of text to dst.
func (t *Tokenizer) read(dst []token, text string, buf *buffers) []token {
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // U+FFFD for every bad byte
	}
	var first, word int32
	buf.source = split(t.source, text, buf.source[:0])
	for _, s := range buf.source {
		part := text[s.from:s.to]
		if s.token != nil {
			n := int32(utf8.RuneCountInString(part))
			dst = append(dst, token{id: s.token.id, from: first, to: first + n, word: word, added: true, space: addedSpace(t, part)})
			first += n
			word++
			continue
		}
		in := &buf.a
		next := in.load(part, first)
		dst, word = t.readNormal(dst, word, t.normalizer.normalize(in, buf), buf)
		first = next
	}
	return dst
}

// readNormal appends the tokens of a normalized text to dst. word is the number
// of its first word; the number after its last is returned.
func (t *Tokenizer) readNormal(dst []token, word int32, in *aligned, buf *buffers) ([]token, int32) {
	buf.normal = split(t.normal, in.text, buf.normal[:0])
	for _, s := range buf.normal {
		if s.token != nil {
			dst = append(dst, token{id: s.token.id, from: in.pos[s.from], to: in.pos[s.to-1] + 1, word: word, added: true,
				space: addedSpace(t, in.text[s.from:s.to])})
			word++
			continue
		}
		buf.words = append(buf.words[:0], s.span)
		split := t.preTokenizer.split(in, buf)
		for _, w := range buf.words {
			buf.pieces = t.model.encode(buf.pieces[:0], split.text[w.from:w.to], buf)
			from := w.from
			for _, p := range buf.pieces {
				to := w.from + p.to
				dst = append(dst, token{id: p.id, from: split.pos[from], to: split.pos[to-1] + 1, word: word})
				from = to
			}
			word++
		}
	}
	return dst, word
}

// addedSpace counts the blanks of an added token, if anybody wants to know.
func addedSpace[T string | []byte](t *Tokenizer, text T) blanksAround {
	if t.template.trim == keepOffsets {
		return blanksAround{}
	}
	return countBlanks(text)
}
