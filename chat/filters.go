package chat

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// filterFunc computes v|name(…).
type filterFunc func(r *renderer, v any, p params) any

// filters returns the filters by name.
func filters() map[string]filterFunc {
	return map[string]filterFunc{
		"abs": absolute, "attr": attrFilter, "batch": batches, "capitalize": cased("capitalize"), "center": centered,
		"count": lengthFilter, "d": orDefault, "default": orDefault, "dictsort": dictSort, "first": firstItem,
		"float": toFloat, "format": formatFilter, "groupby": groupBy, "indent": indented, "int": toInt,
		"items": itemsFilter, "join": joinFilter, "last": lastItem, "length": lengthFilter, "list": toList,
		"lower": cased("lower"), "map": mapFilter, "max": extreme(1), "min": extreme(-1),
		"reject": selecting(false, false), "rejectattr": selecting(false, true), "replace": replaceFilter,
		"reverse": reversed, "round": rounded, "safe": textFilter, "select": selecting(true, false),
		"selectattr": selecting(true, true), "slice": columns, "sort": sorted, "string": textFilter, "sum": summed,
		"title": titled, "tojson": tojson, "trim": trimmed, "truncate": truncated, "unique": uniques,
		"upper": cased("upper"), "wordcount": wordCount,
	}
}

// generated returns the result of a filter that gives values one after another.
func cased(how string) filterFunc {
	return func(_ *renderer, v any, p params) any {
		p.bind()
		return inCase(pythonString(v), how)
	}
}

func textFilter(_ *renderer, v any, p params) any {
	p.bind()
	return pythonString(v)
}

func lengthFilter(_ *renderer, v any, p params) any {
	p.bind()
	return length(v)
}

func absolute(_ *renderer, v any, p params) any {
	p.bind()
	i, f, isInt, ok := number(v)
	switch {
	case !ok:
		fail("bad operand type for abs(): %s", typeName(v))
	case !isInt:
		return math.Abs(f)
	case i < 0:
		return integers("-", 0, i)
	}
	return i
}

func attrFilter(_ *renderer, v any, p params) any {
	a := p.bind("name")
	p.need(a[0])
	if d, ok := v.(*dict); ok { // without the items of the dict
		if m := dictMethod(d, p.text(a[0], "")); m != nil {
			return m
		}
		return undefined("dict object has no attribute " + p.text(a[0], ""))
	}
	return attribute(v, p.text(a[0], ""))
}

// batches cuts a list into parts of n, which may be filled up.
// columns cuts a list into n columns.
func centered(r *renderer, v any, p params) any {
	a := p.bind("width")
	width := any(int64(80))
	if given(a[0]) {
		width = a[0]
	}
	return pad(r, pythonString(v), "center", arguments{list: []any{width}}.of("center"))
}

func orDefault(_ *renderer, v any, p params) any {
	a := p.bind("default_value", "boolean")
	_, no := v.(undefined)
	if no || given(a[1]) && truth(a[1]) && !truth(v) {
		if given(a[0]) {
			return a[0]
		}
		return ""
	}
	return v
}

// ignoringCase returns a text in lower case unless case matters.
func ignoringCase(v any, sensitive bool) any {
	if s, ok := v.(string); ok && !sensitive {
		return strings.ToLower(s)
	}
	return v
}

// sortStable sorts by a key. Equal items keep their order, in reverse too, as in Python.
// parseInt reads an integer as Python's int does.
func parseInt(s string, base int) (any, bool) {
	s = strings.TrimFunc(s, isSpace)
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") ||
		strings.Contains(digits, "__") {
		return nil, false
	}
	plain := strings.ReplaceAll(s, "_", "")
	if base == 16 || base == 8 || base == 2 {
		prefix := map[int]string{16: "0x", 8: "0o", 2: "0b"}[base]
		at := len(s) - len(digits)
		if len(plain) >= at+2 && strings.EqualFold(plain[at:at+2], prefix) {
			plain = plain[:at] + plain[at+2:]
		}
	}
	n, ok := new(big.Int).SetString(plain, base)
	if !ok {
		return nil, false
	}
	return whole(n), true
}

// loneUnderscore is an underscore that is not between two digits.
var loneUnderscore = regexp.MustCompile(`(^|[^0-9])_|_([^0-9]|$)`)

// parseFloat reads a float as Python's float does.
func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsAny(s, "xXpP") || loneUnderscore.MatchString(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func toInt(_ *renderer, v any, p params) any {
	a := p.bind("default", "base")
	or := any(int64(0))
	if given(a[0]) {
		or = a[0]
	}
	i, f, isInt, ok := number(v)
	s, isText := v.(string)
	switch {
	case isInt:
		return i
	case isText:
		base := p.integer(a[1], 10)
		if base < 2 || base > 36 {
			fail("int() base must be from 2 to 36")
		}
		if n, ok := parseInt(s, int(base)); ok {
			return n
		}
		if f, ok = parseFloat(s); !ok {
			return or
		}
	case !ok:
		defined(v)
		return or
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return or
	}
	n, _ := big.NewFloat(f).Int(nil)
	return whole(n)
}

// defined fails if a value is undefined.
func defined(v any) {
	if u, no := v.(undefined); no {
		fail("%s is undefined", quoteName(u))
	}
}

func toFloat(_ *renderer, v any, p params) any {
	a := p.bind("default")
	if _, f, _, ok := number(v); ok {
		return f
	}
	defined(v)
	if s, ok := v.(string); ok {
		if f, ok := parseFloat(s); ok {
			return f
		}
	}
	if given(a[0]) {
		return a[0]
	}
	return 0.0
}

func formatFilter(r *renderer, v any, p params) any {
	if len(p.named) > 0 {
		if len(p.list) > 0 {
			fail("can't handle positional and keyword arguments at the same time")
		}
		d := newDict()
		for name, x := range p.named {
			d.set(name, x)
		}
		return r.percent(pythonString(v), d)
	}
	return r.percent(pythonString(v), newTuple(p.list...))
}

// getter returns a function for an attribute such as "a.b" or a number, with a default.
// groupKind marks the tuples of groupby, whose parts also have the names grouper and list.
func indented(r *renderer, v any, p params) any {
	a := p.bind("width", "first", "blank")
	by := ""
	if s, ok := a[0].(string); ok {
		by = s
	} else {
		n := p.integer(a[0], 4)
		r.growBy(1, n)
		by = strings.Repeat(" ", int(max(n, 0)))
	}
	s := p.text(v, "") + "\n" // as in Jinja, so that the end of the last line is kept
	var lines []string
	for _, l := range splitLines(s, false) {
		lines = append(lines, l.(string))
	}
	r.grow(len(s))
	r.growBy(len(by), int64(len(lines)))
	blank := given(a[2]) && truth(a[2])
	for i := 1; i < len(lines); i++ {
		if blank || lines[i] != "" {
			lines[i] = by + lines[i]
		}
	}
	out := strings.Join(lines, "\n")
	if given(a[1]) && truth(a[1]) {
		out = by + out
	}
	return out
}

// extreme is max (1) or min (-1).
// selecting is select, selectattr, reject or rejectattr.
func replaceFilter(r *renderer, v any, p params) any {
	a := p.bind("old", "new", "count")
	p.need(a[0], a[1])
	limit := int64(-1)
	if given(a[2]) && a[2] != nil {
		limit = p.integer(a[2], -1)
	}
	return replace(r, pythonString(v), pythonString(a[0]), pythonString(a[1]), limit)
}

func rounded(_ *renderer, v any, p params) any {
	a := p.bind("precision", "method")
	digits := p.integer(a[0], 0)
	i, f, isInt, ok := number(v)
	if !ok {
		fail("round needs a number, not %s", typeName(v))
	}
	if digits < -300 || digits > 300 {
		fail("round to %d digits is not supported", digits)
	}
	scale := math.Pow(10, float64(digits))
	switch how := p.text(a[1], "common"); how {
	case "common":
		if isInt {
			if digits < 0 {
				fail("round of an integer to tens is not supported")
			}
			return i
		}
		return roundHalfEven(f, int(digits))
	case "ceil":
		return math.Ceil(f*scale) / scale
	case "floor":
		return math.Floor(f*scale) / scale
	default:
		fail("method must be common, ceil or floor")
	}
	return nil
}

// roundHalfEven rounds the exact value of a float, as Python's round does.
func roundHalfEven(f float64, digits int) float64 {
	if digits >= 0 {
		out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
		return out
	}
	scale := math.Pow(10, float64(-digits))
	return math.RoundToEven(f/scale) * scale
}

// wordStart is where the filter title begins a word.
var wordStart = regexp.MustCompile(`[-\s({\[<]+`)

func titled(_ *renderer, v any, p params) any {
	p.bind()
	s := pythonString(v)
	var b strings.Builder
	word := func(w string) {
		if w != "" {
			a, rest := first(w)
			b.WriteString(inCase(a, "upper") + strings.ToLower(rest))
		}
	}
	at := 0
	for _, m := range wordStart.FindAllStringIndex(s, -1) {
		word(s[at:m[0]])
		b.WriteString(s[m[0]:m[1]])
		at = m[1]
	}
	word(s[at:])
	return b.String()
}

func trimmed(_ *renderer, v any, p params) any {
	return cut(pythonString(v), p.bind("chars")[0], true, true, "trim")
}

func truncated(_ *renderer, v any, p params) any {
	a := p.bind("length", "killwords", "end", "leeway")
	s := []rune(p.text(v, ""))
	n, end, leeway := p.integer(a[0], 255), p.text(a[2], "..."), p.integer(a[3], 5)
	size := int64(utf8.RuneCountInString(end))
	switch {
	case n < size || leeway < 0:
		fail("truncate: the length must be at least that of the end")
	case int64(len(s)) <= n+leeway:
		return string(s)
	case given(a[1]) && truth(a[1]):
		return string(s[:n-size]) + end
	}
	cut := string(s[:n-size])
	if i := strings.LastIndex(cut, " "); i >= 0 {
		cut = cut[:i]
	}
	return cut + end
}

func wordCount(_ *renderer, v any, p params) any {
	p.bind()
	inWord := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) || c == '_' }
	return int64(len(strings.FieldsFunc(pythonString(v), func(c rune) bool { return !inWord(c) })))
}

// testFunc computes v is name(…).
// tests returns the tests by name.
// isSequence reports whether a value has a length and items.
// same is Python's is, as far as it does not depend on how Python stores values.
