package chat

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// pythonString returns the result of Python's str for a value; it is empty for undefined.
func pythonString(v any) string {
	switch v := v.(type) {
	case undefined:
		return ""
	case string:
		return v
	}
	return repr(v)
}

// repr returns the result of Python's repr for a value.
func repr(v any) string { return reprAt(v, 0) }

func reprAt(v any, depth int) string {
	if depth > maxNesting {
		fail("values are nested more than %d deep", maxNesting)
	}
	switch v := v.(type) {
	case nil:
		return "None"
	case undefined:
		return "Undefined"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return pythonFloat(v)
	case string:
		return pythonQuote(v)
	case *list:
		return v.repr(depth)
	case *dict:
		parts := make([]string, len(v.keys))
		for i, key := range v.keys {
			x, _ := v.get(key)
			parts[i] = reprAt(key, depth+1) + ": " + reprAt(x, depth+1)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	fail("a value of the type %s has no text", typeName(v))
	return ""
}

func (l *list) repr(depth int) string {
	switch l.kind {
	case numbers:
		return l.text
	case generator:
		fail("the result of a filter such as map has no text: make a list of it with |list, or |join it")
	}
	parts := make([]string, len(l.items))
	for i, v := range l.items {
		parts[i] = reprAt(v, depth+1)
	}
	s := strings.Join(parts, ", ")
	switch {
	case l.kind == plainList:
		return "[" + s + "]"
	case l.kind == view:
		return l.text + "([" + s + "])"
	case len(parts) == 1:
		return "(" + s + ",)"
	}
	return "(" + s + ")"
}

// pythonFloat formats a float with as many digits as distinguish it from its neighbours.
func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(f, 'g', -1, 64)), "+")
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// pythonQuote quotes a string as Python's repr does.
func pythonQuote(s string) string {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteRune(q)
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteRune(q)
	return b.String()
}

// jsonStyle describes how tojson writes.
type jsonStyle struct {
	item, key string // separators
	indent    string // indentation of one level; "" writes one line
	sorted    bool   // whether keys are sorted
	ascii     bool   // whether characters outside ASCII are written as \uXXXX
}

// tojson is json.dumps in the variant that transformers gives to templates: characters outside ASCII are kept.
func tojson(r *renderer, v any, p params) any {
	s := jsonStyle{item: ", ", key: ": "}
	a := p.bind("ensure_ascii", "indent", "separators", "sort_keys")
	s.ascii = given(a[0]) && truth(a[0])
	if given(a[1]) && a[1] != nil {
		n, _, isInt, _ := number(a[1])
		text, isText := a[1].(string)
		switch {
		case isText:
			s.indent = "\n" + text
		case isInt && n <= 100:
			s.indent = "\n" + strings.Repeat(" ", int(max(n, 0)))
		default:
			fail("tojson: indent is %s, want a number of at most 100 or a text", repr(a[1]))
		}
		s.item = ","
	}
	if given(a[2]) && a[2] != nil {
		l, ok := a[2].(*list)
		if !ok || len(l.items) != 2 {
			fail("tojson: separators must be two strings")
		}
		s.item, s.key = p.text(l.items[0], ""), p.text(l.items[1], "")
	}
	s.sorted = given(a[3]) && truth(a[3])
	var b strings.Builder
	s.write(r, &b, v, 1)
	return b.String()
}

func (s jsonStyle) write(r *renderer, b *strings.Builder, v any, depth int) {
	if depth > maxNesting {
		fail("tojson: values are nested more than %d deep", maxNesting)
	}
	r.grow(b.Len())
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case float64:
		switch {
		case math.IsNaN(v):
			b.WriteString("NaN")
		case math.IsInf(v, 0):
			b.WriteString(infinity(v))
		default:
			b.WriteString(pythonFloat(v))
		}
	case int64:
		b.WriteString(repr(v))
	case string:
		s.quote(b, v)
	case *list:
		if v.kind > tuple {
			fail("tojson: Object of type %s is not JSON serializable", strings.Trim(typeName(v), "'"))
		}
		s.list(b, "[", "]", len(v.items), depth, func(i int) { s.write(r, b, v.items[i], depth+1) })
	case *dict:
		keys := v.keys
		if s.sorted {
			keys = slices.Clone(keys)
			slices.SortStableFunc(keys, compare)
		}
		s.list(b, "{", "}", len(keys), depth, func(i int) {
			x, _ := v.get(keys[i])
			s.quote(b, jsonKey(keys[i]))
			b.WriteString(s.key)
			s.write(r, b, x, depth+1)
		})
	default:
		fail("tojson: Object of type %s is not JSON serializable", strings.Trim(typeName(v), "'"))
	}
}

func infinity(v float64) string {
	if v < 0 {
		return "-Infinity"
	}
	return "Infinity"
}

// jsonKey returns the text of a key of an object.
func jsonKey(key any) string {
	switch key := key.(type) {
	case string:
		return key
	case bool:
		return strconv.FormatBool(key)
	case nil:
		return "null"
	case int64, float64:
		return repr(key)
	}
	fail("tojson: keys must be str, int, float, bool or None, not %s", typeName(key))
	return ""
}

func (s jsonStyle) list(b *strings.Builder, begin, end string, n, depth int, item func(int)) {
	b.WriteString(begin)
	line := func(level int) {
		if s.indent != "" && n > 0 {
			b.WriteString("\n" + strings.Repeat(s.indent[1:], level))
		}
	}
	for i := range n {
		if i > 0 {
			b.WriteString(s.item)
		}
		line(depth)
		item(i)
	}
	line(depth - 1)
	b.WriteString(end)
}

// quote writes a string in JSON.
func (s jsonStyle) quote(b *strings.Builder, text string) {
	b.WriteByte('"')
	for _, r := range text {
		switch i := strings.IndexRune("\"\\\n\r\t\b\f", r); {
		case i >= 0:
			b.WriteString([]string{`\"`, `\\`, `\n`, `\r`, `\t`, `\b`, `\f`}[i])
		case r < 0x20 || s.ascii && r > 0x7E && r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		case s.ascii && r >= 0x10000:
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xD800+(r-0x10000)>>10, 0xDC00+(r-0x10000)&0x3FF)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// directives maps directives of strftime to layouts of Go, in the C locale.
var directives = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05",
	'B': "January", 'b': "Jan", 'h': "Jan", 'A': "Monday", 'a': "Mon", 'p': "PM", 'j': "002", 'e': "_2",
	'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06",
}

// strftime formats a time as Python does. It returns an error for a directive that is not supported.
func strftime(now time.Time, format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		plain := format[i] == '-' && i+1 < len(format) // without leading zeros
		if plain {
			i++
		}
		layout, ok := directives[format[i]]
		switch {
		case format[i] == '%' && !plain:
			b.WriteByte('%')
		case ok && plain:
			s := strings.TrimLeft(now.Format(layout), "0 ")
			if s == "" {
				s = "0"
			}
			b.WriteString(s)
		case ok:
			b.WriteString(now.Format(layout))
		default:
			return "", fmt.Errorf("strftime_now: %%%c is not supported", format[i])
		}
	}
	return b.String(), nil
}
