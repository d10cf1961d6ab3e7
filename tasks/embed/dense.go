package embed

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/settings"
	"github.com/spalora/spalora/nn/op"
)

// Dense is a module of sentence-transformers behind the pooling: a linear layer, perhaps with tanh behind it. It is
// part of the base model and does not train.
type Dense struct {
	weight *op.Weight // out×in
	bias   *op.Weight // out; nil: none
	tanh   bool
	dir    string            // its directory in the checkpoint
	files  map[string][]byte // the content of its files by their names in dir
}

// weightsName is the file of a module with its weights.
const weightsName = "model.safetensors"

// readDense reads a Dense module from its directory.
func (m *modules) readDense(dir string) (*Dense, error) {
	config := path.Join(dir, moduleName)
	keys, err := m.read(config, settings.DenseModule)
	if err != nil {
		return nil, err
	}
	var c struct {
		in, out    int
		bias       bool
		activation string
	}
	c.bias, c.activation = true, "torch.nn.modules.activation.Tanh"
	if err := errors.Join(
		m.decode(config, keys, "in_features", &c.in), m.decode(config, keys, "out_features", &c.out),
		m.decode(config, keys, "bias", &c.bias), m.decode(config, keys, "activation_function", &c.activation),
	); err != nil {
		return nil, err
	}
	d := &Dense{dir: dir, files: map[string][]byte{}}
	fail := func(name, format string, args ...any) (*Dense, error) {
		return nil, base.Input(fmt.Errorf("%s: "+format, append([]any{m.path(path.Join(dir, name))}, args...)...))
	}
	switch c.activation[strings.LastIndexByte(c.activation, '.')+1:] {
	case "Tanh":
		d.tanh = true
	case "Identity":
	default:
		return fail(moduleName, "the activation_function %s is not supported; Tanh and Identity are", c.activation)
	}
	for _, name := range []string{moduleName, weightsName} {
		text, err := m.base.File(path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fail(name, "there is no such file, but modules.json names the module; save the model with a version of "+
				"sentence-transformers that writes it")
		}
		if err != nil {
			return nil, base.Input(err)
		}
		d.files[name] = text
	}
	if c.in < 1 || c.out < 1 {
		return fail(moduleName, "in_features is %d and out_features %d; want 1 or more", c.in, c.out)
	}
	f, err := safetensors.Parse(d.files[weightsName])
	if err != nil {
		return fail(weightsName, "%w", err)
	}
	want := []string{"linear.weight"}
	if c.bias {
		want = []string{"linear.bias", "linear.weight"}
	}
	if names := slices.Sorted(slices.Values(f.Names())); !slices.Equal(names, want) {
		return fail(weightsName, "it has the tensors %s, want %s", strings.Join(names, ", "), strings.Join(want, ", "))
	}
	fill := func(name string, w *op.Weight, shape ...int) (*op.Weight, error) {
		x, _ := f.Tensor(name)
		if !slices.Equal(x.Shape, shape) {
			return nil, fmt.Errorf("%s is %v, but %s says %v", name, x.Shape, moduleName, shape)
		}
		return w, w.SetStored(string(x.DType), x.Data)
	}
	if c.bias {
		if d.bias, err = fill("linear.bias", op.NewVector(c.out), c.out); err != nil {
			return fail(weightsName, "%w", err)
		}
	}
	if d.weight, err = fill("linear.weight", op.NewMatrix(c.out, c.in), c.out, c.in); err != nil {
		return fail(weightsName, "%w", err)
	}
	return d, nil
}

// forward turns B×in into B×out.
func (d *Dense) forward(t *op.Tape, x mat.Tensor) mat.Tensor {
	y := op.Affine(t, x, op.Drop{}, op.Projection{Weight: d.weight, Bias: d.bias})
	if d.tanh {
		y = op.Activate(t, y, op.Tanh)
	}
	return y
}

// checkDense returns an error unless the modules take vectors of the given width one after another.
func checkDense(list []*Dense, width int) error {
	for _, d := range list {
		if d.weight.Cols != width {
			return fmt.Errorf("%s takes vectors of %d values, but gets %d; give the pooling that it was made for with `pooling`",
				d.dir, d.weight.Cols, width)
		}
		width = d.weight.Rows
	}
	return nil
}

// listedModule is an entry of modules.json.
type listedModule struct {
	Index int    `json:"idx"`
	Name  string `json:"name"`
	Path  string `json:"path"`
	Type  string `json:"type"`
}

// writeList returns modules.json, and the files of Dense modules by their names, for a merged checkpoint.
func (m *modules) writeList() ([]listedModule, map[string][]byte) {
	list, files := []listedModule{}, map[string][]byte{}
	add := func(dir, kind string) {
		i := len(list)
		list = append(list, listedModule{i, fmt.Sprint(i), dir, "sentence_transformers.models." + kind})
	}
	add("", "Transformer")
	add(poolingDir, "Pooling")
	for _, d := range m.dense {
		dir := fmt.Sprintf("%d_Dense", len(list))
		for name, content := range d.files {
			files[path.Join(dir, name)] = content
		}
		add(dir, "Dense")
	}
	if m.normalize {
		add(fmt.Sprintf("%d_Normalize", len(list)), "Normalize")
	}
	return list, files
}
