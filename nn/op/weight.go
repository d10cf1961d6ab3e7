package op

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/kernel"
)

// DType is the type in which the values of a weight are stored.
type DType = kernel.Type

// The unquantised types of a frozen weight. [ParseDType] returns the quantised ones as well.
const (
	F32  = kernel.F32
	F16  = kernel.F16
	BF16 = kernel.BF16
)

// ParseDType returns the type that safetensors or GGUF calls name. It returns an error if weights cannot have that
// type.
func ParseDType(name string) (DType, error) {
	var names []string
	for _, t := range kernel.Types() {
		if name == t.String() {
			return t, nil
		}
		names = append(names, t.String())
	}
	return 0, fmt.Errorf("op: weights cannot have type %q; want one of %s", name, strings.Join(names, ", "))
}

// Weight is a matrix in the type in which it is stored: either a frozen view of checkpoint bytes, which the kernels
// widen while they pack it (a quantised one block by block), or a trainable parameter. Rows×Cols is out×in as used. A
// vector (a bias, a norm's gain) has one row.
//
// The constructor of a layer makes a weight with sizes only; loading a checkpoint gives it values. A weight with values
// is safe for concurrent use as long as nothing changes them, as training does.
type Weight struct {
	spago.Module
	Type       DType
	Rows, Cols int
	Vector     bool         // one-dimensional in the checkpoint
	InOut      bool         // in×out in checkpoints, as GPT-2's Conv1D
	Buffer     bool         // a vector that never trains and has the shape [1, n] in checkpoints, as final_logits_bias
	Dims       []int        // shape in checkpoints if it is none of these, as that of a convolution; nil: it is
	Frozen     bool         // never trains, not even in full fine-tuning, although it is a parameter in PyTorch
	Param      *spago.Param // holds the values of a weight that trains; nil: frozen

	// Stored values: of a frozen weight with values, exactly one of f32, u16 and blocks is set.
	f32    []float32
	u16    []uint16
	blocks []byte
	turned bool // the stored values are the transpose of Shape, row by row

	rows *someRows // rows that train in place of the stored ones; nil: none
}

// Trains reports whether values of w train, all or some rows of it.
func (w *Weight) Trains() bool { return w.Param != nil || w.rows != nil }

// NewMatrix returns a weight of size out×in without values.
func NewMatrix(out, in int) *Weight { return &Weight{Rows: out, Cols: in} }

// NewVector returns a vector of length n without values.
func NewVector(n int) *Weight { return &Weight{Rows: 1, Cols: n, Vector: true} }

// NewBuffer returns a vector of length n without values that is no parameter: it does not train.
func NewBuffer(n int) *Weight { return &Weight{Rows: 1, Cols: n, Vector: true, Buffer: true} }

// NewFrozen returns a weight of size rows×cols without values that never trains: a table that follows from a formula.
func NewFrozen(rows, cols int) *Weight { return &Weight{Rows: rows, Cols: cols, Frozen: true} }

// NewShaped returns a weight of rows×cols without values that has another shape in checkpoints, with as many values in
// the same order: a convolution's [out, in, width] as out×(in·width), a table's [1, rows, cols].
func NewShaped(rows, cols int, dims ...int) *Weight {
	return &Weight{Rows: rows, Cols: cols, Dims: dims}
}

// Len returns the number of values, Rows·Cols.
func (w *Weight) Len() int { return w.Rows * w.Cols }

// Shape returns the shape of the tensor in checkpoints: [n] for a vector, [1, n] for a buffer, [in, out] if InOut,
// Dims if that is set, [out, in] otherwise.
func (w *Weight) Shape() []int {
	switch {
	case w.Dims != nil:
		return slices.Clone(w.Dims)
	case w.Buffer:
		return []int{1, w.Cols}
	case w.Vector:
		return []int{w.Cols}
	case w.InOut:
		return []int{w.Cols, w.Rows}
	}
	return []int{w.Rows, w.Cols}
}

// Filled reports whether the weight has values.
func (w *Weight) Filled() bool {
	return w.Param != nil || w.f32 != nil || w.u16 != nil || w.blocks != nil
}

// SetValues makes v the values of w, in the order of Shape. w owns v from then on and is frozen. It returns an error
// unless v has w.Len() values.
func (w *Weight) SetValues(v []float32) error {
	if len(v) != w.Len() {
		return fmt.Errorf("op: got %d values for a weight of %d×%d; want %d", len(v), w.Rows, w.Cols, w.Len())
	}
	w.Type, w.f32, w.u16, w.blocks, w.Param, w.turned = F32, v, nil, nil, nil, false
	return nil
}

// SetBytes makes b the values of w: little-endian values of type t in the order of Shape. w is frozen then. It refers
// to b, which must stay valid and unchanged; it copies bytes that are not aligned, and widens a vector to float32. It
// returns an error if b has another length than the values or if stored rows of a quantised type do not consist of
// whole blocks.
func (w *Weight) SetBytes(t DType, b []byte) error { return w.set(t, b, false) }

func (w *Weight) set(t DType, b []byte, turned bool) error {
	stored := Weight{Rows: w.Rows, Cols: w.Cols, Vector: w.Vector, InOut: w.InOut, Type: t, turned: turned}
	if row, block := stored.storedCols(), t.BlockValues(); row%block != 0 {
		return fmt.Errorf("op: stored rows of %d values of a weight of %d×%d do not consist of whole blocks: "+
			"%v has blocks of %d values", row, w.Rows, w.Cols, t, block)
	}
	if want := t.Bytes(w.Len()); len(b) != want {
		return fmt.Errorf("op: got %d bytes of %v for a weight of %d×%d; want %d", len(b), t, w.Rows, w.Cols, want)
	}
	switch {
	case t == F32:
		stored.f32 = floats(b)
	case t.Quantised():
		stored.blocks = b
		if b == nil {
			stored.blocks = []byte{}
		}
	default:
		stored.u16 = halves(b)
	}
	if w.Vector {
		if stored.f32 == nil {
			stored.f32 = stored.Float32()
		}
		return w.SetValues(stored.f32)
	}
	w.Type, w.f32, w.u16, w.blocks, w.Param, w.turned = t, stored.f32, stored.u16, stored.blocks, nil, turned
	return nil
}

// storedCols returns the length of a stored row.
func (w *Weight) storedCols() int {
	if w.InOut != w.turned {
		return w.Rows
	}
	return w.Cols
}

// SetStored makes b the values of w, as [Weight.SetBytes] does, with the type that safetensors or GGUF calls dtype. It
// also returns an error if weights cannot have that type.
func (w *Weight) SetStored(dtype string, b []byte) error {
	t, err := ParseDType(dtype)
	if err != nil {
		return err
	}
	return w.SetBytes(t, b)
}

// SetTransposed makes b, the transpose of a tensor of w.Shape, the values of w: out rows of in values for a weight that
// other checkpoints store in×out, as GGUF files store GPT-2's Conv1D. Otherwise it acts as [Weight.SetStored] does. It
// returns an error unless w is InOut.
func (w *Weight) SetTransposed(dtype string, b []byte) error {
	if !w.InOut {
		return fmt.Errorf("op: got a transposed tensor for a weight of %d×%d that is out×in", w.Rows, w.Cols)
	}
	t, err := ParseDType(dtype)
	if err != nil {
		return err
	}
	return w.set(t, b, true)
}

func floats(b []byte) []float32 {
	n := len(b) / 4
	if n == 0 {
		return []float32{}
	}
	if uintptr(unsafe.Pointer(&b[0]))%4 == 0 {
		return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), n)
	}
	v := make([]float32, n)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(b)), b)
	return v
}

func halves(b []byte) []uint16 {
	n := len(b) / 2
	if n == 0 {
		return []uint16{}
	}
	if uintptr(unsafe.Pointer(&b[0]))%2 == 0 {
		return unsafe.Slice((*uint16)(unsafe.Pointer(&b[0])), n)
	}
	v := make([]uint16, n)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(b)), b)
	return v
}

// Train makes the weight trainable and returns its parameter, which starts at a float32 copy of the stored values. If
// the weight trains already, it returns the same parameter.
func (w *Weight) Train() *spago.Param {
	if w.Param == nil {
		w.Param = NewParam(w.Rows, w.Cols, w.Float32())
		w.f32, w.u16, w.blocks, w.turned = nil, nil, nil, false
	}
	return w.Param
}

// Float32 returns a float32 copy of the values in the order of Shape.
func (w *Weight) Float32() []float32 { return w.First(w.Len()) }

// First returns a float32 copy of the first n values in the order of Shape, or of all values if there are fewer.
func (w *Weight) First(n int) []float32 {
	n = min(n, w.Len())
	if w.turned {
		return w.firstTurned(n)
	}
	block := 1
	if w.blocks != nil {
		block = w.Type.BlockValues()
	}
	v := make([]float32, (n+block-1)/block*block)
	w.widen(v, 0)
	return v[:n]
}

// Same reports whether w and v have the same shape and the same values, bit for bit, whatever types they are stored in.
func (w *Weight) Same(v *Weight) bool {
	if !slices.Equal(w.Shape(), v.Shape()) {
		return false
	}
	const chunk = 1 << 14 // a multiple of every block length
	if w.turned || v.turned {
		return slices.EqualFunc(w.Float32(), v.Float32(), sameBits)
	}
	a, b := make([]float32, min(chunk, w.Len())), make([]float32, min(chunk, w.Len()))
	for at := 0; at < w.Len(); at += chunk {
		n := min(chunk, w.Len()-at)
		w.widen(a[:n], at)
		v.widen(b[:n], at)
		if !slices.EqualFunc(a[:n], b[:n], sameBits) {
			return false
		}
	}
	return true
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

// firstTurned is First for values that are stored as the transpose.
func (w *Weight) firstTurned(n int) []float32 {
	v, row := make([]float32, n), make([]float32, w.Cols)
	for o := range w.Rows {
		w.widen(row, o*w.Cols)
		for i := 0; i*w.Rows+o < n; i++ {
			v[i*w.Rows+o] = row[i]
		}
	}
	return v
}

// widen sets dst to the values that start at index from. For a quantised weight, from and len(dst) must be multiples of
// the block's length.
func (w *Weight) widen(dst []float32, from int) {
	w.stored(dst, from)
	if w.rows != nil {
		w.rows.into(dst, from, w.Cols)
	}
}

// stored is widen without the rows that train.
func (w *Weight) stored(dst []float32, from int) {
	switch {
	case w.Param != nil:
		copy(dst, Values(w.Param)[from:])
	case w.f32 != nil:
		copy(dst, w.f32[from:])
	case w.blocks != nil:
		kernel.Dequantize(dst, w.blocks[w.Type.Bytes(from):][:w.Type.Bytes(len(dst))], w.Type)
	default:
		kernel.Widen(dst, w.u16[from:][:len(dst)], w.Type)
	}
}

// Copy returns a frozen float32 weight with the same sizes and a copy of the values.
func (w *Weight) Copy() *Weight {
	c := w.form()
	c.f32 = w.Float32()
	return c
}

// Sized returns a weight of rows×cols values that trains, all 0, and is stored in checkpoints as w is. Of a weight
// with Dims, rows and cols must be its own.
func (w *Weight) Sized(rows, cols int) *Weight {
	v := w.form()
	v.Rows, v.Cols, v.Param = rows, cols, NewParam(rows, cols, make([]float32, rows*cols))
	return v
}

// Trained returns a weight with the sizes and a copy of the values of w that trains.
func (w *Weight) Trained() *Weight {
	t := w.form()
	t.Param = NewParam(w.Rows, w.Cols, w.Float32())
	return t
}

// Like returns a frozen weight with the sizes of w and the values of b, see [Weight.SetStored].
func (w *Weight) Like(dtype string, b []byte) (*Weight, error) {
	v := w.form()
	return v, v.SetStored(dtype, b)
}

// form returns a weight of the sizes and the shape of w without values.
func (w *Weight) form() *Weight {
	return &Weight{Rows: w.Rows, Cols: w.Cols, Vector: w.Vector, InOut: w.InOut, Dims: w.Dims}
}

// mat returns the weight as an out×in matrix for the kernels.
func (w *Weight) mat() kernel.Mat {
	m := kernel.Mat{F32: w.f32, U16: w.u16, Bytes: w.blocks, Type: w.Type, Stride: w.Cols}
	if w.Param != nil {
		m.F32, m.Type = Values(w.Param), F32
	}
	if w.InOut != w.turned {
		m.Stride, m.Trans = w.Rows, true
	}
	return m
}

// transposed returns the weight as an in×out matrix for the kernels.
func (w *Weight) transposed() kernel.Mat {
	m := w.mat()
	m.Trans = !m.Trans
	return m
}

// vector returns the values of a one-row weight.
func (w *Weight) vector() []float32 {
	if w.Param != nil {
		return Values(w.Param)
	}
	return w.f32
}

// row sets dst to the values of stored row i, whose length must be w.Cols.
func (w *Weight) row(dst []float32, i int) { w.widen(dst[:w.Cols], i*w.Cols) }

// trained appends the parameters of those weights that train, in full or in some rows.
func trained(xs []mat.Tensor, ws ...*Weight) []mat.Tensor {
	for _, w := range ws {
		if w == nil {
			continue
		}
		if w.Param != nil {
			xs = append(xs, w.Param)
		}
		if w.rows != nil {
			xs = append(xs, w.rows.param)
		}
	}
	return xs
}
