package nn_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// toy has every form of field that a model may declare.
type toy struct {
	spago.Module
	Words  *nn.Embedding  `hf:"words"`
	Blocks []*toyBlock    `hf:"encoder.layer"`
	Absent *nn.Linear     `hf:"absent"`
	Norm   *nn.LayerNorm  `hf:"out.norm"`
	Head   toyHead        `hf:"head"`
	Act    *nn.Activation `hf:"act"`
	Size   int            `hf:"-"`
}

type toyBlock struct {
	spago.Module
	Query *nn.Linear  `hf:"attention.self.query"`
	Drop  *nn.Dropout `hf:"attention.dropout"`
	Out   *nn.Linear  `hf:"output.dense"`
}

// toyHead is a field held by value whose weight may be another module's.
type toyHead struct {
	spago.Module
	Weight *op.Weight  `hf:"weight"`
	Drop   *nn.Dropout `hf:"dropout"`
}

func newToy() *toy {
	m := &toy{Words: nn.NewEmbedding(5, 4, 1), Norm: nn.NewLayerNorm(4, 1e-12), Act: must(nn.NewActivation("gelu_new"))}
	for range 2 {
		m.Blocks = append(m.Blocks, &toyBlock{
			Query: nn.NewLinear(4, 4, true), Drop: &nn.Dropout{P: 0.1}, Out: nn.NewLinear(4, 4, false),
		})
	}
	m.Head = toyHead{Weight: m.Words.Weight, Drop: &nn.Dropout{}}
	return m
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (m *toy) Class() string             { return "Toy" }
func (m *toy) Groups() map[string]string { return map[string]string{"encoder": "ToyEncoder"} }
func (b *toyBlock) Class() string        { return "ToyBlock" }
func (b *toyBlock) Groups() map[string]string {
	return map[string]string{"attention": "ToyAttention", "attention.self": "ToySelf", "output": "ToyOutput"}
}

func TestWalk(t *testing.T) {
	var got []string
	nn.Walk(newToy(), func(path string, module any) {
		got = append(got, strings.TrimSpace(path+" "+strings.TrimPrefix(fmt.Sprintf("%T", module), "*")))
	})
	want := []string{"nn_test.toy",
		"words nn.Embedding", "words.weight op.Weight",
		"encoder.layer.0 nn_test.toyBlock",
		"encoder.layer.0.attention.self.query nn.Linear", "encoder.layer.0.attention.self.query.weight op.Weight",
		"encoder.layer.0.attention.self.query.bias op.Weight",
		"encoder.layer.0.attention.dropout nn.Dropout",
		"encoder.layer.0.output.dense nn.Linear", "encoder.layer.0.output.dense.weight op.Weight",
		"encoder.layer.1 nn_test.toyBlock",
		"encoder.layer.1.attention.self.query nn.Linear", "encoder.layer.1.attention.self.query.weight op.Weight",
		"encoder.layer.1.attention.self.query.bias op.Weight",
		"encoder.layer.1.attention.dropout nn.Dropout",
		"encoder.layer.1.output.dense nn.Linear", "encoder.layer.1.output.dense.weight op.Weight",
		"out.norm nn.LayerNorm", "out.norm.weight op.Weight", "out.norm.bias op.Weight",
		"head nn_test.toyHead", "head.weight op.Weight", "head.dropout nn.Dropout",
		"act nn.Activation",
	}
	if !slices.Equal(got, want) {
		t.Errorf("visited\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

type untagged struct {
	spago.Module
	Tagged *nn.Linear `hf:"tagged"`
	Lost   *nn.Linear
}

type hidden struct {
	spago.Module
	lost *nn.Linear
}

type mapped struct {
	spago.Module
	Layers map[string]*nn.Linear `hf:"layers"`
}

type numbered struct {
	spago.Module
	Layers []int `hf:"layers"`
}

// TestWalkPanics: on a declaration that would lose weights silently, Walk panics and names the field.
func TestWalkPanics(t *testing.T) {
	for want, m := range map[string]spago.Model{
		"nn_test.untagged.Lost has no hf tag": &untagged{},
		"nn_test.hidden.lost has no hf tag":   &hidden{lost: nil},
		"layers: a map[string]*nn.Linear":     &mapped{},
		"layers.0: a int cannot hold weights": &numbered{Layers: []int{1}},
		"nn_test.embedding embeds *nn_test.foreign, which lists its weights; give the field a name": &embedding{
			foreign: newForeign()},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, want) {
					t.Errorf("panic %q, want %q", r, want)
				}
			}()
			nn.Weights(m)
		})
	}
}

// foreign is a module of another library: its weights are not fields with tags.
type foreign struct {
	spago.Module
	list []nn.NamedWeight
}

func newForeign() *foreign {
	return &foreign{list: []nn.NamedWeight{
		{Name: "Positive.W", Weight: op.NewMatrix(2, 3)}, {Name: "B", Weight: op.NewVector(2)},
	}}
}

func (f *foreign) ListWeights() []nn.NamedWeight { return f.list }

type embedding struct {
	spago.Module
	*foreign `hf:"head"`
}

// TestListedWeights: weights that a module lists are named, filled and trained as those of fields are.
func TestListedWeights(t *testing.T) {
	m := &above{Below: newForeign(), Head: nn.NewLinear(2, 1, false)}
	if err := nn.InitMissing(m, 1, 3); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range nn.Train(m) {
		names = append(names, fmt.Sprint(p.Name, " ", p.NoDecay))
	}
	if want := []string{"below.Positive.W false", "below.B true", "head.weight false"}; !slices.Equal(names, want) {
		t.Errorf("trained %v, want %v", names, want)
	}
	list := m.Below.(*foreign).list
	if v := op.Values(list[0].Weight.Param); v[0] == 0 || v[0] == v[1] {
		t.Errorf("the matrix has the values %v", v)
	}
	if got := nn.Count(m); got != 2*3+2+2 {
		t.Errorf("%d values", got)
	}
}

// TestWeights: a tied weight is listed once, under its first name.
func TestWeights(t *testing.T) {
	m := newToy()
	var names []string
	for _, w := range nn.Weights(m) {
		names = append(names, w.Name)
	}
	want := []string{"words.weight", "encoder.layer.0.attention.self.query.weight",
		"encoder.layer.0.attention.self.query.bias", "encoder.layer.0.output.dense.weight",
		"encoder.layer.1.attention.self.query.weight", "encoder.layer.1.attention.self.query.bias",
		"encoder.layer.1.output.dense.weight", "out.norm.weight", "out.norm.bias"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v", names)
	}
	if n := nn.Count(m); n != 5*4+2*(16+4+16)+8 {
		t.Errorf("%d values, the tied table must count once", n)
	}
	for _, w := range nn.Weights(m) {
		if err := w.Weight.SetValues(make([]float32, w.Weight.Len())); err != nil {
			t.Fatal(err)
		}
	}
	params := nn.Train(m)
	for i, p := range params {
		w := nn.Weights(m)[i]
		if p.Name != w.Name || p.Param != w.Weight.Param || p.NoDecay != w.Weight.Vector {
			t.Errorf("parameter %d is %s (no decay: %v)", i, p.Name, p.NoDecay)
		}
	}
	if len(params) != len(want) {
		t.Errorf("%d parameters", len(params))
	}
}

func TestNumberAndSetDropout(t *testing.T) {
	m := newToy()
	nn.Number(m)
	nn.SetDropout(m, 0.25)
	for i, d := range []*nn.Dropout{m.Blocks[0].Drop, m.Blocks[1].Drop, m.Head.Drop} {
		if d.Site != uint32(i+1) || d.P != 0.25 {
			t.Errorf("dropout %d has site %d and probability %g", i, d.Site, d.P)
		}
	}
	nn.Number(m)
	if m.Head.Drop.Site != 3 {
		t.Error("numbering again changes the sites")
	}
}

const toyTree = `Toy(
  (words): Embedding(5, 4, padding_idx=1)
  (encoder): ToyEncoder(
    (layer): ModuleList(
      (0-1): 2 x ToyBlock(
        (attention): ToyAttention(
          (self): ToySelf(
            (query): Linear(in_features=4, out_features=4, bias=True)
          )
          (dropout): Dropout(p=0.1, inplace=False)
        )
        (output): ToyOutput(
          (dense): Linear(in_features=4, out_features=4, bias=False)
        )
      )
    )
  )
  (out): Module(
    (norm): LayerNorm((4,), eps=1e-12, elementwise_affine=True, bias=True)
  )
  (head): Module(
    (dropout): Dropout(p=0.0, inplace=False)
  )
  (act): NewGELUActivation()
)`

func TestTree(t *testing.T) {
	m := newToy()
	if got := nn.Tree(m, nil); got != toyTree {
		t.Errorf("got\n%s", got)
	}
	m.Blocks[1].Drop.P = 0.2
	if got := nn.Tree(m, nil); !strings.Contains(got, "(0): ToyBlock(") || !strings.Contains(got, "(1): ToyBlock(") {
		t.Errorf("blocks that differ must be printed separately:\n%s", got)
	}
	var groups []string
	got := nn.Tree(m, func(path string, module any, text string) string {
		if module == nil {
			groups = append(groups, path)
		}
		if path == "encoder.layer.1.output.dense" {
			return "lora.Linear(\n  (base_layer): " + nn.Indent(text) + "\n)"
		}
		return text
	})
	want := "        (output): ToyOutput(\n          (dense): lora.Linear(\n" +
		"            (base_layer): Linear(in_features=4, out_features=4, bias=False)\n          )\n        )"
	if !strings.Contains(got, want) {
		t.Errorf("decorated:\n%s", got)
	}
	if !slices.Contains(groups, "encoder.layer.1.attention") || !slices.Contains(groups, "") {
		t.Errorf("decorate was called for the groups %q", groups)
	}
}

func TestPythonFloat(t *testing.T) {
	for x, want := range map[float32]string{0: "0.0", 0.1: "0.1", 1: "1.0", 0.5: "0.5", 1e-12: "1e-12", 1e-5: "1e-05",
		0.02: "0.02", 0.0001: "0.0001", 1e16: "1e+16"} {
		if got := nn.PythonFloat(x); got != want {
			t.Errorf("%v is written %s, want %s", x, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	paths := []string{"bert.encoder.layer.0.attention.self.query", "bert.encoder.layer.0.attention.self.key",
		"bert.encoder.layer.0.attention.self.value",
		"bert.encoder.layer.1.attention.self.query", "bert.pooler.dense", "classifier"}
	for name, want := range map[string][]string{
		"queri":            {paths[0], paths[3]},
		"q":                nil,
		"classifer":        {"classifier"},
		"valeu":            {paths[2]},
		"dence":            {"bert.pooler.dense"},
		"up_proj":          nil,
		"":                 nil,
		"bert.pooler.dens": {"bert.pooler.dense"},
	} {
		if got := nn.Nearest(name, paths); !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("nearest to %q: %q, want %q", name, got, want)
		}
	}
	many := []string{"aaaa1", "aaaa2", "aaaa3", "aaaa4"}
	if got := nn.Nearest("aaaa", many); !slices.Equal(got, many[:3]) {
		t.Errorf("got %q, want the first three of equally near names", got)
	}
}

func TestNewActivation(t *testing.T) {
	for name, want := range map[string]string{"gelu": "GELUActivation()", "gelu_new": "NewGELUActivation()",
		"gelu_pytorch_tanh": "GELUTanh()", "relu": "ReLU()", "tanh": "Tanh()",
		"gelu_fast": "FastGELUActivation()", "gelu_accurate": "AccurateGELUActivation()", "silu": "SiLUActivation()",
		"swish": "SiLU()"} {
		a, err := nn.NewActivation(name)
		if err != nil || a.Describe() != want {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	if _, err := nn.NewActivation("quick_gelu"); err == nil || !strings.Contains(err.Error(), `"quick_gelu"`) {
		t.Errorf("got %v", err)
	}
}

// TestWalkVisitsPointers: a visitor gets pointers into the model, also to modules held by value.
func TestWalkVisitsPointers(t *testing.T) {
	nn.Walk(newToy(), func(path string, module any) {
		if reflect.TypeOf(module).Kind() != reflect.Pointer {
			t.Errorf("visit got %[2]T for %[1]s, want a pointer", path, module)
		}
	})
}

// above is a custom head on a model of any architecture.
type above struct {
	spago.Module
	Below spago.Model `hf:"below"`
	None  spago.Model `hf:"none"`
	Head  *nn.Linear  `hf:"head"`
}

// TestModelBelow: Walk follows a field that is an interface, and InitMissing fills only weights without values.
func TestModelBelow(t *testing.T) {
	below := newToy()
	if err := nn.Init(below, 1, func(string) float64 { return 1 }); err != nil {
		t.Fatal(err)
	}
	m := &above{Below: below, Head: nn.NewLinear(4, 2, true)}
	before := nn.Weights(below)[0].Weight.Float32()
	if err := nn.InitMissing(m, 0.5, 1); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range nn.Weights(m) {
		names = append(names, w.Name)
		if !w.Weight.Filled() {
			t.Errorf("%s has no values", w.Name)
		}
	}
	if names[0] != "below.words.weight" || !slices.Contains(names, "head.bias") || len(names) != len(nn.Weights(below))+2 {
		t.Errorf("weights %v", names)
	}
	if !slices.Equal(nn.Weights(below)[0].Weight.Float32(), before) {
		t.Error("InitMissing changed a weight that had values")
	}
	if head := m.Head.Weight.Float32(); slices.Equal(head, make([]float32, 8)) ||
		!slices.Equal(m.Head.Bias.Float32(), make([]float32, 2)) {
		t.Errorf("head %v, bias %v", head, m.Head.Bias.Float32())
	}
}

// shared is a head on a base model whose name depends on the value.
type shared struct {
	spago.Module
	Model *toyBlock  `hf:"$base"`
	Head  *nn.Linear `hf:"head"`
	name  string     `hf:"-"`
}

func (m *shared) Base() string  { return m.name }
func (m *shared) Class() string { return "Shared" }

// baseless has a base model without a name.
type baseless struct {
	spago.Module
	Model *nn.Linear `hf:"$base"`
}

// TestBase: a field tagged $base has the name that the model gives it, in names of weights and in the printed tree.
func TestBase(t *testing.T) {
	for _, name := range []string{"bert", "electra"} {
		m := &shared{Model: newToy().Blocks[0], Head: nn.NewLinear(4, 2, false), name: name}
		var names []string
		for _, w := range nn.Weights(m) {
			names = append(names, w.Name)
		}
		want := []string{
			name + ".attention.self.query.weight", name + ".attention.self.query.bias", name + ".output.dense.weight",
			"head.weight",
		}
		if !slices.Equal(names, want) {
			t.Errorf("got %v\nwant %v", names, want)
		}
		if tree := nn.Tree(m, nil); !strings.Contains(tree, "  ("+name+"): ") {
			t.Errorf("no %s in %s", name, tree)
		}
	}
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "baseless.Model is tagged $base") {
			t.Errorf("got %s", text)
		}
	}()
	nn.Weights(&baseless{Model: nn.NewLinear(1, 1, false)})
}
