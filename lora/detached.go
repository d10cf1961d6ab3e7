package lora

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
)

// Detached is an adapter without its base model: the content of its files. [ReadDetached] and [Set.Detach] make it,
// [Combine] and [Detached.Reduce] compute new ones, and [Detached.Attach] returns a [Set] for a model. It is safe for
// concurrent use as long as nobody changes it.
type Detached struct {
	Name        string // for messages: the directory that it was read from
	Config      Config
	Layers      []Layer           // by path; numbers in paths count as numbers
	Notes       map[string]string // by name, see [Set.SetNote]
	Fingerprint string            // of the base model, see [Set.Fingerprint]

	rest []stored // the other tensors: heads, magnitudes, replaced weights of the base model
}

// Layer is the low-rank pair of one layer. Its correction is Scale·B·A.
type Layer struct {
	Path    string    // of the layer
	Table   bool      // an embedding: In is the number of rows of the table, Out their length
	Rank    int       // r
	In, Out int       // columns of A, rows of B
	A, B    []float32 // r×In and Out×r
	Scale   float64   // α/r, or α/√r with use_rslora
}

// Endings of the names of a pair's tensors: A and B of a linear layer, A and B of an embedding, the bias of a linear
// layer's B, and DoRA's magnitudes of both.
const (
	linearA, linearB = ".lora_A.weight", ".lora_B.weight"
	tableA, tableB   = ".lora_embedding_A", ".lora_embedding_B"
	linearBias       = ".lora_B.bias"
	magnitude        = ".lora_magnitude_vector"
)

// ReadDetached reads the adapter in dir, which [Set.Save] or PEFT wrote, without its base model. It returns a warning
// for each field of adapter_config.json that is ignored. It returns an error if a file is missing or not valid, a
// tensor of a pair is missing, its shape contradicts the rank in adapter_config.json, or the adapter is for base
// weights that its starting values changed.
func ReadDetached(dir string) (*Detached, []string, error) {
	c, warnings, err := ReadConfig(dir)
	if err != nil {
		return nil, warnings, err
	}
	if init := c.InitLoraWeights; init.changesBase() {
		return nil, warnings, fmt.Errorf("lora: %s: init_lora_weights is %s: the adapter is for base weights that PEFT "+
			"changed; %s", dir, init, convert)
	}
	f, err := openWeights(dir)
	if err != nil {
		return nil, warnings, err
	}
	defer f.Close()
	var tensors []stored
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		v, err := safetensors.AsFloat32(t)
		if err != nil {
			return nil, warnings, fmt.Errorf("lora: %s: %w", filepath.Join(dir, weightsName), err)
		}
		tensors = append(tensors, stored{name, t.Shape, slices.Clone(v)})
	}
	d, err := detach(c, tensors)
	if err != nil {
		return nil, warnings, fmt.Errorf("lora: %s: %w", filepath.Join(dir, weightsName), err)
	}
	d.Name, d.Fingerprint, d.Notes = dir, f.Metadata()[fingerprintKey], notes(f)
	return d, warnings, nil
}

// Detach returns a copy of the set without its base model, for the unchanged weights of that, as [Set.Save] writes it.
func (s *Set) Detach() (*Detached, error) {
	c, tensors, err := s.content()
	if err != nil {
		return nil, fmt.Errorf("lora: detach: %w", err)
	}
	for i := range tensors {
		tensors[i].values = slices.Clone(tensors[i].values)
	}
	d, err := detach(c, tensors)
	if err != nil {
		return nil, fmt.Errorf("lora: detach: %w", err)
	}
	d.Fingerprint, d.Notes = s.base, maps.Clone(s.notes)
	return d, nil
}

// detach returns the adapter with the given tensors, whose values it keeps.
func detach(c Config, tensors []stored) (*Detached, error) {
	d := &Detached{Config: c}
	sel, err := newSelector(c)
	if err != nil {
		return nil, err
	}
	pairs := map[string]*[2]stored{}
	tables := map[string]bool{}
	var paths []string
	for _, t := range tensors {
		path, part, table := pairOf(t.key)
		if part < 0 {
			d.rest = append(d.rest, t)
			continue
		}
		if pairs[path] == nil {
			pairs[path], tables[path] = new([2]stored), table
			paths = append(paths, path)
		}
		if len(t.shape) != 2 || tables[path] != table || pairs[path][part].key != "" {
			return nil, fmt.Errorf("%s does not fit: it has the shape %v; want one matrix A and one matrix B for each layer",
				t.key, t.shape)
		}
		pairs[path][part] = t
	}
	slices.SortFunc(paths, comparePaths)
	for _, path := range paths {
		l := Layer{Path: path, Table: tables[path]}
		a, b := pairs[path][0], pairs[path][1]
		if a.key == "" || b.key == "" {
			return nil, fmt.Errorf("%s has only one tensor of the pair A and B; get the file again", path)
		}
		l.Rank, l.In, l.Out, l.A, l.B = a.shape[0], a.shape[1], b.shape[0], a.values, b.values
		r, alpha, err := sel.rank(path)
		if err != nil {
			return nil, err
		}
		if l.Rank != r || b.shape[1] != r {
			return nil, fmt.Errorf("%s: A is %v and B is %v, but the rank in %s is %d; they belong to different adapters",
				path, a.shape, b.shape, configName, r)
		}
		l.Scale = c.factor(r, alpha)
		d.Layers = append(d.Layers, l)
	}
	if len(d.Layers) == 0 {
		return nil, fmt.Errorf("no tensor of a pair (lora_A, lora_B); the file is not an adapter of LoRA")
	}
	return d, nil
}

// pairOf returns the path of the layer that a tensor of an adapter file belongs to, 0 for A or 1 for B, and whether the
// layer is an embedding. part is -1 for tensors that are not part of a pair. PEFT's default name of an adapter may
// stand in the tensor's name.
func pairOf(key string) (path string, part int, table bool) {
	key = strings.TrimPrefix(key, keyPrefix)
	if name, ok := strings.CutSuffix(key, ".default.weight"); ok {
		key = name + ".weight"
	}
	key = strings.TrimSuffix(key, ".default")
	for i, ending := range []string{linearA, linearB, tableA, tableB} {
		if path, ok := strings.CutSuffix(key, ending); ok {
			return path, i % 2, i >= 2
		}
	}
	return "", -1, false
}

// comparePaths orders paths by their parts; parts that are numbers are ordered by value.
func comparePaths(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, errM := strconv.Atoi(x[i])
		n, errN := strconv.Atoi(y[i])
		order := strings.Compare(x[i], y[i])
		if errM == nil && errN == nil {
			order = cmp.Compare(m, n)
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(x), len(y))
}

// stored returns the tensors of the adapter's files.
func (d *Detached) stored() []stored {
	var list []stored
	for _, l := range d.Layers {
		a, b := linearA, linearB
		if l.Table {
			a, b = tableA, tableB
		}
		list = append(list, stored{keyPrefix + l.Path + a, []int{l.Rank, l.In}, l.A},
			stored{keyPrefix + l.Path + b, []int{l.Out, l.Rank}, l.B})
	}
	return append(list, d.rest...)
}

// NonFinite returns the tensors that hold NaN or infinite values with the number of such values, in the form of
// messages.
func (d *Detached) NonFinite() []string {
	var list []string
	for _, t := range d.stored() {
		if n := notFinite(t.values); n > 0 {
			list = append(list, fmt.Sprintf("%s holds %d NaN or infinite values", t.key, n))
		}
	}
	return list
}

// Write passes the files of the adapter to put one after another, adapter_config.json last. It returns an error, before
// it writes anything, if a value is NaN or infinite.
func (d *Detached) Write(put func(name string, write func(io.Writer) error) error) error {
	return adapterFiles{d.Config, d.stored(), d.Fingerprint, d.Notes}.write(put)
}

// Attach returns the set of the adapter for m, as [Load] does for files.
func (d *Detached) Attach(m spago.Model) (*Set, []string, error) {
	a := adapterFiles{d.Config, d.stored(), d.Fingerprint, d.Notes}
	var buffer bytes.Buffer
	if err := safetensors.Write(&buffer, a.list(), a.metadata()); err != nil {
		return nil, nil, fmt.Errorf("lora: %w", err)
	}
	f, err := safetensors.Parse(buffer.Bytes())
	if err != nil {
		return nil, nil, fmt.Errorf("lora: %w", err)
	}
	return load(cmp.Or(d.Name, "adapter"), d.Config, f, m, nil)
}

// adapterFiles is the content of the files of an adapter.
type adapterFiles struct {
	config      Config
	tensors     []stored
	fingerprint string
	notes       map[string]string
}

func (a adapterFiles) list() []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, t := range a.tensors {
		data := safetensors.Bytes(t.values)
		list = append(list, safetensors.Tensor{Name: t.key, DType: safetensors.F32, Shape: t.shape, Data: data})
	}
	return list
}

func (a adapterFiles) metadata() map[string]string {
	m := map[string]string{"format": "pt"}
	if a.fingerprint != "" {
		m[fingerprintKey] = a.fingerprint
	}
	for name, value := range a.notes {
		m[notePrefix+name] = value
	}
	return m
}

// write passes the files to put.
func (a adapterFiles) write(put func(name string, write func(io.Writer) error) error) error {
	if err := finite(a.tensors); err != nil {
		return err
	}
	tensors, metadata := a.list(), a.metadata()
	err := put(weightsName, func(w io.Writer) error { return safetensors.Write(w, tensors, metadata) })
	if err != nil {
		return fmt.Errorf("lora: save: %w", err)
	}
	text, err := json.MarshalIndent(a.config, "", "  ")
	if err != nil {
		return fmt.Errorf("lora: save: %w", err)
	}
	if err := put(configName, files.Bytes(append(text, '\n'))); err != nil {
		return fmt.Errorf("lora: save: %w", err)
	}
	return nil
}

// For returns the set with the same values for another model of the same architecture, such as the base model with
// other adapters merged into it. It returns an error if the set replaces weights of the base model, which m may have
// changed.
func (s *Set) For(m spago.Model) (*Set, error) {
	if len(s.bases) > 0 {
		return nil, fmt.Errorf("lora: the adapter replaces %s of the base model, so it fits no other; use it alone or first",
			s.bases[0].path)
	}
	d, err := s.Detach()
	if err != nil {
		return nil, err
	}
	other, _, err := d.Attach(m)
	return other, err
}
