package chat

import (
	"fmt"
	"time"

	"github.com/ardanlabs/jinja"
)

// Limits on one rendering.
const (
	maxSteps   = 1_000_000        // rounds of loops and calls of macros
	maxDepth   = 100              // macros that call macros
	maxRange   = 100_000          // numbers of a range
	maxTime    = 10 * time.Second // of one rendering
	baseLength = 16 << 20         // bytes of output, in addition to 16 times those of the messages
)

// limits counts the work of one rendering.
type limits struct {
	steps, depth int
	printed      int // bytes of output so far
	length       int // maximum number of bytes of output
	variable     int // maximum number of bytes or items of a variable
	deadline     time.Time
	markers      *markers // nil: generation blocks are not marked
}

// markers are strings that surround the output of {% generation %} blocks and occur in no message.
type markers struct{ begin, end string }

// newLimits returns the limits for input bytes of messages and a template whose longest expression has the given number
// of operands. They are such that if each operand is a variable at its limit, the expression is as long as the output
// may be.
func newLimits(input, operands int) *limits {
	return &limits{
		length: baseLength + 16*input, variable: baseLength/max(1, operands) + 2*input, deadline: time.Now().Add(maxTime),
	}
}

// functions returns the functions that rewritten templates call.
func (l *limits) functions() map[string]jinja.Value {
	list := map[string]func(args []jinja.Value, kwargs map[string]jinja.Value) (jinja.Value, error){
		printName: l.print, keepName: l.keep, stepName: l.step, enterName: l.enter, leaveName: l.leave, markName: l.mark,
		tojsonName: tojson, "range": l.numbers,
	}
	values := make(map[string]jinja.Value, len(list))
	for name, f := range list {
		values[name] = jinja.NewCallable(name, f)
	}
	return values
}

// print converts a value to text as Python does, and counts the output.
func (l *limits) print(args []jinja.Value, kwargs map[string]jinja.Value) (jinja.Value, error) {
	if len(args) != 1 || len(kwargs) > 0 {
		return jinja.Undefined(), fmt.Errorf("{{ }} needs exactly one value")
	}
	s := args[0]
	if !s.IsString() {
		s = jinja.NewString(pythonString(args[0]))
	}
	if l.printed += len(s.AsString()); l.printed > l.length {
		return jinja.Undefined(), fmt.Errorf("the output is longer than %d bytes", l.length)
	}
	return s, nil
}

// keep checks a value that is assigned to a variable, and returns it.
func (l *limits) keep(args []jinja.Value, kwargs map[string]jinja.Value) (jinja.Value, error) {
	if len(args) != 1 || len(kwargs) > 0 {
		return jinja.Undefined(), fmt.Errorf("a variable needs exactly one value")
	}
	v := args[0]
	if v.IsString() && len(v.AsString()) > l.variable || v.IsList() && v.AsList().Len() > l.variable {
		return jinja.Undefined(), fmt.Errorf("a variable holds more than %d bytes or items", l.variable)
	}
	return v, nil
}

// step counts a round of a loop or a call of a macro, and checks the time.
func (l *limits) step([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) {
	if l.steps++; l.steps > maxSteps {
		return jinja.Undefined(), fmt.Errorf("more than %d rounds of loops and calls of macros", maxSteps)
	}
	if l.steps%1024 == 0 && time.Now().After(l.deadline) {
		return jinja.Undefined(), fmt.Errorf("rendering takes more than %v", maxTime)
	}
	return jinja.NewString(""), nil
}

func (l *limits) enter([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) {
	if l.depth++; l.depth > maxDepth {
		return jinja.Undefined(), fmt.Errorf("macros are nested more than %d deep", maxDepth)
	}
	return l.step(nil, nil)
}

func (l *limits) leave([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) {
	l.depth--
	return jinja.NewString(""), nil
}

func (l *limits) mark(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
	switch {
	case l.markers == nil:
		return jinja.NewString(""), nil
	case args[0].AsBool():
		return jinja.NewString(l.markers.begin), nil
	}
	return jinja.NewString(l.markers.end), nil
}

// numbers implements range.
func (l *limits) numbers(args []jinja.Value, kwargs map[string]jinja.Value) (jinja.Value, error) {
	if len(args) < 1 || len(args) > 3 || len(kwargs) > 0 {
		return jinja.Undefined(), fmt.Errorf("range takes one to three numbers")
	}
	n := make([]int64, len(args))
	for i, a := range args {
		if !a.IsInt() {
			return jinja.Undefined(), fmt.Errorf("range takes integers, not %s", pythonRepr(a))
		}
		n[i] = a.AsInt()
	}
	from, to, step := int64(0), n[0], int64(1)
	if len(n) > 1 {
		from, to = n[0], n[1]
	}
	if len(n) > 2 {
		step = n[2]
	}
	if step == 0 {
		return jinja.Undefined(), fmt.Errorf("the step of range is 0")
	}
	var items []jinja.Value
	for i := from; step > 0 && i < to || step < 0 && i > to; {
		if len(items) == maxRange {
			return jinja.Undefined(), fmt.Errorf("range of more than %d numbers", maxRange)
		}
		items = append(items, jinja.NewInt(i))
		if next := i + step; next > i == (step > 0) {
			i = next
		} else {
			break // integer overflow
		}
	}
	return jinja.NewList(items), nil
}
