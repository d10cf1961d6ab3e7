package nn

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// Walk visits m and everything below it in the order of declaration, each with its path: the tags of the fields on the
// way, joined by dots; elements of a slice add their number. Modules are visited before what they hold. Pointers and interfaces
// that are nil are passed over. It panics on a field without an hf tag: a mistake in a model's declaration.
//
// visit gets a pointer to the module: *Linear, *Embedding, *Dropout, *op.Weight, a model's own struct, …
func Walk(m spago.Model, visit func(path string, module any)) {
	visit("", m)
	walkFields(reflect.ValueOf(m).Elem(), "", visit)
}

var moduleType = reflect.TypeFor[spago.Module]()

func walkFields(v reflect.Value, path string, visit func(string, any)) {
	t := v.Type()
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
		walkValue(v.Field(i), join(path, tag), visit)
	}
}

var weightType = reflect.TypeFor[op.Weight]()

// isLeafConfig says whether a struct's untagged fields are plain settings: the layers without weights.
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
	case reflect.Interface: // a model of some architecture below a head of one's own
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

// NamedWeight is a weight with its path in the checkpoint.
type NamedWeight struct {
	Name   string
	Weight *op.Weight
}

// Weights lists the weights of m in order of declaration. One that stands in two places (tied) is listed once, under
// its first name.
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

// TiedHead is a head that reads an embedding's table.
type TiedHead struct {
	Path   string
	Linear *Linear
}

// TiedHeads lists the heads of m that read an embedding's table.
func TiedHeads(m spago.Model) []TiedHead {
	var list []TiedHead
	Walk(m, func(path string, module any) {
		if l, ok := module.(*Linear); ok && l.Tied() {
			list = append(list, TiedHead{path, l})
		}
	})
	return list
}

// Number gives every dropout of m its own site in the random stream, in order of declaration. Constructors of models
// call it once.
func Number(m spago.Model) {
	site := uint32(0)
	Walk(m, func(_ string, module any) {
		if d, ok := module.(*Dropout); ok {
			site++
			d.Site = site
		}
	})
}

// SetDropout makes p the probability of every dropout of m: what --dropout does.
func SetDropout(m spago.Model, p float32) {
	Walk(m, func(_ string, module any) {
		if d, ok := module.(*Dropout); ok {
			d.P = p
		}
	})
}

// NamedParam is a parameter that trains, with the name that messages and files use.
type NamedParam struct {
	Name    string
	Param   *spago.Param
	NoDecay bool // a bias or a norm's gain, which weight decay may leave out
}

// Train makes all weights of m trainable and lists them: full fine-tuning.
func Train(m spago.Model) []NamedParam {
	var list []NamedParam
	for _, w := range Weights(m) {
		list = append(list, NamedParam{w.Name, w.Weight.Train(), w.Weight.Vector})
	}
	return list
}

// Count returns the number of values of all weights of m.
func Count(m spago.Model) int {
	n := 0
	for _, w := range Weights(m) {
		n += w.Weight.Len()
	}
	return n
}

// Nearest returns up to three of the names that look most like name, for messages about names that do not exist.
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

// distance is Levenshtein's.
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
