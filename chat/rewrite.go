package chat

import (
	"fmt"
	"slices"
	"strings"
)

// Names of this package's functions and variables, which templates cannot use.
const (
	reserved   = "spalora_"
	printName  = reserved + "print"
	keepName   = reserved + "keep"
	stepName   = reserved + "step"
	enterName  = reserved + "enter"
	leaveName  = reserved + "leave"
	markName   = reserved + "mark"
	tojsonName = reserved + "tojson"
	savedName  = reserved + "saved"
)

// Limits on the size of a template, which keep the library's recursion shallow.
const (
	maxTemplate = 1 << 20 // bytes
	maxTokens   = 4000    // parts of an expression
	maxNesting  = 100     // open brackets, open blocks
)

// rewritten is a template in the library's dialect.
type rewritten struct {
	source     string
	generation bool // whether it has {% generation %} blocks
	operands   int  // number of parts of the longest expression
}

// block is an open block.
type block struct {
	word string
	line int
	at   int      // for a loop: length of out before it
	vars []string // for a loop: its own variables, which are new in each round anyway
	set  []string // for a loop: other variables that are set directly in it
}

// rewriter rewrites pieces for the library: text becomes {{ '…' }}, so that the library's white space rules find
// nothing to strip, and loops, macros, variables and output go through functions that count (see limits.go).
type rewriter struct {
	out   []string
	open  []block
	loops int
	rewritten
}

// rewrite translates a template into the library's dialect.
func rewrite(src string) (rewritten, error) {
	if len(src) > maxTemplate {
		return rewritten{}, fmt.Errorf("it has %d bytes, at most %d are allowed", len(src), maxTemplate)
	}
	pieces, err := lex(src)
	if err != nil {
		return rewritten{}, err
	}
	r := &rewriter{}
	for _, p := range pieces {
		if err := r.piece(p); err != nil {
			return rewritten{}, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	if n := len(r.open); n > 0 {
		return rewritten{}, fmt.Errorf("line %d: %s is not closed", r.open[n-1].line, r.open[n-1].word)
	}
	r.source = strings.Join(r.out, "")
	return r.rewritten, nil
}

func (r *rewriter) piece(p piece) error {
	if p.kind == textPiece {
		r.emit("{{ " + quote(p.text) + " }}")
		return nil
	}
	tokens, err := expression(p.tokens)
	if err != nil {
		return err
	}
	r.operands = max(r.operands, len(tokens))
	if p.kind == printPiece {
		if len(tokens) == 0 {
			return fmt.Errorf("{{ }} is empty")
		}
		r.emit("{{ " + write(call(printName, tokens)) + " }}")
		return nil
	}
	if len(tokens) == 0 || tokens[0].kind != nameToken {
		return fmt.Errorf("{%% %%} without a statement")
	}
	return r.block(tokens[0].text, tokens, p.line)
}

func (r *rewriter) emit(s string) { r.out = append(r.out, s) }

func (r *rewriter) statement(tokens []token) { r.emit("{% " + write(tokens) + " %}") }

// count emits a call of one of this package's functions, which print nothing.
func (r *rewriter) count(name string, argument ...token) {
	r.emit("{{ " + write(call(name, argument)) + " }}")
}

// block emits a statement.
func (r *rewriter) block(word string, tokens []token, line int) error {
	if rest, ok := strings.CutPrefix(word, "end"); ok {
		return r.end(rest, tokens)
	}
	switch word {
	case "else", "elif":
		if len(r.open) == 0 || !slices.Contains([]string{"if", "for"}, r.open[len(r.open)-1].word) {
			return fmt.Errorf("unexpected %s", word)
		}
		if (word == "elif") != (len(tokens) > 1) {
			return fmt.Errorf("%s is not complete", write(tokens))
		}
		r.statement(tokens)
		return nil
	case "break", "continue":
		if len(tokens) > 1 {
			return fmt.Errorf("%s takes no arguments", word)
		}
		r.statement(tokens)
		return nil
	case "set":
		return r.set(tokens, line)
	}
	if len(r.open) >= maxNesting {
		return fmt.Errorf("more than %d blocks are open", maxNesting)
	}
	if word != "generation" && len(tokens) == 1 {
		return fmt.Errorf("the statement %q is not complete or not supported", word)
	}
	r.open = append(r.open, block{word: word, line: line, at: len(r.out)})
	switch word {
	case "if", "call":
		r.statement(tokens)
	case "for":
		return r.loop(tokens)
	case "macro":
		r.statement(tokens)
		r.count(enterName)
	case "filter":
		if len(tokens) != 2 {
			return fmt.Errorf("a filter block takes one filter without arguments")
		}
		r.statement(tokens)
	case "generation":
		r.generation = true
		r.count(markName, token{nameToken, "true"})
	default:
		return fmt.Errorf("the statement %q is not supported", word)
	}
	return nil
}

// end closes a block.
func (r *rewriter) end(word string, tokens []token) error {
	n := len(r.open) - 1
	if n < 0 || r.open[n].word != word {
		return fmt.Errorf("unexpected end%s", word)
	}
	b := r.open[n]
	r.open = r.open[:n]
	switch word {
	case "generation":
		r.count(markName, token{nameToken, "false"})
		return nil
	case "macro":
		r.count(leaveName)
	case "for":
		r.fresh(b)
	}
	r.statement(tokens[:1]) // without the name, which endmacro may repeat
	return nil
}

// loop emits the beginning of a for. It reserves places for fresh before and after it.
func (r *rewriter) loop(tokens []token) error {
	in := slices.IndexFunc(tokens, func(t token) bool { return t.is("in") })
	if in < 0 {
		return fmt.Errorf("a for without in")
	}
	for _, t := range tokens[1:in] {
		if t.kind != nameToken && !t.is(",") {
			return fmt.Errorf("the variables of a for must be names and commas, got %q", t.text)
		}
		r.open[len(r.open)-1].vars = append(r.open[len(r.open)-1].vars, t.text)
	}
	if tokens[len(tokens)-1].is("recursive") {
		return fmt.Errorf("recursive loops are not supported")
	}
	r.emit("")
	r.statement(tokens)
	r.count(stepName)
	r.emit("")
	return nil
}

// fresh makes the variables that a loop sets new in each round, as in Jinja: values that the library's scope kept from
// the last round are reset to the values before the loop.
func (r *rewriter) fresh(b block) {
	r.loops++
	before, inside := "", ""
	for _, name := range b.set {
		saved := fmt.Sprintf("%s%d_%s", savedName, r.loops, name)
		before += "{% set " + saved + " = " + name + " %}"
		inside += "{% set " + name + " = " + saved + " %}"
	}
	r.out[b.at], r.out[b.at+3] = before, inside
}

// set emits an assignment or the beginning of a set block.
func (r *rewriter) set(tokens []token, line int) error {
	equals := slices.IndexFunc(tokens, func(t token) bool { return t.is("=") })
	target := tokens[1:]
	if equals > 0 {
		target = tokens[1:equals]
	}
	name := ""
	switch {
	case len(target) == 1 && target[0].kind == nameToken:
		name = target[0].text
		r.assigned(name)
	case len(target) == 3 && target[0].kind == nameToken && target[1].is(".") && target[2].kind == nameToken && equals > 0:
		name = target[0].text + "." + target[2].text
	default:
		return fmt.Errorf("set needs one name, or an attribute of a namespace; %q is not supported", write(target))
	}
	if equals < 0 {
		r.open = append(r.open, block{word: "set", line: line})
		r.emit("{% set " + name + " %}")
		return nil
	}
	if equals+1 == len(tokens) {
		return fmt.Errorf("set %s = without a value", name)
	}
	r.emit("{% set " + name + " = " + write(call(keepName, tokens[equals+1:])) + " %}")
	return nil
}

// assigned records a variable in the loop whose scope it belongs to.
func (r *rewriter) assigned(name string) {
	for i := len(r.open) - 1; i >= 0; i-- {
		switch r.open[i].word {
		case "macro", "call":
			return // these have their own scopes, which are new at each call
		case "for":
			if b := &r.open[i]; !slices.Contains(b.vars, name) && !slices.Contains(b.set, name) {
				b.set = append(b.set, name)
			}
			return
		}
	}
}
