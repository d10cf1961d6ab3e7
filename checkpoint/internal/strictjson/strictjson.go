// Package strictjson reads JSON exactly as RFC 8259 defines it, from bytes that may be hostile.
//
// The standard decoder replaces invalid UTF-8, takes the last of several equal keys, ignores the case of keys and turns
// large integers into floats. For headers and configurations of checkpoints this package does the opposite: every
// deviation is an error with its byte offset. The caller drives a [Scanner], so only values that the caller keeps are
// built:
//
//	s, err := strictjson.New(data)
//	err = s.Object(func(key string) error { n, err := s.Uint(); … })
//	err = s.End()
//
// Nesting is limited to [MaxDepth].
package strictjson

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is the maximum nesting depth of arrays and objects; it is the limit of the reference reader of safetensors
// (serde_json).
const MaxDepth = 128

// Error is a deviation from JSON at a byte offset.
type Error struct {
	Offset int // bytes from the start of the text
	Msg    string
}

// Error returns the message and the offset.
func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Msg, e.Offset) }

// Scanner reads one JSON text value by value. It is not safe for concurrent use.
type Scanner struct {
	data  []byte
	pos   int
	depth int
}

// New returns a scanner at the start of data. It returns an error if data is not UTF-8 or begins with a byte order
// mark.
func New(data []byte) (*Scanner, error) {
	if len(data) >= 3 && data[0] == 0xEF && data[1] == 0xBB && data[2] == 0xBF {
		return nil, &Error{0, "byte order mark (save the file as UTF-8 without BOM)"}
	}
	if !utf8.Valid(data) {
		i := 0
		for i < len(data) {
			r, n := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			i += n
		}
		return nil, &Error{i, "invalid UTF-8"}
	}
	return &Scanner{data: data}, nil
}

// Offset returns the position of the next byte to read.
func (s *Scanner) Offset() int { return s.pos }

// Kind skips white space and returns the first byte of the next value: one of { [ " t f n, '0' for any number, or 0 if
// no value begins there.
func (s *Scanner) Kind() byte {
	s.space()
	if s.pos == len(s.data) {
		return 0
	}
	switch c := s.data[s.pos]; {
	case c == '{', c == '[', c == '"', c == 't', c == 'f', c == 'n':
		return c
	case c == '-', '0' <= c && c <= '9':
		return '0'
	}
	return 0
}

// Object reads an object and calls member after each key; member must read the value. The caller must check for
// duplicate keys.
func (s *Scanner) Object(member func(key string) error) error {
	return s.list('{', '}', "an object", func() error {
		if s.Kind() != '"' {
			return s.unexpected("a key in double quotes")
		}
		key, err := s.Text()
		if err != nil {
			return err
		}
		s.space()
		if s.pos == len(s.data) || s.data[s.pos] != ':' {
			return s.unexpected("':' after a key")
		}
		s.pos++
		return member(key)
	})
}

// Array reads an array and calls element before each element; element must read it.
func (s *Scanner) Array(element func() error) error {
	return s.list('[', ']', "an array", element)
}

func (s *Scanner) list(open, shut byte, what string, item func() error) error {
	if s.Kind() != open {
		return s.unexpected(what)
	}
	if s.depth++; s.depth > MaxDepth {
		return s.fail("nested deeper than %d levels", MaxDepth)
	}
	s.pos++
	for first := true; ; first = false {
		s.space()
		if s.pos == len(s.data) {
			return s.fail("the text ends inside %s", what)
		}
		switch c := s.data[s.pos]; {
		case c == shut && first:
			s.pos, s.depth = s.pos+1, s.depth-1
			return nil
		case first:
		case c == shut:
			s.pos, s.depth = s.pos+1, s.depth-1
			return nil
		case c == ',':
			s.pos++
		default:
			return s.unexpected(fmt.Sprintf("',' or '%c'", shut))
		}
		if err := item(); err != nil {
			return err
		}
	}
}

// Text reads a string and returns it decoded. It returns an error for control characters and lone surrogates.
func (s *Scanner) Text() (string, error) {
	if s.Kind() != '"' {
		return "", s.unexpected("a string")
	}
	start := s.pos + 1
	var decoded []byte // nil while the string has no escapes
	for i := start; i < len(s.data); {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			if decoded == nil {
				return string(s.data[start:i]), nil
			}
			return string(decoded), nil
		case c < 0x20:
			s.pos = i
			return "", s.fail("control character 0x%02x in a string", c)
		case c == '\\':
			if decoded == nil {
				decoded = append(make([]byte, 0, i-start+16), s.data[start:i]...)
			}
			s.pos = i
			r, n, err := s.escape()
			if err != nil {
				return "", err
			}
			decoded = utf8.AppendRune(decoded, r)
			i += n
		default:
			if decoded != nil {
				decoded = append(decoded, c)
			}
			i++
		}
	}
	s.pos = len(s.data)
	return "", s.fail("the text ends inside a string")
}

// escape decodes the escape sequence at pos and returns its rune and length.
func (s *Scanner) escape() (r rune, n int, err error) {
	if s.pos+1 < len(s.data) {
		switch c := s.data[s.pos+1]; c {
		case '"', '\\', '/':
			return rune(c), 2, nil
		case 'b':
			return '\b', 2, nil
		case 'f':
			return '\f', 2, nil
		case 'n':
			return '\n', 2, nil
		case 'r':
			return '\r', 2, nil
		case 't':
			return '\t', 2, nil
		}
	}
	high, ok := s.unit(s.pos)
	if !ok {
		return 0, 0, s.fail("invalid escape sequence")
	}
	if !utf16.IsSurrogate(high) {
		return high, 6, nil
	}
	if low, ok := s.unit(s.pos + 6); ok {
		if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
			return r, 12, nil
		}
	}
	return 0, 0, s.fail("lone surrogate \\u%04x", high)
}

// unit reads \uXXXX at position i and returns false if there is no such sequence.
func (s *Scanner) unit(i int) (rune, bool) {
	if i+6 > len(s.data) || s.data[i] != '\\' || s.data[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s.data[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// Number reads a number and returns its text unchanged.
func (s *Scanner) Number() (string, error) {
	if s.Kind() != '0' {
		return "", s.unexpected("a number")
	}
	start := s.pos
	if s.data[s.pos] == '-' {
		s.pos++
	}
	if s.pos < len(s.data) && s.data[s.pos] == '0' {
		s.pos++
	} else if !s.digits() {
		return "", s.unexpected("a digit")
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		if !s.digits() {
			return "", s.unexpected("a digit")
		}
	}
	if s.pos < len(s.data) && s.data[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		if !s.digits() {
			return "", s.unexpected("a digit")
		}
	}
	return string(s.data[start:s.pos]), nil
}

func (s *Scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// Uint reads a non-negative integer written without sign, fraction or exponent.
func (s *Scanner) Uint() (uint64, error) {
	s.space()
	at := s.pos
	text, err := s.Number()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, &Error{at, fmt.Sprintf("%s is not an integer from 0 to 2^64-1", Clip(text))}
	}
	return n, nil
}

// Skip reads and discards the next value of any kind.
func (s *Scanner) Skip() error {
	switch s.Kind() {
	case '{':
		return s.Object(func(string) error { return s.Skip() })
	case '[':
		return s.Array(s.Skip)
	case '"':
		_, err := s.Text()
		return err
	case '0':
		_, err := s.Number()
		return err
	}
	return s.literal()
}

func (s *Scanner) literal() error {
	for _, word := range []string{"true", "false", "null"} {
		if end := s.pos + len(word); end <= len(s.data) && string(s.data[s.pos:end]) == word {
			s.pos = end
			return nil
		}
	}
	return s.unexpected("a value")
}

// End returns an error unless only white space is left.
func (s *Scanner) End() error {
	s.space()
	if s.pos < len(s.data) {
		return s.fail("text after the end of the JSON value")
	}
	return nil
}

func (s *Scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *Scanner) fail(format string, args ...any) error {
	return &Error{s.pos, fmt.Sprintf(format, args...)}
}

func (s *Scanner) unexpected(want string) error {
	if s.pos >= len(s.data) {
		return s.fail("the text ends where %s was expected", want)
	}
	r, _ := utf8.DecodeRune(s.data[s.pos:])
	hint := ""
	if r == '/' || r == '#' {
		hint = " (JSON has no comments)"
	}
	return s.fail("found %q where %s was expected%s", r, want, hint)
}

// Clip shortens text for a message to at most 80 bytes and "...".
func Clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
