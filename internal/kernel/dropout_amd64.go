//go:build !purego

package kernel

//go:generate go -C asm run ./vector -family dropout

func dropout(dst, x []float32, m mask, first int) {
	if !hasAVX2 {
		dropoutGeneric(dst, x, m, first)
		return
	}
	if head := min(-first&3, len(x)); head > 0 { // the assembly starts at a whole counter of four columns
		dropoutGeneric(dst[:head], x[:head], m, first)
		dst, x, first = dst[head:], x[head:], first+head
	}
	for len(x) > 0 {
		n := min(len(x), maxCall)
		dropoutAMD64(&dst[0], &x[0], n, uint32(first>>2), m.site.Row, m.site.Example, m.site.Op,
			m.key[0], m.key[1], m.threshold, m.scale)
		dst, x, first = dst[n:], x[n:], first+n
	}
}

func dropoutAdd(dst, x []float32, m mask, first int) {
	if !hasAVX2 {
		dropoutAddGeneric(dst, x, m, first)
		return
	}
	if head := min(-first&3, len(x)); head > 0 { // the assembly starts at a whole counter of four columns
		dropoutAddGeneric(dst[:head], x[:head], m, first)
		dst, x, first = dst[head:], x[head:], first+head
	}
	for len(x) > 0 {
		n := min(len(x), maxCall)
		dropoutAddAMD64(&dst[0], &x[0], n, uint32(first>>2), m.site.Row, m.site.Example, m.site.Op,
			m.key[0], m.key[1], m.threshold, m.scale)
		dst, x, first = dst[n:], x[n:], first+n
	}
}
