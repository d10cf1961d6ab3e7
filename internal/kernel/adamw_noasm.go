//go:build !amd64 || purego

package kernel

func adamW(p, g, m, v []float32, f *adamWFactors) {
	adamWGeneric(p, g, m, v, f)
}
