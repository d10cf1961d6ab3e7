package task

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
)

// ErrNoRows is the error about --adapters without an input whose rows name them.
var ErrNoRows = errors.New("--adapters is for rows of --input, which name the adapter that serves them; for one " +
	"adapter use --adapter")

// Models are the models of a command: one, or one with the adapters that rows name.
type Models struct {
	names []string // of --adapters; nil: one model serves all rows
	model *spalora.Model
	log   zerolog.Logger
}

// OpenModels opens the model that flags name, or the embedded one, for a task, with its adapters.
func OpenModels(
	kind tasks.Kind, builtIn cli.BuiltIn, head cli.HeadFlags, threads int, settings tasks.Settings, console *cli.Console,
) (*Models, error) {
	options := []spalora.Option{
		spalora.WithTask(kind.Command), spalora.WithKinds([]tasks.Kind{kind}), spalora.WithThreads(threads),
		spalora.WithLogger(console.Log), spalora.WithSettings(settings),
	}
	if head.OtherBase {
		options = append(options, spalora.WithOtherBase())
	}
	switch {
	case head.Model != "":
		options = append(options, spalora.WithBase(head.Model))
	case builtIn.Files != nil:
		options = append(options, spalora.WithBaseFiles(builtIn.Name, builtIn.Files()))
	case head.Adapter == "" && len(head.Adapters) == 0:
		return nil, cli.UsageError(errors.New("--model is missing; give a checkpoint"))
	}
	m := &Models{log: console.Log}
	for _, a := range head.Adapters {
		m.names = append(m.names, a.Name)
		options = append(options, spalora.WithAdapter(a.Name, a.Dir))
	}
	var err error
	m.model, err = spalora.Open(head.Adapter, options...)
	return m, err
}

// Close closes the model.
func (m *Models) Close() error { return m.model.Close() }

// All returns the predictors of all rows, or of each of --adapters.
func All[P tasks.Predictor](m *Models) ([]P, error) {
	names := m.names
	if names == nil {
		names = []string{""}
	}
	list := make([]P, len(names))
	for i, name := range names {
		var err error
		if list[i], err = spalora.PredictorOf[P](m.model, name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Adapter returns the function by which readers check the names of adapters in rows, nil without --adapters.
func (m *Models) Adapter() func(name string) error {
	if m.names == nil {
		return nil
	}
	return func(name string) error {
		if slices.Contains(m.names, name) {
			return nil
		}
		near := ""
		if list := nn.Nearest(name, m.names); len(list) > 0 {
			near = "; the nearest are " + strings.Join(list, ", ")
		}
		return fmt.Errorf("%q is not a name of `adapters`%s; correct it, or give name=directory", name, near)
	}
}

// Part is the rows of a file that one predictor serves.
type Part[P tasks.Predictor, F any] struct {
	Adapter   string // that the rows name; "" for the base model, or if one model serves all rows
	Predictor P
	File      F
	Rows      []int // their numbers in the whole file
}

// Parts divides the rows of a file, which messages call name, by the adapters that they name, in the order of
// --adapters, those of the base model last. Without --adapters there is one part. A row for the base model is an error
// that names it if the base has no trained head.
func Parts[P tasks.Predictor, E data.Row[E], K any, F data.Of[E, K]](
	m *Models, name string, f F,
) ([]Part[P, F], error) {
	var parts []Part[P, F]
	for _, adapter := range append(slices.Clone(m.names), "") {
		rows, numbers := data.ServedBy(f, adapter)
		if len(numbers) == 0 {
			continue
		}
		p, err := spalora.PredictorOf[P](m.model, adapter)
		if err != nil && adapter == "" && m.names != nil {
			err = base.Input(fmt.Errorf("%s:%d: the row names no adapter, and the base model has no trained head to serve it: "+
				"name one of %s in its %q", name, rows.At(0).StartLine(), strings.Join(m.names, ", "), data.AdapterColumn))
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, Part[P, F]{adapter, p, rows, numbers})
	}
	if m.names != nil && parts[0].Adapter == "" {
		m.log.Warn().Msgf("%s: no row has the name of an adapter in %q; the base model serves them all", name,
			data.AdapterColumn)
	}
	return parts, nil
}

// PredictEach returns the predictions for the rows of a file, a portion of it at a time: those of predict, which is
// given the predictor of each row. It calls add with the counts of each portion and logs the progress.
func PredictEach[P tasks.Predictor, E data.Row[E], K any, F data.Of[E, K], R, N any](
	p *Predicting, name string, f F, parts []Part[P, F], predict func(rows F, of func(row int) P) ([]R, N, error),
	add func(counts N),
) ([]R, error) {
	of := ByRow(parts)
	return InPortions(p, name, f.Len(), func(lo, hi int) ([]R, N, error) {
		return predict(data.Part(f, lo, hi), func(row int) P { return of[lo+row] })
	}, add)
}

// ByRow returns the predictor of each row.
func ByRow[P tasks.Predictor, F any](parts []Part[P, F]) []P {
	n := 0
	for _, s := range parts {
		n += len(s.Rows)
	}
	list := make([]P, n)
	for _, s := range parts {
		for _, row := range s.Rows {
			list[row] = s.Predictor
		}
	}
	return list
}

// Limits returns the smallest and the largest number of tokens that the predictors of a file take of a sequence.
func Limits[P interface {
	tasks.Predictor
	Limit() int
}, F any](parts []Part[P, F]) (least, most int) {
	for i, s := range parts {
		n := s.Predictor.Limit()
		if most = max(most, n); i == 0 || n < least {
			least = n
		}
	}
	return least, most
}

// Pick returns the elements of a list with these numbers.
func Pick[T any](list []T, numbers []int) []T {
	out := make([]T, len(numbers))
	for i, n := range numbers {
		out[i] = list[n]
	}
	return out
}

// Rows is a file whose rows may name adapters.
type Rows interface {
	Len() int
	AdapterOf(i int) string
}

// EachRow writes a line of JSON for each row of a file, as [EachLine] does. With --adapters its first key is adapter,
// the name of the adapter that served the row, null for the base model.
func EachRow(w io.Writer, m *Models, noun string, f Rows, row func(i int) any) error {
	return EachLine(w, noun, f.Len(), func(i int) any { return m.Row(f.AdapterOf(i), row(i)) })
}

// Row returns a row of the output, with --adapters with the adapter that served it.
func (m *Models) Row(adapter string, row any) any {
	if m.names == nil {
		return row
	}
	return servedRow{adapter, row}
}

// servedRow is a row of the output with the adapter that served it.
type servedRow struct {
	adapter string
	row     any
}

// MarshalJSON writes the row with the key adapter before its keys.
func (r servedRow) MarshalJSON() ([]byte, error) {
	var b, row bytes.Buffer
	name := &r.adapter
	if r.adapter == "" {
		name = nil
	}
	b.WriteString(`{"` + data.AdapterColumn + `":`)
	err := errors.Join(AppendJSON(&b, name), AppendJSON(&row, r.row))
	if err != nil {
		return nil, err
	}
	b.WriteByte(',')
	b.Write(row.Bytes()[1:])
	return b.Bytes(), nil
}
