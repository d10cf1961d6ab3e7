package nn

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// Walk calls visit for m and every module below it, in the order of declaration, a module before its fields. path is
// the tags of the fields on the way, joined by dots; an element of a slice adds its index. Walk skips pointers and
// interfaces that are nil and fields tagged hf:"-". A field tagged hf:"$base" has the name that its module's Base
// method returns, see [Based]. Of a module that lists its weights, see [Lister], Walk visits these instead of fields.
// Walk panics on a field without an hf tag, which is a mistake in a model's declaration.
//
// visit gets a pointer to the module: *Linear, *Embedding, *Dropout, *op.Weight, a model's own struct and so on.
func Walk(m spago.Model, visit func(path string, module any)) {
	visit("", m)
	walkFields(reflect.ValueOf(m).Elem(), "", visit)
}

// Lister is a module whose weights are not fields with hf tags, such as a module of another library. A struct that
// embeds one must give the field a name: the embedded method would hide its other fields.
type Lister interface {
	// ListWeights returns the weights in a fixed order. Their names, of one or more parts joined by dots, are relative to
	// the module.
	ListWeights() []NamedWeight
}

var moduleType = reflect.TypeFor[spago.Module]()

func walkFields(v reflect.Value, path string, visit func(string, any)) {
	t := v.Type()
	if l, ok := v.Addr().Interface().(Lister); ok {
		for i := range t.NumField() {
			if f := t.Field(i); f.Anonymous && f.Type.Implements(reflect.TypeFor[Lister]()) {
				panic(fmt.Sprintf("nn: %v embeds %v, which lists its weights; give the field a name", t, f.Type))
			}
		}
		for _, w := range l.ListWeights() {
			visit(join(path, w.Name), w.Weight)
		}
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type == moduleType || t == weightType {
			continue
		}
		tag, ok := f.Tag.Lookup("hf")
		if !ok {
			if isLeafConfig(t) {
				continue
			}
			panic(fmt.Sprintf("nn: field %v.%s has no hf tag", t, f.Name))
		}
		if tag == "-" {
			continue
		}
		if tag == "$base" {
			model, ok := v.Addr().Interface().(Based)
			if !ok {
				panic(fmt.Sprintf("nn: field %v.%s is tagged $base, but the model has no Base method", t, f.Name))
			}
			tag = model.Base()
		}
		walkValue(v.Field(i), join(path, tag), visit)
	}
}

// Based is a model that several architectures share. Its base model, the field tagged hf:"$base", has another name in
// the checkpoints of each.
type Based interface {
	// Base returns the name of the base model: "bert".
	Base() string
}

var weightType = reflect.TypeFor[op.Weight]()

// isLeafConfig reports whether the untagged fields of a struct are plain settings: those of the layers without weights.
func isLeafConfig(t reflect.Type) bool {
	return t == reflect.TypeFor[Dropout]() || t == reflect.TypeFor[Activation]()
}

func walkValue(v reflect.Value, path string, visit func(string, any)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		v = v.Elem()
		fallthrough
	case reflect.Struct:
		visit(path, v.Addr().Interface())
		walkFields(v, path, visit)
	case reflect.Interface: // a model of some architecture below a custom head
		if !v.IsNil() {
			walkValue(v.Elem(), path, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkValue(v.Index(i), join(path, strconv.Itoa(i)), visit)
		}
	default:
		panic(fmt.Sprintf("nn: %s: a %v cannot hold weights", path, v.Type()))
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// NamedWeight is a weight with its name in the checkpoint.
type NamedWeight struct {
	Name   string
	Weight *op.Weight
}

// Weights returns the weights of m in the order of declaration. A weight in two places (tied) is listed once, under its
// first name.
func Weights(m spago.Model) []NamedWeight {
	var list []NamedWeight
	seen := map[*op.Weight]bool{}
	Walk(m, func(path string, module any) {
		if w, ok := module.(*op.Weight); ok && !seen[w] {
			seen[w] = true
			list = append(list, NamedWeight{path, w})
		}
	})
	return list
}

// TiedLayer is a head or an embedding that shares the table of another layer, with its path in the model.
type TiedLayer struct {
	Path  string
	Layer interface {
		Key() *op.Weight   // identifies the layer to adapters
		Table() *op.Weight // the shared table
		Untie(w *op.Weight)
	}
}

// TiedLayers returns the heads and embeddings of m that share the table of another layer, in the order of declaration.
func TiedLayers(m spago.Model) []TiedLayer {
	var list []TiedLayer
	Walk(m, func(path string, module any) {
		switch l := module.(type) {
		case *Linear:
			if l.Tied() {
				list = append(list, TiedLayer{path, l})
			}
		case *Embedding:
			if l.Tied() {
				list = append(list, TiedLayer{path, l})
			}
		}
	})
	return list
}

// TiedHead is a head that shares an embedding's table, with its path in the model.
type TiedHead struct {
	Path   string
	Linear *Linear
}

// TiedHeads returns the heads of m that share an embedding's table, in the order of declaration.
func TiedHeads(m spago.Model) []TiedHead {
	var list []TiedHead
	for _, t := range TiedLayers(m) {
		if l, ok := t.Layer.(*Linear); ok {
			list = append(list, TiedHead{t.Path, l})
		}
	}
	return list
}

// Number gives every dropout of m its own site in the random stream, from 1 on in the order of declaration.
// Constructors of models call it once.
func Number(m spago.Model) {
	site := uint32(0)
	Walk(m, func(_ string, module any) {
		if d, ok := module.(*Dropout); ok {
			site++
			d.Site = site
		}
	})
}

// SetDropout sets the probability of every dropout of m to p.
func SetDropout(m spago.Model, p float32) {
	Walk(m, func(_ string, module any) {
		if d, ok := module.(*Dropout); ok {
			d.P = p
		}
	})
}

// NamedParam is a trainable parameter with the name that messages and files use.
type NamedParam struct {
	Name    string
	Param   *spago.Param
	NoDecay bool // a bias or a norm's gain, which weight decay may exclude
	Role    Role
	A       *spago.Param // of a FactorB: the other factor of its product, r×in
	Scale   float32      // of a FactorB: the factor of B·A
}

// Role says what a parameter is in an adapter, for optimisers that treat its parts differently.
type Role uint8

// The roles.
const (
	Whole       Role = iota // a matrix that trains by itself: a head, a table, rows of a table
	FactorA                 // A of the low-rank product of a linear layer, r×in
	FactorB                 // B of that product, out×r
	TableFactor             // A or B of the low-rank product of an embedding
	Vector                  // a bias, a gain, a magnitude: one-dimensional in PEFT
)

// VectorRole returns Vector if vector is set, otherwise Whole.
func VectorRole(vector bool) Role {
	if vector {
		return Vector
	}
	return Whole
}

// Train makes all weights of m trainable, for full fine-tuning, and returns them in the order of declaration. Buffers
// and weights that are never trained stay frozen.
func Train(m spago.Model) []NamedParam {
	var list []NamedParam
	for _, w := range Weights(m) {
		if w.Weight.Buffer || w.Weight.Frozen {
			continue
		}
		list = append(list, NamedParam{
			Name: w.Name, Param: w.Weight.Train(), NoDecay: w.Weight.Vector, Role: VectorRole(w.Weight.Vector),
		})
	}
	return list
}

// Computed is a module whose values follow from their number, so that no checkpoint needs them, but which PyTorch has
// as parameters. ComputedValues returns their number.
type Computed interface{ ComputedValues() int }

// Count returns the number of values of all weights of m, buffers excepted, and of computed tables.
func Count(m spago.Model) int {
	n := 0
	for _, w := range Weights(m) {
		if !w.Weight.Buffer {
			n += w.Weight.Len()
		}
	}
	Walk(m, func(_ string, module any) {
		if c, ok := module.(Computed); ok {
			n += c.ComputedValues()
		}
	})
	return n
}

// Nearest returns at most three of the names that are most similar to name, for messages about unknown names. Only
// names whose edit distance to name is at most half of its length, or 1, count; the distance is to the whole name or to
// the part after its last dot.
func Nearest(name string, names []string) []string {
	type scored struct {
		name string
		d    int
	}
	var best []scored
	for _, n := range names {
		last := n[strings.LastIndex(n, ".")+1:]
		d := min(distance(name, n), distance(name, last))
		if d > max(len(name), 3)/2 {
			continue
		}
		i := len(best)
		for i > 0 && best[i-1].d > d {
			i--
		}
		best = append(best[:i], append([]scored{{n, d}}, best[i:]...)...)
		best = best[:min(3, len(best))]
	}
	out := make([]string, len(best))
	for i, b := range best {
		out[i] = b.name
	}
	return out
}

// distance returns the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
