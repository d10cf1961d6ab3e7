package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func norm() {
	writeNormalize()
	writeNormSums()
	writeNormBackward()
	writeRMSNorm()
}

func writeNormalize() {
	var mean, rstd VecVirtual
	keep := func(scalars []VecVirtual) { mean, rstd = scalars[0], scalars[1] }
	normalized := func(x VecVirtual) VecVirtual {
		VSUBPS(mean, x, x)
		VMULPS(rstd, x, x)
		return x
	}
	// affine has its own product for y, so that xhat keeps the value that is stored.
	affine := func(h, gamma, beta VecVirtual) VecVirtual {
		VFMADD213PS(beta, h, gamma)
		return gamma
	}
	scalars := []string{"mean", "rstd"}

	routine{
		name: "standardize", doc: "computes xhat[i] = (x[i] - mean)·rstd for n elements.",
		streams: []stream{out("xhat"), in("x")}, scalars: scalars, unroll: 4, prepare: keep,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual { return vecs{normalized(x[0])} },
	}.write()
	routine{
		name: "normalize", doc: "computes y[i] = (x[i] - mean)·rstd·gamma[i] + beta[i] for n elements.",
		streams: []stream{out("y"), in("x"), in("gamma"), in("beta")}, scalars: scalars, unroll: 2, prepare: keep,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			return vecs{affine(normalized(x[0]), x[1], x[2])}
		},
	}.write()
	routine{
		name:    "normalizeBoth",
		doc:     "computes xhat[i] = (x[i] - mean)·rstd, y[i] = xhat[i]·gamma[i] + beta[i] for n elements.",
		streams: []stream{out("y"), out("xhat"), in("x"), in("gamma"), in("beta")},
		scalars: scalars, unroll: 2, prepare: keep,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			h := normalized(x[0])
			return vecs{affine(h, x[1], x[2]), h}
		},
	}.write()
}

func writeNormSums() {
	var sums, weighted []VecVirtual
	var mean VecVirtual
	routine{
		name: "centredSquares", doc: "returns Σ (x[i] - mean)² over n elements, in 32 running sums.",
		streams: []stream{in("x")}, scalars: []string{"mean"}, results: "float32", unroll: 4,
		prepare: func(scalars []VecVirtual) { mean, sums = scalars[0], zeros(4) },
		body: func(k int, x []VecVirtual, mask Op) []VecVirtual {
			VSUBPS(mean, x[0], x[0])
			maskLanes(x[0], mask)
			VFMADD231PS(x[0], x[0], sums[k])
			return nil
		},
		finish: func() {
			total := foldLanes(fold(sums, addPS), addPS)
			VMOVSS(total.AsX(), address(ReturnIndex(0)))
		},
	}.write()
	routine{
		name:    "gradientSums",
		doc:     "returns Σ g[i] and Σ g[i]·xhat[i], g = dy∘gamma, over n elements, in 16 running sums each.",
		streams: []stream{in("dy"), in("xhat"), in("gamma")}, results: "(sum, weighted float32)", unroll: 2,
		prepare: func([]VecVirtual) { sums, weighted = zeros(2), zeros(2) },
		body: func(k int, x []VecVirtual, _ Op) []VecVirtual {
			VMULPS(x[2], x[0], x[0])
			VADDPS(x[0], sums[k], sums[k])
			VFMADD231PS(x[0], x[1], weighted[k])
			return nil
		},
		finish: func() {
			g := foldLanes(fold(sums, addPS), addPS)
			VMOVSS(g.AsX(), address(Return("sum")))
			gx := foldLanes(fold(weighted, addPS), addPS)
			VMOVSS(gx.AsX(), address(Return("weighted")))
		},
	}.write()
}

func writeNormBackward() {
	var rstd, meanG, meanGX VecVirtual
	routine{
		name:    "normalizeBackward",
		doc:     "computes dx[i] = rstd·(dy[i]·gamma[i] - meanG - xhat[i]·meanGX) for n elements.",
		streams: []stream{out("dx"), in("dy"), in("xhat"), in("gamma")},
		scalars: []string{"rstd", "meanG", "meanGX"}, unroll: 2,
		prepare: func(scalars []VecVirtual) { rstd, meanG, meanGX = scalars[0], scalars[1], scalars[2] },
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			dy, xhat, gamma := x[0], x[1], x[2]
			VFMSUB213PS(meanG, gamma, dy)
			VFNMADD231PS(xhat, meanGX, dy)
			VMULPS(rstd, dy, dy)
			return vecs{dy}
		},
	}.write()
	routine{
		name: "normalizeParams", doc: "computes dgamma[i] += dy[i]·xhat[i], dbeta[i] += dy[i] for n elements.",
		streams: []stream{inout("dgamma"), inout("dbeta"), in("dy"), in("xhat")}, unroll: 2,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			VFMADD231PS(x[2], x[3], x[0])
			VADDPS(x[2], x[1], x[1])
			return vecs{x[0], x[1]}
		},
	}.write()
}

// writeRMSNorm writes the functions of RMSNorm that LayerNorm does not share.
func writeRMSNorm() {
	var rstd VecVirtual
	keep := func(scalars []VecVirtual) { rstd = scalars[0] }
	routine{
		name: "scaleByGain", doc: "computes y[i] = gain[i]·(x[i]·rstd) for n elements, rounded twice.",
		streams: []stream{out("y"), in("x"), in("gain")}, scalars: []string{"rstd"}, unroll: 4, prepare: keep,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			VMULPS(rstd, x[0], x[0])
			VMULPS(x[1], x[0], x[0])
			return vecs{x[0]}
		},
	}.write()
	routine{
		name: "addGainGradient", doc: "computes dgain[i] += dy[i]·(x[i]·rstd) for n elements.",
		streams: []stream{inout("dgain"), in("dy"), in("x")}, scalars: []string{"rstd"}, unroll: 2, prepare: keep,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			VMULPS(rstd, x[2], x[2])
			VFMADD231PS(x[1], x[2], x[0])
			return vecs{x[0]}
		},
	}.write()
}
