package lora

import "github.com/spalora/spalora/nn/op"

// AdaptedLayer is a layer that has a low-rank pair.
type AdaptedLayer struct {
	Path    string
	Table   bool // an embedding: In is the number of rows of the table, Out their length
	In, Out int  // columns of A, rows of B
	Rank    int
	Alpha   float64 // numerator of the scale
}

// Layers returns the adapted layers in the order of declaration. It returns an error if the configuration has an
// expression that is not valid.
func (s *Set) Layers() ([]AdaptedLayer, error) {
	sel, err := newSelector(s.config)
	if err != nil {
		return nil, err
	}
	var list []AdaptedLayer
	for _, p := range s.pairs {
		l := AdaptedLayer{Path: p.path, Table: p.table}
		l.Rank, l.In = op.Size(p.c.A)
		l.Out, _ = op.Size(p.c.B)
		if _, l.Alpha, err = sel.rank(p.path); err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// TrainedRows returns the tables of which only some rows train, with the number of these rows.
func (s *Set) TrainedRows() []RowCount {
	var list []RowCount
	for _, t := range s.tokens {
		rows, cols := op.Size(t.param)
		list = append(list, RowCount{t.path, rows, cols})
	}
	return list
}

// RowCount says how many rows of a table train.
type RowCount struct {
	Path       string // of the module
	Rows, Cols int    // of the rows that train
}

// TrainedBiases returns the paths of the biases of the base model that train, apart from those of saved modules.
func (s *Set) TrainedBiases() []string {
	var list []string
	for _, c := range s.biases {
		list = append(list, c.path)
	}
	return list
}

// FileBytes returns the size of the values in the file of tensors that [Set.Save] writes. It returns an error if the
// set cannot be saved.
func (s *Set) FileBytes() (int64, error) {
	_, tensors, err := s.content()
	n := int64(0)
	for _, t := range tensors {
		n += 4 * int64(len(t.values))
	}
	return n, err
}
