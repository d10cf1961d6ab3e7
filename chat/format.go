package chat

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// percent is a text % values, as in Python.
func (r *renderer) percent(s string, values any) string {
	var args []any
	names, isDict := values.(*dict)
	if l, ok := values.(*list); ok && l.kind == tuple {
		args = l.items
	} else {
		args = []any{values}
	}
	var b strings.Builder
	used := 0
	next := func() any {
		if used >= len(args) {
			fail("not enough arguments for format string")
		}
		used++
		return args[used-1]
	}
	for s != "" {
		plain, rest, found := strings.Cut(s, "%")
		b.WriteString(plain)
		if !found {
			break
		}
		var v any
		taken := false
		if strings.HasPrefix(rest, "(") {
			name, after, ok := strings.Cut(rest[1:], ")")
			if !ok || !isDict {
				fail("format requires a mapping")
			}
			if v, ok = names.get(name); !ok {
				fail("KeyError: %s", repr(name))
			}
			rest, taken, used = after, true, len(args)
		}
		var f spec
		rest = f.flags(rest)
		rest = f.numbers(rest, func() int64 {
			n, ok := next().(int64)
			if !ok {
				fail("* wants int")
			}
			return n
		})
		if rest == "" {
			fail("incomplete format")
		}
		verb := rest[0]
		s = rest[1:]
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if !taken {
			v = next()
		}
		r.growBy(1, max(f.width, f.precision, 0))
		b.WriteString(f.format(verb, v))
		r.grow(b.Len())
	}
	if used < len(args) && !manyValued(values) {
		fail("not all arguments converted during string formatting")
	}
	return b.String()
}

// manyValued reports whether Python lets a format ignore values: everything with items but tuples and texts.
func manyValued(v any) bool {
	switch v := v.(type) {
	case *list:
		return v.kind != tuple
	case *dict, undefined:
		return true
	}
	return false
}

// spec is how a value is formatted.
type spec struct {
	left, plus, space, zero, alternate bool
	width, precision                   int64 // precision is -1 if there is none
}

func (f *spec) flags(s string) string {
	for s != "" {
		switch s[0] {
		case '-':
			f.left = true
		case '+':
			f.plus = true
		case ' ':
			f.space = true
		case '0':
			f.zero = true
		case '#':
			f.alternate = true
		default:
			return s
		}
		s = s[1:]
	}
	return s
}

// numbers reads the width and the precision.
func (f *spec) numbers(s string, star func() int64) string {
	read := func() int64 {
		if strings.HasPrefix(s, "*") {
			s = s[1:]
			return star()
		}
		n := int64(0)
		for s != "" && s[0] >= '0' && s[0] <= '9' && n < 1<<40 {
			n, s = 10*n+int64(s[0]-'0'), s[1:]
		}
		return n
	}
	if f.width = read(); f.width < 0 {
		f.left, f.width = true, -f.width
	}
	f.precision = -1
	if strings.HasPrefix(s, ".") {
		s = s[1:]
		f.precision = max(read(), 0)
	}
	return s
}

// format formats a value.
func (f spec) format(verb byte, v any) string {
	switch verb {
	case 's', 'r':
		s := pythonString(v)
		if verb == 'r' {
			s = repr(v)
		}
		if runes := []rune(s); f.precision >= 0 && int64(len(runes)) > f.precision {
			s = string(runes[:f.precision])
		}
		f.zero = false
		return f.pad("", s)
	case 'd', 'i', 'u', 'x', 'X', 'o':
		i, x, isInt, ok := number(v)
		if !ok || !isInt && (verb == 'x' || verb == 'X' || verb == 'o' || math.Abs(x) >= 1<<63 || math.IsNaN(x)) {
			fail("%%%c format: a real number is required, not %s", verb, typeName(v))
		}
		if !isInt {
			i = int64(x)
		}
		return f.integer(verb, i)
	case 'f', 'F', 'e', 'E', 'g', 'G':
		_, x, _, ok := number(v)
		if !ok {
			fail("must be real number, not %s", strings.Trim(typeName(v), "'"))
		}
		return f.float(verb, x)
	case 'c':
		if s, ok := v.(string); ok && utf8.RuneCountInString(s) == 1 {
			f.zero = false
			return f.pad("", s)
		}
	}
	fail("the format %%%c of %s is not supported", verb, typeName(v))
	return ""
}

// sign returns the sign of a number.
func (f spec) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case f.plus:
		return "+"
	case f.space:
		return " "
	}
	return ""
}

func (f spec) integer(verb byte, i int64) string {
	base := map[byte]int{'x': 16, 'X': 16, 'o': 8}[verb]
	if base == 0 {
		base = 10
	}
	digits := strings.TrimPrefix(strconv.FormatInt(i, base), "-")
	if f.alternate && base != 10 {
		fail("the flag # is not supported")
	}
	if verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if n := f.precision - int64(len(digits)); n > 0 {
		digits = strings.Repeat("0", int(n)) + digits
	}
	return f.pad(f.sign(i < 0), digits)
}

func (f spec) float(verb byte, x float64) string {
	if f.alternate {
		fail("the flag # is not supported")
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		s := strings.TrimLeft(pythonFloat(x), "-")
		if verb < 'a' {
			s = strings.ToUpper(s)
		}
		f.zero = false
		return f.pad(f.sign(math.Signbit(x) && !math.IsNaN(x)), s)
	}
	precision := int(f.precision)
	if precision < 0 {
		precision = 6
	}
	if verb == 'F' {
		verb = 'f'
	}
	if (verb == 'g' || verb == 'G') && precision == 0 {
		precision = 1
	}
	s := strconv.FormatFloat(math.Abs(x), verb, precision, 64)
	if (verb == 'g' || verb == 'G') && math.Abs(x) != 0 {
		s = general(math.Abs(x), verb, precision)
	}
	return f.pad(f.sign(math.Signbit(x)), s)
}

// general is C's %g: Go chooses the exponent by other rules where the precision is large.
func general(x float64, verb byte, precision int) string {
	e := strconv.FormatFloat(x, 'e', precision-1, 64)
	mantissa, exponent, _ := strings.Cut(e, "e")
	n, _ := strconv.Atoi(exponent)
	trim := func(s string) string {
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
	if n < -4 || n >= precision {
		s := trim(mantissa) + "e" + exponent
		if verb == 'G' {
			s = strings.ToUpper(s)
		}
		return s
	}
	return trim(strconv.FormatFloat(x, 'f', precision-1-n, 64))
}

// pad fills a text up to the width.
func (f spec) pad(sign, s string) string {
	n := int(f.width) - utf8.RuneCountInString(sign) - utf8.RuneCountInString(s)
	switch {
	case n <= 0:
		return sign + s
	case f.left:
		return sign + s + strings.Repeat(" ", n)
	case f.zero:
		return sign + strings.Repeat("0", n) + s
	}
	return strings.Repeat(" ", n) + sign + s
}

// braces is str.format, with names and numbers but without format specifications.
func (r *renderer) braces(s string, a arguments) string {
	var b strings.Builder
	next := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c {
			b.WriteByte(c)
			i++
			continue
		}
		if c == '}' {
			fail("Single '}' encountered in format string")
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		name, _, ok := strings.Cut(s[i+1:], "}")
		if !ok || strings.ContainsAny(name, "{:!.[") {
			fail("format: the field {%s is not supported: only {}, {0} and {name} are", name)
		}
		i += len(name) + 1
		n, err := strconv.Atoi(name)
		if name == "" {
			n, err = next, nil
			next++
		}
		v, found := a.named[name]
		if err == nil {
			if n < 0 || n >= len(a.list) {
				fail("Replacement index %d out of range for positional args tuple", n)
			}
			v, found = a.list[n], true
		}
		if !found {
			fail("KeyError: %s", repr(name))
		}
		b.WriteString(pythonString(v))
		r.grow(b.Len())
	}
	return b.String()
}
