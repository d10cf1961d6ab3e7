package chat

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ardanlabs/jinja"
)

// pythonString returns the result of Python's str for a value; it is empty for undefined.
func pythonString(v jinja.Value) string {
	switch {
	case v.IsUndefined():
		return ""
	case v.IsString():
		return v.AsString()
	}
	return pythonRepr(v)
}

// pythonRepr returns the result of Python's repr for a value.
func pythonRepr(v jinja.Value) string {
	switch {
	case v.IsUndefined():
		return "Undefined"
	case v.IsNone():
		return "None"
	case v.IsBool():
		if v.AsBool() {
			return "True"
		}
		return "False"
	case v.IsInt():
		return strconv.FormatInt(v.AsInt(), 10)
	case v.IsFloat():
		return pythonFloat(v.AsFloat())
	case v.IsString():
		return pythonQuote(v.AsString())
	case v.IsList():
		parts := make([]string, v.AsList().Len())
		for i, item := range v.AsList().Items {
			parts[i] = pythonRepr(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case v.IsDict():
		d := v.AsDict()
		parts := make([]string, len(d.Keys))
		for i, key := range d.Keys {
			parts[i] = pythonQuote(key) + ": " + pythonRepr(d.Data[key])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return v.String()
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
	ascii     bool   // whether characters outside ASCII are written as \uXXXX
}

// tojson is json.dumps in the variant that transformers gives to templates: characters outside ASCII are kept.
func tojson(args []jinja.Value, kwargs map[string]jinja.Value) (jinja.Value, error) {
	s := jsonStyle{item: ", ", key: ": "}
	names := []string{"ensure_ascii", "indent", "separators", "sort_keys"}
	if len(args) < 1 || len(args) > 1+len(names) {
		return jinja.Undefined(), fmt.Errorf("tojson takes at most 4 arguments")
	}
	given := map[string]jinja.Value{}
	for i, v := range args[1:] {
		given[names[i]] = v
	}
	for name, v := range kwargs {
		given[name] = v
	}
	for name, v := range given {
		switch name {
		case "ensure_ascii":
			s.ascii = v.IsTruthy()
		case "indent":
			switch {
			case v.IsNone():
			case v.IsInt() && v.AsInt() >= 0 && v.AsInt() <= 100:
				s.indent = "\n" + strings.Repeat(" ", int(v.AsInt()))
				if given["separators"].IsUndefined() || given["separators"].IsNone() {
					s.item = ","
				}
			default:
				return jinja.Undefined(), fmt.Errorf("tojson: indent is %s, want a number from 0 to 100", pythonRepr(v))
			}
		case "separators":
			if v.IsNone() {
				break
			}
			if !v.IsList() || v.AsList().Len() != 2 || !v.AsList().Items[0].IsString() || !v.AsList().Items[1].IsString() {
				return jinja.Undefined(), fmt.Errorf("tojson: separators must be two strings")
			}
			s.item, s.key = v.AsList().Items[0].AsString(), v.AsList().Items[1].AsString()
		case "sort_keys":
			if v.IsTruthy() {
				return jinja.Undefined(), fmt.Errorf("tojson: sort_keys is not supported")
			}
		default:
			return jinja.Undefined(), fmt.Errorf("tojson has no argument %q", name)
		}
	}
	var b strings.Builder
	if err := s.write(&b, args[0], 1); err != nil {
		return jinja.Undefined(), err
	}
	return jinja.NewString(b.String()), nil
}

func (s jsonStyle) write(b *strings.Builder, v jinja.Value, depth int) error {
	switch {
	case depth > maxNesting:
		return fmt.Errorf("tojson: values are nested more than %d deep", maxNesting)
	case v.IsNone():
		b.WriteString("null")
	case v.IsBool():
		b.WriteString(strconv.FormatBool(v.AsBool()))
	case v.IsInt() || v.IsFloat():
		b.WriteString(pythonRepr(v))
	case v.IsString():
		s.quote(b, v.AsString())
	case v.IsList():
		return s.list(b, "[", "]", v.AsList().Len(), depth, func(i int) error {
			return s.write(b, v.AsList().Items[i], depth+1)
		})
	case v.IsDict():
		d := v.AsDict()
		return s.list(b, "{", "}", len(d.Keys), depth, func(i int) error {
			s.quote(b, d.Keys[i])
			b.WriteString(s.key)
			return s.write(b, d.Data[d.Keys[i]], depth+1)
		})
	default:
		return fmt.Errorf("tojson: %s has no JSON form", pythonRepr(v))
	}
	return nil
}

func (s jsonStyle) list(b *strings.Builder, begin, end string, n, depth int, item func(int) error) error {
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
		if err := item(i); err != nil {
			return err
		}
	}
	line(depth - 1)
	b.WriteString(end)
	return nil
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
