package chat

import (
	"slices"
	"strconv"
	"strings"
)

func generated(items []any) *list { return &list{items: items, kind: generator} }

func batches(r *renderer, v any, p params) any {
	a := p.bind("linecount", "fill_with")
	p.need(a[0])
	n := int(p.integer(a[0], 0))
	if n < 1 {
		fail("batch needs a positive number")
	}
	var out []any
	for part := range slices.Chunk(items(v), n) {
		l := newList(slices.Clone(part)...)
		for len(l.items) < n && given(a[1]) && a[1] != nil {
			r.grow(len(l.items))
			l.items = append(l.items, a[1])
		}
		out = append(out, l)
	}
	return generated(out)
}

func columns(r *renderer, v any, p params) any {
	a := p.bind("slices", "fill_with")
	p.need(a[0])
	list, n := items(v), int(p.integer(a[0], 0))
	if n < 1 || n > maxRange {
		fail("slice needs a number from 1 to %d", maxRange)
	}
	r.grow(n)
	each, more := len(list)/n, len(list)%n
	var out []any
	for i, at := 0, 0; i < n; i++ {
		size := each
		if i < more {
			size++
		}
		l := newList(slices.Clone(list[at : at+size])...)
		if given(a[1]) && a[1] != nil && i >= more {
			l.items = append(l.items, a[1])
		}
		at += size
		out = append(out, l)
	}
	return generated(out)
}

func dictSort(_ *renderer, v any, p params) any {
	d, ok := v.(*dict)
	if !ok {
		fail("dictsort needs a dict, not %s", typeName(v))
	}
	a := p.bind("case_sensitive", "by", "reverse")
	at := 0
	switch by := p.text(a[1], "key"); by {
	case "key":
	case "value":
		at = 1
	default:
		fail("You can only sort by either 'key' or 'value'")
	}
	out := newList()
	for _, key := range d.keys {
		x, _ := d.get(key)
		out.items = append(out.items, newTuple(key, x))
	}
	sortStable(out.items, given(a[2]) && truth(a[2]), func(v any) any {
		return ignoringCase(v.(*list).items[at], given(a[0]) && truth(a[0]))
	})
	return out
}

func sortStable(list []any, reverse bool, key func(any) any) {
	slices.SortStableFunc(list, func(a, b any) int {
		n := compare(key(a), key(b))
		if reverse {
			return -n
		}
		return n
	})
}

func firstItem(_ *renderer, v any, p params) any {
	p.bind()
	if list := items(v); len(list) > 0 {
		return list[0]
	}
	return undefined("No first item, sequence was empty.")
}

func lastItem(_ *renderer, v any, p params) any {
	p.bind()
	if l, ok := v.(*list); ok && l.kind == generator {
		fail("%s object is not reversible", typeName(v))
	}
	if list := items(v); len(list) > 0 {
		return list[len(list)-1]
	}
	return undefined("No last item, sequence was empty.")
}

func (p params) getter(attr, or any) func(any) any {
	var path []any
	switch attr := attr.(type) {
	case absent, nil:
		return func(v any) any { return v }
	case int64:
		path = []any{attr}
	case string:
		for part := range strings.SplitSeq(attr, ".") {
			if n, err := strconv.ParseInt(part, 10, 64); err == nil && part[0] != '-' && part[0] != '+' {
				path = append(path, n)
			} else {
				path = append(path, part)
			}
		}
	default:
		fail("%s: an attribute is a name or a number, not %s", p.what, typeName(attr))
	}
	return func(v any) any {
		for _, key := range path {
			v = item(v, key)
			if _, no := v.(undefined); no && given(or) && or != nil {
				v = or
			}
		}
		return v
	}
}

func groupBy(_ *renderer, v any, p params) any {
	a := p.bind("attribute", "default", "case_sensitive")
	p.need(a[0])
	get := p.getter(a[0], a[1])
	key := func(v any) any { return ignoringCase(get(v), given(a[2]) && truth(a[2])) }
	all := slices.Clone(items(v))
	sortStable(all, false, key)
	out := newList()
	for i := 0; i < len(all); {
		group := newList()
		from := i
		for i < len(all) && equal(key(all[i]), key(all[from])) {
			group.items = append(group.items, all[i])
			i++
		}
		out.items = append(out.items, &list{items: []any{get(all[from]), group}, kind: tuple, text: groupKind})
	}
	return out
}

const groupKind = "group"

func itemsFilter(r *renderer, v any, p params) any {
	p.bind()
	switch v := v.(type) {
	case undefined:
		return generated(nil)
	case *dict:
		return generated(dictMethod(v, "items").call(r, arguments{}).(*list).items)
	}
	fail("Can only get item pairs from a mapping.")
	return nil
}

func joinFilter(r *renderer, v any, p params) any {
	a := p.bind("d", "attribute")
	get := p.getter(a[1], absent{})
	list := slices.Clone(items(v))
	for i, x := range list {
		list[i] = get(x)
	}
	sep := ""
	if given(a[0]) {
		sep = pythonString(a[0])
	}
	return join(r, list, sep, true)
}

func toList(_ *renderer, v any, p params) any {
	p.bind()
	return newList(slices.Clone(items(v))...)
}

func mapFilter(r *renderer, v any, p params) any {
	if !truth(v) {
		return generated(nil)
	}
	var change func(any) any
	switch attr, ok := p.named["attribute"]; {
	case ok && len(p.list) == 0:
		or := any(absent{})
		for name, v := range p.named {
			switch name {
			case "attribute":
			case "default":
				or = v
			default:
				fail("Unexpected keyword argument '%s'", name)
			}
		}
		change = p.getter(attr, or)
	case len(p.list) > 0:
		name := p.text(p.list[0], "")
		f, ok := filters()[name]
		if !ok {
			unknown("filter", name)
		}
		args := arguments{p.list[1:], p.named}.of("the filter " + name)
		change = func(v any) any { return f(r, v, args) }
	default:
		fail("map requires a filter argument")
	}
	var out []any
	for _, x := range items(v) {
		r.step()
		out = append(out, change(x))
	}
	return generated(out)
}

func extreme(sign int) filterFunc {
	return func(_ *renderer, v any, p params) any {
		a := p.bind("case_sensitive", "attribute")
		get := p.getter(a[1], absent{})
		key := func(v any) any { return ignoringCase(get(v), given(a[0]) && truth(a[0])) }
		list := items(v)
		if len(list) == 0 {
			return undefined("No aggregated item, sequence was empty.")
		}
		best := list[0]
		for _, x := range list[1:] {
			if compare(key(x), key(best))*sign > 0 {
				best = x
			}
		}
		return best
	}
}

func selecting(keep, attr bool) filterFunc {
	return func(r *renderer, v any, p params) any {
		if !truth(v) {
			return generated(nil)
		}
		get, list := func(v any) any { return v }, p.list
		if attr {
			if len(list) == 0 {
				fail("Missing parameter for attribute name")
			}
			get, list = p.getter(list[0], absent{}), list[1:]
		}
		check := func(v any) bool { return truth(v) }
		if len(list) > 0 {
			name := p.text(list[0], "")
			test, ok := tests()[name]
			if !ok {
				unknown("test", name)
			}
			args := arguments{list[1:], p.named}.of("the test " + name)
			check = func(v any) bool { return test(r, v, args) }
		}
		var out []any
		for _, x := range items(v) {
			r.step()
			if check(get(x)) == keep {
				out = append(out, x)
			}
		}
		return generated(out)
	}
}

func reversed(_ *renderer, v any, p params) any {
	p.bind()
	list := slices.Clone(items(v))
	slices.Reverse(list)
	if _, ok := v.(string); ok {
		s := ""
		for _, c := range list {
			s += c.(string)
		}
		return s
	}
	return generated(list)
}

func sorted(_ *renderer, v any, p params) any {
	a := p.bind("reverse", "case_sensitive", "attribute")
	sensitive := given(a[1]) && truth(a[1])
	get := []func(any) any{}
	if s, ok := a[2].(string); ok {
		for part := range strings.SplitSeq(s, ",") {
			get = append(get, p.getter(part, absent{}))
		}
	} else {
		get = append(get, p.getter(a[2], absent{}))
	}
	out := newList(slices.Clone(items(v))...)
	sortStable(out.items, given(a[0]) && truth(a[0]), func(v any) any {
		if len(get) == 1 {
			return ignoringCase(get[0](v), sensitive)
		}
		key := newList()
		for _, g := range get {
			key.items = append(key.items, ignoringCase(g(v), sensitive))
		}
		return key
	})
	return out
}

func summed(r *renderer, v any, p params) any {
	a := p.bind("attribute", "start")
	get := p.getter(a[0], absent{})
	total := any(int64(0))
	if given(a[1]) {
		total = a[1]
	}
	for _, x := range items(v) {
		total = r.arithmetic("+", total, get(x))
	}
	return total
}

func uniques(_ *renderer, v any, p params) any {
	a := p.bind("case_sensitive", "attribute")
	get := p.getter(a[1], absent{})
	seen := map[any]bool{}
	var out []any
	for _, x := range items(v) {
		key := hash(ignoringCase(get(x), given(a[0]) && truth(a[0])))
		if !seen[key] {
			seen[key] = true
			out = append(out, x)
		}
	}
	return generated(out)
}
