//go:build !amd64 || purego

package kernel

func dots(dst, x []float32, w *Mat, row int) {
	dotsGeneric(dst, x, w, row)
}

func addScaled4(dst, x0, x1, x2, x3 []float32, s *[4]float32) {
	addScaled4Generic(dst, x0, x1, x2, x3, s)
}

func dotsQuantised(dst, x []float32, w *Mat, row int) bool { return false }
