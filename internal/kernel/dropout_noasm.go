//go:build !amd64 || purego

package kernel

func dropout(dst, x []float32, m mask, first int) {
	dropoutGeneric(dst, x, m, first)
}

func dropoutAdd(dst, x []float32, m mask, first int) {
	dropoutAddGeneric(dst, x, m, first)
}
