package nn

import (
	"fmt"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"
)

// Describer is a layer that prints itself on one line.
type Describer interface{ Describe() string }

// Classed is a module that has a class name in the printed tree. Groups names the classes of the groups that dotted tags
// make inside it, by path relative to the module.
type Classed interface {
	Class() string
	Groups() map[string]string
}

// Tree prints m in the style of PyTorch's print(model), so that a user sees the names that adapters may target. Runs of
// equal elements of a list are printed once. decorate may be nil; for each layer it may return other text to print in
// place of its one-line description (several lines, relative to the layer).
func Tree(m spago.Model, decorate func(path string, module any, text string) string) string {
	root := &branch{}
	groups := map[string]string{}
	Walk(m, func(path string, module any) {
		if c, ok := module.(Classed); ok {
			groups[path] = c.Class()
			for rel, class := range c.Groups() {
				groups[join(path, rel)] = class
			}
		}
		d, ok := module.(Describer)
		if !ok {
			return
		}
		text := d.Describe()
		if decorate != nil {
			text = decorate(path, module, text)
		}
		root.add(strings.Split(path, "."), text)
	})
	return root.render("", groups)
}

// branch is a module of the printed tree.
type branch struct {
	name     string
	text     string // of a layer
	children []*branch
}

func (b *branch) add(path []string, text string) {
	if len(path) == 0 {
		b.text = text
		return
	}
	for _, c := range b.children {
		if c.name == path[0] {
			c.add(path[1:], text)
			return
		}
	}
	c := &branch{name: path[0]}
	b.children = append(b.children, c)
	c.add(path[1:], text)
}

func (b *branch) isList() bool { return len(b.children) > 0 && b.children[0].name == "0" }

func (b *branch) render(path string, groups map[string]string) string {
	if len(b.children) == 0 {
		return b.text
	}
	class := groups[path]
	if class == "" {
		class = "Module"
		if b.isList() {
			class = "ModuleList"
		}
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s(\n", class)
	for i := 0; i < len(b.children); {
		c := b.children[i]
		text, n := c.render(join(path, c.name), groups), 1
		for b.isList() && i+n < len(b.children) && b.children[i+n].render(join(path, b.children[i+n].name), groups) == text {
			n++
		}
		name := "(" + c.name + ")"
		if n > 1 {
			name = fmt.Sprintf("(%s-%s)", c.name, b.children[i+n-1].name)
			text = fmt.Sprintf("%d x %s", n, text)
		}
		fmt.Fprintf(&s, "  %s: %s\n", name, strings.ReplaceAll(text, "\n", "\n  "))
		i += n
	}
	s.WriteString(")")
	return s.String()
}
