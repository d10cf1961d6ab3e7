package tokenize

import "sync"

// normalizer rewrites a text before it is split into words.
type normalizer interface {
	// normalize returns the normal form of in. The result is in or one of the two text buffers; in must not be used
	// afterwards.
	normalize(in *aligned, buf *buffers) *aligned
}

// buffers are the scratch memory of one goroutine.
type buffers struct {
	a, b    aligned   // text before and after a step of the normalizer
	c, d    aligned   // the same for a pre-tokenizer that rewrites words
	plain   []change  // output of a canonical ordering
	source  []segment // segments of the source text
	normal  []segment // segments of a normalized part of it
	words   []span    // words that a pre-tokenizer splits
	split   []span    // the parts that it makes
	pieces  []piece
	tokens  [2][]token
	bpe     bpeScratch
	unigram unigramScratch
	err     error // of a custom part, for the input that is read
}

// newScratch returns a pool of buffers.
func newScratch() *sync.Pool { return &sync.Pool{New: func() any { return new(buffers) }} }

// other returns the text buffer that is not a, after emptying it.
func (b *buffers) other(a *aligned) *aligned {
	o := &b.a
	if a == o {
		o = &b.b
	}
	o.reset(len(a.text))
	return o
}

// rewritten returns an empty text buffer for the rewritten words of a. It is neither a nor a buffer of the normalizer.
func (b *buffers) rewritten(a *aligned) *aligned {
	o := &b.c
	if a == o {
		o = &b.d
	}
	o.reset(len(a.text))
	return o
}

// sequence applies normalizers one after another.
type sequence []normalizer

func (s sequence) normalize(in *aligned, buf *buffers) *aligned {
	for _, n := range s {
		in = n.normalize(in, buf)
	}
	return in
}

// lowercase maps every code point to its lower case.
type lowercase struct{}

func (lowercase) normalize(in *aligned, buf *buffers) *aligned {
	out := buf.other(in)
	for i, r := range in.runes() {
		first, second := lower(r)
		out.add(first, in.pos[i])
		if second != 0 {
			out.add(second, in.pos[i])
		}
	}
	return out
}

// lowercased returns a normalizer that maps texts to lower case before n, unless n is or lists lowercase.
func lowercased(n normalizer) normalizer {
	if _, is := n.(lowercase); is {
		return n
	}
	list, ok := n.(sequence)
	if !ok {
		list = sequence{n}
	}
	for _, n := range list {
		if _, is := n.(lowercase); is {
			return list
		}
	}
	return append(sequence{lowercase{}}, list...)
}

// dropClass removes the code points of a class.
type dropClass class

func (d dropClass) normalize(in *aligned, buf *buffers) *aligned {
	out := buf.other(in)
	for i, r := range in.runes() {
		if classOf(r)&class(d) == 0 {
			out.add(r, in.pos[i])
		}
	}
	return out
}

// cleanText removes control characters and replaces all other white space by blanks.
type cleanText struct{}

func (cleanText) normalize(in *aligned, buf *buffers) *aligned {
	out := buf.other(in)
	for i, r := range in.runes() {
		switch c := classOf(r); {
		case c&isDropped != 0:
		case c&isSpace != 0:
			out.add(' ', in.pos[i])
		default:
			out.add(r, in.pos[i])
		}
	}
	return out
}

// spaceCJK puts blanks around every Chinese character.
type spaceCJK struct{}

func (spaceCJK) normalize(in *aligned, buf *buffers) *aligned {
	out := buf.other(in)
	for i, r := range in.runes() {
		if classOf(r)&isCJK == 0 {
			out.add(r, in.pos[i])
			continue
		}
		out.add(' ', in.pos[i])
		out.add(r, in.pos[i])
		out.add(' ', in.pos[i])
	}
	return out
}
