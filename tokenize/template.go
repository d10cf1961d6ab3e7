package tokenize

// template describes the tokens around and between the texts of an encoding.
type template struct {
	single, pair []part
	trim         trimming
}

// trimming says how to change the offsets of tokens that begin or end with white space, as those of byte-level models
// do.
type trimming int

const (
	keepOffsets  trimming = iota
	trimOffsets           // exclude the white space
	trimPrefixed          // the same, but include one blank at the beginning of a text to which one was added
)

// part is one place of a template: text 0 or 1 or, if text is -1, tokens.
type part struct {
	text   int
	ids    []int32
	tokens []string // the tokens of ids
	typ    int32
	once   bool // the tokens are left out if the text before them ends with them
}

// plain is the template of a tokenizer without a post-processor.
var plain = template{
	single: []part{{text: 0}},
	pair:   []part{{text: 0}, {text: 1, typ: 1}},
}

// bertTemplate is [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
func bertTemplate(cls, sep part) template {
	end := sep
	end.typ = 1
	return template{
		single: []part{cls, {text: 0}, sep},
		pair:   []part{cls, {text: 0}, sep, {text: 1, typ: 1}, end},
	}
}

// robertaTemplate is <s> A </s> and <s> A </s> </s> B </s>, all of type 0.
func robertaTemplate(cls, sep part) template {
	return template{
		single: []part{cls, {text: 0}, sep},
		pair:   []part{cls, {text: 0}, sep, sep, {text: 1}, sep},
	}
}

// oneToken is a place for a token.
func oneToken(token string, id int32) part {
	return part{text: -1, ids: []int32{id}, tokens: []string{token}}
}

// added returns the number of tokens that parts add to the texts.
func added(parts []part) int {
	n := 0
	for _, p := range parts {
		n += len(p.ids)
	}
	return n
}

// assemble fills the places of parts with the tokens of the texts and applies the options.
func (t *Tokenizer) assemble(parts []part, texts [2][]token, o Options) Encoding {
	n := len(texts[0]) + len(texts[1])
	if !o.NoSpecial {
		n += added(parts)
	}
	flat := make([]int32, 2*n)
	e := Encoding{IDs: flat[:0:n], Types: flat[n : n : 2*n]}
	if o.Offsets {
		e.Offsets = make([][2]int, 0, n)
	}
	if o.Words {
		e.Words, e.Sequences = make([]int32, 0, n), make([]int8, 0, n)
	}
	put := func(id, typ int32, k token, sequence int8) {
		if t.untyped {
			typ = 0
		}
		e.IDs = append(e.IDs, id)
		e.Types = append(e.Types, typ)
		if o.Offsets {
			e.Offsets = append(e.Offsets, [2]int{int(k.from), int(k.to)})
		}
		if o.Words {
			e.Words = append(e.Words, k.word)
			e.Sequences = append(e.Sequences, sequence)
		}
	}
	inText := false // whether the last token is one of a text
	for _, p := range parts {
		switch {
		case p.text >= 0:
			for _, k := range texts[p.text] {
				put(k.id, p.typ, k, int8(p.text))
			}
			inText = len(texts[p.text]) > 0
		case !o.NoSpecial && !(p.once && inText && e.IDs[len(e.IDs)-1] == p.ids[0]):
			for _, id := range p.ids {
				put(id, p.typ, token{word: -1}, -1)
			}
			inText = false
		}
	}
	return e
}

// trimText excludes the white space at both ends of each token from its offsets. As in the reference, the white space
// is counted in the token, not in the text.
func (t *Tokenizer) trimText(tokens []token) {
	for i := range tokens {
		k := &tokens[i]
		space := k.space
		if !k.added {
			space = t.space[k.id]
		}
		if space.lead == 1 && t.template.trim == trimPrefixed && (i == 0 || k.from == 0) {
			space.lead = 0
		}
		k.from = min(k.from+space.lead, k.to)
		if k.to >= space.trail {
			k.to = max(k.to-space.trail, k.from)
		}
	}
}
