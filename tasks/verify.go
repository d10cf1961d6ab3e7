package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// RecordName is the file beside an adapter with outputs that it is compared with later.
const RecordName = "verify.json"

// recordedColumns is the number of outputs of a row that a record holds; the norm stands for the others.
const recordedColumns = 8

// record is the content of the file RecordName: outputs of base model and adapter for fixed token sequences.
type record struct {
	Columns int         `json:"columns"` // outputs of a row
	Norms   []float64   `json:"norms"`   // Euclidean norm of each row
	Rows    [][]float32 `json:"rows"`    // the first outputs of each row
	Largest float64     `json:"largest"` // largest absolute output
}

// Record writes the file RecordName to the adapter's directory: outputs of base model and adapter for fixed token
// sequences.
func (m *Merging) Record(dir string, pool *op.Pool) error {
	r, err := m.record(pool)
	if err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("verify: the outputs are not finite: %w", err)
	}
	return files.WriteFile(filepath.Join(dir, RecordName), files.Bytes(append(text, '\n')))
}

// Verify compares the outputs of base model and adapter with those in the file RecordName, and returns the largest
// difference as a share of the largest output. found is false if there is no such file. It returns an error if the
// difference is above [MergeBound], or if the record is for another model.
func (m *Merging) Verify(dir string, pool *op.Pool) (difference float64, found bool, err error) {
	path := filepath.Join(dir, RecordName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	var want record
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		return 0, true, base.Input(fmt.Errorf("%s: %w; record the outputs again", path, err))
	}
	got, err := m.record(pool)
	if err != nil {
		return 0, true, err
	}
	if got.Columns != want.Columns || len(got.Rows) != len(want.Rows) || len(got.Rows) != len(want.Norms) {
		return 0, true, base.Input(fmt.Errorf("%s has %d rows of %d outputs, but the model has %d rows of %d; it belongs to "+
			"another model", path, len(want.Rows), want.Columns, len(got.Rows), got.Columns))
	}
	worst := 0.0
	take := func(d float64) {
		if !(d <= worst) { // NaN stays
			worst = d
		}
	}
	for i, row := range got.Rows {
		take(math.Abs(got.Norms[i]-want.Norms[i]) / math.Sqrt(float64(got.Columns)))
		if len(row) != len(want.Rows[i]) {
			return 0, true, base.Input(fmt.Errorf("%s: row %d has %d outputs, want %d; the file is damaged", path, i,
				len(want.Rows[i]), len(row)))
		}
		for j, v := range row {
			take(math.Abs(float64(v) - float64(want.Rows[i][j])))
		}
	}
	difference = worst / want.Largest
	if !(difference <= MergeBound) {
		return difference, true, base.Input(fmt.Errorf("the outputs differ from those in %s by %.2g of the largest, want at "+
			"most %g; the adapter or the base model has changed since they were recorded", path, difference, MergeBound))
	}
	return difference, true, nil
}

// record runs the attached model over fixed token sequences.
func (m *Merging) record(pool *op.Pool) (record, error) {
	b := m.attached.inputs(m.Set)
	p := &nn.Pass{Tape: op.NewEvalTape(pool), Adapter: m.Set}
	outputs := m.attached.outputs(p, b)
	rows, columns := op.Size(outputs)
	r := record{Columns: columns}
	for i := range rows {
		row := op.Values(outputs)[i*columns:][:columns]
		var sum float64
		for _, v := range row {
			sum += float64(v) * float64(v)
			r.Largest = max(r.Largest, math.Abs(float64(v)))
		}
		r.Norms = append(r.Norms, math.Sqrt(sum))
		r.Rows = append(r.Rows, append([]float32(nil), row[:min(columns, recordedColumns)]...))
	}
	return r, p.Tape.Close()
}

// Tree returns the modules of the base model with the adapter attached.
func (m *Merging) Tree() string { return m.Set.Tree(m.attached.Model) }

// Candidates returns the modules of the base model that target_modules may name.
func (m *Merging) Candidates() []lora.Candidate { return lora.Candidates(m.attached.Model) }
