package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// absent stands for an argument that was not given.
type absent struct{}

// params are the arguments of a function that is known by name.
type params struct {
	what string
	arguments
}

func (a arguments) of(what string) params { return params{what, a} }

// bind returns the values of the parameters, absent for those that were not given. It fails if there are others.
func (p params) bind(names ...string) []any {
	if len(p.list) > len(names) {
		fail("%s takes at most %d arguments, but %d are given", p.what, len(names), len(p.list))
	}
	out := make([]any, len(names))
	used := 0
	for i, name := range names {
		v, ok := p.named[name]
		switch {
		case i < len(p.list) && ok:
			fail("%s got multiple values for argument '%s'", p.what, name)
		case i < len(p.list):
			v = p.list[i]
		case ok:
			used++
		default:
			v = absent{}
		}
		out[i] = v
	}
	if used < len(p.named) {
		for name := range p.named {
			known := false
			for _, n := range names {
				known = known || n == name
			}
			if !known {
				fail("%s has no argument '%s'", p.what, name)
			}
		}
	}
	return out
}

// is reports whether a value was given.
func given(v any) bool {
	_, no := v.(absent)
	return !no
}

// text returns an argument that must be a text, or a default.
func (p params) text(v any, or string) string {
	if !given(v) {
		return or
	}
	s, ok := v.(string)
	if !ok {
		fail("%s: want a string, got %s", p.what, typeName(v))
	}
	return s
}

// integer returns an argument that must be an integer, or a default.
func (p params) integer(v any, or int64) int64 {
	if !given(v) {
		return or
	}
	n, _, isInt, _ := number(v)
	if !isInt {
		fail("%s: want an integer, got %s", p.what, typeName(v))
	}
	return n
}

// need fails if an argument was not given.
func (p params) need(values ...any) {
	for _, v := range values {
		if !given(v) {
			fail("%s: an argument is missing", p.what)
		}
	}
}

// method makes a method of a function.
func method(name string, f func(r *renderer, p params) any) *function {
	return &function{name, func(r *renderer, a arguments) any { return f(r, a.of(name)) }}
}

// isSpace reports whether Python takes a character for white space.
func isSpace(c rune) bool { return unicode.IsSpace(c) || c >= 0x1C && c <= 0x1F }

// cut is strip, lstrip or rstrip.
func cut(s string, chars any, left, right bool, what string) string {
	in := isSpace
	switch c := chars.(type) {
	case absent, nil:
	case string:
		in = func(r rune) bool { return strings.ContainsRune(c, r) }
	default:
		fail("%s arg must be None or str", what)
	}
	if left {
		s = strings.TrimLeftFunc(s, in)
	}
	if right {
		s = strings.TrimRightFunc(s, in)
	}
	return s
}

// textMethod returns a method of str, nil if it has none of that name.
func textMethod(s, name string) *function {
	switch name {
	case "strip", "lstrip", "rstrip":
		return method(name, func(_ *renderer, p params) any {
			return cut(s, p.bind("chars")[0], name != "rstrip", name != "lstrip", name)
		})
	case "upper", "lower", "title", "capitalize", "swapcase", "casefold":
		return method(name, func(_ *renderer, p params) any {
			p.bind()
			return inCase(s, name)
		})
	case "startswith", "endswith":
		return method(name, func(_ *renderer, p params) any { return affix(s, name, p) })
	case "split", "rsplit":
		return method(name, func(r *renderer, p params) any {
			a := p.bind("sep", "maxsplit")
			return split(r, s, a[0], p.integer(a[1], -1), name == "rsplit")
		})
	case "splitlines":
		return method(name, func(_ *renderer, p params) any {
			keep := p.bind("keepends")[0]
			return newList(splitLines(s, given(keep) && truth(keep))...)
		})
	case "replace":
		return method(name, func(r *renderer, p params) any {
			a := p.bind("old", "new", "count")
			p.need(a[0], a[1])
			return replace(r, s, p.text(a[0], ""), p.text(a[1], ""), p.integer(a[2], -1))
		})
	case "find", "rfind", "index", "rindex", "count":
		return method(name, func(_ *renderer, p params) any { return search(s, name, p) })
	case "join":
		return method(name, func(r *renderer, p params) any {
			list := p.bind("iterable")[0]
			p.need(list)
			return join(r, items(list), s, false)
		})
	case "removeprefix", "removesuffix":
		return method(name, func(_ *renderer, p params) any {
			a := p.text(p.bind("affix")[0], "")
			if name == "removeprefix" {
				return strings.TrimPrefix(s, a)
			}
			return strings.TrimSuffix(s, a)
		})
	case "partition", "rpartition":
		return method(name, func(_ *renderer, p params) any {
			sep := p.text(p.bind("sep")[0], "")
			if sep == "" {
				fail("empty separator")
			}
			i := strings.Index(s, sep)
			if name == "rpartition" {
				i = strings.LastIndex(s, sep)
			}
			switch {
			case i >= 0:
				return newTuple(s[:i], sep, s[i+len(sep):])
			case name == "partition":
				return newTuple(s, "", "")
			}
			return newTuple("", "", s)
		})
	case "center", "ljust", "rjust", "zfill":
		return method(name, func(r *renderer, p params) any { return pad(r, s, name, p) })
	case "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace", "isupper", "islower":
		return method(name, func(_ *renderer, p params) any {
			p.bind()
			return every(s, name)
		})
	case "format":
		return method(name, func(r *renderer, p params) any { return r.braces(s, p.arguments) })
	}
	return nil
}

// inCase changes the case of a text.
func inCase(s, how string) string {
	switch how {
	case "upper":
		return strings.ToUpper(strings.ReplaceAll(s, "ß", "SS"))
	case "lower":
		return strings.ToLower(s)
	case "casefold":
		return strings.ToLower(strings.ReplaceAll(s, "ß", "ss"))
	case "capitalize":
		a, b := first(s)
		return strings.ToTitle(strings.ReplaceAll(a, "ß", "Ss")) + strings.ToLower(b)
	}
	var b strings.Builder
	inWord := false
	for _, c := range s {
		switch {
		case how == "swapcase" && unicode.IsUpper(c):
			b.WriteRune(unicode.ToLower(c))
		case how == "swapcase":
			b.WriteString(inCase(string(c), "upper"))
		case inWord:
			b.WriteRune(unicode.ToLower(c))
		default:
			b.WriteRune(unicode.ToTitle(c))
		}
		inWord = unicode.IsLetter(c)
	}
	return b.String()
}

// affix is startswith or endswith: of one text, or of any of a tuple.
func affix(s, name string, p params) any {
	a := p.bind("prefix", "start", "end")
	p.need(a[0])
	if given(a[1]) || given(a[2]) {
		var bounds [3]any
		for i, v := range a[1:] {
			if given(v) {
				bounds[i] = v
			}
		}
		s = slice(s, bounds).(string)
	}
	has := strings.HasPrefix
	if name == "endswith" {
		has = strings.HasSuffix
	}
	if l, ok := a[0].(*list); ok && l.kind == tuple {
		for _, v := range l.items {
			if has(s, p.text(v, "")) {
				return true
			}
		}
		return false
	}
	if _, ok := a[0].(string); !ok {
		fail("%s first arg must be str or a tuple of str, not %s", name, typeName(a[0]))
	}
	return has(s, p.text(a[0], ""))
}

// split is split or rsplit.
func split(r *renderer, s string, sep any, limit int64, right bool) any {
	var parts []string
	switch sep := sep.(type) {
	case absent, nil:
		parts = strings.FieldsFunc(s, isSpace)
		if n := int(limit); limit >= 0 && n < len(parts) {
			rest := s
			if right {
				for range n {
					rest = strings.TrimRightFunc(rest, isSpace)
					rest = rest[:strings.LastIndexFunc(rest, isSpace)+1]
				}
				head := strings.TrimRightFunc(rest, isSpace) // leading white space stays, as in Python
				parts = append([]string{head}, parts[len(parts)-n:]...)
			} else {
				for range n {
					rest = strings.TrimLeftFunc(rest, isSpace)
					rest = rest[strings.IndexFunc(rest, isSpace):]
				}
				parts = append(parts[:n:n], strings.TrimLeftFunc(rest, isSpace))
			}
		}
	case string:
		switch {
		case sep == "":
			fail("empty separator")
		case limit < 0:
			parts = strings.Split(s, sep)
		case !right:
			parts = strings.SplitN(s, sep, int(min(limit, 1<<30))+1)
		default:
			for ; limit > 0; limit-- {
				i := strings.LastIndex(s, sep)
				if i < 0 {
					break
				}
				parts = append(parts, s[i+len(sep):])
				s = s[:i]
			}
			parts = append(parts, s)
			for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
				parts[i], parts[j] = parts[j], parts[i]
			}
		}
	default:
		fail("must be str or None, not %s", typeName(sep))
	}
	r.grow(len(parts))
	return texts(parts)
}

func texts(parts []string) *list {
	l := newList()
	for _, s := range parts {
		l.items = append(l.items, s)
	}
	return l
}

// splitLines cuts a text at all ends of lines that Python knows.
func splitLines(s string, keep bool) (out []any) {
	for s != "" {
		i := strings.IndexFunc(s, func(c rune) bool {
			return c >= '\n' && c <= '\r' || c >= 0x1C && c <= 0x1E || c == 0x85 || c == 0x2028 || c == 0x2029
		})
		if i < 0 {
			return append(out, s)
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, s[:i+n])
		} else {
			out = append(out, s[:i])
		}
		s = s[i+n:]
	}
	return out
}

// replace is str.replace.
func replace(r *renderer, s, old, with string, limit int64) string {
	n := int64(strings.Count(s, old))
	if limit >= 0 {
		n = min(n, limit)
	}
	r.grow(len(s))
	r.growBy(len(with), n)
	return strings.Replace(s, old, with, int(n))
}

// search is find, rfind, index, rindex or count.
func search(s, name string, p params) any {
	a := p.bind("sub", "start", "end")
	p.need(a[0])
	sub := p.text(a[0], "")
	if given(a[2]) {
		fail("%s with an end is not supported", name)
	}
	skipped := 0
	if given(a[1]) {
		rest := slice(s, [3]any{a[1], nil, nil}).(string)
		skipped = utf8.RuneCountInString(s) - utf8.RuneCountInString(rest)
		s = rest
	}
	i := strings.Index(s, sub)
	switch name {
	case "count":
		return int64(strings.Count(s, sub))
	case "rfind", "rindex":
		i = strings.LastIndex(s, sub)
	}
	if i < 0 {
		if strings.HasSuffix(name, "index") {
			fail("substring not found")
		}
		return int64(-1)
	}
	return int64(skipped + utf8.RuneCountInString(s[:i]))
}

// join joins texts. With convert other values are converted.
func join(r *renderer, list []any, sep string, convert bool) string {
	parts := make([]string, len(list))
	size := 0
	for i, v := range list {
		s, ok := v.(string)
		if !ok && !convert {
			fail("sequence item %d: expected str instance, %s found", i, typeName(v))
		}
		if !ok {
			s = pythonString(v)
		}
		parts[i] = s
		size += len(s) + len(sep)
		r.grow(size)
	}
	return strings.Join(parts, sep)
}

// pad is center, ljust, rjust or zfill.
func pad(r *renderer, s, name string, p params) any {
	a := p.bind("width", "fillchar")
	p.need(a[0])
	fill := p.text(a[1], " ")
	if utf8.RuneCountInString(fill) != 1 {
		fail("the fill character must be exactly one character long")
	}
	n := p.integer(a[0], 0) - int64(utf8.RuneCountInString(s))
	if n <= 0 {
		return s
	}
	r.growBy(len(fill), n)
	left, right := n, int64(0)
	switch name {
	case "ljust":
		left, right = 0, n
	case "center":
		left = n/2 + n&p.integer(a[0], 0)&1
		right = n - left
	case "zfill":
		fill = "0"
		if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
			return s[:1] + strings.Repeat(fill, int(n)) + s[1:]
		}
	}
	return strings.Repeat(fill, int(left)) + s + strings.Repeat(fill, int(right))
}

// every is isdigit and so on.
func every(s, name string) bool {
	cased := false
	for _, c := range s {
		ok := false
		switch name {
		case "isdigit", "isdecimal":
			ok = unicode.Is(unicode.Nd, c)
		case "isnumeric":
			ok = unicode.IsNumber(c)
		case "isalpha":
			ok = unicode.IsLetter(c)
		case "isalnum":
			ok = unicode.IsLetter(c) || unicode.IsNumber(c)
		case "isspace":
			ok = isSpace(c)
		case "isupper":
			ok = !unicode.IsLower(c) && !unicode.IsTitle(c)
			cased = cased || unicode.IsUpper(c)
		case "islower":
			ok = !unicode.IsUpper(c) && !unicode.IsTitle(c)
			cased = cased || unicode.IsLower(c)
		}
		if !ok {
			return false
		}
	}
	return s != "" && (cased || name != "isupper" && name != "islower")
}

// listMethod returns a method of a list, nil if it has none of that name.
func listMethod(l *list, name string) *function {
	switch {
	case l.kind > numbers:
		return nil
	case name == "index":
		return method(name, func(_ *renderer, p params) any {
			v := p.bind("value")[0]
			p.need(v)
			for i, e := range l.items {
				if equal(e, v) {
					return int64(i)
				}
			}
			fail("%s is not in list", repr(v))
			return nil
		})
	case name == "count":
		return method(name, func(_ *renderer, p params) any {
			v := p.bind("value")[0]
			p.need(v)
			n := int64(0)
			for _, e := range l.items {
				if equal(e, v) {
					n++
				}
			}
			return n
		})
	case name == "copy" && l.kind == plainList:
		return method(name, func(_ *renderer, p params) any {
			p.bind()
			return newList(append([]any(nil), l.items...)...)
		})
	case l.kind == plainList:
		return forbidden(name, "append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear")
	}
	return nil
}

// forbidden returns a method that fails, as transformers' sandbox has it for those that change a value.
func forbidden(name string, changing ...string) *function {
	for _, c := range changing {
		if c == name {
			return method(name, func(*renderer, params) any {
				fail("templates cannot change values: %s is not allowed", name)
				return nil
			})
		}
	}
	return nil
}

// dictMethod returns a method of a dict, nil if it has none of that name.
func dictMethod(d *dict, name string) *function {
	switch name {
	case "get":
		return method(name, func(_ *renderer, p params) any {
			a := p.bind("key", "default")
			p.need(a[0])
			if v, ok := d.get(a[0]); ok {
				return v
			}
			if given(a[1]) {
				return a[1]
			}
			return nil
		})
	case "keys", "values", "items":
		return method(name, func(_ *renderer, p params) any {
			p.bind()
			l := &list{kind: view}
			for _, key := range d.keys {
				v, _ := d.get(key)
				l.items = append(l.items, map[string]any{"keys": key, "values": v, "items": newTuple(key, v)}[name])
			}
			l.text = "dict_" + name
			return l
		})
	case "copy":
		return method(name, func(_ *renderer, p params) any {
			p.bind()
			return d.copy()
		})
	}
	return forbidden(name, "clear", "pop", "popitem", "setdefault", "update")
}

func (d *dict) copy() *dict {
	out := newDict()
	for _, key := range d.keys {
		v, _ := d.get(key)
		out.set(key, v)
	}
	return out
}
