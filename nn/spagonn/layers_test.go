package spagonn_test

import (
	"slices"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/mat/float"
	spago "github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/activation"
	"github.com/nlpodyssey/spago/nn/attention/multiheadattention"
	"github.com/nlpodyssey/spago/nn/attention/selfattention"
	"github.com/nlpodyssey/spago/nn/birnn"
	"github.com/nlpodyssey/spago/nn/convolution/conv1x1"
	"github.com/nlpodyssey/spago/nn/convolution/convolution1d"
	"github.com/nlpodyssey/spago/nn/convolution/convolution2d"
	"github.com/nlpodyssey/spago/nn/crf"
	"github.com/nlpodyssey/spago/nn/flatten"
	"github.com/nlpodyssey/spago/nn/gmlp"
	"github.com/nlpodyssey/spago/nn/gnn/slstm"
	"github.com/nlpodyssey/spago/nn/highway"
	"github.com/nlpodyssey/spago/nn/linear"
	"github.com/nlpodyssey/spago/nn/mlpmixer"
	"github.com/nlpodyssey/spago/nn/normalization/batchnorm"
	"github.com/nlpodyssey/spago/nn/normalization/fixnorm"
	"github.com/nlpodyssey/spago/nn/normalization/layernorm"
	"github.com/nlpodyssey/spago/nn/normalization/layernormsimple"
	"github.com/nlpodyssey/spago/nn/normalization/rmsnorm"
	"github.com/nlpodyssey/spago/nn/normalization/scalenorm"
	"github.com/nlpodyssey/spago/nn/pooling"
	"github.com/nlpodyssey/spago/nn/recurrent/gru"
	"github.com/nlpodyssey/spago/nn/recurrent/lstm"
	"github.com/nlpodyssey/spago/nn/recurrent/srn"
	"github.com/nlpodyssey/spago/nn/sgu"
	"github.com/nlpodyssey/spago/nn/sqrdist"
)

// of calls build for the two types of values.
func of[M spago.StandardModel](name string, cols int, build32, build64 func() M) sample {
	return module(name, cols, build32, build64, standard)
}

// tied is a user's module: its parts are not only models, and two of them are one parameter.
type tied struct {
	spago.Module
	First  *linear.Model
	Second *linear.Model
}

func newTied[T float.DType]() *tied {
	a, b := linear.New[T](3, 3), linear.New[T](3, 3)
	b.B = a.B
	return &tied{First: a, Second: b}
}

func (m *tied) Forward(xs ...mat.Tensor) []mat.Tensor {
	return m.Second.Forward(m.First.Forward(xs...)...)
}

func activations() (list []sample) {
	for f := activation.Identity; f <= activation.SparseMax; f++ {
		f := f
		var values []float64
		switch f {
		case activation.CELU, activation.ELU, activation.LeakyReLU, activation.SwishB:
			values = []float64{0.7}
		case activation.SoftShrink:
			values = []float64{0.3}
		case activation.SELU:
			values = []float64{1.6, 1.1}
		case activation.SoftPlus:
			values = []float64{1.3, 20}
		case activation.Threshold:
			values = []float64{0.05, -0.4}
		}
		s := of("activation "+nameOfActivation(f), 3,
			func() *activation.Model { return newActivation[float32](f, values) },
			func() *activation.Model { return newActivation[float64](f, values) })
		if f == activation.SparseMax {
			s = largeInput(s)
		}
		if f == activation.SwishB || len(values) == 0 {
			list = append(list, s)
			continue
		}
		// Parameters that do not train keep their values, which the harness would overwrite.
		list = append(list, graph(s.name, 3, func(rows []mat.Tensor) []mat.Tensor {
			if _, ok := rows[0].(*mat.Dense[float32]); ok {
				return newActivation[float32](f, values).Forward(rows...)
			}
			return newActivation[float64](f, values).Forward(rows...)
		}))
	}
	return list
}

func nameOfActivation(f activation.Activation) string {
	return []string{"Identity", "Tan", "Tanh", "Sigmoid", "HardSigmoid", "HardTanh", "Softsign", "ReLU", "CELU", "GELU",
		"ELU", "PositiveELU", "SwishB", "Swish", "SiLU", "Mish", "LeakyReLU", "SELU", "SoftPlus", "SoftShrink", "Threshold",
		"Softmax", "LogSoftmax", "SparseMax"}[f]
}

func newActivation[T float.DType](f activation.Activation, values []float64) *activation.Model {
	var ps []*spago.Param
	for _, v := range values {
		ps = append(ps, scalar[T](v).WithGrad(f == activation.SwishB))
	}
	return activation.New(f, ps...)
}

// largeInput makes the rows of a sample large enough for spago's sparsemax.
func largeInput(s sample) sample {
	s.positive, s.shift = true, 1
	return s
}

func crfLoss(m *crf.Model, i int, rows []mat.Tensor) []mat.Tensor {
	tags := []int{2, 0, 1, 1}
	return []mat.Tensor{m.NegativeLogLoss(rows, tags[:len(rows)])}
}

// matrices returns k square matrices made of the rows, as channels of a convolution.
func matrices(rows []mat.Tensor, k int) []mat.Tensor {
	var list []mat.Tensor
	for range k {
		list = append(list, ag.Stack(rows...))
		rows = append(slices.Clone(rows[1:]), rows[0])
	}
	return list
}

func selfAttend(m *selfattention.Model, _ int, rows []mat.Tensor) []mat.Tensor {
	ys, _, _ := m.Forward(selfattention.Cache{}, rows, rows)
	return ys
}

// cached calls attention with the keys and values of the first row in a cache.
func cached(m *selfattention.Model, _ int, rows []mat.Tensor) []mat.Tensor {
	_, _, cache := m.Forward(selfattention.Cache{}, rows[:1], rows[:1])
	ys, _, _ := m.Forward(cache, rows, rows)
	return ys
}

// multiHead is the forward of multi-head attention without the bug of spago's, whose operators become operands of
// themselves.
func multiHead(m *multiheadattention.Model, _ int, rows []mat.Tensor) []mat.Tensor {
	heads := make([][]mat.Tensor, len(rows))
	for _, h := range m.Heads {
		ys, _, _ := h.Forward(selfattention.Cache{}, rows, rows)
		for i, y := range ys {
			heads[i] = append(heads[i], y)
		}
	}
	joined := make([]mat.Tensor, len(rows))
	for i, h := range heads {
		joined[i] = ag.Concat(h...)
	}
	return m.OutputMerge.Forward(joined...)
}

// batchNorm gives the normalisation statistics that are not 0.
func batchNorm[T float.DType]() *batchnorm.Model {
	m := batchnorm.New[T](3)
	for i, v := range []float64{0.3, 0.8, 1.4} {
		m.Mean.Value().(mat.Matrix).SetScalar(float.Interface(v/3), i)
		m.StdDev.Value().(mat.Matrix).SetScalar(float.Interface(v), i)
	}
	return m
}

func layers() []sample {
	attention := func(causal bool) selfattention.Config {
		return selfattention.Config{InputSize: 3, QuerySize: 2, KeySize: 2, ValueSize: 4, ScaleFactor: 0.7,
			UseCausalMask: causal}
	}
	conv1 := convolution1d.Config{KernelSizeX: 3, KernelSizeY: 2, YStride: 1, InputChannels: 2, OutputChannels: 3,
		Activation: activation.Tanh}
	deep1 := convolution1d.Config{KernelSizeX: 3, KernelSizeY: 3, YStride: 1, InputChannels: 2, OutputChannels: 2,
		DepthWise: true, Activation: activation.Identity}
	conv2 := convolution2d.Config{KernelSizeX: 2, KernelSizeY: 2, XStride: 1, YStride: 1, InputChannels: 2,
		OutputChannels: 2, Activation: activation.Sigmoid}
	mixer := mlpmixer.Config{InputSize: 3, HiddenSizeTokenMixer: 4, HiddenSizeChannelMixer: 5, Channels: 3,
		ActFunctionTokenMixer: activation.GELU, ActFunctionChannelMixer: activation.Tanh, Eps: 1e-3}
	gate := sgu.Config{Dim: 4, DimSeq: 3, InitEps: 1e-3, Activation: activation.Tanh}
	mlp := gmlp.Config{Dim: 4, Depth: 2, SeqLen: 3, FFMult: 2, Activation: activation.Identity}
	oneByOne := conv1x1.Config{InputChannels: 3, OutputChannels: 2}
	return slices.Concat(activations(), []sample{
		of("linear", 3, func() *linear.Model { return linear.New[float32](3, 2) },
			func() *linear.Model { return linear.New[float64](3, 2) }),
		of("linear on one column", 1, func() *linear.Model { return linear.New[float32](1, 2) },
			func() *linear.Model { return linear.New[float64](1, 2) }),
		of("highway", 3, func() *highway.Model { return highway.New[float32](3, activation.Tanh) },
			func() *highway.Model { return highway.New[float64](3, activation.Tanh) }),
		of("sqrdist", 3, func() *sqrdist.Model { return sqrdist.New[float32](3, 2) },
			func() *sqrdist.Model { return sqrdist.New[float64](3, 2) }),
		of("lstm", 3, func() *lstm.Model { return lstm.New[float32](3, 2) },
			func() *lstm.Model { return lstm.New[float64](3, 2) }),
		of("lstm with refined gates", 3, func() *lstm.Model { return lstm.New[float32](3, 3).WithRefinedGates(true) },
			func() *lstm.Model { return lstm.New[float64](3, 3).WithRefinedGates(true) }),
		of("gru", 3, func() *gru.Model { return gru.New[float32](3, 2) },
			func() *gru.Model { return gru.New[float64](3, 2) }),
		of("srn", 3, func() *srn.Model { return srn.New[float32](3, 2) },
			func() *srn.Model { return srn.New[float64](3, 2) }),
		of("slstm", 3, func() *slstm.Model {
			return slstm.New[float32](slstm.Config{InputSize: 3, OutputSize: 3, Steps: 3})
		}, func() *slstm.Model { return slstm.New[float64](slstm.Config{InputSize: 3, OutputSize: 3, Steps: 3}) }),
		of("bilstm concat", 3, func() *birnn.Model { return birnn.NewBiLSTM[float32](3, 2, birnn.Concat) },
			func() *birnn.Model { return birnn.NewBiLSTM[float64](3, 2, birnn.Concat) }),
		of("bigru sum", 3, func() *birnn.Model { return birnn.NewBiGRU[float32](3, 2, birnn.Sum) },
			func() *birnn.Model { return birnn.NewBiGRU[float64](3, 2, birnn.Sum) }),
		of("bigru prod", 3, func() *birnn.Model { return birnn.NewBiGRU[float32](3, 2, birnn.Prod) },
			func() *birnn.Model { return birnn.NewBiGRU[float64](3, 2, birnn.Prod) }),
		of("bigru avg", 3, func() *birnn.Model { return birnn.NewBiGRU[float32](3, 2, birnn.Avg) },
			func() *birnn.Model { return birnn.NewBiGRU[float64](3, 2, birnn.Avg) }),
		module("crf", 3, func() *crf.Model { return crf.New[float32](3) }, func() *crf.Model { return crf.New[float64](3) },
			crfLoss),
		of("layernorm", 4, func() *layernorm.Model { return layernorm.New[float32](4, 1e-3) },
			func() *layernorm.Model { return layernorm.New[float64](4, 1e-3) }),
		of("layernormsimple", 4, layernormsimple.New, layernormsimple.New),
		of("rmsnorm", 4, func() *rmsnorm.Model { return rmsnorm.New[float32](4) },
			func() *rmsnorm.Model { return rmsnorm.New[float64](4) }),
		of("scalenorm", 4, func() *scalenorm.Model { return scalenorm.New[float32](4) },
			func() *scalenorm.Model { return scalenorm.New[float64](4) }),
		of("fixnorm", 4, fixnorm.New, fixnorm.New),
		of("batchnorm", 3, batchNorm[float32], batchNorm[float64]),
		of("conv1x1", 4, func() *conv1x1.Model { return conv1x1.New[float32](oneByOne) },
			func() *conv1x1.Model { return conv1x1.New[float64](oneByOne) }).even(),
		module("convolution1d", 3, func() *convolution1d.Model { return convolution1d.New[float32](conv1) },
			func() *convolution1d.Model { return convolution1d.New[float64](conv1) },
			func(m *convolution1d.Model, _ int, rows []mat.Tensor) []mat.Tensor {
				return m.Forward(matrices(rows, 2)...)
			}).even(),
		module("convolution1d by channel", 3, func() *convolution1d.Model { return convolution1d.New[float32](deep1) },
			func() *convolution1d.Model { return convolution1d.New[float64](deep1) },
			func(m *convolution1d.Model, _ int, rows []mat.Tensor) []mat.Tensor {
				return m.Forward(matrices(rows, 2)...)
			}).even(),
		module("convolution2d", 3, func() *convolution2d.Model { return convolution2d.New[float32](conv2) },
			func() *convolution2d.Model { return convolution2d.New[float64](conv2) },
			func(m *convolution2d.Model, _ int, rows []mat.Tensor) []mat.Tensor {
				return m.Forward(matrices(rows, 2)...)
			}).even(),
		module("self-attention", 3, func() *selfattention.Model { return selfattention.New[float32](attention(false)) },
			func() *selfattention.Model { return selfattention.New[float64](attention(false)) }, selfAttend),
		module("causal self-attention", 3, func() *selfattention.Model { return selfattention.New[float32](attention(true)) },
			func() *selfattention.Model { return selfattention.New[float64](attention(true)) }, selfAttend),
		module("self-attention with a cache", 3,
			func() *selfattention.Model { return selfattention.New[float32](attention(false)) },
			func() *selfattention.Model { return selfattention.New[float64](attention(false)) }, cached),
		module("multi-head attention", 4, func() *multiheadattention.Model {
			return multiheadattention.New[float32](4, 2, false, false)
		}, func() *multiheadattention.Model { return multiheadattention.New[float64](4, 2, false, false) }, multiHead),
		of("sgu", 4, func() *sgu.Model { return sgu.New[float32](gate) },
			func() *sgu.Model { return sgu.New[float64](gate) }).even(),
		of("gmlp", 4, func() *gmlp.Model { return gmlp.New[float32](mlp) },
			func() *gmlp.Model { return gmlp.New[float64](mlp) }).even(),
		of("mlpmixer", 3, func() *mlpmixer.MixerBlock { return mlpmixer.New[float32](mixer) },
			func() *mlpmixer.MixerBlock { return mlpmixer.New[float64](mixer) }).even(),
		of("flatten", 3, flatten.New, flatten.New).even(),
		module("max pooling", 3, func() *pooling.MaxPooling { return pooling.NewMax(3, 3) },
			func() *pooling.MaxPooling { return pooling.NewMax(3, 3) },
			func(m *pooling.MaxPooling, _ int, rows []mat.Tensor) []mat.Tensor {
				return m.Forward(matrices(rows, 1)...)
			}).even(),
	})
}
