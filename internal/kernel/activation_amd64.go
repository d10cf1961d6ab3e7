//go:build !purego

package kernel

//go:generate go -C asm run ./vector -family activation

func gelu(dst, x []float32) {
	if !hasAVX2 {
		geluGeneric(dst, x)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		geluAMD64(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func geluTanh(dst, x []float32) {
	if !hasAVX2 {
		geluTanhGeneric(dst, x)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		geluTanhAMD64(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func tanh(dst, x []float32) {
	if !hasAVX2 {
		tanhGeneric(dst, x)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		tanhAMD64(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func relu(dst, x []float32) {
	if !hasAVX2 {
		reluGeneric(dst, x)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		reluAMD64(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func geluBackward(dx, dy, x []float32) {
	if !hasAVX2 {
		geluBackwardGeneric(dx, dy, x)
		return
	}
	for len(dx) > 0 {
		n := min(len(dx), maxCall)
		geluBackwardAMD64(&dx[0], &dy[0], &x[0], n)
		dx, dy, x = dx[n:], dy[n:], x[n:]
	}
}

func geluTanhBackward(dx, dy, x []float32) {
	if !hasAVX2 {
		geluTanhBackwardGeneric(dx, dy, x)
		return
	}
	for len(dx) > 0 {
		n := min(len(dx), maxCall)
		geluTanhBackwardAMD64(&dx[0], &dy[0], &x[0], n)
		dx, dy, x = dx[n:], dy[n:], x[n:]
	}
}

func tanhBackward(dx, dy, y []float32) {
	if !hasAVX2 {
		tanhBackwardGeneric(dx, dy, y)
		return
	}
	for len(dx) > 0 {
		n := min(len(dx), maxCall)
		tanhBackwardAMD64(&dx[0], &dy[0], &y[0], n)
		dx, dy, y = dx[n:], dy[n:], y[n:]
	}
}

func reluBackward(dx, dy, y []float32) {
	if !hasAVX2 {
		reluBackwardGeneric(dx, dy, y)
		return
	}
	for len(dx) > 0 {
		n := min(len(dx), maxCall)
		reluBackwardAMD64(&dx[0], &dy[0], &y[0], n)
		dx, dy, y = dx[n:], dy[n:], y[n:]
	}
}
