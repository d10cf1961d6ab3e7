package generation

import (
	"fmt"
	"math"
)

// Logits is the output for a text with --logits.
type Logits struct {
	IDs    []int32     `json:"ids"`
	Logits [][]float32 `json:"logits"` // a row for each of the ids
}

// LogitsOf returns the output for T ids with T×V logits; none is an output, too. It returns an error that names the
// file and the line if a logit is NaN or infinite.
func LogitsOf(file string, line int, ids []int32, logits []float32) (Logits, error) {
	row := Logits{IDs: ids, Logits: make([][]float32, len(ids))}
	for at := range ids {
		v := len(logits) / len(ids)
		row.Logits[at] = logits[at*v : (at+1)*v]
		for id, x := range row.Logits[at] {
			if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
				return row, fmt.Errorf("%s:%d: the logit of token %d at position %d is %v; the weights of the model or the "+
					"adapter are damaged", file, line, id, at, f)
			}
		}
	}
	if ids == nil {
		row.IDs = []int32{}
	}
	return row, nil
}
