package tokenize

import "strings"

// decoder joins tokens to a text.
type decoder interface {
	join(tokens []string) string
}

// Decode returns the text of ids: with the WordPiece decoder, pieces inside a
// word joined to it and the blanks before punctuation removed. Ids that have no
// token are left out, and with skipSpecial the special tokens.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.spelling) {
			continue
		}
		s := t.spelling[id]
		if skipSpecial && t.special[s] {
			continue
		}
		tokens = append(tokens, s)
	}
	return t.decoder.join(tokens)
}

// blanks puts a blank between tokens.
type blanks struct{}

func (blanks) join(tokens []string) string { return strings.Join(tokens, " ") }

// wordPieceDecoder joins the pieces that bear prefix to the token before.
type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (d wordPieceDecoder) join(tokens []string) string {
	var b strings.Builder
	for i, s := range tokens {
		if i > 0 {
			if tail, ok := strings.CutPrefix(s, d.prefix); ok {
				s = tail
			} else {
				s = " " + s
			}
		}
		if d.cleanup {
			s = cleanUp(s)
		}
		b.WriteString(s)
	}
	return b.String()
}

// cleanUp undoes in one token the splitting of English punctuation, replacement
// by replacement in the reference's order.
func cleanUp(s string) string {
	for _, r := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}
