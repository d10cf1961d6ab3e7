package checkpoint

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/internal/strictjson"
	"github.com/spalora/spalora/checkpoint/safetensors"
)

// Want is a tensor that a model needs.
type Want struct {
	Name  string
	Shape []int
	Fresh bool // may be missing; the caller then makes one
}

// LoadOptions says how a checkpoint may differ from what a model wants. The zero value allows no difference but the names gamma and
// beta.
type LoadOptions struct {
	// Prefix is what tensor names may have in front or lack, on either side: with "bert." a wanted "bert.pooler.dense.weight" is
	// found as "pooler.dense.weight" too, and the other way round.
	Prefix string
	// Skip matches tensors of the checkpoint that are known and not needed: heads of other tasks, buffers. It is applied to names
	// without Prefix.
	Skip []*regexp.Regexp
	// Tied maps names to the name of the tensor that they repeat ("lm_head.weight" to "model.embed_tokens.weight"). A repetition is
	// dropped if it is equal and an error if not; if only the repetition is stored, it is loaded under the other name.
	Tied map[string]string
}

// Report tells how a checkpoint was taken in.
type Report struct {
	Loaded    int         // tensors handed to the model
	Fresh     []string    // wanted, missing and allowed to be
	Skipped   []string    // in the checkpoint, known and not needed
	Renamed   int         // tensors whose LayerNorm names were gamma and beta
	NonFinite []NonFinite // loaded tensors that hold NaN or infinite values
	Notes     []string    // oddities of the checkpoint
}

// NonFinite counts the values of a tensor that are no finite numbers.
type NonFinite struct {
	Name  string
	Count int
}

// String returns the report in one line for each kind of finding.
func (r Report) String() string {
	lines := []string{fmt.Sprintf("%d tensors loaded", r.Loaded)}
	if r.Renamed > 0 {
		lines = append(lines, fmt.Sprintf("%d tensors renamed from gamma, beta to weight, bias", r.Renamed))
	}
	if len(r.Fresh) > 0 {
		lines = append(lines, "not in the checkpoint, made fresh: "+list(quoted(r.Fresh), ", "))
	}
	if len(r.Skipped) > 0 {
		lines = append(lines, "in the checkpoint, not needed: "+list(quoted(r.Skipped), ", "))
	}
	for _, n := range r.NonFinite {
		lines = append(lines, fmt.Sprintf("warning: %s holds %d NaN or infinite values", plain(n.Name), n.Count))
	}
	for _, n := range r.Notes {
		lines = append(lines, "note: "+n)
	}
	return strings.Join(lines, "\n")
}

// Load finds the tensor for each want and returns them by the wanted names. Their type is F32, F16 or BF16 or, in a GGUF file, one of
// [gguf.Types], and their Data are valid until Close. A name is found as it is, with gamma and beta for weight and bias, and with or without the prefix.
//
// What is missing without being Fresh, what is in the checkpoint without being wanted, skipped or tied, and what has another shape or
// an unsupported type is reported in one error, all of it.
func (s *Source) Load(wants []Want, opts LoadOptions) (map[string]safetensors.Tensor, Report, error) {
	l := newLoading(s, wants, opts)
	if err := l.refuseAdapter(); err != nil {
		return nil, Report{}, fmt.Errorf("checkpoint: %s: %w", s.name, err)
	}
	for _, name := range s.order {
		l.assign(name)
	}
	l.tie()
	l.complete()
	if len(l.problems) > 0 {
		return nil, Report{}, fmt.Errorf("checkpoint: %s does not fit the model: %s", s.name, strings.Join(l.problems, "; "))
	}
	return l.found, l.report, nil
}

// loading is the state of one Load.
type loading struct {
	source   *Source
	opts     LoadOptions
	wants    []Want
	wanted   map[string]bool
	found    map[string]safetensors.Tensor // by wanted name; Name is the checkpoint's
	tied     map[string]bool               // keys of opts.Tied
	repeats  map[string]safetensors.Tensor // by key of opts.Tied
	report   Report
	problems []string

	unexpected, contradicting []string
}

func newLoading(s *Source, wants []Want, opts LoadOptions) *loading {
	l := &loading{
		source: s, opts: opts, wants: wants,
		wanted:  make(map[string]bool, len(wants)),
		found:   make(map[string]safetensors.Tensor, len(wants)),
		tied:    make(map[string]bool, len(opts.Tied)),
		repeats: map[string]safetensors.Tensor{},
		report:  Report{Notes: slices.Clone(s.notes)},
	}
	for _, w := range wants {
		if l.wanted[w.Name] {
			panic(fmt.Sprintf("checkpoint: tensor %s is wanted twice", w.Name))
		}
		l.wanted[w.Name] = true
	}
	for repeat := range opts.Tied {
		l.tied[repeat] = true
	}
	return l
}

// refuseAdapter errs if the tensors are named as PEFT's wrapper names them.
func (l *loading) refuseAdapter() error {
	const wrapper = "base_model.model."
	for _, name := range l.source.order {
		if strings.HasPrefix(name, wrapper) {
			return fmt.Errorf("tensor %s: names that begin with %s belong to an adapter or a model that PEFT wraps; "+
				"give the base model, or merge the adapter into it first", plain(name), wrapper)
		}
	}
	return nil
}

// assign puts a tensor of the checkpoint where it belongs.
func (l *loading) assign(name string) {
	t, _ := l.source.Tensor(name)
	modern := modernName(name)
	target, ok := l.target(name, l.wanted) // first as it is: a model may have a parameter of its own that is called gamma
	renamed := false
	if !ok {
		target, ok = l.target(modern, l.wanted)
		renamed = ok
	}
	if ok {
		first, twice := l.found[target]
		switch {
		case !twice:
			l.found[target] = t
			if renamed {
				l.report.Renamed++
			}
		case !same(first, t):
			l.contradicting = append(l.contradicting, fmt.Sprintf("%s and %s", plain(first.Name), plain(name)))
		default:
			l.report.Skipped = append(l.report.Skipped, name)
		}
		return
	}
	if repeat, ok := l.target(modern, l.tied); ok {
		l.repeats[repeat] = t
		return
	}
	bare := strings.TrimPrefix(modern, l.opts.Prefix)
	for _, skip := range l.opts.Skip {
		if skip.MatchString(bare) {
			l.report.Skipped = append(l.report.Skipped, name)
			return
		}
	}
	l.unexpected = append(l.unexpected, plain(name))
}

// target returns the member of names that name stands for: itself, or itself with or without the prefix.
func (l *loading) target(name string, names map[string]bool) (string, bool) {
	if names[name] {
		return name, true
	}
	if l.opts.Prefix == "" {
		return "", false
	}
	if bare, ok := strings.CutPrefix(name, l.opts.Prefix); ok {
		return bare, names[bare] && !strings.HasPrefix(bare, l.opts.Prefix)
	}
	return l.opts.Prefix + name, names[l.opts.Prefix+name]
}

// tie drops repetitions that are equal to their originals and uses those whose originals are not stored.
func (l *loading) tie() {
	for _, repeat := range slices.Sorted(maps.Keys(l.repeats)) {
		t := l.repeats[repeat]
		original := l.opts.Tied[repeat]
		first, ok := l.found[original]
		switch {
		case !ok && l.wanted[original]:
			l.found[original] = t
		case ok && !same(first, t):
			l.contradicting = append(l.contradicting, fmt.Sprintf("%s and %s (tied)", plain(first.Name), plain(t.Name)))
		default:
			l.report.Skipped = append(l.report.Skipped, t.Name)
		}
	}
	slices.Sort(l.report.Skipped)
}

// complete checks what was found against the wants and collects the problems.
func (l *loading) complete() {
	var missing, shapes, types, supported []string
	for _, t := range gguf.Types() {
		supported = append(supported, t.String())
	}
	for _, w := range l.wants {
		t, ok := l.found[w.Name]
		switch {
		case !ok && w.Fresh:
			l.report.Fresh = append(l.report.Fresh, w.Name)
		case !ok:
			missing = append(missing, plain(w.Name))
		case !slices.Equal(t.Shape, w.Shape):
			shapes = append(shapes, fmt.Sprintf("%s is %v, want %v", plain(t.Name), t.Shape, w.Shape))
		case !slices.Contains(supported, string(t.DType)):
			types = append(types, fmt.Sprintf("%s has dtype %s", plain(t.Name), t.DType))
		default:
			l.report.Loaded++
			if n := nonFinite(t); n > 0 {
				l.report.NonFinite = append(l.report.NonFinite, NonFinite{w.Name, n})
			}
			l.source.Release(t.Data) // the scan has touched every page
		}
	}
	slices.Sort(l.contradicting)
	for _, p := range []struct {
		what  string
		items []string
	}{
		{"missing", missing},
		{"unexpected", l.unexpected},
		{"of another shape", shapes},
		{"of a type that is not supported (want " + strings.Join(supported, ", ") + ")", types},
		{"stored twice with different values", l.contradicting},
	} {
		if len(p.items) > 0 {
			l.problems = append(l.problems, fmt.Sprintf("%d %s: %s", len(p.items), p.what, list(p.items, ", ")))
		}
	}
}

// nonFinite counts the values that are NaN or infinite, whatever the type.
func nonFinite(t safetensors.Tensor) int {
	for _, typ := range gguf.Types() {
		if typ.String() == string(t.DType) {
			return gguf.NonFinite(gguf.Tensor{Type: typ, Data: t.Data})
		}
	}
	return 0
}

// modernName replaces the names that TensorFlow's LayerNorm gave its parameters.
func modernName(name string) string {
	if stem, ok := strings.CutSuffix(name, ".gamma"); ok {
		return stem + ".weight"
	}
	if stem, ok := strings.CutSuffix(name, ".beta"); ok {
		return stem + ".bias"
	}
	return name
}

func same(a, b safetensors.Tensor) bool {
	return a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
}

// plain returns a tensor's name as it is if it is harmless, else escaped; long names are cut.
func plain(name string) string {
	name = strictjson.Clip(name)
	for _, r := range name {
		if r <= ' ' || r > '~' || r == '"' || r == ',' || r == ';' {
			return fmt.Sprintf("%+q", name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = plain(n)
	}
	return out
}
