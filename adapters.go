package spalora

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
)

// Adapter describes an adapter that a model has beside what it was opened with.
type Adapter struct {
	Name     string
	Dir      string   // its directory; "" for a sum
	Parts    []string // names of the adapters of a sum
	Scale    float64  // factor of its corrections; 1 unless Scale has changed it
	Disabled bool     // calls that name it return an error
}

// adapter is an adapter in a registry.
type adapter struct {
	Adapter
	loaded    tasks.Predictor // as it was opened, with the factor 1; of a sum, that of its first part
	predictor tasks.Predictor // in use: with the factor, or the sum
}

// registry lists the adapters of a model in the order in which they were loaded. It is never changed: a change makes
// another one, so that a call keeps what it began with.
type registry []*adapter

// get returns the adapter with a name, or nil.
func (r *registry) get(name string) *adapter {
	if i := r.index(name); i >= 0 {
		return (*r)[i]
	}
	return nil
}

func (r *registry) index(name string) int {
	return slices.IndexFunc(*r, func(a *adapter) bool { return a.Name == name })
}

// names lists the names for an error.
func (r *registry) names() string {
	var list []string
	for _, a := range *r {
		list = append(list, a.Name)
	}
	if len(list) == 0 {
		return "none is loaded, Load loads one"
	}
	return "those loaded are " + quoted(list)
}

// quoted lists names.
func quoted(names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(list, ", ")
}

// find returns the predictor of an adapter; "" is what the model was opened with.
func (m *Model) find(r *registry, name string) (tasks.Predictor, error) {
	if name == "" {
		if err := m.opening.Shared.Untrained; err != nil {
			return nil, base.Settings(fmt.Errorf("spalora: the model was opened without a trained head, so a call must name an "+
				"adapter with Use; %s", r.names()))
		}
		return m.predictor, nil
	}
	a := r.get(name)
	if a == nil {
		return nil, unknown(r, name)
	}
	for _, part := range append([]string{name}, a.Parts...) {
		if r.get(part).Disabled {
			return nil, base.Settings(fmt.Errorf("spalora: adapter %q is disabled; Enable makes it available again", part))
		}
	}
	return a.predictor, nil
}

func unknown(r *registry, name string) error {
	return base.Settings(fmt.Errorf("spalora: there is no adapter %q; %s", name, r.names()))
}

// Adapters describes the adapters that Load and Active have added, in that order.
func (m *Model) Adapters() []Adapter {
	var list []Adapter
	for _, a := range *m.adapters.Load() {
		list = append(list, a.Adapter)
		list[len(list)-1].Parts = slices.Clone(a.Parts)
	}
	return list
}

// change replaces the registry by what f makes of a copy of it. Calls that are running keep the one before.
func (m *Model) change(f func(r *registry) error) error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.running.Done()
	m.changing.Lock()
	defer m.changing.Unlock()
	r := slices.Clone(*m.adapters.Load())
	if err := f(&r); err != nil {
		return err
	}
	m.adapters.Store(&r)
	return nil
}

// with changes the copy of one adapter, and then the sums that it is a part of.
func (m *Model) with(name string, f func(a *adapter) error) error {
	return m.change(func(r *registry) error {
		i := r.index(name)
		if i < 0 {
			return unknown(r, name)
		}
		a := *(*r)[i]
		(*r)[i] = &a
		if err := f(&a); err != nil {
			return err
		}
		if err := a.use(r); err != nil {
			return err
		}
		for j, sum := range *r {
			if slices.Contains(sum.Parts, name) {
				again := *sum
				(*r)[j] = &again
				if err := again.use(r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// use sets the predictor in use: with the factor, of a sum with the factors of its parts, too.
func (a *adapter) use(r *registry) error {
	var parts []lora.Part
	add := func(p *adapter, factor float64) error {
		set, ok := adapterSet(p.loaded)
		if !ok {
			return fmt.Errorf("spalora: the predictors of this task cannot scale or add adapters; leave %q as it is", p.Name)
		}
		parts = append(parts, lora.Part{Name: p.Name, Set: set, Scale: factor})
		return nil
	}
	switch {
	case a.Parts == nil && a.Scale == 1:
		a.predictor = a.loaded
		return nil
	case a.Parts == nil:
		if err := add(a, a.Scale); err != nil {
			return err
		}
	}
	for i, name := range a.Parts {
		p := r.get(name)
		if i == 0 {
			a.loaded = p.loaded
		}
		if err := add(p, a.Scale*p.Scale); err != nil {
			return err
		}
	}
	sum, err := lora.NewActive(parts...)
	if err != nil {
		return base.Settings(err)
	}
	a.predictor = a.loaded.(tasks.Adaptable).With(sum)
	return nil
}

// adapterSet returns the adapter of a predictor.
func adapterSet(p tasks.Predictor) (*lora.Set, bool) {
	a, ok := p.(tasks.Adaptable)
	if !ok {
		return nil, false
	}
	set, ok := a.AdapterSet().(*lora.Set)
	return set, ok
}

// Load loads the adapter in dir, of the model's task and base, under a name by which calls can use it; see [Use]. It
// has labels and remembered settings of its own. Calls that are running are not affected. It returns an error if the
// name is taken ([Model.Replace] replaces an adapter), the adapter does not fit, or the model is closed.
func (m *Model) Load(name, dir string) error {
	return m.change(func(r *registry) error {
		switch {
		case name == "":
			return base.Settings(errors.New("spalora: the name of an adapter is empty; give one"))
		case r.get(name) != nil:
			return base.Settings(fmt.Errorf("spalora: adapter %q is loaded already; Replace puts another in its place", name))
		}
		p, err := m.open(dir)
		if err != nil {
			return err
		}
		*r = append(*r, &adapter{Adapter: Adapter{Name: name, Dir: dir, Scale: 1}, loaded: p, predictor: p})
		return nil
	})
}

// open returns the predictor of the adapter in dir on the model.
func (m *Model) open(dir string) (tasks.Predictor, error) {
	if dir == "" {
		return nil, base.Settings(errors.New("spalora: the directory of an adapter is empty; give one"))
	}
	o := m.opening
	o.Adapter.Dir = dir
	var err error
	if o.Base, err = m.base.ForAdapter(dir, o.Log); err != nil {
		return nil, err
	}
	p, err := m.kind.Open(o)
	if err != nil {
		return nil, err // with an error p may be an interface that holds a nil pointer
	}
	return p, nil
}

// Replace puts the adapter in dir in the place of the one with the given name, whose factor stays. Calls that are
// running go on with the one before. If Replace returns an error, as Load does, nothing has changed.
func (m *Model) Replace(name, dir string) error {
	return m.with(name, func(a *adapter) error {
		if a.Parts != nil {
			return sumError(name, "replace")
		}
		p, err := m.open(dir)
		if err == nil {
			a.Dir, a.loaded = dir, p
		}
		return err
	})
}

// sumError returns the error about a change that sums do not have.
func sumError(name, verb string) error {
	return base.Settings(fmt.Errorf("spalora: %q is a sum of adapters; %s these", name, verb))
}

// Scale multiplies the corrections of an adapter by a factor, in place of the one before: PEFT's set_scale. 1 is the
// adapter as it was trained, 0 leaves only its head and other weights in modules_to_save.
func (m *Model) Scale(name string, factor float64) error {
	if math.IsNaN(factor) || math.IsInf(factor, 0) {
		return base.Settings(fmt.Errorf("spalora: the factor of adapter %q is %g; want a finite number", name, factor))
	}
	return m.with(name, func(a *adapter) error {
		a.Scale = factor
		return nil
	})
}

// Disable makes calls that name an adapter, or a sum with it, return an error, until [Model.Enable]. The adapter stays
// in memory.
func (m *Model) Disable(name string) error { return m.setDisabled(name, true) }

// Enable makes a disabled adapter available again.
func (m *Model) Enable(name string) error { return m.setDisabled(name, false) }

func (m *Model) setDisabled(name string, disabled bool) error {
	return m.with(name, func(a *adapter) error {
		a.Disabled = disabled
		return nil
	})
}

// Remove removes an adapter, and sums with it. Calls that are running go on with it; its memory is released when the
// last one ends.
func (m *Model) Remove(name string) error {
	return m.change(func(r *registry) error {
		if r.get(name) == nil {
			return unknown(r, name)
		}
		*r = slices.DeleteFunc(*r, func(a *adapter) bool { return a.Name == name || slices.Contains(a.Parts, name) })
		return nil
	})
}

// Active adds the corrections of several adapters, as PEFT's set_adapter does with a list, and makes the sum available
// under their names joined by +: after Active("a", "b"), [Use]("a+b") asks for it. The labels and settings are those of
// the first. Changes of the parts change the sum. It has a name, rather than being an option of a call, so that what
// the sum needs is computed and checked once. Active returns an error if there are fewer than two names, a name is
// unknown or names a sum, or two adapters replace the same weight (modules_to_save, heads), as PEFT does.
func (m *Model) Active(names ...string) error {
	return m.change(func(r *registry) error {
		if len(names) < 2 {
			return base.Settings(fmt.Errorf("spalora: a sum of %d adapters; name two or more", len(names)))
		}
		for i, name := range names {
			switch p := r.get(name); {
			case p == nil:
				return unknown(r, name)
			case p.Parts != nil:
				return sumError(name, "name")
			case slices.Contains(names[:i], name):
				return base.Settings(fmt.Errorf("spalora: the sum has adapter %q twice; scale it instead", name))
			}
		}
		sum := &adapter{Adapter: Adapter{Name: strings.Join(names, "+"), Parts: slices.Clone(names), Scale: 1}}
		if old := r.get(sum.Name); old != nil {
			if slices.Equal(old.Parts, names) {
				return nil
			}
			return base.Settings(fmt.Errorf("spalora: adapter %q is loaded already; remove it first", sum.Name))
		}
		if err := sum.use(r); err != nil {
			return err
		}
		*r = append(*r, sum)
		return nil
	})
}
