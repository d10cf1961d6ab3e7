package lora

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// siteBase is where the random streams of LoRA dropout begin, above those of the model's own dropout.
const siteBase = 1 << 24

// Attach makes a fresh set for m: A of linear layers Kaiming-uniform with a = √5 and B zero, so that the adapted model
// starts as the base (PEFT's init_lora_weights=True); for embeddings A zero and B normal(0, 1). Copies of saved modules
// start at the base's values. The draw depends on seed and each layer's path only. A target that matches nothing, or
// nothing that can take a correction, is an error with the nearest names. m must have its weights and is not changed.
func Attach(m spago.Model, c Config, seed uint64) (*Set, error) {
	s, err := attach(m, c, false)
	if err != nil {
		return nil, err
	}
	for _, p := range s.pairs {
		r := nn.NewRand(seed, p.path)
		if p.table {
			b := op.Values(p.c.B)
			for i := range b {
				b[i] = float32(r.NormFloat64())
			}
			continue
		}
		_, in := op.Size(p.c.A)
		nn.KaimingUniform(op.Values(p.c.A), in, math.Sqrt(5), r)
	}
	return s, nil
}

// attach makes a set whose pairs are zero. The targets of an adapter that is loaded may name modules that are saved whole, and some that match
// nothing: PEFT writes every linear layer for all-linear and passes over the former, and asks of a list only that one of its names matches.
func attach(m spago.Model, c Config, loaded bool) (*Set, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Set{config: c, pairOf: map[*op.Weight]*op.Correction{}, copyOf: map[*op.Weight]*op.Weight{}}
	if err := s.copyModules(m); err != nil {
		return nil, err
	}
	if err := s.addPairs(m, loaded); err != nil {
		return nil, err
	}
	return s, nil
}

// copyModules gives the set its own copy of every weight that lies in a module of modules_to_save.
func (s *Set) copyModules(m spago.Model) error {
	names := s.config.saved()
	hit := map[string]bool{}
	for _, w := range weightsOf(m) {
		path, ok := savedModule(w.Name, names)
		if !ok {
			continue
		}
		for _, n := range names {
			if strings.HasSuffix(path, n) {
				hit[n] = true
			}
		}
		if !w.Weight.Filled() {
			return fmt.Errorf("lora: %s has no values yet; load the model before attaching", w.Name)
		}
		own := w.Weight.Copy()
		own.Train()
		s.copies = append(s.copies, copied{w.Name, w.key, own})
		s.copyOf[w.key] = own
	}
	for _, n := range names {
		if !hit[n] {
			s.dropped = append(s.dropped, n)
		}
	}
	if s.config.TargetModules.pattern == AllLinear {
		s.nameSaved()
	}
	return nil
}

// nameSaved adds saved modules to modules_to_save that are there only because their names end in one of it, as DistilBERT's pre_classifier
// ends in classifier: PEFT saves them, too, but would first adapt them for all-linear, which it leaves modules out of by their whole names, and stop.
func (s *Set) nameSaved() {
	for _, c := range s.copies {
		path, _ := savedModule(c.path, s.config.saved())
		name := path[strings.LastIndexByte(path, '.')+1:]
		if !slices.ContainsFunc(s.config.saved(), func(n string) bool { return n == name || n == path }) {
			s.config.ModulesToSave = append(slices.Clone(s.config.ModulesToSave), name)
		}
	}
}

// keyed is a weight with what a pass asks for it by.
type keyed struct {
	nn.NamedWeight
	key *op.Weight
}

// weightsOf lists the weights of m as nn.Weights does, and after them the heads that are tied to a table, each under its own name.
func weightsOf(m spago.Model) []keyed {
	var list []keyed
	for _, w := range nn.Weights(m) {
		list = append(list, keyed{w, w.Weight})
	}
	for _, h := range nn.TiedHeads(m) {
		list = append(list, keyed{nn.NamedWeight{Name: h.Path + ".weight", Weight: h.Linear.Weight}, h.Linear.Key()})
	}
	return list
}

// savedModule returns the outermost module on the way to a weight whose path ends in one of the names, as PEFT matches
// modules_to_save: the end of the path decides, without a dot before it.
func savedModule(weight string, names []string) (path string, ok bool) {
	for i, r := range weight {
		if r != '.' {
			continue
		}
		for _, n := range names {
			if strings.HasSuffix(weight[:i], n) {
				return weight[:i], true
			}
		}
	}
	return "", false
}

// candidate is a module that target_modules may name.
type candidate struct {
	path   string
	weight *op.Weight // what a pass asks for the layer by
	table  bool
	module any
	inOut  bool // stored in×out
}

func (s *Set) candidates(m spago.Model) (list []candidate, others []candidate) {
	nn.Walk(m, func(path string, module any) {
		if s.inSaved(path) {
			return
		}
		switch l := module.(type) {
		case *nn.Linear:
			list = append(list, candidate{path, l.Key(), false, l, l.Weight.InOut})
		case *nn.Embedding:
			list = append(list, candidate{path, l.Weight, true, l, false})
		case *op.Weight:
		default:
			others = append(others, candidate{path: path, module: l})
		}
	})
	return list, others
}

// inSaved reports whether a module is, or lies in, one that the set copies.
func (s *Set) inSaved(path string) bool {
	_, ok := savedModule(path+".", s.config.saved())
	return ok
}

const (
	outputLayer = "lm_head" // the head of language models, which all-linear leaves out as PEFT does
	pooler      = "pooler." // of an encoder without a head: nothing reads it
)

// addAllLinear makes pairs for all-linear. For feature extraction it leaves the pooler out, which PEFT adapts although no gradient reaches
// it, and names the others, so that PEFT opens the adapter as it is.
func (s *Set) addAllLinear(list []candidate) error {
	unread := false
	for _, c := range list {
		if c.table || c.path == outputLayer {
			continue
		}
		if s.config.TaskType == FeatureExtraction && strings.HasPrefix(c.path, pooler) {
			unread = true
			continue
		}
		if err := s.add(c); err != nil {
			return err
		}
	}
	if len(s.pairs) == 0 {
		return errors.New("lora: the model has no linear layer for all-linear")
	}
	if unread {
		var names []string
		for _, p := range s.pairs {
			names = append(names, p.path)
		}
		s.config.TargetModules = Names(names...)
	}
	return nil
}

func (s *Set) addPairs(m spago.Model, loaded bool) error {
	s.config.FanInFanOut = false
	list, others := s.candidates(m)
	t := s.config.TargetModules
	if t.pattern == AllLinear {
		return s.addAllLinear(list)
	}
	match, err := t.matcher()
	if err != nil {
		return fmt.Errorf("lora: %w", err)
	}
	hit := make([]bool, max(1, len(t.names)))
	for _, c := range list {
		hits := match(c.path)
		for _, i := range hits {
			hit[i] = true
		}
		if len(hits) == 0 {
			continue
		}
		if err := s.add(c); err != nil {
			return err
		}
	}
	if loaded && len(s.pairs) > 0 {
		s.passOver(match, hit, others)
	}
	return s.unmatched(match, hit, list, others)
}

// passOver counts targets of a loaded adapter as hit that match nothing, and remembers them but for those that are saved whole.
func (s *Set) passOver(match func(string) []int, hit []bool, others []candidate) {
	unfit := make([]bool, len(hit))
	for _, o := range others {
		for _, i := range match(o.path) {
			unfit[i] = true
		}
	}
	for i, name := range s.config.TargetModules.names {
		if hit[i] || unfit[i] {
			continue
		}
		hit[i] = true
		if !s.inSaved(name) {
			s.unused = append(s.unused, name)
		}
	}
}

// add makes the pair of one layer, all zero. A rank beyond the layer's width is refused: such a pair is no low-rank one, and a
// damaged adapter_config.json must not ask for any amount of memory.
func (s *Set) add(c candidate) error {
	rows, cols := c.weight.Rows, c.weight.Cols // out×in, or V×C
	r := s.config.R
	in, out, most := cols, rows, max(rows, cols)
	if c.table {
		in, out, most = rows, cols, cols
	}
	if r > most {
		return fmt.Errorf("lora: r is %d, but %s (%d→%d) takes at most %d", r, c.path, in, out, most)
	}
	site := uint32(siteBase + len(s.pairs))
	corr := &op.Correction{
		A: op.NewParam(r, in, make([]float32, r*in)), B: op.NewParam(out, r, make([]float32, out*r)),
		Scale: s.config.Scale(), Dropout: s.config.Dropout, Site: site,
	}
	s.pairs = append(s.pairs, pair{c.path, c.weight, c.table, corr})
	s.pairOf[c.weight] = corr
	s.config.FanInFanOut = s.config.FanInFanOut || c.inOut
	return nil
}

// unmatched explains targets that hit nothing.
func (s *Set) unmatched(match func(string) []int, hit []bool, list, others []candidate) error {
	var errs []error
	for _, o := range others {
		for _, i := range match(o.path) {
			if !hit[i] || s.config.TargetModules.pattern != "" {
				errs = append(errs, fmt.Errorf("target_modules %q matches %s, which is neither linear nor an embedding (%T)", s.config.TargetModules.list()[i], o.path, o.module))
				hit[i] = true
			}
			break
		}
		if len(errs) > 3 {
			break
		}
	}
	for i, name := range s.config.TargetModules.list() {
		if hit[i] {
			continue
		}
		var paths []string
		for _, c := range list {
			paths = append(paths, c.path)
		}
		err := fmt.Errorf("target_modules %q matches no linear or embedding layer", name)
		if s.inSaved(name) {
			err = fmt.Errorf("target_modules %q is trained whole already (modules_to_save)", name)
		} else if near := nn.Nearest(name, paths); len(near) > 0 {
			err = fmt.Errorf("%w; the nearest are %s", err, strings.Join(near, ", "))
		} else {
			err = fmt.Errorf("%w; the layers are named %s", err, strings.Join(lastNames(paths), ", "))
		}
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return fmt.Errorf("lora: %w", errors.Join(errs...))
	}
	return nil
}

// lastNames returns the different last parts of paths, in order.
func lastNames(paths []string) []string {
	var names []string
	seen := map[string]bool{}
	for _, p := range paths {
		n := p[strings.LastIndex(p, ".")+1:]
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	return names
}
