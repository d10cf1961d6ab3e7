package nn

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// CRF holds the transition scores of a linear-chain conditional random field over K tags, laid out as in spago's
// crf.Model: row 0 scores the first tag of a sentence, column 0 the last one, element [i+1][j+1] tag j after tag i.
type CRF struct {
	spago.Module
	TransitionScores *op.Weight `hf:"TransitionScores"` // (K+1)×(K+1)
}

// NewCRF returns a layer for k tags whose weight is empty.
func NewCRF(k int) *CRF { return &CRF{TransitionScores: op.NewMatrix(k+1, k+1)} }

// Scores returns the transition scores in use with an adapter: its own copy, if it has one. a may be nil.
func (c *CRF) Scores(a AdapterSet) *op.Weight { return (&Pass{Adapter: a}).Weight(c.TransitionScores) }

// Loss returns the negative log-likelihood of the labels, summed (1×1) over the chains, and the number of chains: see
// [op.CRF]. emissions is N×K, and starts has the row offsets of the sequences.
func (c *CRF) Loss(p *Pass, emissions mat.Tensor, starts []int, labels []int32, forbidden []bool) (mat.Tensor, int) {
	return op.CRF(p.Tape, emissions, p.Weight(c.TransitionScores), starts, labels, forbidden)
}

// Describe returns the line of the layer in the printed tree.
func (c *CRF) Describe() string { return fmt.Sprintf("CRF(size=%d)", c.TransitionScores.Rows-1) }
