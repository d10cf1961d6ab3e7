package chat

import (
	"fmt"
	"slices"
	"strings"
)

// program is a parsed template.
type program struct {
	body       []statement
	generation bool // whether it has {% generation %} blocks
}

// blocks reads the pieces of a template.
type blocks struct {
	pieces []piece
	at     int
	open   []block
	calls  []bool // for each open macro or call: whether caller occurs in it
	program
}

// block is an open block.
type block struct {
	word string
	line int
}

// parse reads a template.
func parse(src string) (p program, err error) {
	if len(src) > maxTemplate {
		return program{}, fmt.Errorf("it has %d bytes, at most %d are allowed", len(src), maxTemplate)
	}
	pieces, err := lex(src)
	if err != nil {
		return program{}, err
	}
	b := &blocks{pieces: pieces}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case syntaxError:
			err = fmt.Errorf("line %d: %w", b.pieces[min(max(b.at-1, 0), len(pieces)-1)].line, e.error)
		default:
			panic(e)
		}
	}()
	b.body, _ = b.list()
	if n := len(b.open); n > 0 {
		return program{}, fmt.Errorf("line %d: %s is not closed", b.open[n-1].line, b.open[n-1].word)
	}
	return b.program, nil
}

// list reads statements up to one of the words that end or divide the block, or the end of the template.
func (b *blocks) list(until ...string) (list []statement, end *parser) {
	for b.at < len(b.pieces) {
		piece := b.pieces[b.at]
		b.at++
		p := &parser{tokens: piece.tokens}
		switch piece.kind {
		case textPiece:
			list = append(list, func(f *frame) flow {
				f.r.print(piece.text)
				return onward
			})
			continue
		case printPiece:
			if len(piece.tokens) == 0 {
				p.fail("{{ }} is empty")
			}
			b.noteCaller(piece.tokens)
			e := p.whole()
			list = append(list, func(f *frame) flow {
				f.r.print(pythonString(e(f)))
				return onward
			})
			continue
		}
		if len(piece.tokens) == 0 || piece.tokens[0].kind != nameToken {
			p.fail("{%% %%} without a statement")
		}
		b.noteCaller(piece.tokens)
		word := p.name()
		if slices.Contains(until, word) {
			return list, p
		}
		if s := b.statement(word, p, piece.line); s != nil {
			list = append(list, s)
		}
	}
	return list, nil
}

// noteCaller remembers that the macro that is being read uses caller.
func (b *blocks) noteCaller(tokens []token) {
	if n := len(b.calls); n > 0 && slices.ContainsFunc(tokens, func(t token) bool {
		return t.kind == nameToken && t.text == "caller"
	}) {
		b.calls[n-1] = true
	}
}

// statement reads one statement.
func (b *blocks) statement(word string, p *parser, line int) statement {
	switch word {
	case "else", "elif":
		p.fail("unexpected %s", word)
	case "break", "continue":
		return b.leave(word, p)
	case "set":
		return b.set(p, line)
	}
	if strings.HasPrefix(word, "end") {
		p.fail("unexpected %s", word)
	}
	if word != "generation" && word != "with" && p.done() {
		p.fail("the statement %q is not complete or not supported", word)
	}
	b.begin(word, line, p)
	switch word {
	case "if":
		return b.condition(p)
	case "for":
		return b.loop(p)
	case "macro":
		return b.macro(p)
	case "call":
		return b.call(p)
	case "filter":
		return b.filter(p)
	case "with":
		return b.with(p)
	case "generation":
		return b.marked(p)
	}
	p.fail("the statement %q is not supported", word)
	return nil
}

// begin opens a block.
func (b *blocks) begin(word string, line int, p *parser) {
	if len(b.open) >= maxNesting {
		p.fail("more than %d blocks are open", maxNesting)
	}
	b.open = append(b.open, block{word, line})
}

// body reads a block up to its end, or to a word that divides it, which is returned.
func (b *blocks) inside(dividers ...string) ([]statement, *parser) {
	word := b.open[len(b.open)-1].word
	list, p := b.list(append(dividers, "end"+word)...)
	if p == nil {
		return list, nil // the template ends; parse reports it
	}
	if p.tokens[0].text == "end"+word {
		if !p.done() && !(word == "macro" && len(p.tokens) == 2) {
			p.fail("end%s takes no arguments", word)
		}
		b.open = b.open[:len(b.open)-1]
	}
	return list, p
}

// leave reads break and continue.
func (b *blocks) leave(word string, p *parser) statement {
	if !p.done() {
		p.fail("%s takes no arguments", word)
	}
	inLoop := false
	for _, o := range b.open {
		inLoop = o.word == "for" || inLoop && (o.word == "if" || o.word == "generation" || o.word == "with")
	}
	if !inLoop {
		p.fail("%s outside of a loop", word)
	}
	way := breaking
	if word == "continue" {
		way = continuing
	}
	return func(*frame) flow { return way }
}

// condition reads an if with its branches.
func (b *blocks) condition(p *parser) statement {
	type branch struct {
		test expr // nil for else
		body []statement
	}
	list := []branch{{test: p.whole()}}
	for {
		dividers := []string{"elif", "else"}
		if list[len(list)-1].test == nil {
			dividers = nil
		}
		body, end := b.inside(dividers...)
		list[len(list)-1].body = body
		if end == nil || end.tokens[0].text == "endif" {
			break
		}
		if word := end.tokens[0].text; (word == "elif") == end.done() {
			end.fail("%s is not complete", word)
		}
		next := branch{}
		if !end.done() {
			next.test = end.whole()
		}
		list = append(list, next)
	}
	return func(f *frame) flow {
		for _, branch := range list {
			if branch.test == nil || truth(branch.test(f)) {
				return run(f, branch.body)
			}
		}
		return onward
	}
}

// loop reads a for.
func (b *blocks) loop(p *parser) statement {
	names := p.targets("in")
	if p.done() {
		p.fail("a for without in")
	}
	p.at++
	if p.tokens[len(p.tokens)-1].is("recursive") {
		p.fail("recursive loops are not supported")
	}
	in := p.or() // an if behind it is a filter
	if p.skip(",") {
		p.fail("a loop over a tuple needs brackets")
	}
	var only expr
	if p.skip("if") {
		only = p.condition()
	}
	if !p.done() {
		p.fail("unexpected %q", p.peek().text)
	}
	body, end := b.inside("else")
	var otherwise []statement
	if end != nil && end.tokens[0].text == "else" {
		if !end.done() {
			end.fail("else is not complete")
		}
		otherwise, _ = b.inside()
	}
	return func(f *frame) flow {
		list := items(in(f))
		if only != nil {
			var kept []any
			for _, v := range list {
				f.r.step()
				g := f.inner()
				unpack(g, names, v)
				if truth(only(g)) {
					kept = append(kept, v)
				}
			}
			list = kept
		}
		state := &loop{items: list}
		for i, v := range list {
			f.r.step()
			g := f.inner() // variables that are set in a round do not exist in the next
			state.i = i
			g.vars["loop"] = state
			unpack(g, names, v)
			if run(g, body) == breaking {
				return onward
			}
		}
		if len(list) == 0 {
			return run(f.inner(), otherwise)
		}
		return onward
	}
}

// targets reads names separated by commas, up to a word or operator.
func (p *parser) targets(until string) (names []string) {
	for !p.done() && !p.peek().is(until) {
		t := p.next()
		if t.kind != nameToken || until == "in" && t.is("in") {
			p.fail("the variables of a for must be names and commas, got %q", t.text)
		}
		names = append(names, t.text)
		if !p.skip(",") && !p.done() && !p.peek().is(until) {
			p.fail("the variables of a for must be names and commas, got %q", p.peek().text)
		}
	}
	return names
}

// unpack sets variables to a value, or to the items of one.
func unpack(f *frame, names []string, v any) {
	if len(names) == 1 {
		f.vars[names[0]] = v
		return
	}
	list := items(v)
	if len(list) != len(names) {
		fail("%d values cannot be unpacked to %d variables", len(list), len(names))
	}
	for i, name := range names {
		f.vars[name] = list[i]
	}
}

// set reads an assignment or a set block.
func (b *blocks) set(p *parser, line int) statement {
	var name, key string
	t := p.next()
	if t.kind != nameToken || p.peek().is(",") {
		p.fail("set needs one name, or an attribute of a namespace; %q is not supported", t.text)
	}
	name = t.text
	if p.skip(".") {
		key = p.name()
	}
	assign := func(f *frame, v any) {
		f.r.assignable(v)
		if key == "" {
			f.vars[name] = v
			return
		}
		n, ok := f.lookUp(name).(*namespace)
		if !ok {
			fail("cannot assign attribute on non-namespace object")
		}
		n.set(key, v)
	}
	if p.skip("=") {
		if p.done() {
			p.fail("set %s = without a value", name)
		}
		e := p.whole()
		return func(f *frame) flow {
			assign(f, e(f))
			return onward
		}
	}
	filtered := expr(func(f *frame) any { return f.vars["\x00block"] })
	for p.skip("|") {
		filtered = p.filter(filtered)
	}
	if !p.done() || key != "" {
		p.fail("set needs one name, or an attribute of a namespace; %q is not supported", p.peek().text)
	}
	b.begin("set", line, p)
	body, _ := b.inside()
	return func(f *frame) flow {
		g := f.inner()
		g.vars["\x00block"] = g.captured(body)
		assign(f, filtered(g))
		return onward
	}
}

// parameters reads the parameters of a macro or a call block.
func (p *parser) parameters(m *macro) {
	p.expect("(")
	for comma := false; !p.skip(")"); comma = true {
		if comma {
			if p.expect(","); p.skip(")") {
				break
			}
		}
		m.names = append(m.names, p.name())
		m.defaults = append(m.defaults, nil)
		if p.skip("=") {
			m.defaults[len(m.defaults)-1] = p.condition()
		} else if n := len(m.defaults); n > 1 && m.defaults[n-2] != nil {
			p.fail("a parameter without a default follows one with a default")
		}
	}
}

// define reads the body of a macro.
func (b *blocks) define(m *macro) {
	b.calls = append(b.calls, false)
	m.body, _ = b.inside()
	m.caller = b.calls[len(b.calls)-1]
	b.calls = b.calls[:len(b.calls)-1]
}

func (b *blocks) macro(p *parser) statement {
	m := &macro{name: p.name()}
	p.parameters(m)
	if !p.done() {
		p.fail("unexpected %q", p.peek().text)
	}
	b.define(m)
	return func(f *frame) flow {
		f.vars[m.name] = m.value(f)
		return onward
	}
}

// call reads a call block: a call of a macro that gets the block as caller.
func (b *blocks) call(p *parser) statement {
	m := &macro{name: "caller"}
	if p.peek().is("(") {
		p.parameters(m)
	}
	name := p.postfixName()
	args := p.arguments()
	if !p.done() {
		p.fail("unexpected %q", p.peek().text)
	}
	b.define(m)
	return func(f *frame) flow {
		called, ok := name(f).(*function)
		if !ok {
			fail("a call block needs a macro")
		}
		a := args.values(f)
		if a.named == nil {
			a.named = map[string]any{}
		}
		a.named["caller"] = m.value(f)
		f.r.print(pythonString(called.call(f.r, a)))
		return onward
	}
}

// postfixName reads the name of what a call block calls.
func (p *parser) postfixName() expr {
	name := p.name()
	return func(f *frame) any { return f.lookUp(name) }
}

// filter reads a filter block.
func (b *blocks) filter(p *parser) statement {
	e := p.filter(func(f *frame) any { return f.vars["\x00block"] })
	for p.skip("|") {
		e = p.filter(e)
	}
	if !p.done() {
		p.fail("unexpected %q", p.peek().text)
	}
	body, _ := b.inside()
	return func(f *frame) flow {
		g := f.inner()
		g.vars["\x00block"] = g.captured(body)
		f.r.print(pythonString(e(g)))
		return onward
	}
}

// with reads a block with variables of its own.
func (b *blocks) with(p *parser) statement {
	var names []string
	var values []expr
	for !p.done() {
		if len(names) > 0 {
			p.expect(",")
		}
		names = append(names, p.name())
		p.expect("=")
		values = append(values, p.condition())
	}
	body, _ := b.inside()
	return func(f *frame) flow {
		g := f.inner()
		for i, v := range all(f, values) {
			g.vars[names[i]] = v
		}
		return run(g, body)
	}
}

// marked reads a generation block.
func (b *blocks) marked(p *parser) statement {
	if !p.done() {
		p.fail("generation takes no arguments")
	}
	b.generation = true
	body, _ := b.inside()
	return func(f *frame) flow {
		m := f.r.markers
		if m != nil {
			f.r.out.WriteString(m.begin)
		}
		way := run(f.inner(), body)
		if m != nil {
			f.r.out.WriteString(m.end)
		}
		return way
	}
}
