package embed

import "math"

// Similarity is a measure of how near two vectors are, by the name that sentence-transformers gives it. "" is CosineOf.
type Similarity string

// The similarities. The greater they are, the nearer are the vectors.
const (
	CosineOf   Similarity = "cosine"
	DotProduct Similarity = "dot"
	Euclidean  Similarity = "euclidean" // the negative distance
	Manhattan  Similarity = "manhattan" // the negative sum of the absolute differences
)

// Of returns the similarity of each pair of vectors (2n×width), n values. The cosine with a zero vector is 0.
func (s Similarity) Of(vectors []float32, width int) []float32 {
	out := make([]float32, len(vectors)/width/2)
	for i := range out {
		u, v := vectors[2*i*width:(2*i+1)*width], vectors[(2*i+1)*width:(2*i+2)*width]
		out[i] = float32(s.of(u, v))
	}
	return out
}

// of returns the similarity of two vectors.
func (s Similarity) of(u, v []float32) float64 {
	var uv, uu, vv, square, absolute float64
	for j := range u {
		x, y := float64(u[j]), float64(v[j])
		uv += float64(x * y)
		uu += float64(x * x)
		vv += float64(y * y)
		square += float64((x - y) * (x - y))
		absolute += math.Abs(x - y)
	}
	switch s {
	case DotProduct:
		return uv
	case Euclidean:
		return -math.Sqrt(square)
	case Manhattan:
		return -absolute
	}
	if norm := math.Sqrt(uu) * math.Sqrt(vv); norm > 0 {
		return uv / norm
	}
	return 0
}

// Cosines returns the cosine of each pair of vectors (2n×width), n values. The cosine with a zero vector is 0.
func Cosines(vectors []float32, width int) []float32 { return CosineOf.Of(vectors, width) }
