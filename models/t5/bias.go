package t5

import (
	"math"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// bucket returns the bucket of a distance, the key's position less the query's: one for each small distance, then
// buckets whose width grows logarithmically up to most, and the last one for all larger distances. If both, keys behind
// the query have the second half of the buckets; otherwise no query sees them. It computes in float32, as transformers
// does, since the borders depend on rounding.
func bucket(distance, buckets, most int, both bool) int {
	offset := 0
	switch {
	case both:
		buckets /= 2
		if distance > 0 {
			offset = buckets
		}
		distance = max(distance, -distance)
	default:
		distance = max(0, -distance)
	}
	exact := buckets / 2
	if distance < exact {
		return offset + distance
	}
	ratio := float32(math.Log(float64(float32(distance) / float32(exact))))
	ratio /= float32(math.Log(float64(most) / float64(exact)))
	return offset + min(buckets-1, exact+int(ratio*float32(buckets-exact)))
}

// relative returns the bias of self attention for all distances that occur in the pass, from a table of buckets×heads.
// In the encoder (both) a row also sees later ones.
func (c Config) relative(p *nn.Pass, table *nn.Embedding, both bool) op.Bias {
	longest := 1
	for i := range p.Seqs.Len() {
		rows := p.Seqs.Starts[i+1] - p.Seqs.Starts[i]
		if p.Seqs.First != nil {
			rows += p.Seqs.First[i]
		}
		longest = max(longest, rows)
	}
	distances := longest
	if both {
		distances += longest - 1
	}
	ids := p.Tape.Ints(distances)
	for i := range ids {
		ids[i] = int32(bucket(i-longest+1, c.Buckets, c.MaxDistance, both))
	}
	return table.Bias(p, ids, 1-longest)
}
