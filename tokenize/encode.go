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
	added    bool         // matched by a matcher, not by the model
	space    blanksAround // for an added token: blanks in the white space that it took
}

// Encode encodes one text. It returns an error if the text is longer than o.MaxLength and must not be truncated.
func (t *Tokenizer) Encode(text string, o Options) (Encoding, error) {
	return prefixed(t.encode(Input{Text: text}, o))
}

// EncodePair encodes a text and its pair. It returns an error if they are longer than o.MaxLength and cannot be
// truncated.
func (t *Tokenizer) EncodePair(text, pair string, o Options) (Encoding, error) {
	return prefixed(t.encode(Input{Text: text, Pair: pair, HasPair: true}, o))
}

func prefixed(e Encoding, err error) (Encoding, error) {
	if err != nil {
		return Encoding{}, fmt.Errorf("tokenize: %w", err)
	}
	return e, nil
}

// EncodeBatch encodes inputs with the given number of goroutines and returns the encodings in the order of the inputs.
// It returns the error of the first input that fails, an [*InputError], or the error of ctx.
func (t *Tokenizer) EncodeBatch(ctx context.Context, inputs []Input, o Options, workers int) ([]Encoding, error) {
	out := make([]Encoding, len(inputs))
	err := each(ctx, len(inputs), workers, func(i int) (err error) {
		out[i], err = t.encode(inputs[i], o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// InputError reports which input of a batch could not be encoded, and why.
type InputError struct {
	Index int
	Err   error
}

// Error returns the index and the reason.
func (e *InputError) Error() string { return fmt.Sprintf("tokenize: input %d: %v", e.Index, e.Err) }

// Unwrap returns the reason.
func (e *InputError) Unwrap() error { return e.Err }

// each calls f for 0 ≤ i < n with the given number of goroutines and returns the error of the first i that fails.
func each(ctx context.Context, n, workers int, f func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(max(workers, 1), n) {
		wg.Go(func() {
			for ctx.Err() == nil && !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[i] = f(i); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	// Inputs are started in order, so all inputs before the first failure were tried.
	for i, err := range errs {
		if err != nil {
			return &InputError{i, err}
		}
	}
	return ctx.Err()
}

// maxScratch is the maximum length of a text whose buffers are kept for later texts.
const maxScratch = 1 << 20

func (t *Tokenizer) encode(in Input, o Options) (Encoding, error) {
	if o.Target && t.target != nil {
		t = t.target
	}
	buf, done, err := t.buffers(in)
	if err != nil {
		return Encoding{}, err
	}
	defer done()
	texts, parts, err := t.readBoth(in, buf)
	if err != nil {
		return Encoding{}, err
	}
	if o.Side == OwnSide {
		o.Side = t.side
	}
	dropped, err := truncate(&texts, in.HasPair, added(parts), o)
	if err != nil {
		return Encoding{}, err
	}
	if t.template.trim != keepOffsets && o.Offsets {
		t.trimText(texts[0])
		t.trimText(texts[1])
	}
	e := t.assemble(parts, texts, o)
	e.Truncated = dropped
	return e, t.Check(e.IDs)
}

// size returns the bytes of the longest text of an input. It returns an error if the input cannot be encoded.
func (in Input) size() (int, error) {
	size := max(len(in.Text), len(in.Pair))
	if in.Words != nil {
		if in.Text != "" || in.HasPair {
			return 0, errors.New("an input of words must have neither text nor pair")
		}
		for _, w := range in.Words {
			size += len(w)
		}
	}
	if size > math.MaxInt32 {
		return 0, fmt.Errorf("the text has more than %d bytes", math.MaxInt32)
	}
	return size, nil
}

// buffers returns scratch memory for an input and a function that returns it to the pool.
func (t *Tokenizer) buffers(in Input) (buf *buffers, done func(), err error) {
	size, err := in.size()
	if err != nil {
		return nil, nil, err
	}
	buf, done = t.borrow(size)
	return buf, done, nil
}

// borrow returns scratch memory for a text of the given number of bytes and a function that returns it to the pool.
func (t *Tokenizer) borrow(size int) (buf *buffers, done func()) {
	buf = t.scratch.Get().(*buffers)
	buf.err = nil
	if size > maxScratch {
		return buf, func() {}
	}
	return buf, func() { t.scratch.Put(buf) }
}

// readBoth returns the tokens of an input's texts, which belong to buf, and the template for them. It returns an error
// if a custom part fails.
func (t *Tokenizer) readBoth(in Input, buf *buffers) (texts [2][]token, parts []part, err error) {
	if in.Words != nil {
		texts[0] = t.readWords(buf.tokens[0][:0], in.Words, buf)
	} else {
		texts[0] = t.read(buf.tokens[0][:0], in.Text, buf)
	}
	buf.tokens[0] = texts[0]
	if !in.HasPair {
		return texts, t.template.single, buf.err
	}
	texts[1] = t.read(buf.tokens[1][:0], in.Pair, buf)
	buf.tokens[1] = texts[1]
	return texts, t.template.pair, buf.err
}

// read appends the tokens of text to dst. After an error of a custom part, which is in buf, the tokens are incomplete.
func (t *Tokenizer) read(dst []token, text string, buf *buffers) []token {
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // U+FFFD for every bad byte
	}
	var first, word int32
	buf.source = split(t.source, text, buf.source[:0])
	for _, s := range buf.source {
		if buf.err != nil {
			break
		}
		part := text[s.from:s.to]
		if s.token != nil {
			n := int32(utf8.RuneCountInString(part))
			dst = append(dst, token{
				id: s.token.id, from: first, to: first + n, word: word, added: true, space: addedSpace(t, part),
			})
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

// readNormal appends the tokens of a normalized text to dst. word is the number of the text's first word; readNormal
// also returns the number after its last word.
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
			for _, p := range buf.pieces {
				dst = append(dst, token{id: p.id, from: split.pos[w.from+p.from], to: split.pos[w.from+p.to-1] + 1, word: word})
			}
			word++
		}
	}
	return dst, word
}

// addedSpace counts the blanks of an added token, if the template needs the number.
func addedSpace[T string | []byte](t *Tokenizer, text T) blanksAround {
	if t.template.trim == keepOffsets {
		return blanksAround{}
	}
	return countBlanks(text)
}
