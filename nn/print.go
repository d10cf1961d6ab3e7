package nn

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"
)

// Describer is a layer with a line in the printed tree. A layer that returns "" is omitted.
type Describer interface{ Describe() string }

// Classed is a module that has a class name in the printed tree.
type Classed interface{ Class() string }

// Grouped is a module whose dotted tags form groups of modules. Groups returns the class names of these groups by their
// path relative to the module.
type Grouped interface{ Groups() map[string]string }

// Trailer is a module that has one part which transformers prints after the others. Trailing returns the name of that
// part, or "".
type Trailer interface{ Trailing() string }

// Tree returns m in the style of PyTorch's print(model), which shows the names that adapters can target. A run of equal
// elements of a list is printed once. decorate may be nil; otherwise it gets the text of each layer and each group of
// modules and returns the text to print instead, which may have several lines, indented relative to the module. For a
// group, module is nil.
func Tree(m spago.Model, decorate func(path string, module any, text string) string) string {
	root := &branch{}
	groups, trailing := map[string]string{}, map[string]string{}
	Walk(m, func(path string, module any) {
		if c, ok := module.(Classed); ok && groups[path] == "" { // else it has no name of its own in the module around it
			groups[path] = c.Class()
		}
		if g, ok := module.(Grouped); ok {
			for rel, class := range g.Groups() {
				groups[join(path, rel)] = class
			}
		}
		if l, ok := module.(Trailer); ok {
			trailing[path] = l.Trailing()
		}
		d, ok := module.(Describer)
		if !ok {
			return
		}
		if text := d.Describe(); text != "" {
			root.add(strings.Split(path, "."), module, text)
		}
	})
	if decorate == nil {
		decorate = func(_ string, _ any, text string) string { return text }
	}
	return (&printer{groups, trailing, decorate}).render(root, "")
}

// printer holds the class names of groups, and the names of trailing parts, by path.
type printer struct {
	groups   map[string]string
	trailing map[string]string
	decorate func(path string, module any, text string) string
}

// branch is a module of the printed tree, a layer or a group.
type branch struct {
	name     string
	text     string // of the layer
	module   any    // the layer
	children []*branch
}

func (b *branch) add(path []string, module any, text string) {
	if len(path) == 0 {
		b.text, b.module = text, module
		return
	}
	for _, c := range b.children {
		if c.name == path[0] {
			c.add(path[1:], module, text)
			return
		}
	}
	c := &branch{name: path[0]}
	b.children = append(b.children, c)
	c.add(path[1:], module, text)
}

func (b *branch) isList() bool { return len(b.children) > 0 && b.children[0].name == "0" }

func (p *printer) render(b *branch, path string) string {
	if len(b.children) == 0 {
		return p.decorate(path, b.module, b.text)
	}
	class := p.groups[path]
	if class == "" {
		class = "Module"
		if b.isList() {
			class = "ModuleList"
		}
	}
	if last := p.trailing[path]; last != "" {
		if i := slices.IndexFunc(b.children, func(c *branch) bool { return c.name == last }); i >= 0 {
			c := b.children[i]
			b.children = append(slices.Delete(b.children, i, i+1), c)
		}
	}
	texts := make([]string, len(b.children))
	for i, c := range b.children {
		texts[i] = p.render(c, join(path, c.name))
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s(\n", class)
	for i := 0; i < len(texts); {
		name, text, n := b.children[i].name, texts[i], 1
		for b.isList() && i+n < len(texts) && texts[i+n] == text {
			n++
		}
		if n > 1 {
			name = fmt.Sprintf("%s-%s", name, b.children[i+n-1].name)
			text = fmt.Sprintf("%d x %s", n, text)
		}
		fmt.Fprintf(&s, "  (%s): %s\n", name, Indent(text))
		i += n
	}
	s.WriteString(")")
	return p.decorate(path, nil, s.String())
}

// Indent moves every line except the first by two columns to the right, the indentation of the printed tree.
func Indent(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// PythonFloat formats a number as Python's repr does, with at least one decimal unless it has an exponent: 0.0, 0.1,
// 1e-12.
func PythonFloat(x float32) string {
	s := strconv.FormatFloat(float64(x), 'g', -1, 32)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
