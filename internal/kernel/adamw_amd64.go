//go:build !purego

package kernel

//go:generate go -C asm run ./vector -family adamw

func adamW(p, g, m, v []float32, f *adamWFactors) {
	if !hasAVX2 {
		adamWGeneric(p, g, m, v, f)
		return
	}
	for len(p) > 0 {
		n := min(len(p), maxCall)
		adamWAMD64(&p[0], &g[0], &m[0], &v[0], n, f.decay, f.weight, f.from, f.beta2, f.oneBeta2, f.correction, f.eps, f.size)
		p, g, m, v = p[n:], g[n:], m[n:], v[n:]
	}
}
