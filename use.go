package spalora

import (
	"fmt"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/tasks"
)

// CallOption changes one call of a model.
type CallOption func(*calling)

// calling collects the options of a call.
type calling struct{ adapters []string }

// Use names the adapters that serve a call, by the names that [Model.Load], [Model.Active] or [WithAdapter] gave them.
// A call for one input returns a result for each of them, in this order. Without Use, what the model was opened with
// serves the call.
func Use(adapters ...string) CallOption {
	return func(c *calling) { c.adapters = append(c.adapters, adapters...) }
}

// each returns the names of the adapters that answer a call for one input; "" is what the model was opened with.
func each(options []CallOption) []string {
	c := calling{}
	for _, o := range options {
		o(&c)
	}
	if len(c.adapters) == 0 {
		return []string{""}
	}
	return c.adapters
}

// one returns the name of the only adapter that a call has named; "" is what the model was opened with.
func one(options []CallOption) (string, error) {
	names := each(options)
	if len(names) > 1 {
		return "", base.Settings(fmt.Errorf("spalora: this call takes one adapter, but Use names %d (%s); make a call for "+
			"each, or name the adapter in each row of a call that has rows", len(names), quoted(names)))
	}
	return names[0], nil
}

// perRow returns the name of the adapter of each of n rows: the one that the row names, else the one of the options.
func perRow(n int, row func(i int) string, options []CallOption) ([]string, error) {
	all, err := one(options)
	if err != nil {
		return nil, err
	}
	names := make([]string, n)
	for i := range names {
		if names[i] = row(i); names[i] == "" {
			names[i] = all
		}
	}
	return names, nil
}

// Text is a text, with the adapter that serves it.
type Text struct {
	Text    string
	Adapter string // name of an adapter; "": the one that the call's Use names, else what the model was opened with
}

// Texts returns texts that name no adapter, for calls that take several.
func Texts(texts ...string) []Text {
	list := make([]Text, len(texts))
	for i, t := range texts {
		list[i].Text = t
	}
	return list
}

// adapterOf returns the function from the number of a text to its adapter.
func adapterOf(texts []Text) func(i int) string {
	return func(i int) string { return texts[i].Adapter }
}

// textsOf returns the texts alone.
func textsOf(list []Text) []string {
	texts := make([]string, len(list))
	for i, t := range list {
		texts[i] = t.Text
	}
	return texts
}

// Predictor returns the predictor behind the calls of a model, for bulk work and scores: *[seqcls.Opened] and its
// like. It must not be used once the model is closed. If the model is for another task, Predictor returns an error
// that says which one.
func Predictor[P tasks.Predictor](m *Model) (P, error) { return PredictorOf[P](m, "") }

// PredictorOf returns the predictor of the adapter with the given name; "" is what the model was opened with. See
// [Predictor]. It stays as it is when the adapter is scaled, replaced or removed. The packages of the task types have
// functions that predict for rows which several predictors of one model serve, such as [seqcls.PredictEach].
func PredictorOf[P tasks.Predictor](m *Model, adapter string) (P, error) {
	found, err := serving[P](m, []string{adapter})
	if err != nil {
		var none P
		return none, err
	}
	return found[0], nil
}

// serving returns the predictors of adapters by their names.
func serving[P tasks.Predictor](m *Model, names []string) ([]P, error) {
	if _, ok := m.predictor.(P); !ok {
		return nil, fmt.Errorf("spalora: the model is for %s; %s", m.kind.Name, m.calls())
	}
	loaded, byName := m.adapters.Load(), map[string]P{}
	list := make([]P, len(names))
	for i, name := range names {
		p, known := byName[name]
		if !known {
			found, err := m.find(loaded, name)
			if err != nil {
				return nil, err
			}
			p = found.(P)
			byName[name] = p
		}
		list[i] = p
	}
	return list, nil
}

// call returns what f returns for the predictors of adapters, one for each name, which stay open until then. They are
// those of the moment when the call began.
func call[P tasks.Predictor, R any](m *Model, names []string, f func(predictors []P) (R, error)) (r R, err error) {
	if err := m.begin(); err != nil {
		return r, err
	}
	defer m.running.Done()
	p, err := serving[P](m, names)
	if err != nil {
		return r, err
	}
	return f(p)
}

// calls names the methods that work for a model.
func (m *Model) calls() string {
	if c, ok := m.predictor.(interface{ Calls() string }); ok {
		return "call " + c.Calls()
	}
	return "it has no call of this package"
}
