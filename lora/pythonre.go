package lora

import (
	"fmt"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// PEFT matches the paths of modules with Python's re. It backtracks and has look-around, which Go's regexp has not, so
// the expressions run on regexp2, an engine of the same kind, within limits: an adapter may come from anywhere.
const (
	maxExpression = 4096        // bytes of an expression
	matchTime     = time.Second // for one path
)

// expression is a regular expression of Python.
type expression struct {
	text   string
	re     *regexp2.Regexp
	groups map[string]int // numbers of the named groups
}

// compileFull returns the expression that [expression.match] finds in the whole of a path, as re.fullmatch does.
func compileFull(text string) (*expression, error) {
	return compilePython(text, `\A(?:%s)\z`)
}

// compileStart returns the expression that [expression.match] finds at the start of a path, as re.match does.
func compileStart(text string) (*expression, error) {
	return compilePython(text, `\A(?:%s)`)
}

// compilePython compiles an expression of Python's re within a frame for fmt.Sprintf.
func compilePython(text, frame string) (*expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("a regular expression has %d bytes; want at most %d", len(text), maxExpression)
	}
	t := pythonTranslator{in: []rune(text), names: map[string]int{}}
	t.translate()
	re, err := regexp2.Compile(fmt.Sprintf(frame, t.out.String()), regexp2.None)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), " in `") // the expression, which may be long
		return nil, fmt.Errorf("%q is not a regular expression of Python: %s", clip([]byte(text)), reason)
	}
	re.MatchTimeout = matchTime
	return &expression{text, re, t.names}, nil
}

// match reports whether the expression matches path. It returns an error if that takes too long.
func (e *expression) match(path string) (bool, error) {
	found, err := e.re.MatchString(path)
	if err != nil {
		return false, e.slow(path)
	}
	return found, nil
}

// group returns the text that the named group has in the match with path, "" without a match.
func (e *expression) group(path, name string) (string, error) {
	m, err := e.re.FindStringMatch(path)
	if err != nil {
		return "", e.slow(path)
	}
	if m == nil {
		return "", nil
	}
	return m.GroupByNumber(e.groups[name]).String(), nil
}

// slow returns the error about a match that takes too long.
func (e *expression) slow(path string) error {
	return fmt.Errorf("the regular expression %q takes more than %v on %s; write it without nested repetitions",
		clip([]byte(e.text)), matchTime, path)
}

// pythonTranslator writes an expression of Python's re in the syntax of regexp2. They agree in all but some spellings;
// named groups become numbered ones, since .NET, which regexp2 follows, gives them numbers in another order.
type pythonTranslator struct {
	in     []rune
	at     int
	out    strings.Builder
	groups int
	names  map[string]int
}

func (t *pythonTranslator) translate() {
	for t.at < len(t.in) {
		switch c := t.in[t.at]; c {
		case '\\':
			t.escape(false)
		case '[':
			t.class()
		case '(':
			t.group()
		case '{':
			t.braces()
		default:
			t.copy(1)
		}
	}
}

// copy writes the next n characters as they are.
func (t *pythonTranslator) copy(n int) {
	n = min(n, len(t.in)-t.at)
	t.out.WriteString(string(t.in[t.at : t.at+n]))
	t.at += n
}

// follows reports whether the rest begins with text.
func (t *pythonTranslator) follows(text string) bool {
	rest := t.in[t.at:]
	for i, r := range []rune(text) {
		if i >= len(rest) || rest[i] != r {
			return false
		}
	}
	return true
}

// until returns the characters between the next n and the first end after them, and false if there is none.
func (t *pythonTranslator) until(n int, end rune) (string, bool) {
	for i := t.at + n; i < len(t.in); i++ {
		if t.in[i] == end {
			return string(t.in[t.at+n : i]), true
		}
	}
	return "", false
}

// escape writes an escaped character. Python takes every character but ASCII letters and digits for itself.
func (t *pythonTranslator) escape(inClass bool) {
	if t.at+1 == len(t.in) {
		t.copy(1)
		return
	}
	switch c := t.in[t.at+1]; {
	case c == 'Z' && !inClass:
		t.out.WriteString(`\z`)
	case c == '_' || c > '~':
		t.out.WriteRune(c)
	default:
		t.out.WriteRune('\\')
		t.out.WriteRune(c)
	}
	t.at += 2
}

// class writes a set of characters, in which a bracket is a character: regexp2 would subtract sets.
func (t *pythonTranslator) class() {
	t.copy(1)
	if t.follows("^") {
		t.copy(1)
	}
	for first := true; t.at < len(t.in); first = false {
		switch c := t.in[t.at]; {
		case c == '\\':
			t.escape(true)
		case c == '[' || c == ']' && first:
			t.out.WriteRune('\\')
			t.copy(1)
		case c == ']':
			t.copy(1)
			return
		default:
			t.copy(1)
		}
	}
}

// group writes what follows an opening parenthesis.
func (t *pythonTranslator) group() {
	switch {
	case t.follows("(?P<"):
		if name, ok := t.until(4, '>'); ok {
			t.groups++
			t.names[name] = t.groups
			t.out.WriteByte('(')
			t.at += len([]rune(name)) + 5
			return
		}
	case t.follows("(?P="):
		if name, ok := t.until(4, ')'); ok {
			if number, known := t.names[name]; known {
				fmt.Fprintf(&t.out, `(?:\%d)`, number)
				t.at += len([]rune(name)) + 5
				return
			}
		}
	case t.follows("(?("):
		if name, ok := t.until(3, ')'); ok {
			if number, known := t.names[name]; known {
				fmt.Fprintf(&t.out, `(?(%d)`, number)
				t.at += len([]rune(name)) + 4
				return
			}
		}
	case t.follows("(?#"):
		if comment, ok := t.until(3, ')'); ok {
			t.at += len([]rune(comment)) + 4
			return
		}
	case !t.follows("(?"):
		t.groups++
	}
	t.copy(1)
}

// braces writes a repetition. Python may leave out its lower limit.
func (t *pythonTranslator) braces() {
	limit, ok := t.until(2, '}')
	if t.follows("{,") && ok && strings.Trim(limit, "0123456789") == "" {
		t.out.WriteString("{0,")
		t.at += 2
		return
	}
	t.copy(1)
}
