package chat

import (
	"fmt"
	"slices"
	"strconv"
)

// expr computes a value.
type expr func(f *frame) any

// parser reads the tokens of one tag by the grammar of Jinja.
type parser struct {
	tokens []token
	at     int
	depth  int
}

// syntaxError is the panic of a parser.
type syntaxError struct{ error }

func (p *parser) fail(format string, args ...any) { panic(syntaxError{fmt.Errorf(format, args...)}) }

func (p *parser) peek() token {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return token{operatorToken, "end of tag"}
}

func (p *parser) next() token {
	t := p.peek()
	p.at++
	return t
}

func (p *parser) done() bool { return p.at >= len(p.tokens) }

// skip reads an operator or name if it is next.
func (p *parser) skip(s string) bool {
	if p.peek().is(s) && !p.done() {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(s string) {
	if !p.skip(s) {
		p.fail("expected %q, got %q", s, p.peek().text)
	}
}

func (p *parser) name() string {
	t := p.next()
	if t.kind != nameToken {
		p.fail("expected a name, got %q", t.text)
	}
	return t.text
}

// nested counts brackets and other nested expressions.
func (p *parser) nested() func() {
	if p.depth++; p.depth > 4*maxNesting {
		p.fail("more than %d nested expressions", 4*maxNesting)
	}
	return func() { p.depth-- }
}

// whole reads the rest of the tag as one expression; commas make a tuple.
func (p *parser) whole() expr {
	e := p.tuple(false)
	if !p.done() {
		p.fail("unexpected %q", p.peek().text)
	}
	return e
}

// tuple reads expressions separated by commas: one without a comma is itself.
func (p *parser) tuple(brackets bool) expr {
	var list []expr
	comma := false
	for !p.done() && !p.peek().is(")") {
		list = append(list, p.condition())
		if !p.skip(",") {
			break
		}
		comma = true
	}
	if len(list) == 1 && !comma {
		return list[0]
	}
	if len(list) == 0 && !brackets {
		p.fail("expected an expression")
	}
	return func(f *frame) any { return newTuple(all(f, list)...) }
}

func all(f *frame, list []expr) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = e(f)
	}
	return out
}

// condition reads "a if b else c" and what binds closer.
func (p *parser) condition() expr {
	defer p.nested()()
	e := p.or()
	for p.skip("if") {
		yes, test := e, p.or()
		no := expr(func(*frame) any { return undefined("the inline if-expression evaluated to false") })
		if p.skip("else") {
			no = p.condition()
		}
		e = func(f *frame) any {
			if truth(test(f)) {
				return yes(f)
			}
			return no(f)
		}
	}
	return e
}

func (p *parser) or() expr {
	e := p.and()
	for p.skip("or") {
		a, b := e, p.and()
		e = func(f *frame) any {
			if v := a(f); truth(v) {
				return v
			}
			return b(f)
		}
	}
	return e
}

func (p *parser) and() expr {
	e := p.not()
	for p.skip("and") {
		a, b := e, p.not()
		e = func(f *frame) any {
			if v := a(f); !truth(v) {
				return v
			}
			return b(f)
		}
	}
	return e
}

func (p *parser) not() expr {
	if p.skip("not") {
		defer p.nested()()
		e := p.not()
		return func(f *frame) any { return !truth(e(f)) }
	}
	return p.comparison()
}

var comparisons = map[string]func(a, b any) bool{
	"==": equal, "!=": func(a, b any) bool { return !equal(a, b) },
	"<": func(a, b any) bool { return compare(a, b) < 0 }, "<=": func(a, b any) bool { return compare(a, b) <= 0 },
	">": func(a, b any) bool { return compare(a, b) > 0 }, ">=": func(a, b any) bool { return compare(a, b) >= 0 },
	"in": contains, "not in": func(a, b any) bool { return !contains(a, b) },
}

// comparison reads a chain of comparisons: a < b < c.
func (p *parser) comparison() expr {
	first := p.sum()
	var tests []func(a, b any) bool
	var list []expr
	for !p.done() {
		op := p.peek().text
		if p.peek().is("not") && p.at+1 < len(p.tokens) && p.tokens[p.at+1].is("in") {
			op = "not in"
			p.at++
		}
		test := comparisons[op]
		if test == nil || p.peek().kind == stringToken {
			break
		}
		p.at++
		tests, list = append(tests, test), append(list, p.sum())
	}
	if len(list) == 0 {
		return first
	}
	return func(f *frame) any {
		a := first(f)
		for i, e := range list {
			b := e(f)
			if !tests[i](a, b) {
				return false
			}
			a = b
		}
		return true
	}
}

// binary reads operators that bind alike, from left to right.
func (p *parser) binary(operand func() expr, operators ...string) expr {
	e := operand()
	for p.peek().kind == operatorToken && slices.Contains(operators, p.peek().text) {
		op, a, b := p.next().text, e, operand()
		e = func(f *frame) any { return f.r.arithmetic(op, a(f), b(f)) }
	}
	return e
}

func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

// concat reads a ~ b.
func (p *parser) concat() expr {
	list := []expr{p.product()}
	for p.skip("~") {
		list = append(list, p.product())
	}
	if len(list) == 1 {
		return list[0]
	}
	return func(f *frame) any {
		s := ""
		for _, e := range list {
			s += pythonString(e(f))
			f.r.grow(len(s))
		}
		return s
	}
}

func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }

// power reads a ** b, which Jinja evaluates from left to right.
func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expr {
	defer p.nested()()
	var e expr
	switch {
	case p.skip("-"):
		a := p.unary(false)
		e = func(f *frame) any {
			v := a(f)
			if x, ok := v.(float64); ok {
				return -x
			}
			return f.r.arithmetic("-", int64(0), v)
		}
	case p.skip("+"):
		a := p.unary(false)
		e = func(f *frame) any { return f.r.arithmetic("+", int64(0), a(f)) }
	default:
		e = p.primary()
	}
	e = p.postfix(e)
	if !filters {
		return e
	}
	for {
		switch {
		case p.skip("|"):
			e = p.filter(e)
		case p.skip("is"):
			e = p.test(e)
		case p.peek().is("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) primary() expr {
	switch t := p.next(); {
	case t.kind == nameToken:
		switch t.text {
		case "true", "True":
			return constant(true)
		case "false", "False":
			return constant(false)
		case "none", "None":
			return constant(nil)
		}
		return func(f *frame) any { return f.lookUp(t.text) }
	case t.kind == stringToken:
		s := t.text
		for p.peek().kind == stringToken {
			s += p.next().text
		}
		return constant(s)
	case t.kind == numberToken:
		return constant(p.literal(t.text))
	case t.is("("):
		e := p.tuple(true)
		p.expect(")")
		return e
	case t.is("["):
		var list []expr
		for !p.skip("]") {
			if len(list) > 0 {
				if p.expect(","); p.skip("]") {
					break
				}
			}
			list = append(list, p.condition())
		}
		return func(f *frame) any { return newList(all(f, list)...) }
	case t.is("{"):
		return p.dict()
	default:
		p.fail("unexpected %q", t.text)
		return nil
	}
}

func constant(v any) expr { return func(*frame) any { return v } }

func (p *parser) literal(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !slices.ContainsFunc([]rune(s), func(c rune) bool { return c == '.' || c == 'e' || c == 'E' }) {
		p.fail("the number %s is too large", s)
	}
	return f
}

func (p *parser) dict() expr {
	var keys, values []expr
	for !p.skip("}") {
		if len(keys) > 0 {
			if p.expect(","); p.skip("}") {
				break
			}
		}
		keys = append(keys, p.condition())
		p.expect(":")
		values = append(values, p.condition())
	}
	return func(f *frame) any {
		d := newDict()
		for i, key := range keys {
			d.set(key(f), values[i](f))
		}
		return d
	}
}

// postfix reads attributes, items and calls.
func (p *parser) postfix(e expr) expr {
	for !p.done() {
		switch {
		case p.skip("."):
			of, t := e, p.next()
			switch t.kind {
			case nameToken:
				e = func(f *frame) any { return attribute(of(f), t.text) }
			case numberToken:
				n := p.literal(t.text)
				e = func(f *frame) any { return item(of(f), n) }
			default:
				p.fail("expected a name after the dot, got %q", t.text)
			}
		case p.skip("["):
			e = p.subscript(e)
		case p.peek().is("("):
			e = p.call(e)
		default:
			return e
		}
	}
	return e
}

// subscript reads what is between square brackets.
func (p *parser) subscript(of expr) expr {
	var parts [3]expr
	n := 0
	for !p.peek().is("]") && n < 3 {
		if p.skip(":") {
			n++
			continue
		}
		if n < 3 && parts[n] != nil {
			break
		}
		parts[n] = p.condition()
	}
	if !p.skip("]") || n == 3 || n == 0 && parts[0] == nil {
		p.fail("an index or a slice is not complete")
	}
	if n == 0 {
		return func(f *frame) any { return item(of(f), parts[0](f)) }
	}
	return func(f *frame) any {
		var bounds [3]any
		v := of(f)
		for i, e := range parts {
			if e != nil {
				bounds[i] = e(f)
			}
		}
		return slice(v, bounds)
	}
}

// callArguments are those of a call in a template.
type callArguments struct {
	list  []expr
	names []string
	named []expr
}

func (a callArguments) values(f *frame) arguments {
	v := arguments{list: all(f, a.list)}
	for i, name := range a.names {
		if v.named == nil {
			v.named = map[string]any{}
		}
		v.named[name] = a.named[i](f)
	}
	return v
}

// arguments reads the arguments of a call, with brackets.
func (p *parser) arguments() (a callArguments) {
	p.expect("(")
	for comma := false; !p.skip(")"); comma = true {
		if comma {
			if p.expect(","); p.skip(")") {
				break
			}
		}
		if p.peek().is("*") || p.peek().is("**") {
			p.fail("arguments with %s are not supported", p.peek().text)
		}
		if p.peek().kind == nameToken && p.at+1 < len(p.tokens) && p.tokens[p.at+1].is("=") {
			name := p.name()
			p.at++
			if slices.Contains(a.names, name) {
				p.fail("the argument %q is given twice", name)
			}
			a.names, a.named = append(a.names, name), append(a.named, p.condition())
			continue
		}
		if len(a.names) > 0 {
			p.fail("an argument without a name follows one with a name")
		}
		a.list = append(a.list, p.condition())
	}
	return a
}

func (p *parser) call(of expr) expr {
	args := p.arguments()
	return func(f *frame) any {
		v := of(f)
		if u, ok := v.(undefined); ok {
			fail("%s is undefined", quoteName(u))
		}
		called, ok := v.(*function)
		if !ok {
			fail("%s object is not callable", typeName(v))
		}
		return called.call(f.r, args.values(f))
	}
}

// filter reads a filter, without the bar.
func (p *parser) filter(of expr) expr {
	name := p.name()
	apply, ok := filters()[name]
	if !ok { // which may be in a branch that is not taken
		apply = func(*renderer, any, params) any { return unknown("filter", name) }
	}
	var args callArguments
	if p.peek().is("(") {
		args = p.arguments()
	}
	return func(f *frame) any {
		v := of(f)
		return apply(f.r, v, args.values(f).of("the filter "+name))
	}
}

// test reads a test, without "is".
func (p *parser) test(of expr) expr {
	negated := p.skip("not")
	name := p.name()
	check, ok := tests()[name]
	if !ok {
		check = func(*renderer, any, params) bool { return truth(unknown("test", name)) }
	}
	var args callArguments
	t := p.peek()
	switch {
	case p.done():
	case t.is("("):
		args = p.arguments()
	case t.kind == nameToken && !slices.Contains([]string{"else", "or", "and", "is", "not", "if", "in"}, t.text),
		t.kind == stringToken, t.kind == numberToken, t.is("["), t.is("{"):
		args.list = []expr{p.postfix(p.primary())}
	}
	return func(f *frame) any {
		v := of(f)
		return check(f.r, v, args.values(f).of("the test "+name)) != negated
	}
}

// unknown fails because of a filter or test that there is not.
func unknown(what, name string) any {
	fail("unknown %s %q: Jinja does not have it, or it is not supported here", what, name)
	return nil
}
