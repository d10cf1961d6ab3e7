package chat

import (
	"strings"
	"time"
)

// Limits on one rendering.
const (
	maxSteps   = 1_000_000        // rounds of loops and calls of macros
	maxDepth   = 100              // macros that call macros
	maxRange   = 100_000          // numbers of a range
	maxTime    = 10 * time.Second // of one rendering
	baseLength = 16 << 20         // bytes of output, in addition to 16 times those of the messages
)

// Limits on the size of a template, which keep recursion shallow.
const (
	maxTemplate = 1 << 20 // bytes
	maxTokens   = 4000    // parts of an expression
	maxNesting  = 100     // open brackets, open blocks
)

// renderer is one rendering: its output, and the work that it has done.
type renderer struct {
	out          *strings.Builder
	steps, depth int
	work         int // bytes and items of values that were made since the time was checked
	printed      int // bytes of output so far
	length       int // maximum number of bytes of output, and of bytes or items of a value
	variable     int // maximum number of bytes or items of a variable
	deadline     time.Time
	markers      *markers // nil: generation blocks are not marked
}

// markers are strings that surround the output of {% generation %} blocks and occur in no message.
type markers struct{ begin, end string }

// newRenderer returns the limits for input bytes of messages.
func newRenderer(input int) *renderer {
	return &renderer{
		out: new(strings.Builder), length: baseLength + 16*input, variable: baseLength/4 + 2*input,
		deadline: time.Now().Add(maxTime),
	}
}

// step counts a round of a loop or a call of a macro, and checks the time.
func (r *renderer) step() {
	if r.steps++; r.steps > maxSteps {
		fail("more than %d rounds of loops and calls of macros", maxSteps)
	}
	if r.steps%1024 == 0 {
		r.checkTime()
	}
}

func (r *renderer) checkTime() {
	if time.Now().After(r.deadline) {
		fail("rendering takes more than %v", maxTime)
	}
}

// enter counts a call of a macro; leave ends it.
func (r *renderer) enter() {
	if r.depth++; r.depth > maxDepth {
		fail("macros are nested more than %d deep", maxDepth)
	}
	r.step()
}

func (r *renderer) leave() { r.depth-- }

// numberRange implements range.
func numberRange(_ *renderer, a arguments) any {
	if len(a.list) < 1 || len(a.list) > 3 || len(a.named) > 0 {
		fail("range takes one to three numbers")
	}
	n := make([]int64, len(a.list))
	for i, v := range a.list {
		k, _, isInt, _ := number(v)
		if !isInt {
			fail("range takes integers, not %s", repr(v))
		}
		n[i] = k
	}
	from, to, step := int64(0), n[0], int64(1)
	if len(n) > 1 {
		from, to = n[0], n[1]
	}
	if len(n) > 2 {
		step = n[2]
	}
	if step == 0 {
		fail("the step of range is 0")
	}
	out := &list{kind: numbers, text: "range(" + repr(from) + ", " + repr(to)}
	if step != 1 {
		out.text += ", " + repr(step)
	}
	out.text += ")"
	for i := from; step > 0 && i < to || step < 0 && i > to; {
		if len(out.items) == maxRange {
			fail("range of more than %d numbers", maxRange)
		}
		out.items = append(out.items, i)
		next := i + step
		if (next > i) != (step > 0) {
			break // integer overflow
		}
		i = next
	}
	return out
}
