package lora

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// An adapter may be for a model with another vocabulary: one whose table of words and head were resized before it was
// trained (resize_token_embeddings). Its file then holds these tables (PEFT's save_embedding_layers), or all rows that
// the base model lacks (trainable_token_indices). The set replaces the base model's tables by the resized ones before
// anything else is made of them.

// wordsOf returns the weight of a word layer that pairs, copies and rows of the set start from: a resized one, or the
// model's own.
func (s *Set) wordsOf(key, own *op.Weight) *op.Weight {
	if w := s.words[key]; w != nil {
		return w
	}
	return own
}

// useWords lets the pass read resized tables that no copy replaces.
func (s *Set) useWords() {
	for key, w := range s.words {
		if s.copyOf[key] == nil {
			s.copyOf[key] = w
		}
	}
}

// Vocabulary returns the number of token ids that m reads with the set.
func (s *Set) Vocabulary(m nn.Reader) int { return nn.Vocabulary(m, s) }

// Ends of the names under which PEFT's files have the base model's weight of a module: below a pair, below rows that
// train, and beside a copy. There is another name of the copy itself.
const (
	pairBase   = ".base_layer.weight"
	tokensBase = ".token_adapter.base_layer.weight"
	copyBase   = ".original_module.weight"
	copyAgain  = ".modules_to_save.weight"
)

// wordFile finds the word layers of a model in an adapter file.
type wordFile struct {
	s      *Set
	f      *safetensors.File
	layers []nn.WordLayer
}

// saved reports whether the set has a copy of the layer.
func (w wordFile) saved(l nn.WordLayer) bool {
	return w.s.inSaved(l.Path) || slices.ContainsFunc(w.s.tied, func(h nn.TiedHead) bool { return h.Path == l.Path })
}

// baseNames returns the names that the base model's weight of a layer can have in the file.
func (w wordFile) baseNames(l nn.WordLayer) []string {
	path := keyPrefix + l.Path
	if w.saved(l) {
		return []string{path + copyBase}
	}
	return []string{path + ".weight", path + pairBase, path + tokensBase}
}

// table returns the tensor of the given name if it is a matrix with rows as long as those of the layer.
func (w wordFile) table(name string, l nn.WordLayer) (safetensors.Tensor, bool) {
	t, ok := w.f.Tensor(name)
	return t, ok && len(t.Shape) == 2 && t.Shape[1] == l.Weight.Cols
}

// rows returns the number of rows that the file gives all word layers, and whether a table of words says so. It returns
// 0 if the tensors contradict each other or there are none.
func (w wordFile) rows() (n int, table bool) {
	for i, l := range w.layers {
		path := keyPrefix + l.Path
		found := 0
		take := func(rows int) bool {
			ok := found == 0 || found == rows
			found = rows
			return ok
		}
		for _, name := range append(w.baseNames(l), path+".weight") {
			if t, ok := w.table(name, l); ok {
				if !take(t.Shape[0]) {
					return 0, false
				}
				table = table || i == 0 || l.Weight == w.layers[0].Weight
			}
		}
		if t, ok := w.f.Tensor(path + tableA); ok && i == 0 && (len(t.Shape) != 2 || !take(t.Shape[1])) {
			return 0, false
		}
		if t, ok := w.f.Tensor(path + linearB); ok && i > 0 && (len(t.Shape) != 2 || !take(t.Shape[0])) {
			return 0, false
		}
		if found != 0 && n != 0 && found != n {
			return 0, false
		}
		n = max(n, found)
	}
	return n, table
}

// newTokens returns how many rows the file has of tokens that follow those of the base model, in
// trainable_token_indices: 0 if some of them are missing.
func (w wordFile) newTokens() int {
	known := w.layers[0].Weight.Rows
	most := 0
	for i, l := range w.layers {
		rows := w.s.tokenRows(l, i == 0)
		t, ok := w.table(keyPrefix+l.Path+tokensName, l)
		if !ok || len(rows) != t.Shape[0] {
			continue
		}
		rows = slices.Clone(rows)
		slices.Sort(rows)
		n := 0
		for _, id := range slices.Compact(rows) {
			if int(id) >= known {
				if int(id) != known+n {
					return 0
				}
				n++
			}
		}
		if most != 0 && n != most {
			return 0
		}
		most = n
	}
	return most
}

// tokenRows returns the rows of a layer that train.
func (s *Set) tokenRows(l nn.WordLayer, table bool) []int32 {
	for _, t := range s.config.TrainableTokenIndices {
		if t.Table == "" && table || t.Table != "" && strings.HasSuffix(l.Path, t.Table) {
			return t.Indices
		}
	}
	return nil
}

// readWords sets s.words to the tables that the adapter file f resizes or replaces, as far as they are not trained.
// Files without such tables, and those that contradict themselves, which fill reports, change nothing.
func (s *Set) readWords(m spago.Model, f *safetensors.File) error {
	w := wordFile{s, f, nn.WordLayers(m)}
	if len(w.layers) == 0 {
		return nil
	}
	known := w.layers[0].Weight.Rows
	n, table := w.rows()
	if (n == 0 || n == known) && w.newTokens() > 0 {
		if n == known { // a file with a table that lacks rows
			return nil
		}
		n, table = known+w.newTokens(), true
	}
	table = table || n > known && w.newTokens() == n-known // a table with all new rows beside a head of that size
	if n == 0 || n != known && !table {
		return nil
	}
	for i, l := range w.layers {
		if s.words[l.Key] != nil { // shares the table of one before
			continue
		}
		own, err := w.read(l, i == 0, n)
		if err != nil {
			return err
		}
		if own == nil {
			continue
		}
		for _, other := range w.layers {
			if other.Weight == l.Weight {
				s.words[other.Key] = own
			}
		}
	}
	return nil
}

// read returns the frozen weight of n rows that the file gives a layer and those that share its weight. It returns nil
// if that is the base model's.
func (w wordFile) read(l nn.WordLayer, table bool, n int) (*op.Weight, error) {
	same, trained := n == l.Weight.Rows, true
	for _, other := range w.layers {
		if other.Weight != l.Weight {
			continue
		}
		trained = trained && w.saved(other)
		for _, name := range w.baseNames(other) {
			t, ok := w.table(name, l)
			if !ok || t.Shape[0] != n {
				continue
			}
			own, err := op.NewMatrix(n, l.Weight.Cols).Like(string(t.DType), bytes.Clone(t.Data)) // the file is closed later
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if same && (own.Same(l.Weight) || !strings.HasSuffix(name, tokensBase) && !strings.HasSuffix(name, copyBase)) {
				continue // fillBase reads it
			}
			return own, nil
		}
	}
	switch {
	case same:
		return nil, nil
	case trained:
		return op.NewMatrix(n, l.Weight.Cols), nil // nothing reads its values
	case !l.Weight.Filled():
		return nil, fmt.Errorf("%s.weight has no values; load the model first", l.Path)
	case n < l.Weight.Rows:
		own := op.NewMatrix(n, l.Weight.Cols)
		return own, own.SetValues(l.Weight.First(own.Len()))
	}
	more := make([]float32, (n-l.Weight.Rows)*l.Weight.Cols)
	if !w.s.covers(l, table, n) {
		mean := meanRow(l.Weight)
		for i := range more {
			more[i] = mean[i%len(mean)]
		}
		w.s.unread = append(w.s.unread, l.Path)
	}
	own, err := l.Weight.WithMoreRows(more)
	w.s.grown[own] = true
	return own, err
}

// covers reports whether the rows of a layer that train include all that the base model lacks of n.
func (s *Set) covers(l nn.WordLayer, table bool, n int) bool {
	rows := s.tokenRows(l, table)
	for id := l.Weight.Rows; id < n; id++ {
		if !slices.Contains(rows, int32(id)) {
			return false
		}
	}
	return true
}

// meanRow returns the mean of the rows of w.
func meanRow(w *op.Weight) []float32 {
	sum, row := make([]float64, w.Cols), make([]float32, w.Cols)
	for i := range w.Rows {
		w.Row(row, i)
		for j, v := range row {
			sum[j] += float64(v)
		}
	}
	for j := range row {
		row[j] = float32(sum[j] / float64(w.Rows))
	}
	return row
}

// replaced describes the base weights that the adapter file replaces, for warnings.
func (s *Set) replaced(m spago.Model) []string {
	rows := map[*op.Weight]int{}
	for _, l := range nn.WordLayers(m) {
		rows[l.Key] = l.Weight.Rows
	}
	var list []string
	for _, c := range s.bases {
		if n := rows[c.base]; n != 0 && n != c.own.Rows {
			list = append(list, fmt.Sprintf("%s: %s has %d rows, the base model's %d, and replaces it, as in PEFT after "+
				"resize_token_embeddings", weightsName, keyPrefix+c.path, c.own.Rows, n))
			continue
		}
		list = append(list, fmt.Sprintf("%s: %s is not the base model's and replaces it, as in PEFT", weightsName,
			keyPrefix+c.path))
	}
	for _, path := range s.unread {
		list = append(list, fmt.Sprintf("%s has no rows of %s for the new tokens; they get the mean of the other rows, as "+
			"transformers' resize_token_embeddings gives them", weightsName, path))
	}
	return list
}

// keepWords adds the frozen tables that an adapter file must have to s.bases: those of other values or sizes than the
// base model's, unless the rows that train are all that differs.
func (s *Set) keepWords(m spago.Model) {
	if len(s.words) == 0 {
		return
	}
	kept := map[*op.Weight]bool{}
	adapted := s.adapted()
	for i, l := range nn.WordLayers(m) {
		own := s.words[l.Key]
		if own == nil || kept[own] || !s.readsWords(l) {
			continue
		}
		name := below(l.Path+".weight", adapted)
		for _, t := range s.tokens {
			if t.base == l.Key {
				name = l.Path + tokensBase
			}
		}
		kept[own] = true
		if s.grown[own] && s.covers(l, i == 0, own.Rows) && name == l.Path+tokensBase {
			continue
		}
		s.bases = append(s.bases, copied{name, l.Key, own})
	}
}

// dropWords removes names from left, the tensors of an adapter file, under which PEFT stores tables of words once more.
// It returns those whose values contradict what the set has.
func (s *Set) dropWords(m spago.Model, f *safetensors.File, left map[string]bool) (differing []string, err error) {
	if len(left) == 0 {
		return nil, nil
	}
	for _, l := range nn.WordLayers(m) {
		path := keyPrefix + l.Path
		for _, name := range []string{path + tokensBase, path + copyBase} {
			t, ok := f.Tensor(name)
			if !ok || !left[name] {
				continue
			}
			want := s.wordsOf(l.Key, l.Weight)
			if !slices.Equal(t.Shape, want.Shape()) { // an error about what is left
				continue
			}
			delete(left, name)
			own, err := want.Like(string(t.DType), t.Data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if !own.Same(want) && s.readsWords(l) {
				differing = append(differing, name+" and another tensor of that table")
			}
		}
		delete(left, path+copyAgain)
		if name := path + tokensName; left[name] { // of a head that follows the table
			for _, t := range s.tokens {
				if h, ok := f.Tensor(name); ok && s.copyOf[l.Key] == s.copyOf[t.base] && l.Key != t.base {
					v, err := safetensors.AsFloat32(h)
					if err != nil {
						return nil, err
					}
					delete(left, name)
					if !slices.Equal(v, op.Values(t.param)) {
						differing = append(differing, name+" and the table that it follows")
					}
				}
			}
		}
	}
	return differing, nil
}

// readsWords reports whether a pass reads the frozen weight of a word layer.
func (s *Set) readsWords(l nn.WordLayer) bool {
	for _, c := range s.copies {
		if s.copyOf[l.Key] == c.own {
			return false
		}
	}
	return true
}

// resized returns the printed lines of the word layers that have another size than in m.
func (s *Set) resized(m spago.Model) map[string]string {
	lines := map[string]string{}
	for _, l := range nn.WordLayers(m) {
		own := s.words[l.Key]
		if own == nil {
			continue
		}
		switch x := l.Module.(type) {
		case *nn.Embedding:
			lines[l.Path] = (&nn.Embedding{Weight: own, Padding: x.Padding}).Describe()
		case *nn.Linear:
			lines[l.Path] = (&nn.Linear{Weight: own, Bias: x.Bias}).Describe()
		}
	}
	return lines
}
