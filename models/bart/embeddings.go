package bart

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// offset is the row of a learned table for position 0: the rows before it were once for padding.
const offset = 2

// Positions looks up the vectors of positions: a table that is learned, or [Sinusoidal].
type Positions interface {
	// Forward returns N×C for N positions, to which a learned table adds its offset.
	Forward(p *nn.Pass, positions []int32) mat.Tensor
}

// Sinusoidal computes positions (Vaswani et al. 2017, arXiv:1706.03762): sines in the first half of the columns,
// cosines in the second. Checkpoints need not have them.
type Sinusoidal struct {
	spago.Module
	Rows, Cols int    `hf:"-"`
	class      string `hf:"-"`
}

// Forward returns N×C for N positions. The values belong to the tape.
func (s *Sinusoidal) Forward(p *nn.Pass, positions []int32) mat.Tensor {
	values := p.Tape.Floats(len(positions) * s.Cols)
	half := (s.Cols + 1) / 2
	lengths := make([]float64, s.Cols) // of a wave, divided by 2π
	for j := range lengths {
		lengths[j] = math.Pow(10000, float64(2*(j/2))/float64(s.Cols))
	}
	for i, position := range positions {
		row := values[i*s.Cols:][:s.Cols]
		if i > 0 && position == positions[i-1] { // beams are of equal length
			copy(row, values[(i-1)*s.Cols:])
			continue
		}
		for j, length := range lengths {
			angle := float64(position) / length
			if j%2 == 0 {
				row[j/2] = float32(math.Sin(angle))
			} else {
				row[half+j/2] = float32(math.Cos(angle))
			}
		}
	}
	return mat.NewDense[float32](mat.WithShape(len(positions), s.Cols), mat.WithBacking(values))
}

// ComputedValues returns the number of values of the table that PyTorch has.
func (s *Sinusoidal) ComputedValues() int { return s.Rows * s.Cols }

// Describe returns the line that PyTorch prints for the table.
func (s *Sinusoidal) Describe() string { return fmt.Sprintf("%s(%d, %d)", s.class, s.Rows, s.Cols) }

// embedded returns drop(norm(scale·words + positions)) for N ids: N×C. norm may be nil.
func (c Config) embedded(p *nn.Pass, ids []int32, words *nn.Embedding, table Positions, norm *nn.LayerNorm,
	drop *nn.Dropout,
) mat.Tensor {
	scope := p.Tape.Scope()
	places := p.Positions()
	if c.family().learned {
		for i := range places {
			places[i] += offset
		}
	}
	positions := table.Forward(p, places)
	x := op.Add(p.Tape, op.Scale(p.Tape, words.Forward(p, ids), c.embeddingScale()), positions)
	if norm != nil {
		x = norm.Forward(p, x)
	}
	x = drop.Forward(p, x)
	p.Tape.Leave(scope, x)
	return x
}

// positions returns the table of learned positions, or the computed ones.
func (c Config) positions() Positions {
	if !c.family().learned {
		return &Sinusoidal{Rows: c.MaxPositions, Cols: c.Width, class: c.class("SinusoidalPositionalEmbedding")}
	}
	e := nn.NewEmbedding(c.MaxPositions+offset, c.Width, op.NoPadding)
	e.Class = c.class("LearnedPositionalEmbedding")
	return e
}
