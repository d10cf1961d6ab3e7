package spagonn

import (
	"fmt"
	"math"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// spagoPath is the path of spago's module.
const spagoPath = "github.com/nlpodyssey/spago"

// functionOffset returns the offset of the function in an ag.Operator. ag has no accessor for it, and its own Backward
// has neither a fixed order nor errors.
var functionOffset = sync.OnceValues(func() (uintptr, error) { return offsetOf(reflect.TypeFor[ag.Operator]()) })

// offsetOf returns the offset of the field fn of t. It returns an error if t has no such field or of another type.
func offsetOf(t reflect.Type) (uintptr, error) {
	f, ok := t.FieldByName("fn")
	if !ok || f.Type != reflect.TypeFor[ag.AutoGradFunction]() {
		return 0, fmt.Errorf("spagonn: %v of %s %s has no field fn of type ag.AutoGradFunction, which gradients need; "+
			"build with version v1.1.0", t, spagoPath, spagoVersion())
	}
	return f.Offset, nil
}

// spagoVersion returns the version of spago in this program.
func spagoVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == spagoPath {
				return m.Version
			}
		}
	}
	return "(unknown version)"
}

// functionOf returns the function of an operator. functionOffset must have succeeded.
func functionOf(o *ag.Operator) ag.AutoGradFunction {
	offset, _ := functionOffset()
	return *(*ag.AutoGradFunction)(unsafe.Add(unsafe.Pointer(o), offset))
}

// nameOf returns the name of one of spago's functions, such as Affine, or the Go type of another function.
func nameOf(f ag.AutoGradFunction) string {
	t := reflect.TypeOf(f)
	if t.Kind() == reflect.Pointer && t.Elem().PkgPath() == spagoPath+"/mat/gradfn" {
		name, _, _ := strings.Cut(t.Elem().Name(), "[")
		return name
	}
	return t.String()
}

const (
	largestExp  = 88.3     // spago's exp of larger float32 values is 2.4e38
	smallestLog = 0x1p-126 // spago's log of smaller float32 values is wrong, and its derivative at 0 is 1e8
	largestLog  = math.MaxFloat32
)

// check returns an error if spago's forward of the function is known to give wrong results for these operands.
func check(name string, operands []mat.Tensor, y mat.Tensor) error {
	switch name {
	case "Dropout":
		return fmt.Errorf("dropout draws from a random stream of the whole process; use nn.Dropout on the rows")
	case "Exp":
		return within(operands[0], -math.MaxFloat32, largestExp, "its exponential is not a float32; scale the operand")
	case "Log":
		return within(operands[0], smallestLog, largestLog, "it has no logarithm in float32; add a small constant before")
	case "Softmax", "Sigmoid", "Swish":
		values := float32s(operands[0])
		for _, v := range values {
			if v != v {
				return fmt.Errorf("an operand is NaN, which spago turns into a number")
			}
		}
		if name == "Softmax" && len(values) > 0 && math.IsInf(float64(slices.Max(values)), 0) {
			return fmt.Errorf("the largest operand is %g, for which spago's result is wrong", slices.Max(values))
		}
	case "ScalarMax":
		for _, x := range operands {
			if x.Value().Item().F64() > y.Item().F64() {
				return fmt.Errorf("spago's maximum of scalars is wrong if none is above 0; use ag.ReduceMax of ag.Concat")
			}
		}
	case "SparseMax":
		sum := 0.0
		for _, v := range float32s(y) {
			sum += float64(v)
		}
		if math.Abs(sum-1) > 1e-4 {
			return fmt.Errorf("spago's result adds up to %g instead of 1; it clips at the largest operand, so add a constant "+
				"that makes it at least 1", sum)
		}
	case "MaxPooling":
		return checkPooling(operands[0].Value().(mat.Matrix), y.(mat.Matrix))
	}
	return nil
}

// within returns an error unless all float32 values of x are in [low, high]. An infinite negative operand of Exp, as of
// a mask, is in range.
func within(x mat.Tensor, low, high float64, advice string) error {
	for _, v := range float32s(x) {
		f := float64(v)
		if (low == -math.MaxFloat32 && math.IsInf(f, -1)) || f >= low && f <= high {
			continue
		}
		return fmt.Errorf("an operand is %g: %s", v, advice)
	}
	return nil
}

// float32s returns the values of x, or nil if they are float64, whose functions are those of package math.
func float32s(x mat.Tensor) []float32 {
	if d, ok := x.Value().(*mat.Dense[float32]); ok {
		return mat.Data[float32](d)
	}
	return nil
}

// checkPooling returns an error unless y is the maximum of each window of x, and above 0: spago starts at 0, and takes
// the height of a window for its width.
func checkPooling(x, y mat.Matrix) error {
	rows, cols := x.Shape()[0]/max(1, y.Shape()[0]), x.Shape()[1]/max(1, y.Shape()[1])
	for i := range y.Shape()[0] {
		for j := range y.Shape()[1] {
			most := math.Inf(-1)
			for r := i * rows; r < (i+1)*rows; r++ {
				for c := j * cols; c < (j+1)*cols; c++ {
					most = max(most, x.ScalarAt(r, c).F64())
				}
			}
			if most <= 0 || most != y.ScalarAt(i, j).F64() {
				return fmt.Errorf("spago's maximum over windows of %d×%d is wrong: it needs square windows with a value above 0 "+
					"in each", rows, cols)
			}
		}
	}
	return nil
}

// ownBackward computes the gradients of the functions whose backward in spago starts goroutines (Affine, Mul, MulT)
// or is wrong (Max, Min), and calls add for each operand that needs one, in order. It returns false for other
// functions.
func ownBackward(name string, operands []mat.Tensor, gy *mat.Dense[float32], add func(operand int, g mat.Matrix)) bool {
	needs := func(i int) bool { return operands[i].RequiresGrad() }
	value := func(i int) mat.Matrix { return operands[i].Value().(mat.Matrix) }
	product := func(w, x int) { // of y = …+ W·X
		if needs(w) {
			add(w, gy.Mul(value(x).T()))
		}
		if needs(x) {
			add(x, leftT(value(w), gy))
		}
	}
	switch name {
	case "Affine":
		if needs(0) {
			add(0, gy.Clone())
		}
		for i := 1; i < len(operands); i += 2 {
			product(i, i+1)
		}
	case "Mul":
		product(0, 1)
	case "MulT":
		if needs(0) {
			add(0, gy.Mul(value(1).T()).T())
		}
		if needs(1) {
			add(1, value(0).Mul(gy))
		}
	case "Max", "Min": // spago gives equal elements no gradient; as in PyTorch, each gets half
		for i := range operands {
			if needs(i) {
				add(i, greatest(name == "Max", value(i), value(1-i), gy))
			}
		}
	default:
		return false
	}
	return true
}

// leftT returns Wᵀ·G, in the way in which spago computes it for vectors and for matrices.
func leftT(w mat.Matrix, g *mat.Dense[float32]) mat.Matrix {
	if g.Shape()[1] == 1 {
		return w.MulT(g)
	}
	return w.T().Mul(g)
}

// greatest returns the gradient of x in max(x, other), or in min(x, other).
func greatest(maximum bool, x, other mat.Matrix, gy *mat.Dense[float32]) mat.Matrix {
	a, b, g := mat.Data[float32](x), mat.Data[float32](other), mat.Data[float32](gy)
	dx := make([]float32, len(g))
	for i, d := range g {
		switch {
		case a[i] == b[i]:
			dx[i] = d / 2
		case a[i] > b[i] == maximum:
			dx[i] = d
		}
	}
	return shaped(dx, x)
}

// shaped returns a matrix over v with the shape of x. spago's matrices share the slices of their shapes, which some of
// its functions change, so shaped copies it.
func shaped(v []float32, x mat.Tensor) *mat.Dense[float32] {
	s := x.Shape()
	return mat.NewDense[float32](mat.WithShape(s[0], s[1]), mat.WithBacking(v))
}
