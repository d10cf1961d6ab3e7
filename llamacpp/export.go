package llamacpp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/causallm"
	"github.com/spalora/spalora/tokenize"
)

// Exported is the outcome of an export.
type Exported struct {
	Tensors    int     // number of tensors written
	Difference float64 // largest absolute difference of the logits of the file from those of the model
	Logit      float64 // largest absolute logit of the model
	Notes      []string
}

// Types returns the values of the type of an export, sorted: how most weights are stored.
func Types() []string { return checkpoint.GGUFTypes() }

// CheckType returns an error that lists the types of exports unless kind is one.
func CheckType(kind string) error {
	if !slices.Contains(Types(), kind) {
		return fmt.Errorf("`type` is %q; want one of %s", kind, strings.Join(Types(), ", "))
	}
	return nil
}

// Open opens a language model with its adapter, if there is one.
func Open(o base.Opening) (*base.Trained[models.CausalLM], error) {
	return base.OpenTrained(o, causallm.Type.Of, func(src *checkpoint.Source, _ uint64) (
		models.CausalLM, checkpoint.Report, error,
	) {
		return models.OpenCausalLM(src)
	}, nil)
}

// Export writes a model to path as a GGUF file whose weights are stored as kind, one of [Types], with the adapter
// merged into them. Before the file replaces an older one, it is read back: its tokenizer must give the same ids, and
// its logits on a few token sequences are compared; for f32 a difference above [tasks.MergeBound] of the largest logit
// is an error. Export holds one tensor of the merged model in memory at a time. It returns an error if something of the
// model has no counterpart in the format.
func Export(
	ctx context.Context, t *base.Trained[models.CausalLM], path, kind string, pool *op.Pool,
) (Exported, error) {
	if err := CheckType(kind); err != nil {
		return Exported{}, base.Settings(err)
	}
	weights, err := lora.Mergeable(t.Net, t.Set, pool)
	if err != nil {
		return Exported{}, err
	}
	config, err := models.FullConfig(t.Base.Source)
	if n := nn.Vocabulary(t.Net, t.AdapterSet()); err == nil && n != t.Net.Vocabulary() {
		config, err = withVocabulary(config, n)
	}
	if err != nil {
		return Exported{}, base.Input(err)
	}
	m := checkpoint.GGUFModel{
		Name: nameOf(t.Base.Name), Config: config, File: t.Base.File, Type: kind, Encode: encoder(pool),
	}
	if m.Special, err = special(t.Base); err != nil {
		return Exported{}, err
	}
	for _, w := range weights {
		m.Tensors = append(m.Tensors, checkpoint.GGUFTensor{Name: w.Name, Shape: w.Shape, Values: func() ([]float32, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return w.Values()
		}})
	}
	e := Exported{Tensors: len(weights)}
	e.Notes, err = checkpoint.WriteGGUF(path, m, files.Verify(func(temp string) error {
		return e.verify(t, temp, kind, pool)
	}))
	return e, err
}

// withVocabulary returns config.json for a model of n tokens.
func withVocabulary(config []byte, n int) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(config, &m); err != nil {
		return nil, err
	}
	m["vocab_size"] = fmt.Append(nil, n)
	return json.Marshal(m)
}

// nameOf returns the name of a model by the name of its base.
func nameOf(name string) string {
	name = filepath.Base(name)
	return strings.TrimSuffix(name, ".gguf")
}

// special returns the special tokens of a model: those of its tokenizer, and where that names none those of
// config.json.
func special(b *base.Base) (checkpoint.GGUFSpecial, error) {
	tok, ids := b.Tokenizer, map[string]int{}
	for name, id := range map[string]int32{
		"bos": tok.BosID(), "eos": tok.EosID(), "unk": tok.UnkID(), "sep": tok.SepID(), "pad": tok.PadID(),
		"cls": tok.ClsID(), "mask": tok.MaskID(),
	} {
		if id >= 0 {
			ids[name] = int(id)
		}
	}
	fill := func(name string, id int32) {
		if _, known := ids[name]; !known && id >= 0 {
			ids[name] = int(id)
		}
	}
	fill("bos", b.Info.BosID)
	fill("pad", b.Info.PadID)
	for _, id := range b.Info.EosIDs {
		fill("eos", id)
		if ids["eos"] != int(id) {
			fill("eot", id)
		}
	}
	const text = "a"
	with, err := tok.Encode(text, tokenize.Options{})
	if err != nil {
		return checkpoint.GGUFSpecial{}, base.Input(err)
	}
	plain, err := tok.Encode(text, tokenize.Options{NoSpecial: true})
	if err != nil {
		return checkpoint.GGUFSpecial{}, base.Input(err)
	}
	s := checkpoint.GGUFSpecial{IDs: ids}
	before, after, ok := around(with.IDs, plain.IDs)
	isOnly := func(list []int32, role string) bool {
		id, known := ids[role]
		return len(list) == 1 && known && int(list[0]) == id
	}
	s.AddBos, s.AddEos = isOnly(before, "bos"), isOnly(after, "eos")
	if !ok || len(before) > 0 && !s.AddBos || len(after) > 0 && !s.AddEos {
		return s, base.Input(fmt.Errorf("%s: the tokenizer adds other tokens to a text than the begin and the end token, "+
			"which GGUF cannot express", b.Name))
	}
	return s, nil
}

// around returns what stands before and after the ids of a text, and whether they are in a list.
func around(list, ids []int32) (before, after []int32, ok bool) {
	for i := range len(list) - len(ids) + 1 {
		if slices.Equal(list[i:i+len(ids)], ids) {
			return list[:i], list[i+len(ids):], true
		}
	}
	return nil, nil, false
}

// samples are texts with what tokenizers treat differently: cases, digits, spaces, line ends, scripts and bytes.
var samples = []string{
	"The quick brown fox jumps over the lazy dog.", " leading and  double   spaces\tand\ttabs ",
	"In 1999, 3.14159 and 1,234,567; $42!", "It's we'll THEY'RE I'd've", "line\nbreaks\n\n\nand\r\nreturns\n 12",
	"naïve Ünïcödé — “quotes” … ﬁ", "日本語のテキスト",
	"русский текст, ελληνικά",
	"emoji 🙂🙃 👩‍👩‍👧 \u0000\u007f\u0301",
	"def f(x):\n    return x**2  # comment", "https://example.org/a_b?c=d", "",
}

// verify compares the file with the model.
func (e *Exported) verify(t *base.Trained[models.CausalLM], path, kind string, pool *op.Pool) (err error) {
	b, err := base.Open(path)
	if err != nil {
		return fmt.Errorf("reading the file back: %w", err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, text := range samples {
		want, err := t.Base.Tokenizer.Encode(text, tokenize.Options{})
		if err != nil {
			return err
		}
		got, err := b.Tokenizer.Encode(text, tokenize.Options{})
		if err != nil {
			return fmt.Errorf("reading the file back: %w", err)
		}
		if !slices.Equal(got.IDs, want.IDs) {
			return base.Input(fmt.Errorf("%s: GGUF cannot express the tokenizer: %q is %v, in the file %v", t.Base.Name, text,
				want.IDs, got.IDs))
		}
	}
	whole, _, err := models.OpenCausalLM(b.Source)
	if err != nil {
		return fmt.Errorf("reading the file back: %w", err)
	}
	rows := tasks.Probe(nn.Vocabulary(t.Net, t.AdapterSet()), t.Net.MaxLength())
	want, err := logits(t.Net, t.AdapterSet(), rows, pool)
	if err != nil {
		return err
	}
	got, err := logits(whole, nil, rows, pool)
	if err != nil {
		return err
	}
	if len(got) != len(want) {
		return fmt.Errorf("reading the file back: got %d logits, want %d", len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= e.Difference) { // NaN stays
			e.Difference = d
		}
		e.Logit = max(e.Logit, math.Abs(float64(w)))
	}
	if math.IsNaN(e.Difference) || kind == "f32" && e.Difference > tasks.MergeBound*e.Logit {
		return fmt.Errorf("the logits of the file differ from those of the model by %.3g (largest logit %.3g); "+
			"nothing is written", e.Difference, e.Logit)
	}
	return nil
}

// logits returns the logits of all rows of b.
func logits(m models.CausalLM, adapter nn.AdapterSet, b *batch.Batch, pool *op.Pool) ([]float32, error) {
	p := &nn.Pass{Tape: op.NewEvalTape(pool), Adapter: adapter}
	values := slices.Clone(op.Values(m.Logits(p, b)))
	return values, p.Tape.Close()
}
