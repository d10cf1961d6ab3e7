package lora

import (
	"fmt"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Set is an adapter of one model: a low-rank pair for each adapted layer and a copy of each weight of the saved
// modules. [Attach] and [Load] make it, and [Set.SaveModules] adds saved modules; otherwise its layers never change.
// Its values change only if the caller trains [Set.Params]. It implements [nn.AdapterSet]. A model may have any
// number of sets in use at once. A set is safe for concurrent use as long as no goroutine trains it, adds modules or
// calls one of its Set methods.
type Set struct {
	config       Config
	pairs        []pair
	copies       []copied
	tokens       []trainedRows                 // rows of tables that train
	tied         []nn.TiedHead                 // heads that follow the copy of their table
	biases       []copied                      // biases of the base model that train
	bases        []copied                      // weights of the base model that the adapter file replaces, frozen
	residuals    []residual                    // base weights without what the pairs start with
	words        map[*op.Weight]*op.Weight     // frozen tables of another vocabulary or other values, by key
	grown        map[*op.Weight]bool           // those of words that begin with the base model's rows
	pairOf       map[*op.Weight]*op.Correction // for lookup only; the slices have the order
	copyOf       map[*op.Weight]*op.Weight
	absent       []string          // modules_to_save that the model does not have
	unused       []string          // target_modules of a loaded adapter that match no layer
	idle         []string          // entries of the configuration without effect, as messages
	absentBiases []string          // biases that train and that the file of a loaded adapter does not have
	unread       []string          // tables and heads whose further rows the file of a loaded adapter does not have
	base         string            // fingerprint of the base model, "" if unknown
	notes        map[string]string // by name
}

// pair is the correction of one layer.
type pair struct {
	path   string     // of the layer
	base   *op.Weight // key by which a pass asks for the correction
	weight *op.Weight // of the layer
	bias   *op.Weight // of the layer; nil: none
	table  bool       // an embedding
	c      *op.Correction
}

// copied is a weight that the set replaces.
type copied struct {
	path string     // of the weight
	base *op.Weight // key by which a pass asks for the replacement
	own  *op.Weight
}

// Config returns the configuration of the set.
func (s *Set) Config() Config { return s.config }

// Correction returns the correction of the layer whose base weight is w, or nil. It implements [nn.AdapterSet].
func (s *Set) Correction(w *op.Weight) *op.Correction { return s.pairOf[w] }

// Replacement returns the set's copy of the base weight w, or nil. It implements [nn.AdapterSet].
func (s *Set) Replacement(w *op.Weight) *op.Weight { return s.copyOf[w] }

// Missing returns those of modules_to_save, including the heads of the task type, that the model does not have. PEFT
// adds several heads for a task type, of which a model has one.
func (s *Set) Missing() []string { return s.absent }

// Idle describes the entries of rank_pattern, alpha_pattern and exclude_modules that match nothing in the model, one
// message for each. PEFT warns about them.
func (s *Set) Idle() []string { return s.idle }

// Saved returns the names of the weights that the set has copies of, in the order of declaration.
func (s *Set) Saved() []string {
	var names []string
	for _, c := range s.copies {
		names = append(names, c.path)
	}
	return names
}

// Params returns the trainable parameters of the set under their names in the adapter file: those of the pairs in the
// order of declaration, those of the copies, then the biases of the base model.
func (s *Set) Params() []nn.NamedParam {
	var list []nn.NamedParam
	for _, p := range s.pairs {
		for _, x := range p.tensors() {
			list = append(list, p.named(x))
		}
	}
	for _, c := range s.copies {
		list = append(list, nn.NamedParam{
			Name: keyPrefix + c.path, Param: c.own.Param, NoDecay: c.own.Vector, Role: nn.VectorRole(c.own.Vector),
		})
	}
	adapted := s.adapted()
	for _, c := range s.biases {
		list = append(list, nn.NamedParam{
			Name: keyPrefix + below(c.path, adapted), Param: c.own.Param, NoDecay: true, Role: nn.Vector,
		})
	}
	for _, t := range s.tokens {
		list = append(list, nn.NamedParam{Name: t.key(), Param: t.param})
	}
	return list
}

// named returns a tensor of the pair as a parameter.
func (p pair) named(x pairTensor) nn.NamedParam {
	n := nn.NamedParam{Name: x.key, Param: x.param, Role: nn.Vector}
	switch {
	case x.param == p.c.Bias:
		n.NoDecay = true
	case len(x.shape) == 1:
	case p.table:
		n.Role = nn.TableFactor
	case x.param == p.c.A:
		n.Role = nn.FactorA
	default:
		n.Role, n.A, n.Scale = nn.FactorB, p.c.A, p.c.Scale
	}
	return n
}

// SetDropout sets lora_dropout to p, in the configuration and in all corrections.
func (s *Set) SetDropout(p float32) {
	s.config.Dropout = p
	for _, q := range s.pairs {
		q.c.Dropout = p
	}
}

// TokenizerNote is the note that identifies the custom tokenizer an adapter was trained with (see [Set.SetNote]).
const TokenizerNote = "tokenizer"

// SetTaskType sets task_type in the configuration.
func (s *Set) SetTaskType(t TaskType) { s.config.TaskType = t }

// SetBaseModel sets base_model_name_or_path in the configuration.
func (s *Set) SetBaseModel(name string) { s.config.BaseModel = name }

// SetFingerprint sets the fingerprint of the base model: any text that identifies it. Save stores it with the tensors.
func (s *Set) SetFingerprint(f string) { s.base = f }

// Fingerprint returns the fingerprint of the base model that SetFingerprint set or Load read, or "" if there is none,
// as in PEFT's adapters.
func (s *Set) Fingerprint() string { return s.base }

// SetNote sets the note with the given name, or removes it if value is empty. Save stores notes with the tensors, where
// PEFT ignores them. A program can use them, for example, to record the task of an adapter that has no task type in
// PEFT, such as multiple choice.
func (s *Set) SetNote(name, value string) {
	if value == "" {
		delete(s.notes, name)
		return
	}
	if s.notes == nil {
		s.notes = map[string]string{}
	}
	s.notes[name] = value
}

// Summary returns PEFT's line with the number of trainable parameters and of all parameters of m and the set. The total
// counts a saved module twice: the original and the copy.
func (s *Set) Summary(m spago.Model) string {
	trainable, all := s.Counts(m)
	return fmt.Sprintf("trainable params: %s || all params: %s || trainable%%: %.4f",
		thousands(trainable), thousands(all), 100*float64(trainable)/float64(all))
}

// Counts returns the numbers of PEFT's line: the trainable values, and all values of m and the set.
func (s *Set) Counts(m spago.Model) (trainable, all int) {
	for _, p := range s.Params() {
		trainable += len(op.Values(p.Param))
	}
	all = nn.Count(m) + trainable
	resized := map[*op.Weight]bool{}
	for _, l := range nn.WordLayers(m) {
		if own := s.words[l.Key]; own != nil && !resized[own] {
			resized[own] = true
			all += own.Len() - l.Weight.Len()
		}
	}
	for _, c := range s.biases { // the base model's own
		all -= c.own.Len()
	}
	return trainable, all
}

// thousands returns n with a comma before every third digit from the right.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Tree returns m with the set attached in the style of Python's print of a PEFT model.
func (s *Set) Tree(m spago.Model) string {
	pairs := map[string]pair{}
	for _, p := range s.pairs {
		pairs[p.path] = p
	}
	saved := s.savedModules()
	for _, h := range s.tied {
		saved[h.Path] = true
	}
	rows := s.rowTrees(m)
	words := s.resized(m)
	return nn.Tree(m, func(path string, _ any, text string) string {
		if line, ok := words[path]; ok {
			text = line
		}
		if p, ok := pairs[path]; ok {
			return p.tree(text)
		}
		if n, ok := rows[path]; ok {
			return rowTree(text, n)
		}
		if saved[path] {
			return fmt.Sprintf("ModulesToSaveWrapper(\n  (original_module): %s\n"+
				"  (modules_to_save): ModuleDict(\n    (default): %s\n  )\n)", nn.Indent(text), nn.Indent(nn.Indent(text)))
		}
		return text
	})
}

// savedModules returns the paths of the outermost modules that modules_to_save matches.
func (s *Set) savedModules() map[string]bool {
	found := map[string]bool{}
	for _, c := range s.copies {
		if path, ok := savedModule(c.path, s.config.saved()); ok {
			found[path] = true
		}
	}
	return found
}

// tree returns the text of the adapted layer, where base is that of the layer itself.
func (p pair) tree(base string) string {
	drop := "Identity()"
	if p.c.Dropout > 0 {
		drop = (&nn.Dropout{P: p.c.Dropout}).Describe()
	}
	r, in := op.Size(p.c.A)
	out, _ := op.Size(p.c.B)
	var b strings.Builder
	kind := "Linear"
	if p.table {
		kind = "Embedding"
	}
	fmt.Fprintf(&b, "lora.%s(\n  (base_layer): %s\n  (lora_dropout): ModuleDict(\n    (default): %s\n  )\n",
		kind, nn.Indent(base), drop)
	if p.table {
		const parameter = "ParameterDict(  (default): Parameter containing: [torch.FloatTensor of size %dx%d])\n"
		b.WriteString("  (lora_A): ModuleDict()\n  (lora_B): ModuleDict()\n")
		fmt.Fprintf(&b, "  (lora_embedding_A): "+parameter+"  (lora_embedding_B): "+parameter, r, in, out, r)
	} else {
		const linear = "ModuleDict(\n    (default): Linear(in_features=%d, out_features=%d, bias=%s)\n  )\n"
		bias := "False"
		if p.c.Bias != nil {
			bias = "True"
		}
		fmt.Fprintf(&b, "  (lora_A): "+linear+"  (lora_B): "+linear, in, r, "False", r, out, bias)
		b.WriteString("  (lora_embedding_A): ParameterDict()\n  (lora_embedding_B): ParameterDict()\n")
	}
	magnitudes := ""
	if p.c.Magnitude != nil {
		magnitudes = "\n    (default): lora.dora.DoraLinearLayer()\n  "
		if p.table { // PEFT repeats the prefix
			magnitudes = "\n    (default): lora.dora.lora.dora.DoraEmbeddingLayer()\n  "
		}
	}
	fmt.Fprintf(&b, "  (lora_magnitude_vector): ModuleDict(%s)\n)", magnitudes)
	return b.String()
}
