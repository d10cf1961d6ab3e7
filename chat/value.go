package chat

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
)

// Values of templates are nil (none), undefined, bool, int64, float64, string, *list, *dict, *namespace and *function.

// undefined is the value of a name, key or attribute that does not exist; it holds what was looked for.
type undefined string

// list is a list, a tuple or what Python iterates over like these.
type list struct {
	items []any
	kind  listKind
	text  string // how Python prints a range
}

type listKind uint8

const (
	plainList listKind = iota
	tuple
	numbers   // a range
	view      // keys, values or items of a dict
	generator // the result of filters such as map; it is empty once it was gone through
)

func newList(items ...any) *list  { return &list{items: items} }
func newTuple(items ...any) *list { return &list{items: items, kind: tuple} }

// dict is a dict, in the order of its keys.
type dict struct {
	keys   []any
	values map[any]any // by hashed keys
}

func newDict() *dict { return &dict{values: map[any]any{}} }

func (d *dict) set(key, v any) {
	h := hash(key)
	if _, ok := d.values[h]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[h] = v
}

func (d *dict) get(key any) (any, bool) {
	v, ok := d.values[hash(key)]
	return v, ok
}

// namespace is an object whose attributes templates may set.
type namespace struct{ *dict }

// function is a function or a macro.
type function struct {
	name string
	call func(r *renderer, a arguments) any
}

// arguments are those of a call.
type arguments struct {
	list  []any
	named map[string]any
}

// failure is the panic of an evaluation that ends with an error. Template.render turns it into one.
type failure struct{ error }

// fail ends the evaluation.
func fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// tupleKey is the hashed form of a tuple.
type tupleKey string

// hash returns the key of a map for a value; numbers that are equal have one key, as in Python.
func hash(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	case *list:
		if v.kind == tuple {
			return tupleKey(repr(v))
		}
		fail("unhashable type: %s", typeName(v))
	case *dict:
		fail("unhashable type: 'dict'")
	}
	return v
}

// typeName returns Python's name of a value's type in quotes.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "'NoneType'"
	case undefined:
		return "'Undefined'"
	case bool:
		return "'bool'"
	case int64:
		return "'int'"
	case float64:
		return "'float'"
	case string:
		return "'str'"
	case *list:
		return []string{"'list'", "'tuple'", "'range'", "'dict view'", "'generator'"}[v.kind]
	case *dict:
		return "'dict'"
	case *namespace:
		return "'Namespace'"
	}
	return "'function'"
}

// truth returns whether a value counts as true.
func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *list:
		return len(v.items) > 0 || v.kind == generator
	case *dict:
		return len(v.keys) > 0
	}
	return true
}

// items returns what a value iterates over.
func items(v any) []any {
	switch v := v.(type) {
	case undefined:
		return nil
	case string:
		var out []any
		for _, c := range v {
			out = append(out, string(c))
		}
		return out
	case *list:
		out := v.items
		if v.kind == generator {
			v.items = nil
		}
		return out
	case *dict:
		return v.keys
	}
	fail("%s object is not iterable", typeName(v))
	return nil
}

// length returns Python's len.
func length(v any) int64 {
	switch v := v.(type) {
	case undefined:
		return 0
	case string:
		return int64(len([]rune(v)))
	case *list:
		if v.kind != generator {
			return int64(len(v.items))
		}
	case *dict:
		return int64(len(v.keys))
	}
	fail("object of type %s has no len()", typeName(v))
	return 0
}

// number returns a number as an integer or a float; ok is false for other values.
func number(v any) (i int64, f float64, isInt, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case int64:
		return v, float64(v), true, true
	case float64:
		return 0, v, false, true
	}
	return 0, 0, false, false
}

// equal is ==.
func equal(a, b any) bool {
	if ai, af, aInt, ok := number(a); ok {
		bi, bf, bInt, ok := number(b)
		if aInt && bInt {
			return ok && ai == bi
		}
		return ok && af == bf
	}
	switch a := a.(type) {
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *list:
		b, ok := b.(*list)
		return ok && (a == b || a.kind == b.kind && a.kind != generator && slices.EqualFunc(a.items, b.items, equal))
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for _, key := range a.keys {
			x, _ := a.get(key)
			if y, ok := b.get(key); !ok || !equal(x, y) {
				return false
			}
		}
		return true
	}
	return a == b
}

// compare orders two values, as < does. NaN is not ordered: then it fails.
func compare(a, b any) int {
	ai, af, aInt, aOK := number(a)
	bi, bf, bInt, bOK := number(b)
	as, aText := a.(string)
	bs, bText := b.(string)
	al, aList := a.(*list)
	bl, bList := b.(*list)
	switch {
	case aOK && bOK && aInt && bInt:
		return cmpOf(ai < bi, ai > bi)
	case aOK && bOK && !math.IsNaN(af) && !math.IsNaN(bf):
		return cmpOf(af < bf, af > bf)
	case aText && bText:
		return strings.Compare(as, bs) // bytes of UTF-8 are ordered like code points
	case aList && bList && al.kind == bl.kind && al.kind <= tuple:
		for i := range min(len(al.items), len(bl.items)) {
			if !equal(al.items[i], bl.items[i]) {
				return compare(al.items[i], bl.items[i])
			}
		}
		return cmpOf(len(al.items) < len(bl.items), len(al.items) > len(bl.items))
	}
	fail("%s and %s cannot be ordered", typeName(a), typeName(b))
	return 0
}

func cmpOf(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	}
	return 0
}

// contains is in.
func contains(v, in any) bool {
	switch in := in.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			fail("'in <string>' requires string as left operand, not %s", typeName(v))
		}
		return strings.Contains(in, s)
	case *dict:
		_, ok := in.get(v)
		return ok
	}
	return slices.ContainsFunc(items(in), func(e any) bool { return equal(e, v) })
}

// whole returns an integer that was computed without bounds, and fails if it does not fit.
func whole(n *big.Int) any {
	if !n.IsInt64() {
		fail("an integer beyond 64 bits is not supported")
	}
	return n.Int64()
}

// arithmetic applies an operator.
func (r *renderer) arithmetic(op string, a, b any) any {
	ai, af, aInt, aOK := number(a)
	bi, bf, bInt, bOK := number(b)
	switch {
	case aOK && bOK && aInt && bInt:
		return integers(op, ai, bi)
	case aOK && bOK:
		return floats(op, af, bf)
	}
	as, aText := a.(string)
	bs, bText := b.(string)
	al, aList := a.(*list)
	bl, bList := b.(*list)
	switch {
	case op == "+" && aText && bText:
		r.grow(len(as) + len(bs))
		return as + bs
	case op == "+" && aList && bList && al.kind == bl.kind && al.kind <= tuple:
		r.grow(len(al.items) + len(bl.items))
		return &list{items: append(slices.Clone(al.items), bl.items...), kind: al.kind}
	case op == "*" && (aText || aList && al.kind <= tuple) && bOK && bInt:
		return r.repeat(a, bi)
	case op == "*" && (bText || bList && bl.kind <= tuple) && aOK && aInt:
		return r.repeat(b, ai)
	case op == "%" && aText:
		return r.percent(as, b)
	}
	if u, ok := a.(undefined); ok {
		fail("%s is undefined", quoteName(u))
	}
	if u, ok := b.(undefined); ok {
		fail("%s is undefined", quoteName(u))
	}
	fail("unsupported operand type(s) for %s: %s and %s", op, typeName(a), typeName(b))
	return nil
}

func quoteName(u undefined) string { return "'" + string(u) + "'" }

// repeat is a text or list * n.
func (r *renderer) repeat(v any, n int64) any {
	n = max(n, 0)
	if s, ok := v.(string); ok {
		r.growBy(len(s), n)
		return strings.Repeat(s, int(n))
	}
	l := v.(*list)
	r.growBy(len(l.items), n)
	return &list{items: slices.Repeat(l.items, int(n)), kind: l.kind}
}

func integers(op string, a, b int64) any {
	x, y := big.NewInt(a), big.NewInt(b)
	switch op {
	case "+":
		return whole(x.Add(x, y))
	case "-":
		return whole(x.Sub(x, y))
	case "*":
		return whole(x.Mul(x, y))
	case "/":
		if b == 0 {
			fail("division by zero")
		}
		if a == 0 && b < 0 {
			return math.Copysign(0, -1)
		}
		q, _ := new(big.Rat).SetFrac(x, y).Float64()
		return q
	case "//", "%":
		if b == 0 {
			fail("integer division or modulo by zero")
		}
		q, m := new(big.Int), new(big.Int)
		q.QuoRem(x, y, m)
		if m.Sign() != 0 && (m.Sign() < 0) != (b < 0) { // rounded down, as in Python
			q.Sub(q, big.NewInt(1))
			m.Add(m, y)
		}
		if op == "//" {
			return whole(q)
		}
		return whole(m)
	}
	if b < 0 {
		return floats(op, float64(a), float64(b))
	}
	if b > 64 && a != 0 && a != 1 && a != -1 {
		fail("an integer beyond 64 bits is not supported")
	}
	return whole(x.Exp(x, y, nil))
}

func floats(op string, a, b float64) any {
	if b == 0 && strings.Contains("// %", op) {
		fail("float division by zero")
	}
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	case "//", "%":
		m := math.Mod(a, b)
		q := (a - m) / b
		if m != 0 && (m < 0) != (b < 0) {
			m += b
			q--
		} else if m == 0 {
			m = math.Copysign(0, b)
		}
		if op == "%" {
			return m
		}
		if floor := math.Floor(q); q-floor > 0.5 {
			return floor + 1
		} else if q != 0 {
			return floor
		}
		return math.Copysign(0, a/b)
	}
	return power(a, b)
}

// power is a ** b. Exponents other than halves would give other last digits than C's pow, so they are refused.
func power(a, b float64) float64 {
	switch {
	case a == 0 && b < 0:
		fail("0.0 cannot be raised to a negative power")
	case b == 0 || a == 1 || a == 0 || math.IsInf(a, 0) || math.IsInf(b, 0) || math.IsNaN(a) || math.IsNaN(b):
		return math.Pow(a, b)
	case 2*b != math.Trunc(2*b) || math.Abs(b) > 512:
		fail("a power of %s is not supported: only halves up to 512 are", repr(b))
	case a < 0 && b != math.Trunc(b):
		fail("a power that is a complex number is not supported")
	}
	const bits = 4096
	base := new(big.Float).SetPrec(bits).SetFloat64(a)
	n := int(math.Abs(b))
	if b != math.Trunc(b) {
		base.Sqrt(base)
		n = int(math.Abs(2 * b))
	}
	p := new(big.Float).SetPrec(bits).SetInt64(1)
	for range n {
		p.Mul(p, base)
	}
	if b < 0 {
		p.Quo(new(big.Float).SetPrec(bits).SetInt64(1), p)
	}
	f, _ := p.Float64()
	if math.IsInf(f, 0) {
		fail("the result of ** is too large")
	}
	return f
}
