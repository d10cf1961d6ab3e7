package whisper

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/models/bart"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Encoder turns frames into the rows that the decoder reads, one for two frames.
type Encoder struct {
	spago.Module
	Config    Config               `hf:"-"`
	Conv1     *nn.Conv1d           `hf:"conv1"`           // bins→C
	Conv2     *nn.Conv1d           `hf:"conv2"`           // C→C, of every second window
	Positions *Sinusoids           `hf:"embed_positions"` // P×C
	Layers    []*bart.EncoderLayer `hf:"layers"`
	Norm      *nn.LayerNorm        `hf:"layer_norm"`
	Drop      *nn.Dropout          `hf:"dropout"`
}

func newEncoder(c Config) *Encoder {
	e := &Encoder{
		Config: c, Conv1: nn.NewConv1d(c.MelBins, c.Width, op.Window{Size: 3, Stride: 1, Padding: 1}),
		Conv2:     nn.NewConv1d(c.Width, c.Width, op.Window{Size: 3, Stride: 2, Padding: 1}),
		Positions: &Sinusoids{Weight: op.NewFrozen(c.SourcePositions, c.Width)}, Norm: c.Norm(),
		Drop: &nn.Dropout{P: c.Dropout, Silent: true},
	}
	for range c.EncoderLayers {
		e.Layers = append(e.Layers, bart.NewEncoderLayer(c.Encoder(style)))
	}
	return e
}

// Forward returns the rows for the frames of p.Seqs (N×bins, row after row): M×C for M pairs of frames. No sequence
// may have more than 2·max_source_positions frames.
func (e *Encoder) Forward(p *nn.Pass, frames []float32) *nn.Memory {
	x, p := e.embedded(p, frames)
	return &nn.Memory{X: e.Norm.Forward(p, nn.Stack(p, x, e.Layers)), Seqs: p.Seqs}
}

// embedded returns drop(gelu(conv2(gelu(conv1(frames)))) + positions), M×C, and the pass for its rows.
func (e *Encoder) embedded(p *nn.Pass, frames []float32) (mat.Tensor, *nn.Pass) {
	t, bins := p.Tape, e.Config.MelBins
	scope := t.Scope()
	x := mat.Tensor(mat.NewDense[float32](mat.WithShape(len(frames)/bins, bins), mat.WithBacking(frames)))
	for _, conv := range []*nn.Conv1d{e.Conv1, e.Conv2} {
		y, q := conv.Forward(p, x)
		x, p = op.Activate(t, y, op.GELU), q
		t.Release(y)
	}
	x = e.Drop.Forward(p, op.Add(t, x, e.Positions.Forward(p)))
	t.Leave(scope, x)
	return x, p
}

// Sinusoids is a table of positions that checkpoints store and that never trains: sines in the first half of the
// columns, cosines in the second. An adapter leaves it alone.
type Sinusoids struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // P×C
}

// Forward returns the row of the table for each row of p.Seqs: N×C.
func (s *Sinusoids) Forward(p *nn.Pass) mat.Tensor {
	return p.Apart(func(r nn.Run) mat.Tensor {
		return op.Embedding(p.Tape, r.Positions(), r.Weight(s.Weight), nil, op.NoPadding)
	}, s.Weight)
}

// fill sets the table to the values that transformers gives to a new model: wavelengths from 2π to 10000·2π.
func (s *Sinusoids) fill() error {
	rows, half := s.Weight.Rows, s.Weight.Cols/2
	values := make([]float32, 0, s.Weight.Len())
	step := float32(math.Log(10000) / float64(half-1))
	for row := range rows {
		var cosines []float32
		for j := range half {
			angle := float64(float32(row) * float32(math.Exp(float64(-step*float32(j)))))
			values, cosines = append(values, float32(math.Sin(angle))), append(cosines, float32(math.Cos(angle)))
		}
		values = append(values, cosines...)
	}
	return s.Weight.SetValues(values)
}

// Describe returns the line that PyTorch prints for the table.
func (s *Sinusoids) Describe() string {
	return fmt.Sprintf("Embedding(%d, %d)", s.Weight.Rows, s.Weight.Cols)
}
