package tokenize

// template says what stands around and between the texts of an encoding.
type template struct {
	single, pair []part
}

// part is one place of a template: a text (0 or 1) or, if text is -1, tokens.
type part struct {
	text   int
	ids    []int32
	tokens []string // of ids
	typ    int32
}

// plain is the template of a tokenizer without post-processor.
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

// oneToken is a place for a token.
func oneToken(token string, id int32) part {
	return part{text: -1, ids: []int32{id}, tokens: []string{token}}
}

// added is the number of tokens that parts adds to the texts.
func added(parts []part) int {
	n := 0
	for _, p := range parts {
		n += len(p.ids)
	}
	return n
}

// assemble fills the places of parts with the tokens of the texts.
func assemble(parts []part, texts [2][]token, o Options) Encoding {
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
	put := func(id, typ int32, t token, sequence int8) {
		e.IDs = append(e.IDs, id)
		e.Types = append(e.Types, typ)
		if o.Offsets {
			e.Offsets = append(e.Offsets, [2]int{int(t.from), int(t.to)})
		}
		if o.Words {
			e.Words = append(e.Words, t.word)
			e.Sequences = append(e.Sequences, sequence)
		}
	}
	for _, p := range parts {
		if p.text >= 0 {
			for _, t := range texts[p.text] {
				put(t.id, p.typ, t, int8(p.text))
			}
		} else if !o.NoSpecial {
			for _, id := range p.ids {
				put(id, p.typ, token{word: -1}, -1)
			}
		}
	}
	return e
}
