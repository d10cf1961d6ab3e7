package spagonn_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// unary are the functions of one tensor that act on each element.
var unary = map[string]func(mat.Tensor) mat.Tensor{
	"Abs": ag.Abs, "Cos": ag.Cos, "Exp": ag.Exp, "GELU": ag.GELU, "HardSigmoid": ag.HardSigmoid, "HardTanh": ag.HardTanh,
	"Copy": ag.Copy, "Mish": ag.Mish, "Neg": ag.Neg, "PositiveELU": ag.PositiveELU, "Reciprocal": ag.Reciprocal,
	"ReLU": ag.ReLU, "ReverseSubOne": ag.ReverseSubOne, "Sigmoid": ag.Sigmoid, "SiLU": ag.SiLU, "Sin": ag.Sin,
	"Softsign": ag.Softsign, "Square": ag.Square, "Swish": ag.Swish, "Tan": ag.Tan, "Tanh": ag.Tanh,
	"Log": ag.Log, "Sqrt": ag.Sqrt,
}

// one is a number of the type of x.
func one(x mat.Tensor, v float64) mat.Tensor { return x.Value().(mat.Matrix).NewScalar(v) }

// functions are all functions of ag, on vectors and on matrices where spago's take both.
func functions() (list []sample) {
	names := make([]string, 0, len(unary))
	for name := range unary {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := unary[name]
		s := graph("ag."+name+" of vectors", 3, func(rows []mat.Tensor) []mat.Tensor { return ag.Map(f, rows) })
		m := graph("ag."+name+" of a matrix", 3, func(rows []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{f(ag.Stack(rows...))}
		}).even()
		if name == "Log" || name == "Sqrt" {
			s, m = s.above0(), m.above0()
		}
		list = append(list, s, m)
	}
	binary := func(name string, f func(a, b mat.Tensor) mat.Tensor) {
		list = append(list,
			graph("ag."+name+" of vectors", 3, func(rows []mat.Tensor) []mat.Tensor {
				return []mat.Tensor{f(rows[0], rows[len(rows)-1])}
			}),
			graph("ag."+name+" of matrices", 3, func(rows []mat.Tensor) []mat.Tensor {
				a, b := ag.Stack(rows...), ag.Stack(rows[1], rows[2], rows[0])
				return []mat.Tensor{f(a, b), f(b, a)}
			}).even())
	}
	binary("Add", ag.Add)
	binary("Sub", ag.Sub)
	binary("Prod", ag.Prod)
	binary("Div", ag.Div)
	binary("Dot", ag.Dot)
	list = append(list, // even: with one row, both operands are equal, where there is a kink
		graph("ag.Max", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Max(r[0], r[1])} }).even(),
		graph("ag.Min", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Min(r[0], r[2])} }).even(),
		graph("ag.Max of equals", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Max(r[0], r[0])} }),
	)
	scalars := map[string]func(a, b mat.Tensor) mat.Tensor{
		"AddScalar": ag.AddScalar, "SubScalar": ag.SubScalar, "ProdScalar": ag.ProdScalar, "DivScalar": ag.DivScalar,
		"ReverseSub": ag.ReverseSub,
	}
	for _, name := range []string{"AddScalar", "SubScalar", "ProdScalar", "DivScalar", "ReverseSub"} {
		f := scalars[name]
		list = append(list,
			graph("ag."+name+" of vectors", 3, func(rows []mat.Tensor) []mat.Tensor {
				return []mat.Tensor{f(rows[0], ag.At(rows[len(rows)-1], 1))}
			}),
			graph("ag."+name+" of a matrix", 3, func(rows []mat.Tensor) []mat.Tensor {
				return []mat.Tensor{f(ag.Stack(rows...), ag.At(rows[0], 2))}
			}).even())
	}
	two := func(rows []mat.Tensor) (a, b mat.Tensor) { return ag.Stack(rows...), ag.Stack(rows[0], rows[1]) }
	return append(list,
		graph("ag.Affine", 3, func(r []mat.Tensor) []mat.Tensor {
			w, x := ag.Stack(r...), r[1]
			return []mat.Tensor{ag.Affine(r[0], w, x), ag.Affine(r[0], w, x, w, r[2], w, nil, ag.T(w), x)}
		}).even(),
		graph("ag.Affine of matrices", 3, func(r []mat.Tensor) []mat.Tensor {
			w := ag.Stack(r...)
			return []mat.Tensor{ag.Affine(w, w, w, w, w)}
		}).even(),
		graph("ag.AppendRows", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.AppendRows(ag.Stack(r...), r[0], ag.T(r[1]), ag.Tanh(r[2]))}
		}).even(),
		graph("ag.At", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.At(r[0], 2), ag.At(ag.Stack(r...), 0, 1)}
		}),
		graph("ag.BiLinear", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.BiLinear(ag.Stack(r...), r[0], r[1])}
		}).even(),
		graph("ag.BiAffine", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.BiAffine(ag.Stack(r...), r[1], r[2], ag.At(r[0], 0), r[0], r[1])}
		}).even(),
		graph("ag.CELU", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.CELU(r[0], one(r[0], 0.7))} }),
		graph("ag.ELU", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.ELU(r[0], one(r[0], 0.7))} }),
		graph("ag.LeakyReLU", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.LeakyReLU(r[0], one(r[0], 0.1))}
		}),
		graph("ag.SELU", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.SELU(r[0], one(r[0], 1.6), one(r[0], 1.1))}
		}),
		graph("ag.SoftPlus", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.SoftPlus(r[0], one(r[0], 1.3), one(r[0], 20))}
		}),
		graph("ag.SoftShrink", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.SoftShrink(r[0], one(r[0], 0.05))}
		}),
		graph("ag.SwishB", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.SwishB(r[0], ag.At(r[0], 1))} }),
		graph("ag.Threshold", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.Threshold(r[0], one(r[0], 0.05), one(r[0], -2))}
		}),
		graph("ag.ColView", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.ColView(ag.Stack(r...), 1)}
		}).even(),
		graph("ag.ColViews", 3, func(r []mat.Tensor) []mat.Tensor { return ag.ColViews(ag.Stack(r...)) }).even(),
		graph("ag.RowView", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.RowView(ag.Stack(r...), 0)} }),
		graph("ag.RowViews", 3, func(r []mat.Tensor) []mat.Tensor { return ag.RowViews(ag.Stack(r...)) }),
		graph("ag.Concat", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.Concat(r[0], ag.T(r[0]), r[1])}
		}).even(),
		graph("ag.DropoutFunc of 0", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.DropoutFunc(0), r) }),
		graph("ag.Dropout of 0", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Dropout(r[0], 0)} }),
		graph("ag.Flatten", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Flatten(ag.Stack(r...))} }).even(),
		graph("ag.LogSoftmax", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.LogSoftmax, r) }),
		graph("ag.LogSumExp of a vector", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.LogSumExp(r[0])} }),
		graph("ag.LogSumExp of scalars", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.LogSumExp(ag.SeparateVec(r[0])...)}
		}).above0(),
		graph("ag.Map", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.Square, r) }),
		graph("ag.Map2", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map2(ag.Prod, r, r) }),
		graph("ag.Maximum", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Maximum(r)} }),
		graph("ag.Minimum", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Minimum(r)} }),
		graph("ag.MaxPooling", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.MaxPooling(ag.AppendRows(ag.Stack(r...), r...), 3, 3)}
		}).even(),
		graph("ag.Mean", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Mean(r)} }),
		graph("ag.Mul of a vector", 3, func(r []mat.Tensor) []mat.Tensor {
			a, _ := two(r)
			return []mat.Tensor{ag.Mul(a, r[0])}
		}).even(),
		graph("ag.Mul of matrices", 3, func(r []mat.Tensor) []mat.Tensor {
			a, b := two(r)
			return []mat.Tensor{ag.Mul(b, a)}
		}).even(),
		graph("ag.MulT of a vector", 3, func(r []mat.Tensor) []mat.Tensor {
			a, _ := two(r)
			return []mat.Tensor{ag.MulT(a, r[0])}
		}).even(),
		graph("ag.Pad", 3, func(r []mat.Tensor) []mat.Tensor {
			return ag.Pad(r, 5, func(int) mat.Tensor { return r[0].Value().(mat.Matrix).ZerosLike() })
		}),
		graph("ag.Pow", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Pow(r[0], 3)} }),
		graph("ag.ReduceMax", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.ReduceMax, r) }),
		graph("ag.ReduceMean", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.ReduceMean, r) }),
		graph("ag.ReduceMean of a matrix", 3, func(r []mat.Tensor) []mat.Tensor {
			a, _ := two(r)
			return []mat.Tensor{ag.ReduceMean(ag.Tanh(a)), ag.ReduceMean(a)}
		}).even(),
		graph("ag.ReduceSum", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.ReduceSum, r) }),
		graph("ag.ReduceSum of a matrix", 3, func(r []mat.Tensor) []mat.Tensor {
			a, _ := two(r)
			return []mat.Tensor{ag.ReduceSum(ag.Prod(a, ag.T(a)))}
		}).even(),
		graph("ag.Reshape", 3, func(r []mat.Tensor) []mat.Tensor {
			a, _ := two(r)
			return []mat.Tensor{ag.Reshape(a, 1, 9), ag.Reshape(a, 9, 1)}
		}).even(),
		graph("ag.RotateR", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.RotateR(r[0], 2)} }),
		graph("ag.ScalarMax", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.ScalarMax(ag.SeparateVec(r[0]))}
		}).above0(),
		graph("ag.SeparateMatrix", 3, func(r []mat.Tensor) []mat.Tensor {
			return slices.Concat(ag.SeparateMatrix(ag.Stack(r...))...)
		}),
		graph("ag.SeparateVec", 3, func(r []mat.Tensor) []mat.Tensor { return ag.SeparateVec(r[0]) }),
		graph("ag.Slice", 3, func(r []mat.Tensor) []mat.Tensor {
			a, _ := two(r)
			return []mat.Tensor{ag.Slice(a, 1, 0, 3, 2)}
		}).even(),
		graph("ag.Softmax", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.Softmax, r) }),
		largeInput(graph("ag.SparseMax", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.SparseMax, r) })),
		graph("ag.SparseMaxLoss", 3, func(r []mat.Tensor) []mat.Tensor { return ag.Map(ag.SparseMaxLoss, r) }),
		graph("ag.SplitVec", 4, func(r []mat.Tensor) []mat.Tensor { return ag.SplitVec(r[0], 2) }),
		graph("ag.Stack", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.Stack(r[0], ag.T(r[1]), r[0])}
		}).even(),
		graph("ag.StopGrad", 3, func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.Prod(r[0], ag.StopGrad(one(r[0], 1).(mat.Matrix).NewMatrix(mat.WithShape(3)).OnesLike()))}
		}),
		graph("ag.Sum", 3, func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Sum(append(r, r[0], r[0])...)} }),
		graph("ag.T", 3, func(r []mat.Tensor) []mat.Tensor {
			a, _ := two(r)
			return []mat.Tensor{ag.T(a), ag.Mul(ag.T(a), a)}
		}).even(),
	)
}

// others are functions of ag that are no operators.
var others = []string{"Backward", "ManualSeed", "NewOperator", "Rand", "Seed", "SetForceSyncExecution"}

// TestEveryFunction: every function of ag has a sample.
func TestEveryFunction(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/nlpodyssey/spago/ag").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, s := range functions() {
		name, _, _ := strings.Cut(strings.TrimPrefix(s.name, "ag."), " ")
		tested[name] = true
	}
	found := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || slices.Contains(others, fn.Name.Name) {
				continue
			}
			found++
			if !tested[fn.Name.Name] {
				t.Errorf("ag.%s has no sample", fn.Name.Name)
			}
		}
	}
	if found < 70 {
		t.Errorf("only %d functions found", found)
	}
}
