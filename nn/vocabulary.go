package nn

import (
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// IsOutputLayer reports whether name is that of the head of language models, of text or, as in Whisper, of speech.
func IsOutputLayer(name string) bool { return name == "lm_head" || name == "proj_out" }

// WordLayer is a module with one row for each token of the vocabulary: the table of words, or a head over the
// vocabulary.
type WordLayer struct {
	Path   string
	Module any        // *Embedding or *Linear
	Key    *op.Weight // identifies the module to adapters
	Weight *op.Weight // V×C; of a tied head, the table's
}

// WordLayers returns the table of words of m, which is its first embedding, and then the heads over the vocabulary:
// linear layers that share the table or have its name, see [IsOutputLayer]. It returns nil if m has no embedding, or a
// [SharedTable], whose vocabulary cannot change.
func WordLayers(m spago.Model) []WordLayer {
	var list []WordLayer
	shared := false
	Walk(m, func(path string, module any) {
		switch l := module.(type) {
		case *SharedTable:
			shared = true
		case *Embedding:
			if len(list) == 0 {
				list = append(list, WordLayer{path, l, l.Weight, l.Weight})
			}
		case *Linear:
			if len(list) > 0 && (IsOutputLayer(path) || l.Tied()) {
				list = append(list, WordLayer{path, l, l.Key(), l.Weight})
			}
		}
	})
	if shared {
		return nil
	}
	return list
}

// Reader is a model with a limited number of token ids.
type Reader interface {
	spago.Model
	Vocabulary() int
}

// Vocabulary returns the number of token ids that m reads with the adapter a: the rows of a's own table of words, or
// those of m's if it has none. a may be nil.
func Vocabulary(m Reader, a AdapterSet) int {
	if a == nil {
		return m.Vocabulary()
	}
	if list := WordLayers(m); len(list) > 0 {
		if own := a.Replacement(list[0].Key); own != nil {
			return own.Rows
		}
	}
	return m.Vocabulary()
}

// Resize changes the number of token ids of m to n: its table of words and its heads over the vocabulary get n rows
// without values.
func Resize(m spago.Model, n int) {
	for _, l := range WordLayers(m) {
		*l.Weight = *op.NewMatrix(n, l.Weight.Cols)
		if l.Key != l.Weight {
			l.Key.Rows = n
		}
	}
	Walk(m, func(_ string, module any) {
		if l, ok := module.(interface{ setVocabulary(n int) }); ok {
			l.setVocabulary(n)
		}
	})
}
