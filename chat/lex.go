package chat

import (
	"fmt"
	"strings"
	"unicode"
)

// piece is a part of a template: text, or a tag.
type piece struct {
	kind   pieceKind
	text   string  // content of a text, after white space control
	tokens []token // tokens of a tag
	line   int     // 1-based line of the template
}

type pieceKind int

const (
	textPiece  pieceKind = iota // text that is output unchanged
	printPiece                  // {{ … }}
	blockPiece                  // {% … %}
)

// lexer splits a template into pieces by the rules of Jinja's lexer with trim_blocks and lstrip_blocks on.
type lexer struct {
	src    string
	at     int
	line   int
	atLine bool // whether the preceding text ended a line, so that lstrip_blocks may strip from here
	out    []piece
}

// lex reads a template. As in Jinja, line ends become LF, and one at the very end is dropped.
func lex(src string) ([]piece, error) {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, atLine: true}
	for l.at < len(l.src) {
		if err := l.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.line, err)
		}
	}
	return l.out, nil
}

// next reads the text before the next tag, and the tag.
func (l *lexer) next() error {
	from := l.at
	tag := l.find()
	text := l.src[from:tag]
	if tag == len(l.src) {
		l.text(text)
		l.skip(tag)
		return nil
	}
	opener := l.src[tag : tag+2]
	sign := byte(0)
	after := tag + 2
	if after < len(l.src) && (l.src[after] == '-' || l.src[after] == '+') && (opener != "{{" || l.src[after] == '-') {
		sign = l.src[after]
		after++
	}
	l.text(l.strip(text, opener, sign))
	l.skip(after)
	switch opener {
	case "{#":
		return l.comment()
	case "{{":
		return l.tag(printPiece, "}}")
	}
	if ok, err := l.raw(); ok || err != nil {
		return err
	}
	return l.tag(blockPiece, "%}")
}

// find returns the position of the next tag, or the end of the template if there is none.
func (l *lexer) find() int {
	for i := l.at; i+1 < len(l.src); i++ {
		if l.src[i] == '{' && (l.src[i+1] == '{' || l.src[i+1] == '%' || l.src[i+1] == '#') {
			return i
		}
	}
	return len(l.src)
}

// strip applies the effect of a tag on the white space before it.
func (l *lexer) strip(text, opener string, sign byte) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(text, unicode.IsSpace)
	case sign == '+' || opener == "{{":
		return text
	}
	start := strings.LastIndexByte(text, '\n') + 1
	if (start > 0 || l.atLine) && strings.TrimLeftFunc(text[start:], unicode.IsSpace) == "" {
		return text[:start]
	}
	return text
}

func (l *lexer) text(s string) {
	if s != "" {
		l.out = append(l.out, piece{kind: textPiece, text: s, line: l.line})
	}
}

// skip moves to offset n and counts lines.
func (l *lexer) skip(n int) {
	l.line += strings.Count(l.src[l.at:n], "\n")
	if n > l.at {
		l.atLine = l.src[n-1] == '\n'
	}
	l.at = n
}

// close moves past the end of a tag, which is at offset n: -%} takes all white space after it, and %} one line end if
// trim is set.
func (l *lexer) close(n int, sign byte, trim bool) {
	if sign != 0 {
		n++
	}
	n += 2
	switch {
	case sign == '-':
		n = len(l.src) - len(strings.TrimLeftFunc(l.src[n:], unicode.IsSpace))
	case sign == 0 && trim && strings.HasPrefix(l.src[n:], "\n"):
		n++
	}
	l.skip(n)
}

func (l *lexer) comment() error {
	end := strings.Index(l.src[l.at:], "#}")
	if end < 0 {
		return fmt.Errorf("a comment is not closed")
	}
	end += l.at
	sign := byte(0)
	if end > l.at && (l.src[end-1] == '-' || l.src[end-1] == '+') {
		end--
		sign = l.src[end]
	}
	l.close(end, sign, true)
	return nil
}

// raw reads {% raw %} … {% endraw %} and the text between, if it begins here; otherwise it returns false.
func (l *lexer) raw() (bool, error) {
	word, sign, from := blockWord(l.src[l.at:])
	if word != "raw" {
		return false, nil
	}
	// Unlike other blocks, raw takes no line end that follows it.
	l.close(l.at+from, sign, false)
	for i := l.at; i < len(l.src); i++ {
		if !strings.HasPrefix(l.src[i:], "{%") {
			continue
		}
		n := i + 2
		before := byte(0)
		if n < len(l.src) && (l.src[n] == '-' || l.src[n] == '+') {
			before = l.src[n]
			n++
		}
		if word, sign, from := blockWord(l.src[n:]); word == "endraw" {
			l.text(l.strip(l.src[l.at:i], "{%", before))
			l.close(n+from, sign, true)
			return true, nil
		}
	}
	return false, fmt.Errorf("a raw block is not closed")
}

// blockWord reads a block of one word: it returns the word, the sign before the block's end, and the position of the
// end. The word is "" if there is more than one word.
func blockWord(s string) (word string, sign byte, end int) {
	trimmed := strings.TrimLeftFunc(s, unicode.IsSpace)
	n := 0
	for n < len(trimmed) && (trimmed[n] == '_' || trimmed[n] >= 'a' && trimmed[n] <= 'z') {
		n++
	}
	word = trimmed[:n]
	rest := strings.TrimLeftFunc(trimmed[n:], unicode.IsSpace)
	end = len(s) - len(rest)
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		sign = rest[0]
		rest = rest[1:]
	}
	if !strings.HasPrefix(rest, "%}") {
		return "", 0, 0
	}
	return word, sign, end
}

// tag reads the tokens of {{ … }} or {% … %}.
func (l *lexer) tag(kind pieceKind, closer string) error {
	p := piece{kind: kind, line: l.line}
	var open []byte // open brackets
	for {
		rest := strings.TrimLeftFunc(l.src[l.at:], unicode.IsSpace)
		l.skip(len(l.src) - len(rest))
		if rest == "" {
			return fmt.Errorf("a tag is not closed with %s", closer)
		}
		if len(open) == 0 {
			if sign := rest[0]; (sign == '-' || sign == '+' && kind == blockPiece) && strings.HasPrefix(rest[1:], closer) {
				l.close(l.at, sign, false)
				break
			}
			if strings.HasPrefix(rest, closer) {
				l.close(l.at, 0, kind == blockPiece)
				break
			}
		}
		t, n, err := readToken(rest)
		if err != nil {
			return err
		}
		switch t.text {
		case "(", "[", "{":
			if t.kind == operatorToken {
				open = append(open, closing[t.text])
			}
		case ")", "]", "}":
			if t.kind == operatorToken {
				if len(open) == 0 || open[len(open)-1] != t.text[0] {
					return fmt.Errorf("unexpected %q", t.text)
				}
				open = open[:len(open)-1]
			}
		}
		if len(open) > maxNesting || len(p.tokens) >= maxTokens {
			return fmt.Errorf("an expression has more than %d parts or %d open brackets", maxTokens, maxNesting)
		}
		p.tokens = append(p.tokens, t)
		l.skip(l.at + n)
	}
	l.out = append(l.out, p)
	return nil
}

var closing = map[string]byte{"(": ')', "[": ']', "{": '}'}
