package kernel

import "math"

// adamWGeneric emulates fused multiply-adds in float64, where the product of two float32 is exact. (The sum is rounded
// twice, which differs from a fused operation in one of 2^29 cases.)
func adamWGeneric(p, g, m, v []float32, f *adamWFactors) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i := range p {
		from := m[i]
		if f.from < 0 {
			from = g[i]
		}
		m[i] = float32(float64(f.weight)*float64(g[i]-m[i]) + float64(from))
		v[i] = float32(float64(f.oneBeta2*g[i])*float64(g[i]) + float64(float32(v[i]*f.beta2)))
		denom := float32(math.Sqrt(float64(v[i])))/f.correction + f.eps
		p[i] = float32(p[i]*f.decay) + f.size*m[i]/denom
	}
}
