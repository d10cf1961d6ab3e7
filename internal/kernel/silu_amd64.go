//go:build !purego

package kernel

// The assembly is in activation_amd64.s, because it shares code with the other activations.

func silu(dst, x []float32) {
	if !hasAVX2 {
		siluGeneric(dst, x)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		siluAMD64(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func siluBackward(dx, dy, x []float32) {
	if !hasAVX2 {
		siluBackwardGeneric(dx, dy, x)
		return
	}
	for len(dx) > 0 {
		n := min(len(dx), maxCall)
		siluBackwardAMD64(&dx[0], &dy[0], &x[0], n)
		dx, dy, x = dx[n:], dy[n:], x[n:]
	}
}

func swiglu(dst, gate, up []float32) {
	if !hasAVX2 {
		swigluGeneric(dst, gate, up)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		swigluAMD64(&dst[0], &gate[0], &up[0], n)
		dst, gate, up = dst[n:], gate[n:], up[n:]
	}
}

func swigluBackward(dgate, dup, dy, gate, up []float32) {
	if !hasAVX2 {
		swigluBackwardGeneric(dgate, dup, dy, gate, up)
		return
	}
	for len(dgate) > 0 {
		n := min(len(dgate), maxCall)
		swigluBackwardAMD64(&dgate[0], &dup[0], &dy[0], &gate[0], &up[0], n)
		dgate, dup, dy, gate, up = dgate[n:], dup[n:], dy[n:], gate[n:], up[n:]
	}
}
