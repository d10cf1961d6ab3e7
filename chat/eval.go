package chat

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// frame is a scope of variables.
type frame struct {
	r      *renderer
	vars   map[string]any
	parent *frame
}

func (f *frame) inner() *frame { return &frame{r: f.r, vars: map[string]any{}, parent: f} }

// lookUp returns the value of a variable, undefined if there is none.
func (f *frame) lookUp(name string) any {
	for s := f; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v
		}
	}
	return undefined(name)
}

// flow says how the statements of a loop go on.
type flow uint8

const (
	onward flow = iota
	breaking
	continuing
)

// statement is a part of a template.
type statement func(f *frame) flow

// run executes statements until one leaves the loop or its round.
func run(f *frame, list []statement) flow {
	for _, s := range list {
		if way := s(f); way != onward {
			return way
		}
	}
	return onward
}

// captured returns what statements print.
func (f *frame) captured(list []statement) string {
	out := f.r.out
	f.r.out = new(strings.Builder)
	defer func() { f.r.out = out }()
	run(f, list)
	return f.r.out.String()
}

// loop is the variable loop.
type loop struct {
	items   []any
	i       int
	changed []any
}

// attribute returns an attribute of loop.
func (l *loop) attribute(name string) any {
	n := len(l.items)
	at := func(i int) any {
		if i < 0 || i >= n {
			return undefined("there is no such item")
		}
		return l.items[i]
	}
	switch name {
	case "index":
		return int64(l.i + 1)
	case "index0":
		return int64(l.i)
	case "revindex":
		return int64(n - l.i)
	case "revindex0":
		return int64(n - l.i - 1)
	case "first":
		return l.i == 0
	case "last":
		return l.i == n-1
	case "length":
		return int64(n)
	case "depth":
		return int64(1)
	case "depth0":
		return int64(0)
	case "previtem":
		return at(l.i - 1)
	case "nextitem":
		return at(l.i + 1)
	case "cycle":
		return &function{"cycle", func(_ *renderer, a arguments) any {
			if len(a.list) == 0 || len(a.named) > 0 {
				fail("loop.cycle needs values")
			}
			return a.list[l.i%len(a.list)]
		}}
	case "changed":
		return &function{"changed", func(_ *renderer, a arguments) any {
			if l.changed != nil && slices.EqualFunc(l.changed, a.list, equal) {
				return false
			}
			l.changed = append([]any{}, a.list...)
			return true
		}}
	}
	return undefined("loop." + name)
}

// attribute is v.name: a method or attribute of Python's, or else the item of that name.
func attribute(v any, name string) any {
	if strings.HasPrefix(name, "_") {
		fail("access to attribute %q is not allowed", name)
	}
	switch v := v.(type) {
	case undefined:
		fail("%s is undefined", quoteName(v))
	case *loop:
		return v.attribute(name)
	case *namespace:
		if x, ok := v.get(name); ok {
			return x
		}
		return undefined(name)
	case string:
		if m := textMethod(v, name); m != nil {
			return m
		}
	case *list:
		if i := slices.Index([]string{"grouper", "list"}, name); i >= 0 && v.text == groupKind {
			return v.items[i]
		}
		if m := listMethod(v, name); m != nil {
			return m
		}
	case *dict:
		if m := dictMethod(v, name); m != nil {
			return m
		}
		return item(v, name)
	case *function:
		if name == "name" {
			return v.name
		}
	}
	return undefined(fmt.Sprintf("%s object has no attribute '%s'", strings.Trim(typeName(v), "'"), name))
}

// item is v[key].
func item(v, key any) any {
	i, isInt := key.(int64)
	if b, ok := key.(bool); ok {
		i, isInt = int64(map[bool]int{true: 1}[b]), true
	}
	size := 0
	var at func(int) any
	switch v := v.(type) {
	case undefined:
		fail("%s is undefined", quoteName(v))
	case *dict:
		if x, ok := v.get(key); ok {
			return x
		}
		if name, ok := key.(string); ok && !strings.HasPrefix(name, "_") {
			if m := dictMethod(v, name); m != nil {
				return m
			}
		}
		return undefined(fmt.Sprintf("dict object has no element %s", repr(key)))
	case string:
		if isInt {
			runes := []rune(v)
			size, at = len(runes), func(i int) any { return string(runes[i]) }
		}
	case *list:
		if v.kind == view || v.kind == generator {
			fail("%s object is not subscriptable: make a list of it", typeName(v))
		}
		if isInt {
			size, at = len(v.items), func(i int) any { return v.items[i] }
		}
	}
	if at == nil {
		if name, ok := key.(string); ok {
			return attribute(v, name)
		}
		return undefined(fmt.Sprintf("%s has no element %s", strings.Trim(typeName(v), "'"), repr(key)))
	}
	if i < 0 {
		i += int64(size)
	}
	if i < 0 || i >= int64(size) {
		return undefined(fmt.Sprintf("%s has no element %s", strings.Trim(typeName(v), "'"), repr(key)))
	}
	return at(int(i))
}

// slice is v[from:to:step].
func slice(v any, bounds [3]any) any {
	var runes []rune
	size := 0
	switch v := v.(type) {
	case string:
		runes = []rune(v)
		size = len(runes)
	case *list:
		if v.kind == view || v.kind == generator {
			fail("%s object is not subscriptable: make a list of it", typeName(v))
		}
		size = len(v.items)
	case undefined:
		fail("%s is undefined", quoteName(v))
	default:
		fail("%s object is not subscriptable", typeName(v))
	}
	bound := func(i int, or int) int {
		if bounds[i] == nil {
			return or
		}
		n, _, isInt, ok := number(bounds[i])
		if !ok || !isInt {
			fail("slice indices must be integers, not %s", typeName(bounds[i]))
		}
		return int(max(min(n, 1<<40), -1<<40))
	}
	step := bound(2, 1)
	if step == 0 {
		fail("slice step cannot be zero")
	}
	low, high := 0, size
	from, to := 0, size
	if step < 0 {
		low, high = -1, size-1
		from, to = size-1, -1
	}
	clip := func(i, or int) int {
		n := bound(i, or)
		if bounds[i] != nil && n < 0 {
			n = max(n+size, low)
		}
		return min(max(n, low), high)
	}
	from, to = clip(0, from), clip(1, to)
	var at []int
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		at = append(at, i)
	}
	if l, ok := v.(*list); ok {
		out := &list{kind: l.kind}
		if l.kind == numbers {
			fail("slices of a range are not supported: make a list of it")
		}
		for _, i := range at {
			out.items = append(out.items, l.items[i])
		}
		return out
	}
	var b strings.Builder
	for _, i := range at {
		b.WriteRune(runes[i])
	}
	return b.String()
}

// macro is a macro: its parameters, of which the last may have defaults, and its body.
type macro struct {
	name     string
	names    []string
	defaults []expr // nil for a parameter without one
	body     []statement
	caller   bool // the body uses caller
}

// value returns the macro as a value of the scope in which it is defined.
func (m *macro) value(f *frame) *function {
	return &function{m.name, func(r *renderer, a arguments) any {
		r.enter()
		defer r.leave()
		in := f.inner()
		if len(a.list) > len(m.names) {
			fail("macro '%s' takes not more than %d argument(s)", m.name, len(m.names))
		}
		named := 0
		for i, name := range m.names {
			v, given := a.named[name]
			switch {
			case given && i < len(a.list):
				fail("macro '%s' got multiple values for argument '%s'", m.name, name)
			case given:
				named++
			case i < len(a.list):
				v = a.list[i]
			case m.defaults[i] != nil:
				v = m.defaults[i](in)
			default:
				v = undefined("parameter '" + name + "' was not provided")
			}
			in.vars[name] = v
		}
		caller, called := a.named["caller"]
		if called && !slices.Contains(m.names, "caller") {
			named++
			if !m.caller {
				fail("macro '%s' was invoked with a call block, but does not use caller", m.name)
			}
		}
		if m.caller && !slices.Contains(m.names, "caller") {
			if !called {
				caller = undefined("No caller defined")
			}
			in.vars["caller"] = caller
		}
		if named < len(a.named) {
			fail("macro '%s' takes no keyword argument like one given", m.name)
		}
		return in.captured(m.body)
	}}
}

// print adds the text of a value to the output.
func (r *renderer) print(s string) {
	if r.printed += len(s); r.printed > r.length {
		fail("the output is longer than %d bytes", r.length)
	}
	r.out.WriteString(s)
}

// assignable fails if a value is too large for a variable.
func (r *renderer) assignable(v any) any {
	size := 0
	switch v := v.(type) {
	case string:
		size = len(v)
	case *list:
		size = len(v.items)
	}
	if size > r.variable {
		fail("a variable holds more than %d bytes or items", r.variable)
	}
	return v
}

// grow counts the work of making a text or list of n bytes or items, and fails if it is too long or takes too long.
func (r *renderer) grow(n int) {
	if n > r.length {
		fail("a value holds more than %d bytes or items", r.length)
	}
	if r.work += n; r.work > 1<<22 {
		r.work = 0
		r.checkTime()
	}
}

// growBy is grow for n parts of a size.
func (r *renderer) growBy(size int, n int64) {
	if n > 0 && int64(size) > int64(r.length)/n {
		fail("a value holds more than %d bytes or items", r.length)
	}
	r.grow(size * int(n))
}

// first returns the first character of a text and the rest.
func first(s string) (string, string) {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n], s[n:]
}
