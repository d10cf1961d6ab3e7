package lora

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/spalora/spalora/internal/linalg"
)

// Spectrum returns the singular values of the layer's correction Scale·B·A in descending order: at most r of them. It
// returns an error if a value is NaN or infinite.
func (l Layer) Spectrum() ([]float64, error) {
	d, err := decompose([]Layer{l}, []float64{1})
	if err != nil {
		return nil, fmt.Errorf("lora: %s: %w", l.Path, err)
	}
	return d.S, nil
}

// Norm returns the Frobenius norm of a matrix with the given singular values.
func Norm(singular []float64) float64 {
	var sum float64
	for _, s := range singular {
		sum += s * s
	}
	return math.Sqrt(sum)
}

// EffectiveRank returns the effective rank of a matrix with the given singular values: the exponential of the entropy
// of their shares (Roy, Vetterli 2007). It is n if n values are equal and the others 0, and 0 if all are 0.
func EffectiveRank(singular []float64) float64 {
	var sum, entropy float64
	for _, s := range singular {
		sum += s
	}
	if sum == 0 {
		return 0
	}
	for _, s := range singular {
		if p := s / sum; p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	return math.Exp(entropy)
}

// decompose returns the singular values and vectors of Σ wᵢ·Scaleᵢ·Bᵢ·Aᵢ: as many as the ranks sum up to,
// or as the smaller size of the sum. It never forms the sum unless the ranks reach that size.
func decompose(layers []Layer, weights []float64) (linalg.SVD, error) {
	in, out := layers[0].In, layers[0].Out
	rank := 0
	for _, l := range layers {
		rank += l.Rank
	}
	b, at := mat.NewDense(out, rank, nil), mat.NewDense(in, rank, nil) // B with the weights, and Aᵀ
	first := 0
	for i, l := range layers {
		for k := range l.Rank {
			for row := range out {
				b.Set(row, first+k, weights[i]*l.Scale*float64(l.B[row*l.Rank+k]))
			}
			for col := range in {
				at.Set(col, first+k, float64(l.A[k*in+col]))
			}
		}
		first += l.Rank
	}
	var product mat.Dense
	if rank >= min(in, out) {
		product.Mul(b, at.T())
		return linalg.Thin(&product)
	}
	qb, rb := linalg.QR(b)
	qa, ra := linalg.QR(at)
	product.Mul(rb, ra.T())
	small, err := linalg.Thin(&product)
	if err != nil {
		return small, err
	}
	d := linalg.SVD{U: new(mat.Dense), S: small.S, V: new(mat.Dense)}
	d.U.Mul(qb, small.U)
	d.V.Mul(qa, small.V)
	return d, nil
}

// truncated returns the pair of rank r that is closest to a decomposition: A has its right vectors, B its left vectors
// times the singular values, as PEFT splits them. If there are fewer than r values, the rest of both is zero.
func truncated(d linalg.SVD, r int) (a, b []float32) {
	out, _ := d.U.Dims()
	in, _ := d.V.Dims()
	a, b = make([]float32, r*in), make([]float32, out*r)
	for k := range min(r, len(d.S)) {
		for col := range in {
			a[k*in+col] = float32(d.V.At(col, k))
		}
		for row := range out {
			b[row*r+k] = float32(d.U.At(row, k) * d.S[k])
		}
	}
	return a, b
}

// Reduction says what [Detached.Reduce] did to a layer.
type Reduction struct {
	Path         string
	Before, Rank int     // ranks
	Norm         float64 // Frobenius norm of the layer's correction
	Error        float64 // Frobenius norm of what was lost
}

// Reduce returns the adapter whose corrections are the best approximations of d's with the given rank, in the Frobenius
// norm; layers of a lower rank keep theirs. Heads and other tensors stay. The result has lora_alpha = r, and its
// tensors contain the scale. Reduce returns an error if rank is below 1 or above the largest rank of d, or if a value
// is NaN or infinite.
func (d *Detached) Reduce(rank int) (*Detached, []Reduction, error) {
	most := 0
	for _, l := range d.Layers {
		most = max(most, l.Rank)
	}
	if rank < 1 || rank > most {
		return nil, nil, fmt.Errorf("lora: `rank` is %d; want at least 1 and at most %d, the rank of the adapter", rank, most)
	}
	small := &Detached{Name: d.Name, Config: d.Config, Notes: d.Notes, Fingerprint: d.Fingerprint}
	c := &small.Config
	c.R, c.Alpha, c.UseRSLoRA, c.RankPattern, c.AlphaPattern = rank, float64(rank), false, nil, nil
	var report []Reduction
	scales := map[string]float32{} // by path
	for _, l := range d.Layers {
		scales[l.Path] = float32(l.Scale)
		s, err := decompose([]Layer{l}, []float64{1})
		if err != nil {
			return nil, nil, fmt.Errorf("lora: reduce: %s: %w", l.Path, err)
		}
		r := Reduction{Path: l.Path, Before: l.Rank, Rank: min(rank, l.Rank), Norm: Norm(s.S)}
		if len(s.S) > r.Rank {
			r.Error = Norm(s.S[r.Rank:])
		}
		l.Rank, l.Scale = r.Rank, 1
		l.A, l.B = truncated(s, l.Rank)
		if l.Rank != rank {
			c.RankPattern = append(c.RankPattern, Override[int]{l.Path, l.Rank})
			c.AlphaPattern = append(c.AlphaPattern, Override[float64]{l.Path, float64(l.Rank)})
		}
		small.Layers = append(small.Layers, l)
		report = append(report, r)
	}
	for _, t := range d.rest { // the bias of B is scaled like the product
		if path, ok := strings.CutSuffix(strings.TrimPrefix(t.key, keyPrefix), linearBias); ok && scales[path] != 1 {
			scaled := make([]float32, len(t.values))
			for i, v := range t.values {
				scaled[i] = v * scales[path]
			}
			t.values = scaled
		}
		small.rest = append(small.rest, t)
	}
	return small, report, nil
}

// Change is the difference between two adapters in one layer, in Frobenius norms.
type Change struct {
	Path               string
	Rank, OtherRank    int     // 0: the adapter does not have the layer
	Norm, OtherNorm    float64 // of the corrections
	Difference, Cosine float64 // norm of the difference; cosine of the angle between both, NaN if one is zero
}

// Changes compares the corrections of two adapters layer by layer, those of d first, then those that only other has. It
// returns an error if a layer has different sizes in both, or if a value is NaN or infinite.
func (d *Detached) Changes(other *Detached) ([]Change, error) {
	var list []Change
	for _, path := range layerPaths([]*Detached{d, other}) {
		x, y := d.layer(path), other.layer(path)
		if err := sameSize([]*Detached{d, other}, path); err != nil {
			return nil, fmt.Errorf("lora: diff: %w", err)
		}
		c := Change{Path: path}
		var both []Layer
		var weights []float64
		for _, side := range []struct {
			layer  *Layer
			rank   *int
			norm   *float64
			weight float64
		}{{x, &c.Rank, &c.Norm, 1}, {y, &c.OtherRank, &c.OtherNorm, -1}} {
			if side.layer == nil {
				continue
			}
			s, err := side.layer.Spectrum()
			if err != nil {
				return nil, err
			}
			*side.rank, *side.norm = side.layer.Rank, Norm(s)
			both, weights = append(both, *side.layer), append(weights, side.weight)
		}
		s, err := decompose(both, weights)
		if err != nil {
			return nil, fmt.Errorf("lora: %s: %w", path, err)
		}
		c.Difference = Norm(s.S)
		c.Cosine = (c.Norm*c.Norm + c.OtherNorm*c.OtherNorm - c.Difference*c.Difference) / (2 * c.Norm * c.OtherNorm)
		list = append(list, c)
	}
	return list, nil
}

// RestChanges compares the tensors outside of pairs, such as heads, by their names. A tensor that only one adapter has,
// or has in another shape, differs by its norm, or by infinity.
func (d *Detached) RestChanges(other *Detached) []Change {
	var list []Change
	index := map[string]int{}
	for side, a := range []*Detached{d, other} {
		for _, t := range a.rest {
			i, ok := index[t.key]
			if !ok {
				i = len(list)
				index[t.key] = i
				list = append(list, Change{Path: strings.TrimPrefix(t.key, keyPrefix)})
			}
			if norm := vectorNorm(t.values, nil); side == 0 {
				list[i].Norm = norm
			} else {
				list[i].OtherNorm = norm
			}
			list[i].Difference = vectorNorm(t.values, nil)
		}
	}
	for _, t := range d.rest {
		c := &list[index[t.key]]
		for _, u := range other.rest {
			switch {
			case u.key != t.key:
			case !slices.Equal(u.shape, t.shape):
				c.Difference = math.Inf(1)
			default:
				c.Difference = vectorNorm(t.values, u.values)
			}
		}
	}
	return list
}

// vectorNorm returns the Euclidean norm of a − b, where b may be nil.
func vectorNorm(a, b []float32) float64 {
	var sum float64
	for i, v := range a {
		x := float64(v)
		if b != nil {
			x -= float64(b[i])
		}
		sum += x * x
	}
	return math.Sqrt(sum)
}
