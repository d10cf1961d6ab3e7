package lora

import (
	"fmt"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Set is an adapter: a low-rank pair for each adapted layer and an own copy of each saved module. Which layers those are
// never changes after Attach or Load; the values change only while somebody trains [Set.Params]. It implements
// [nn.AdapterSet]. For one model any number of sets may be in use at once; a set is safe for concurrent use while
// nobody trains it.
type Set struct {
	config  Config
	pairs   []pair
	copies  []copied
	pairOf  map[*op.Weight]*op.Correction // lookup only: order comes from the slices
	copyOf  map[*op.Weight]*op.Weight
	dropped []string // modules_to_save that the model does not have
	unused  []string // target_modules of a loaded adapter that match nothing
	base    string   // fingerprint of the base model, "" if unknown
	notes   map[string]string
}

// pair is the correction of one layer.
type pair struct {
	path  string // of the layer
	base  *op.Weight
	table bool // an embedding
	c     *op.Correction
}

// copied is a weight that the set replaces.
type copied struct {
	path string // of the weight
	base *op.Weight
	own  *op.Weight
}

// Config returns the configuration that the set was made with.
func (s *Set) Config() Config { return s.config }

// Correction implements [nn.AdapterSet].
func (s *Set) Correction(w *op.Weight) *op.Correction { return s.pairOf[w] }

// Replacement implements [nn.AdapterSet].
func (s *Set) Replacement(w *op.Weight) *op.Weight { return s.copyOf[w] }

// Missing lists the modules_to_save that the model does not have: normal for the heads that PEFT adds by itself.
func (s *Set) Missing() []string { return s.dropped }

// Saved lists the weights that the set has its own copy of.
func (s *Set) Saved() []string {
	var names []string
	for _, c := range s.copies {
		names = append(names, c.path)
	}
	return names
}

// Params lists everything that trains, in order of declaration: the pairs, then the copies. Names are those of the
// adapter file.
func (s *Set) Params() []nn.NamedParam {
	var list []nn.NamedParam
	for _, p := range s.pairs {
		a, b := p.keys()
		list = append(list, nn.NamedParam{Name: a, Param: p.c.A}, nn.NamedParam{Name: b, Param: p.c.B})
	}
	for _, c := range s.copies {
		list = append(list, nn.NamedParam{Name: keyPrefix + c.path, Param: c.own.Param, NoDecay: c.own.Vector})
	}
	return list
}

// SetDropout makes p the LoRA dropout of the set: what a flag on a loaded adapter does.
func (s *Set) SetDropout(p float32) {
	s.config.Dropout = p
	for _, q := range s.pairs {
		q.c.Dropout = p
	}
}

// SetTaskType changes what the adapter says it is for.
func (s *Set) SetTaskType(t TaskType) { s.config.TaskType = t }

// SetBaseModel changes the name of the base model that the adapter's config gives.
func (s *Set) SetBaseModel(name string) { s.config.BaseModel = name }

// SetFingerprint says which base model the set belongs to: any text that tells models apart. It is saved with the tensors.
func (s *Set) SetFingerprint(f string) { s.base = f }

// Fingerprint returns what SetFingerprint was given, now or when the adapter was saved; "" for adapters of PEFT.
func (s *Set) Fingerprint() string { return s.base }

// SetNote has the set remember a word of its program's own, under a name: what it was trained for, say, since several tasks (multiple
// choice) have no task type in PEFT. Notes are saved with the tensors, where PEFT passes over them; an empty value takes one away.
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

// Summary returns PEFT's line about how much trains. Its total counts a saved module twice, the original and the copy.
func (s *Set) Summary(m spago.Model) string {
	trainable := 0
	for _, p := range s.Params() {
		trainable += len(op.Values(p.Param))
	}
	all := nn.Count(m) + trainable
	return fmt.Sprintf("trainable params: %s || all params: %s || trainable%%: %.4f", thousands(trainable), thousands(all), 100*float64(trainable)/float64(all))
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Tree prints the model with the set attached, in PEFT's shape.
func (s *Set) Tree(m spago.Model) string {
	pairs := map[string]pair{}
	for _, p := range s.pairs {
		pairs[p.path] = p
	}
	saved := s.savedModules()
	return nn.Tree(m, func(path string, _ any, text string) string {
		if p, ok := pairs[path]; ok {
			return p.tree(text)
		}
		if saved[path] {
			return fmt.Sprintf("ModulesToSaveWrapper(\n  (original_module): %[1]s\n  (modules_to_save): ModuleDict(\n    (default): %[2]s\n  )\n)",
				nn.Indent(text), nn.Indent(nn.Indent(text)))
		}
		return text
	})
}

// savedModules returns the paths of the modules that are copied whole: the shortest that a name of modules_to_save ends.
func (s *Set) savedModules() map[string]bool {
	found := map[string]bool{}
	for _, c := range s.copies {
		if path, ok := savedModule(c.path, s.config.saved()); ok {
			found[path] = true
		}
	}
	return found
}

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
	fmt.Fprintf(&b, "lora.%s(\n  (base_layer): %s\n  (lora_dropout): ModuleDict(\n    (default): %s\n  )\n", kind, nn.Indent(base), drop)
	if p.table {
		parameter := "ParameterDict(  (default): Parameter containing: [torch.FloatTensor of size %dx%d])"
		fmt.Fprintf(&b, "  (lora_A): ModuleDict()\n  (lora_B): ModuleDict()\n  (lora_embedding_A): "+parameter+"\n  (lora_embedding_B): "+parameter+"\n", r, in, out, r)
	} else {
		fmt.Fprintf(&b, "  (lora_A): ModuleDict(\n    (default): Linear(in_features=%d, out_features=%d, bias=False)\n  )\n", in, r)
		fmt.Fprintf(&b, "  (lora_B): ModuleDict(\n    (default): Linear(in_features=%d, out_features=%d, bias=False)\n  )\n", r, out)
		b.WriteString("  (lora_embedding_A): ParameterDict()\n  (lora_embedding_B): ParameterDict()\n")
	}
	b.WriteString("  (lora_magnitude_vector): ModuleDict()\n)")
	return b.String()
}
