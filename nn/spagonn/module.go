package spagonn

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/activation"
	"github.com/nlpodyssey/spago/nn/birnn"
	"github.com/nlpodyssey/spago/nn/dropout"
	"github.com/nlpodyssey/spago/nn/embedding"
)

// The types that a copy of a module treats by themselves.
var (
	paramType   = reflect.TypeFor[*spago.Param]()
	tensorType  = reflect.TypeFor[mat.Tensor]()
	modelType   = reflect.TypeFor[spago.Model]()
	moduleType  = reflect.TypeFor[spago.Module]()
	blockerType = reflect.TypeFor[ag.GradientBlocker]()
	syncMapType = reflect.TypeFor[sync.Map]()
	birnnType   = reflect.TypeFor[birnn.Model]()
)

// copier copies the tree of a module: structs, pointers, interfaces, slices, arrays and maps that hold parameters,
// tensors or models. It shares everything else. A pointer to which several fields point is copied once.
//
// spago's own traversal is not used: it skips, without an error, nested slices, the elements of a slice behind the
// first one of another type, and structs without an nn.Module, and it visits maps in random order.
type copier struct {
	// param returns the copy of a parameter.
	param func(path string, p *spago.Param) (*spago.Param, error)
	// tensor returns the copy of another tensor. blocked reports whether no gradient passes from there.
	tensor func(path string, t mat.Tensor, blocked bool) (mat.Tensor, error)
	// faults takes the errors of the copy's birnns; nil: they stay as they are.
	faults *faults
	// check makes fields that a layer must not have an error.
	check bool
	// known says which types hold something to copy. Only a copier with check adds to it.
	known map[reflect.Type]bool

	params  map[*spago.Param]*spago.Param
	copies  map[place]reflect.Value
	blocked int // number of gradient blockers above
}

// place is a pointer: a struct and its first field have the same address, but not the same type.
type place struct {
	at uintptr
	t  reflect.Type
}

// copyOf returns the copy of m and joins the errors about all its fields.
func (c *copier) copyOf(m spago.Model) (spago.Model, error) {
	c.params, c.copies = map[*spago.Param]*spago.Param{}, map[place]reflect.Value{}
	v, err := c.value(reflect.ValueOf(&m).Elem(), "")
	if err != nil {
		return nil, err
	}
	return v.Interface().(spago.Model), nil
}

// value returns the copy of v, which is at path.
func (c *copier) value(v reflect.Value, path string) (reflect.Value, error) {
	t := v.Type()
	if !c.holds(t) {
		return v, nil
	}
	switch t.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return v, nil
		}
		inner, err := c.value(v.Elem(), path)
		if err != nil {
			return v, err
		}
		out := reflect.New(t).Elem()
		out.Set(inner)
		return out, nil
	case reflect.Pointer:
		if v.IsNil() {
			return v, nil
		}
		return c.pointer(v, path)
	case reflect.Struct:
		out := reflect.New(t).Elem()
		out.Set(v)
		return out, c.fields(v, out, path)
	case reflect.Slice:
		if v.IsNil() {
			return v, nil
		}
		out := reflect.MakeSlice(t, v.Len(), v.Len())
		return out, c.elements(v, out, path)
	case reflect.Array:
		out := reflect.New(t).Elem()
		return out, c.elements(v, out, path)
	case reflect.Map:
		return c.entries(v, path)
	}
	return v, nil
}

// pointer returns the copy of what v points to.
func (c *copier) pointer(v reflect.Value, path string) (reflect.Value, error) {
	if v.Type() == paramType {
		p := v.Interface().(*spago.Param)
		if c.params[p] == nil {
			q, err := c.param(path, p)
			if err != nil {
				return v, err
			}
			c.params[p] = q
		}
		return reflect.ValueOf(c.params[p]), nil
	}
	at := place{v.Pointer(), v.Type()}
	if out, ok := c.copies[at]; ok {
		return out, nil
	}
	if v.Type().Implements(tensorType) && v.Type().Elem() != blockerType && !isBuffer(v.Type()) {
		t, err := c.tensor(path, v.Interface().(mat.Tensor), c.blocked > 0)
		if err != nil {
			return v, err
		}
		c.copies[at] = reflect.ValueOf(t)
		return c.copies[at], nil
	}
	out := reflect.New(v.Type().Elem())
	c.copies[at] = out
	if v.Type().Elem().Kind() != reflect.Struct {
		inner, err := c.value(v.Elem(), path)
		if err == nil {
			out.Elem().Set(inner)
		}
		return out, err
	}
	out.Elem().Set(v.Elem())
	return out, c.fields(v.Elem(), out.Elem(), path)
}

func isBuffer(t reflect.Type) bool { return t == reflect.TypeFor[*spago.Buffer]() }

// fields replaces the fields of the struct out, which equals v, by copies.
func (c *copier) fields(v, out reflect.Value, path string) error {
	t := v.Type()
	if c.check {
		if err := allowed(v, path); err != nil {
			return err
		}
	}
	if t == blockerType {
		c.blocked++
		defer func() { c.blocked-- }()
	}
	var errs []error
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type == moduleType || !c.holds(f.Type) {
			continue
		}
		name := join(path, f.Name)
		if t == blockerType || isBuffer(reflect.PointerTo(t)) {
			name = path // the tensor has the name of the buffer
		}
		if !f.IsExported() && !(f.Anonymous && f.Type.Kind() == reflect.Struct) {
			if c.check && hides(v.Field(i), nil) {
				errs = append(errs, fmt.Errorf("%s of %v holds parameters, but is not exported; export the field", name, t))
			}
			continue
		}
		if !f.IsExported() { // an embedded struct, whose fields may be exported
			errs = append(errs, c.fields(v.Field(i), out.Field(i), name))
			continue
		}
		inner, err := c.value(v.Field(i), name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if c.faults != nil && t == birnnType && f.Type.Kind() == reflect.Interface && !inner.IsNil() {
			inner = reflect.ValueOf(&direction{model: inner.Interface().(spago.StandardModel), faults: c.faults,
				rank: c.faults.parts})
			c.faults.parts++
		}
		out.Field(i).Set(inner)
	}
	return errors.Join(errs...)
}

// elements sets the elements of out, a slice or an array, to copies.
func (c *copier) elements(v, out reflect.Value, path string) error {
	var errs []error
	for i := range v.Len() {
		inner, err := c.value(v.Index(i), join(path, strconv.Itoa(i)))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out.Index(i).Set(inner)
	}
	return errors.Join(errs...)
}

// entries returns the copy of a map, whose entries it visits in the order of their names.
func (c *copier) entries(v reflect.Value, path string) (reflect.Value, error) {
	if v.IsNil() {
		return v, nil
	}
	names := map[string]reflect.Value{}
	for _, key := range v.MapKeys() {
		k := key
		if k.Kind() == reflect.Interface {
			k = k.Elem()
		}
		if k.Kind() != reflect.String && !k.CanInt() && !k.CanUint() {
			return v, fmt.Errorf("%s is a map with keys of type %v; use strings or integers", path, k.Type())
		}
		name := fmt.Sprint(k)
		if name == "" || strings.Contains(name, ".") {
			return v, fmt.Errorf("%s has the key %q; keys are parts of names and must not be empty or contain a dot", path, name)
		}
		names[name] = key
	}
	out := reflect.MakeMapWithSize(v.Type(), v.Len())
	var errs []error
	for _, name := range slices.SortedFunc(maps.Keys(names), byNumber) {
		inner, err := c.value(v.MapIndex(names[name]), join(path, name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out.SetMapIndex(names[name], inner)
	}
	return out, errors.Join(errs...)
}

// byNumber compares two keys: integers by value, other keys as strings.
func byNumber(a, b string) int {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	if errX == nil && errY == nil {
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// holds is the function holds with a memory.
func (c *copier) holds(t reflect.Type) bool {
	yes, ok := c.known[t]
	if !ok {
		yes = holds(t, nil)
		if c.check {
			c.known[t] = yes
		}
	}
	return yes
}

// holds reports whether values of type t may hold parameters, tensors or models. above are the types on the way to t.
func holds(t reflect.Type, above []reflect.Type) bool {
	switch {
	case t == moduleType || slices.Contains(above, t):
		return false
	case t == syncMapType || t.Implements(tensorType) || t.Implements(modelType),
		reflect.PointerTo(t).Implements(modelType):
		return true
	}
	above = append(above, t)
	switch t.Kind() {
	case reflect.Interface:
		return t.NumMethod() == 0 || t.Implements(modelType)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holds(t.Elem(), above)
	case reflect.Struct:
		for i := range t.NumField() {
			if holds(t.Field(i).Type, above) {
				return true
			}
		}
	}
	return false
}

// hides reports whether v, the value of a field that is not exported, leads to a parameter. above are the pointers on
// the way.
func hides(v reflect.Value, above []place) bool {
	if !holds(v.Type(), nil) {
		return false
	}
	switch v.Kind() {
	case reflect.Interface:
		return !v.IsNil() && hides(v.Elem(), above)
	case reflect.Pointer:
		if v.IsNil() || v.Type() == paramType {
			return !v.IsNil()
		}
		at := place{v.Pointer(), v.Type()}
		return !slices.Contains(above, at) && hides(v.Elem(), append(above, at))
	case reflect.Struct:
		for i := range v.NumField() {
			if hides(v.Field(i), above) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if hides(v.Index(i), above) {
				return true
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if hides(v.MapIndex(k), above) {
				return true
			}
		}
	}
	return false
}

// allowed returns an error if a layer must not have the struct v.
func allowed(v reflect.Value, path string) error {
	where := path
	if where == "" {
		where = "the module"
	}
	switch t := v.Type(); {
	case t == syncMapType:
		return fmt.Errorf("%s is a sync.Map, whose order is random; use a map or a slice", where)
	case t == reflect.TypeFor[embedding.Model]() || t == reflect.TypeFor[embedding.Embedding]():
		return fmt.Errorf("%s is a spago embedding, which has a parameter for each row and keeps a list of those in use; "+
			"use nn.Embedding", where)
	case t == reflect.TypeFor[dropout.Model]():
		if v.Interface().(dropout.Model).P != 0 {
			return fmt.Errorf("%s is a spago dropout, which draws from a random stream of the whole process; use nn.Dropout "+
				"before or behind the layer", where)
		}
	case t == reflect.TypeFor[activation.Model]():
		m := v.Interface().(activation.Model)
		return allowedActivation(m, where)
	}
	return nil
}

// parametersOf are the activations with parameters, and the numbers of these.
var parametersOf = map[activation.Activation]int{
	activation.CELU: 1, activation.ELU: 1, activation.SwishB: 1, activation.LeakyReLU: 1, activation.SoftShrink: 1,
	activation.SELU: 2, activation.SoftPlus: 2, activation.Threshold: 2,
}

// allowedActivation returns an error if spago has no such activation, or if the parameters do not suit it. Only that of
// SwishB has a gradient.
func allowedActivation(m activation.Model, where string) error {
	if m.Activation < activation.Identity || m.Activation > activation.SparseMax {
		return fmt.Errorf("%s has the activation %d, which spago does not know", where, m.Activation)
	}
	want := parametersOf[m.Activation]
	if len(m.Params) != want {
		return fmt.Errorf("%s has %d parameters for an activation that has %d", where, len(m.Params), want)
	}
	for i, p := range m.Params {
		if p == nil || p.Matrix == nil || p.Size() != 1 {
			return fmt.Errorf("%s: parameter %d of the activation is not a scalar", where, i)
		}
		if p.RequiresGrad() && m.Activation != activation.SwishB {
			return fmt.Errorf("%s: parameter %d of the activation gets no gradient from spago; make it with WithGrad(false)",
				where, i)
		}
	}
	return nil
}
