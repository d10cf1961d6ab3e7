package kernel

import "math"

func adamWGeneric(p, g, m, v []float32, f *adamWFactors) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i := range p {
		mi := m[i] + float32(f.oneBeta1*(g[i]-m[i]))
		vi := float32(v[i]*f.beta2) + float32(float32(f.oneBeta2*g[i])*g[i])
		denom := float32(math.Sqrt(float64(vi)))/f.correction + f.eps
		m[i], v[i] = mi, vi
		p[i] = float32(p[i]*f.decay) + f.size*mi/denom
	}
}
