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
	Fresh bool // whether it may be missing; the caller then initialises it
}

// LoadOptions lists the allowed differences between a checkpoint and the tensors that a model wants. The zero value
// allows only the names gamma and beta in place of weight and bias.
type LoadOptions struct {
	// Prefix may be present or absent at the start of names, in the checkpoint and in the wants: with "bert." a wanted
	// "bert.pooler.dense.weight" is also found as "pooler.dense.weight", and vice versa.
	Prefix string
	// Skip matches known tensors of the checkpoint that the model does not need, such as heads of other tasks and buffers.
	// It is matched against names without Prefix.
	Skip []*regexp.Regexp
	// Tied maps the name of a copy to the name of its original ("lm_head.weight" to "model.embed_tokens.weight"). A copy
	// is dropped if its values are those of the original; a different one is loaded under its own name and listed in
	// [Report.Untied], as transformers uses both. If only the copy is stored, it is loaded as the original.
	Tied map[string]string
	// Rename returns the model's name of a tensor of the checkpoint, with or without Prefix, or the name itself if both
	// are equal; nil: they are. Tensors with the model's names are found too.
	Rename func(name string) string
}

// Report describes how the tensors of a checkpoint were used.
type Report struct {
	Loaded    int         // number of tensors handed to the model
	Fresh     []string    // wanted tensors that are missing and may be
	Skipped   []string    // known tensors of the checkpoint that are not needed
	Renamed   int         // number of tensors whose LayerNorm names were gamma and beta
	Untied    []string    // loaded keys of LoadOptions.Tied, which differ from their originals
	NonFinite []NonFinite // loaded tensors that hold NaN or infinite values
	Notes     []string    // oddities of the checkpoint that are not errors
}

// NonFinite counts the values of a tensor that are NaN or infinite.
type NonFinite struct {
	Name  string
	Count int
}

// String returns the report with one line for each kind of finding.
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
	for _, name := range r.Untied {
		lines = append(lines, fmt.Sprintf("warning: %s is not equal to the word table, to which config.json ties it; both "+
			"are used, as in transformers; write \"tie_word_embeddings\": false into config.json", plain(name)))
	}
	for _, n := range r.NonFinite {
		lines = append(lines, fmt.Sprintf("warning: %s holds %d NaN or infinite values", plain(n.Name), n.Count))
	}
	for _, n := range r.Notes {
		lines = append(lines, "note: "+n)
	}
	return strings.Join(lines, "\n")
}

// Load finds the tensor for each want and returns the tensors by the wanted names. Their type is F32, F16 or BF16 or,
// in a GGUF file, one of [gguf.Types], and their Data are valid until Close. A tensor is found by its exact name, by
// the name with gamma and beta for weight and bias, by the name that opts.Rename returns for that, and by all of them
// with or without the prefix.
//
// Load returns one error with all problems: tensors that are missing and not Fresh, tensors of the checkpoint that are
// neither wanted nor skipped nor tied, and tensors with another shape or an unsupported type.
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
		return nil, Report{}, fmt.Errorf("checkpoint: %s does not fit the model: %s%s",
			s.name, strings.Join(l.problems, "; "), l.remedy)
	}
	return l.found, l.report, nil
}

// loading is the state of one call of Load.
type loading struct {
	source   *Source
	opts     LoadOptions
	wants    []Want
	wanted   map[string]bool
	found    map[string]safetensors.Tensor // by wanted name; Name is the checkpoint's name
	tied     map[string]bool               // the keys of opts.Tied
	repeats  map[string]safetensors.Tensor // stored copies, by key of opts.Tied
	report   Report
	problems []string

	unexpected, contradicting []string
	remedy                    string // for the problems; "" if they say what to do
}

func newLoading(s *Source, wants []Want, opts LoadOptions) *loading {
	l := &loading{
		source: s, opts: opts, wants: slices.Clone(wants),
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

// refuseAdapter returns an error if the tensors are named as PEFT's wrapper names them.
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

// assign matches a tensor of the checkpoint with a want, a tied name or a skipped one.
func (l *loading) assign(name string) {
	t, _ := l.source.Tensor(name)
	modern := modernName(name)
	target, ok := l.target(name, l.wanted) // the exact name first: a model may have its own parameter named gamma
	renamed := false
	if !ok {
		target, ok = l.target(modern, l.wanted)
		renamed = ok
	}
	if !ok && l.opts.Rename != nil {
		target, ok = l.target(l.opts.Rename(modern), l.wanted)
		renamed = ok && modern != name
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

// target returns the member of names that matches name: exactly, or with the prefix added or removed.
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

// tie drops copies that are equal to their originals, keeps others, and uses copies whose originals are not stored.
func (l *loading) tie() {
	for _, repeat := range slices.Sorted(maps.Keys(l.repeats)) {
		t := l.repeats[repeat]
		original := l.opts.Tied[repeat]
		first, ok := l.found[original]
		switch {
		case !ok && l.wanted[original]:
			l.found[original] = t
		case ok && !sameValues(first, t):
			l.found[repeat] = t
			l.report.Untied = append(l.report.Untied, repeat)
			l.wants = append(l.wants, Want{Name: repeat, Shape: l.shape(original)})
		default:
			l.report.Skipped = append(l.report.Skipped, t.Name)
		}
	}
	slices.Sort(l.report.Skipped)
}

// shape returns the shape that a wanted tensor must have.
func (l *loading) shape(name string) []int {
	i := slices.IndexFunc(l.wants, func(w Want) bool { return w.Name == name })
	return l.wants[i].Shape
}

// complete compares the found tensors with the wants and collects the problems.
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
	switch {
	case len(missing) == 1 && (strings.HasSuffix(missing[0], "lm_head.weight") || missing[0] == "proj_out.weight"):
		l.remedy = `; if the head shares the word table, write "tie_word_embeddings": true into config.json`
	case len(missing) == 0 && len(l.unexpected) > 0:
		l.remedy = "; if they are not needed, load the checkpoint with transformers and save it with save_pretrained, " +
			"which leaves them out"
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

// nonFinite counts the NaN and infinite values of a tensor of any supported type.
func nonFinite(t safetensors.Tensor) int {
	for _, typ := range gguf.Types() {
		if typ.String() == string(t.DType) {
			return gguf.NonFinite(gguf.Tensor{Type: typ, Data: t.Data})
		}
	}
	return 0
}

// modernName replaces the names of LayerNorm parameters in TensorFlow.
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

// sameValues reports whether two tensors have the same values, whatever types they are stored in.
func sameValues(a, b safetensors.Tensor) bool {
	if a.DType == b.DType || !slices.Equal(a.Shape, b.Shape) {
		return same(a, b)
	}
	x, errX := safetensors.AsFloat32(a)
	y, errY := safetensors.AsFloat32(b)
	return errX == nil && errY == nil && slices.Equal(x, y)
}

// plain returns a tensor's name for a message: clipped, and quoted if it has characters that could disturb the message.
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
