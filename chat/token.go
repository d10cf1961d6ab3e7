package chat

import (
	"fmt"
	"slices"
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
		if strings.HasPrefix(s[:n], reserved) {
			return token{}, 0, fmt.Errorf("the name %q is reserved", s[:n])
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
			if !strings.Contains(text, ".") {
				text += ".0" // the library does not accept an exponent without a fraction
			}
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

// write returns text that the library's scanner reads as the given tokens.
func write(tokens []token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 {
			b.WriteByte(' ')
		}
		if t.kind == stringToken {
			b.WriteString(quote(t.text))
		} else {
			b.WriteString(t.text)
		}
	}
	return b.String()
}

var quoting = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// quote quotes a string with the escapes that the library supports.
func quote(s string) string { return "'" + quoting.Replace(s) + "'" }

// call returns a call of one of this package's functions.
func call(name string, argument []token) []token {
	list := []token{{nameToken, name}, {operatorToken, "("}}
	return append(append(list, argument...), token{operatorToken, ")"})
}

// expression checks an expression for constructs that the library evaluates differently from Jinja, and renames the
// functions that this package replaces.
func expression(tokens []token) ([]token, error) {
	out := slices.Clone(tokens)
	for i, t := range tokens {
		before := func(n int) token {
			if i-n < 0 {
				return token{}
			}
			return tokens[i-n]
		}
		switch {
		case t.is("tojson") && before(1).is("|"):
			out[i].text = tojsonName
		case t.is("sequence") && (before(1).is("is") || before(1).is("not") && before(2).is("is")):
			out[i].text = "iterable" // the library's name for strings, lists and mappings
		case t.is("%") && before(1).kind == stringToken:
			return nil, fmt.Errorf("formatting a string with %% is not supported")
		case t.kind == stringToken && before(1).kind == stringToken && i > 0:
			return nil, fmt.Errorf("two strings without an operator between them are not supported")
		case before(1).is(".") && (t.is("split") || t.is("startswith") || t.is("endswith")) && several(tokens[i+1:]):
			return nil, fmt.Errorf("%s with several arguments is not supported", t.text)
		case before(1).is(".") && before(2).is("loop") && (t.is("depth") || t.is("depth0") || t.is("changed")):
			return nil, fmt.Errorf("loop.%s is not supported", t.text)
		}
	}
	return out, nil
}

// several reports whether a call has more than one argument, or a tuple.
func several(tokens []token) bool {
	if len(tokens) < 2 || !tokens[0].is("(") {
		return false
	}
	depth := 0
	for i, t := range tokens {
		switch {
		case t.kind != operatorToken:
		case strings.Contains("([{", t.text):
			depth++
		case strings.Contains(")]}", t.text):
			if depth--; depth == 0 {
				return false
			}
		case t.text == "," && (depth == 1 || depth == 2 && i > 1 && tokens[1].is("(")):
			return true
		}
	}
	return false
}
