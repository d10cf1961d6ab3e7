package llama

import (
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Angles lets tests run the layers one by one.
func (m *Model) Angles(p *nn.Pass) *op.Rotary { return m.rotary.angles(p) }
