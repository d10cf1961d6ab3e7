package lora

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// The files of an adapter, as PEFT names them.
const (
	configName  = "adapter_config.json"
	weightsName = "adapter_model.safetensors"
)

// FileNames returns the names of the files that [Set.Save] writes.
func FileNames() []string { return []string{configName, weightsName} }

// fingerprintKey is the key of the base model's fingerprint in the metadata of the tensors. PEFT ignores it.
const fingerprintKey = "spalora.base_fingerprint"

// notePrefix is the prefix of the keys of notes in the metadata of the tensors. PEFT ignores them.
const notePrefix = "spalora."

// keyPrefix is the prefix of every tensor name in an adapter file.
const keyPrefix = "base_model.model."

// keys returns the names of the pair's tensors in an adapter file, for saving and loading.
func (p pair) keys() (a, b string) {
	if p.table {
		return keyPrefix + p.path + ".lora_embedding_A", keyPrefix + p.path + ".lora_embedding_B"
	}
	return keyPrefix + p.path + ".lora_A.weight", keyPrefix + p.path + ".lora_B.weight"
}

// pairTensor is a tensor of a pair that trains, as an adapter file has it.
type pairTensor struct {
	key   string
	shape []int
	param *spago.Param
}

// tensors returns the tensors of the pair in the order of the adapter file.
func (p pair) tensors() []pairTensor {
	a, b := p.keys()
	r, in := op.Size(p.c.A)
	out, _ := op.Size(p.c.B)
	list := []pairTensor{{a, []int{r, in}, p.c.A}, {b, []int{out, r}, p.c.B}}
	if p.c.Bias != nil {
		list = append(list, pairTensor{keyPrefix + p.path + linearBias, []int{out}, p.c.Bias})
	}
	if p.c.Magnitude != nil {
		list = append(list, pairTensor{keyPrefix + p.path + magnitude, []int{out}, p.c.Magnitude.Param})
	}
	return list
}

// stored is a tensor of the adapter file with the set's own values.
type stored struct {
	key    string
	shape  []int
	values []float32
}

// stored returns the tensors of the set that an adapter file must have, in its order: those that train, except biases
// of the base model.
func (s *Set) stored() []stored {
	var list []stored
	for _, p := range s.pairs {
		for _, x := range p.tensors() {
			list = append(list, stored{x.key, x.shape, op.Values(x.param)})
		}
	}
	for _, c := range s.copies {
		list = append(list, stored{keyPrefix + c.path, c.own.Shape(), op.Values(c.own.Param)})
	}
	for _, t := range s.tokens {
		rows, cols := op.Size(t.param)
		list = append(list, stored{t.key(), []int{rows, cols}, op.Values(t.param)})
	}
	return list
}

// storedTwice returns the tables of heads that follow a copy, which PEFT stores under the heads' names, too.
func (s *Set) storedTwice() []stored {
	var list []stored
	for _, h := range s.tied {
		if own := s.copyOf[h.Linear.Key()]; own != nil {
			list = append(list, stored{keyPrefix + h.Path + ".weight", own.Shape(), op.Values(own.Param)})
		}
	}
	return list
}

// storedBiases returns the biases of the base model that train.
func (s *Set) storedBiases() []stored {
	var list []stored
	adapted := s.adapted()
	for _, c := range s.biases {
		list = append(list, stored{keyPrefix + below(c.path, adapted), c.own.Shape(), op.Values(c.own.Param)})
	}
	return list
}

// all returns the tensors that Save writes: those that train and the replaced weights of the base model.
func (s *Set) all() []stored {
	list := slices.Concat(s.stored(), s.storedTwice(), s.storedBiases(), s.repeated())
	for _, c := range s.bases {
		list = append(list, stored{keyPrefix + c.path, c.own.Shape(), c.own.Float32()})
	}
	return list
}

// Save writes adapter_model.safetensors (float32) and adapter_config.json to dir, which must exist. Each file is
// replaced atomically. A set that replaces base weights by residuals (PiSSA, OLoRA) is saved as plain LoRA of twice the
// rank, which acts on the unchanged base model as the set does. Save returns an error, before it writes anything, if a
// value is NaN or infinite.
func (s *Set) Save(dir string) error {
	c, list, err := s.content()
	if err != nil {
		return fmt.Errorf("lora: save: %w", err)
	}
	return adapterFiles{c, list, s.base, s.notes}.write(func(name string, write func(io.Writer) error) error {
		return files.WriteFile(filepath.Join(dir, name), write)
	})
}

// finite returns an error that names the first value that is NaN or infinite, or nil if there is none.
func finite(tensors []stored) error {
	for _, t := range tensors {
		for i, v := range t.values {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("lora: save: %s has %g at element %d; want finite values", t.key, v, i)
			}
		}
	}
	return nil
}

// ReadConfig returns the configuration of the adapter in dir, and a warning for each field of adapter_config.json that
// is ignored. It returns an error if the file is missing or [DecodeConfig] does.
func ReadConfig(dir string) (Config, []string, error) {
	text, err := os.ReadFile(filepath.Join(dir, configName))
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil, fmt.Errorf("lora: %s has no %s; give the directory of an adapter", dir, configName)
	}
	if err != nil {
		return Config{}, nil, fmt.Errorf("lora: %w", err)
	}
	c, warnings, err := DecodeConfig(text)
	if err != nil {
		return c, warnings, fmt.Errorf("%s: %w", dir, err)
	}
	return c, warnings, nil
}

// Load returns the set of the adapter in dir, written by [Set.Save] or by PEFT, for m, which must have its weights
// and does not change. It returns a warning for each ignored field of adapter_config.json, for each of target_modules
// that matches no layer while others do, for what [Set.Idle] describes, for each tensor with NaN or infinite values,
// and for each weight of the base model that the file replaces by another one. It returns an error that lists all
// tensors that are missing, unexpected or of another shape, and an error in the cases of [ReadConfig] and [Attach].
func Load(dir string, m spago.Model, options ...LoadOption) (*Set, []string, error) {
	c, warnings, err := ReadConfig(dir)
	if err != nil {
		return nil, warnings, err
	}
	f, err := openWeights(dir)
	if err != nil {
		return nil, warnings, err
	}
	defer f.Close()
	s, found, err := load(dir, c, f, m, options)
	return s, append(warnings, found...), err
}

// LoadOption changes how [Load] reads an adapter.
type LoadOption func(*loading)

// loading collects the options of Load.
type loading struct {
	shaped func(weight string, got, want []int) bool
}

// Shaped accepts weights of saved modules in another shape than the model has: fits gets the path of a weight and both
// shapes, of equal length, and reports whether the adapter's is right. It is for heads, whose results nothing in the
// model reads: an adapter with another number of classes then predicts beside others on one model.
func Shaped(fits func(weight string, got, want []int) bool) LoadOption {
	return func(l *loading) { l.shaped = fits }
}

// reshape gives the copies whose shape in f differs from the model's, but fits, that shape.
func (s *Set) reshape(f *safetensors.File, fits func(weight string, got, want []int) bool) {
	for _, c := range s.copies {
		t, ok := f.Tensor(keyPrefix + c.path)
		want := c.own.Shape()
		if !ok || len(t.Shape) != len(want) || slices.Equal(t.Shape, want) || c.own.InOut || c.own.Dims != nil ||
			!fits(c.path, t.Shape, want) {
			continue
		}
		if c.own.Vector {
			*c.own = *c.own.Sized(1, t.Shape[0])
		} else {
			*c.own = *c.own.Sized(t.Shape[0], t.Shape[1])
		}
	}
}

// load returns the set of an adapter with the configuration c and the tensors f for m, and warnings as Load does.
// Errors name dir.
func load(dir string, c Config, f *safetensors.File, m spago.Model, options []LoadOption) (
	s *Set, warnings []string, err error,
) {
	var l loading
	for _, o := range options {
		o(&l)
	}
	if c, f, err = withModuleNames(m, c, f); err != nil {
		return nil, nil, fmt.Errorf("lora: %s: %w", dir, err)
	}
	if s, err = attach(m, c, true, func(s *Set) error { return s.readWords(m, f) }); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if l.shaped != nil {
		s.reshape(f, l.shaped)
	}
	if err := s.fill(m, f); err != nil {
		return nil, nil, fmt.Errorf("lora: %s: %w", filepath.Join(dir, weightsName), err)
	}
	if err := s.splitLoaded(m); err != nil {
		return nil, nil, fmt.Errorf("lora: %s: %w", filepath.Join(dir, configName), err)
	}
	warnings = append(warnings, s.replaced(m)...)
	for _, key := range s.absentBiases {
		warnings = append(warnings, fmt.Sprintf("%s: %s is missing; the base model's values are used, as in PEFT",
			weightsName, key))
	}
	for _, name := range s.unused {
		warnings = append(warnings, fmt.Sprintf("%s: target_modules %q matches no layer of this model", configName, name))
	}
	for _, text := range s.idle {
		warnings = append(warnings, configName+": "+text)
	}
	s.base, s.notes = f.Metadata()[fingerprintKey], notes(f)
	for _, t := range s.all() {
		if n := notFinite(t.values); n > 0 {
			warnings = append(warnings, fmt.Sprintf("%s: %s holds %d NaN or infinite values", weightsName, t.key, n))
		}
	}
	return s, warnings, nil
}

// notFinite returns the number of values that are NaN or infinite.
func notFinite(values []float32) int {
	n := 0
	for _, v := range values {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			n++
		}
	}
	return n
}

func missingWeights(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "adapter_model.bin")); err == nil {
		return fmt.Errorf("lora: %s has only adapter_model.bin, a Python pickle, which is not supported; "+
			"load the adapter with PEFT and save it with save_pretrained", dir)
	}
	return fmt.Errorf("lora: %s has no %s; give the whole directory of an adapter", dir, weightsName)
}

// fill copies the tensors of f into the set for m. It returns an error that lists all tensors that do not fit.
func (s *Set) fill(m spago.Model, f *safetensors.File) error {
	var missing, misfit []string
	left := map[string]bool{}
	for _, name := range f.Names() {
		left[name] = true
	}
	resized, rank := "", ""
	ranks := s.rankAxes()
	wrong := func(key string, got, want []int) {
		misfit = append(misfit, fmt.Sprintf("%s is %v, want %v", key, got, want))
		if axis, ok := ranks[key]; ok && rank == "" && len(got) == 2 && got[1-axis] == want[1-axis] {
			rank = fmt.Sprintf("the rank is %d in %s, but %d in the tensors; restore the file that was saved with them",
				want[axis], configName, got[axis])
		}
		if rank == "" && resized == "" {
			resized = resizedTable(m, got, want)
		}
	}
	nameOf := s.naming(left)
	read := func(want stored, absent *[]string) error {
		name := nameOf(want.key)
		t, ok := f.Tensor(name)
		delete(left, name)
		if !ok {
			*absent = append(*absent, want.key)
			return nil
		}
		if !slices.Equal(t.Shape, want.shape) {
			wrong(want.key, t.Shape, want.shape)
			return nil
		}
		v, err := safetensors.AsFloat32(t)
		if err != nil {
			return err
		}
		copy(want.values, v)
		return nil
	}
	for _, want := range s.stored() {
		if err := read(want, &missing); err != nil {
			return err
		}
	}
	for _, want := range s.storedBiases() {
		if err := read(want, &s.absentBiases); err != nil {
			return err
		}
	}
	s.dropRepeated(left)
	var differing []string
	for _, again := range s.storedTwice() { // PEFT's copy of the head, which is the table's
		if t, ok := f.Tensor(again.key); ok {
			delete(left, again.key)
			v, err := safetensors.AsFloat32(t)
			if err != nil {
				return err
			}
			if !slices.Equal(v, again.values) {
				differing = append(differing, again.key+" and the table that it follows")
			}
		}
	}
	twice, err := s.fillBase(m, f, left, wrong)
	if err != nil {
		return err
	}
	again, err := s.dropWords(m, f, left)
	if err != nil {
		return err
	}
	s.keepWords(m)
	twice = append(append(twice, differing...), again...)
	var extra []string
	for _, name := range f.Names() {
		if left[name] {
			extra = append(extra, name)
		}
	}
	err = errors.Join(tensorError("missing", missing), tensorError("of another shape", misfit),
		tensorError("stored twice with different values", twice),
		tensorError("not expected by this model and adapter_config.json", extra))
	switch {
	case rank != "":
		err = fmt.Errorf("%w; %s", err, rank)
	case resized != "":
		err = fmt.Errorf("%w; %s", err, resized)
	case err != nil:
		err = fmt.Errorf("%w; give the base model of the adapter as `model`, or save the adapter again with PEFT's "+
			"save_pretrained", err)
	}
	return err
}

// rankAxes returns, for the names of the factors of all pairs, which of their two sizes is the rank.
func (s *Set) rankAxes() map[string]int {
	axes := map[string]int{}
	for _, p := range s.pairs {
		a, b := p.keys()
		axes[a], axes[b] = 0, 1
	}
	return axes
}

// naming returns the function from the keys of stored to names in a file with the tensors has. A file made of a model's
// own state has the name of the adapter, PEFT's default, behind the names of all pairs' tensors; PEFT reads both forms.
func (s *Set) naming(has map[string]bool) func(key string) string {
	forms := map[string]string{}
	for _, p := range s.pairs {
		for _, x := range p.tensors() {
			key := x.key
			switch {
			case p.table && !strings.HasSuffix(key, magnitude): // a parameter, not a module
				forms[key] = key + ".default"
			case strings.HasSuffix(key, magnitude):
				forms[key] = key + ".default.weight"
			default:
				dot := strings.LastIndexByte(key, '.')
				forms[key] = key[:dot] + ".default" + key[dot:]
			}
			if !has[forms[key]] {
				return func(key string) string { return key }
			}
		}
	}
	return func(key string) string {
		if form, ok := forms[key]; ok {
			return form
		}
		return key
	}
}

// fillBase reads the weights of the base model that the file holds, and removes their names from left. PEFT writes the
// tables of words (save_embedding_layers) under their own names, or as base_layer below an adapted layer, and loads
// whatever it finds over the base's. So a weight with other values than the base's becomes a frozen weight of the set.
// fillBase calls wrong for weights of another shape and returns the names of tied weights that contradict each other.
func (s *Set) fillBase(m spago.Model, f *safetensors.File, left map[string]bool, wrong func(string, []int, []int)) (
	twice []string, err error,
) {
	if len(left) == 0 {
		return nil, nil
	}
	adapted := s.adapted()
	first := map[*op.Weight]string{} // names in the file of the weights that were read
	own := map[*op.Weight]*op.Weight{}
	for _, w := range weightsOf(m) {
		path := below(w.Name, adapted)
		t, ok := f.Tensor(keyPrefix + path)
		if !ok || !left[keyPrefix+path] {
			continue
		}
		delete(left, keyPrefix+path)
		base := s.wordsOf(w.key, w.Weight)
		if !slices.Equal(t.Shape, base.Shape()) {
			wrong(keyPrefix+path, t.Shape, base.Shape())
			continue
		}
		v, err := base.Like(string(t.DType), t.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyPrefix+path, err)
		}
		if base != w.Weight { // read before
			if !v.Same(base) {
				twice = append(twice, keyPrefix+path+" and another tensor of that table")
			}
			continue
		}
		if before, again := first[w.Weight]; again {
			if !v.Same(own[w.Weight]) {
				twice = append(twice, before+" and "+keyPrefix+path)
			}
			continue
		}
		first[w.Weight], own[w.Weight] = keyPrefix+path, v
		if !w.Weight.Filled() {
			return nil, fmt.Errorf("%s has no values; load the model first", w.Name)
		}
		if !v.Same(w.Weight) {
			v, err := w.Weight.Like(string(t.DType), bytes.Clone(t.Data)) // the file is closed before the weight is used
			if err != nil {
				return nil, err
			}
			s.bases = append(s.bases, copied{path, w.Weight, v})
		}
	}
	for _, w := range weightsOf(m) { // a tied head shares the replaced table, unless modules_to_save has a copy of one
		i := slices.IndexFunc(s.bases, func(c copied) bool { return c.base == w.Weight })
		if i >= 0 && s.copyOf[w.key] == nil {
			s.copyOf[w.key] = s.bases[i].own
		}
	}
	return twice, nil
}

// resizedTable returns what to do about a tensor that fits to a table with more or fewer rows than an embedding of m
// has, and "" for other tensors.
func resizedTable(m spago.Model, got, want []int) (advice string) {
	nn.Walk(m, func(path string, module any) {
		e, ok := module.(*nn.Embedding)
		if !ok || advice != "" || len(got) != len(want) {
			return
		}
		for i := range got {
			rest := slices.Equal(got[:i], want[:i]) && slices.Equal(got[i+1:], want[i+1:])
			if rest && want[i] == e.Weight.Rows && got[i] != want[i] {
				advice = fmt.Sprintf("the adapter is for a model whose %s has %d rows, not %d; load the base model with "+
					"transformers, call resize_token_embeddings(%d), save it, and give that as `model`", path, got[i], want[i],
					got[i])
			}
		}
	})
	return advice
}

func tensorError(what string, names []string) error {
	const most = 8
	switch n := len(names); {
	case n == 0:
		return nil
	case n > most:
		return fmt.Errorf("%d tensors are %s: %s, …", n, what, strings.Join(names[:most], ", "))
	default:
		return fmt.Errorf("%d tensors are %s: %s", n, what, strings.Join(names, ", "))
	}
}
