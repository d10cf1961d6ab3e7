package chat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is a word, number, string or operator of an expression.
type token struct {
	kind tokenKind
	text string // for a string: its value
}

type tokenKind int

const (
	nameToken tokenKind = iota
	numberToken
	stringToken
	operatorToken
)

// is reports whether t is the given operator or name.
func (t token) is(s string) bool {
	return t.text == s && (t.kind == operatorToken || t.kind == nameToken)
}

// operators lists the operators of Jinja, longer ones first.
var operators = []string{
	"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
	":", "|", ",",
}

// readToken reads the token that s begins with and returns its length.
func readToken(s string) (token, int, error) {
	switch c := s[0]; {
	case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		n := 1
		for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' ||
			s[n] >= '0' && s[n] <= '9') {
			n++
		}
		return token{nameToken, s[:n]}, n, nil
	case c >= '0' && c <= '9':
		return readNumber(s)
	case c == '\'' || c == '"':
		return readString(s)
	}
	for _, o := range operators {
		if strings.HasPrefix(s, o) {
			return token{operatorToken, o}, len(o), nil
		}
	}
	r, _ := utf8.DecodeRuneInString(s)
	return token{}, 0, fmt.Errorf("unexpected character %q", r)
}

func readNumber(s string) (token, int, error) {
	digits := func(n int) int {
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		return n
	}
	n := digits(1)
	if n+1 < len(s) && s[n] == '.' && s[n+1] >= '0' && s[n+1] <= '9' {
		n = digits(n + 1)
	}
	text := s[:n]
	if m := strings.TrimLeft(s[n:], "eE"); len(m) == len(s)-n-1 {
		sign := 0
		if m != "" && (m[0] == '+' || m[0] == '-') {
			sign = 1
		}
		if end := digits(n + 1 + sign); end > n+1+sign {
			text += s[n:end]
			n = end
		}
	}
	if n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z') {
		return token{}, 0, fmt.Errorf("the number %s… is written in a way that is not supported", s[:n+1])
	}
	return token{numberToken, text}, n, nil
}

// readString reads a string literal with Python's escapes.
func readString(s string) (token, int, error) {
	var b strings.Builder
	for n := 1; n < len(s); {
		switch c := s[n]; {
		case c == s[0]:
			return token{stringToken, b.String()}, n + 1, nil
		case c != '\\':
			b.WriteByte(c)
			n++
		default:
			text, size, err := escape(s[n:])
			if err != nil {
				return token{}, 0, err
			}
			b.WriteString(text)
			n += size
		}
	}
	return token{}, 0, fmt.Errorf("a string is not closed")
}

// escape reads an escape sequence. As in Python, an unknown one stays unchanged.
func escape(s string) (string, int, error) {
	if len(s) < 2 {
		return "", 0, fmt.Errorf("a string is not closed")
	}
	if i := strings.IndexByte(`\'"nrtabfv`, s[1]); i >= 0 {
		return string("\\'\"\n\r\t\a\b\f\v"[i]), 2, nil
	}
	base, from, to := 16, 2, 0
	switch s[1] {
	case '\n':
		return "", 2, nil
	case 'x':
		to = 4
	case 'u':
		to = 6
	case 'U':
		to = 10
	case '0', '1', '2', '3', '4', '5', '6', '7':
		base, from, to = 8, 1, 2
		for to < min(len(s), 4) && s[to] >= '0' && s[to] <= '7' {
			to++
		}
	default:
		return s[:1], 1, nil
	}
	if len(s) >= to {
		if v, err := strconv.ParseUint(s[from:to], base, 32); err == nil && utf8.ValidRune(rune(v)) {
			return string(rune(v)), to, nil
		}
	}
	return "", 0, fmt.Errorf("invalid escape sequence %s", strconv.Quote(s[:min(len(s), max(to, 2))]))
}
