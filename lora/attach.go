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

// siteBase is the first dropout site of corrections, above the sites of the model's own dropout.
const siteBase = 1 << 24

// Attach returns a fresh set for m, which must have its weights and does not change. c.InitLoraWeights says how the
// pairs start; by default the adapted model starts with the outputs of the base, bit for bit. Copies of saved modules
// start at the base's values. The starting values depend on seed, the path of the layer and its weight only.
//
// Attach returns an error if c is not valid, a weight to copy or to decompose has no values, r exceeds the size of a
// layer or does not fit c.InitLoraWeights, or a target matches no linear or embedding layer; the error names the
// nearest modules.
func Attach(m spago.Model, c Config, seed uint64) (*Set, error) { return fresh(m, c, seed, nil) }

// fresh is Attach with the argument resize of attach.
func fresh(m spago.Model, c Config, seed uint64, resize func(s *Set) error) (*Set, error) {
	s, err := attach(m, c, false, resize)
	if err != nil {
		return nil, err
	}
	if err := s.start(m, seed); err != nil {
		return nil, err
	}
	if err := s.startMagnitudes(); err != nil {
		return nil, err
	}
	return s, nil
}

// startMagnitudes sets the magnitudes of DoRA to the norms that their layers start with.
func (s *Set) startMagnitudes() error {
	for _, p := range s.pairs {
		if p.c.Magnitude == nil {
			continue
		}
		w := p.weight
		if own := s.Replacement(p.base); own != nil {
			w = own
		}
		if !w.Filled() {
			return fmt.Errorf("lora: attach: %s.weight has no values; load the model first", p.path)
		}
		copy(op.Values(p.c.Magnitude.Param), p.c.Norms(nil, w, p.table))
	}
	return nil
}

// attach returns a set whose pairs are zero. The targets of a loaded adapter may also name modules of modules_to_save,
// which PEFT lists for all-linear but does not adapt, and modules that the model does not have, since PEFT only
// requires that one name of a list matches. resize, unless it is nil, sets the tables of another vocabulary.
func attach(m spago.Model, c Config, loaded bool, resize func(s *Set) error) (*Set, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Set{config: c, pairOf: map[*op.Weight]*op.Correction{}, copyOf: map[*op.Weight]*op.Weight{},
		words: map[*op.Weight]*op.Weight{}, grown: map[*op.Weight]bool{}}
	if err := s.tie(m); err != nil {
		return nil, err
	}
	if resize != nil {
		if err := resize(s); err != nil {
			return nil, fmt.Errorf("lora: %w", err)
		}
	}
	if err := s.copyModules(m, loaded); err != nil {
		return nil, err
	}
	s.tieCopies()
	s.useWords()
	if err := s.addTokens(m); err != nil {
		return nil, err
	}
	if err := s.addPairs(m, loaded); err != nil {
		return nil, err
	}
	if err := s.addBiases(m); err != nil {
		return nil, err
	}
	if err := s.checkTokens(); err != nil {
		return nil, err
	}
	return s, nil
}

// SaveModules adds modules of m, by their names, to those that the set trains in full and saves: to the set of an
// adapter that was trained for m without them. Copies start at the base's values. Names that the set has in
// modules_to_save already are skipped. It returns an error, after which the set must not be used, if m has no such
// module, it has no values, or the set adapts a layer in it.
func (s *Set) SaveModules(m spago.Model, names ...string) error {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(s.config.saved(), n) })
	for _, p := range s.pairs {
		if path, ok := savedModule(p.path+".", names); ok {
			return fmt.Errorf("lora: the adapter has a low-rank pair for %s, so %s cannot be trained in full", p.path, path)
		}
	}
	s.config.ModulesToSave = append(slices.Clone(s.config.ModulesToSave), names...)
	if err := s.copyModules(m, false); err != nil {
		return err
	}
	for _, n := range names {
		if slices.Contains(s.absent, n) {
			return fmt.Errorf("lora: the model has no module %q to save", n)
		}
	}
	return nil
}

// copyModules gives the set its own copy of every weight in a module of modules_to_save that has none yet. The copies
// of a loaded adapter are all 0 until its file fills them.
func (s *Set) copyModules(m spago.Model, loaded bool) error {
	names := s.config.saved()
	hit := map[string]bool{}
	shared := sharedTables(m)
	s.absent = nil
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
		frozen := s.wordsOf(w.key, w.Weight)
		if own := s.copyOf[w.key]; own != nil && own != s.words[w.key] {
			continue
		}
		if shared[w.Weight] && w.key == w.Weight {
			return fmt.Errorf("lora: modules_to_save names %s, a table that only other layers read; name those, such as "+
				"embed_tokens", path)
		}
		if !w.Weight.Filled() {
			return fmt.Errorf("lora: attach: %s has no values; load the model first", w.Name)
		}
		s.bases = slices.DeleteFunc(s.bases, func(c copied) bool { return c.base == w.key })
		var own *op.Weight
		if loaded {
			own = frozen.Sized(frozen.Rows, frozen.Cols)
		} else {
			own = frozen.Trained()
		}
		s.copies = append(s.copies, copied{w.Name, w.key, own})
		s.copyOf[w.key] = own
	}
	for _, n := range names {
		if !hit[n] {
			s.absent = append(s.absent, n)
		}
	}
	if s.config.TargetModules.pattern == AllLinear {
		s.nameSaved()
	}
	return nil
}

// sharedTables returns the tables of m that only other layers read.
func sharedTables(m spago.Model) map[*op.Weight]bool {
	tables := map[*op.Weight]bool{}
	nn.Walk(m, func(_ string, module any) {
		if t, ok := module.(*nn.SharedTable); ok {
			tables[t.Weight] = true
		}
	})
	return tables
}

// nameSaved adds those saved modules to modules_to_save whose names only end in one of its names, as DistilBERT's
// pre_classifier ends in classifier. PEFT saves these modules too. But it excludes modules from all-linear by their
// whole names, so it would first adapt them, and then fail.
func (s *Set) nameSaved() {
	for _, c := range s.copies {
		path, _ := savedModule(c.path, s.config.saved())
		name := path[strings.LastIndexByte(path, '.')+1:]
		if !slices.ContainsFunc(s.config.saved(), func(n string) bool { return n == name || n == path }) {
			s.config.ModulesToSave = append(slices.Clone(s.config.ModulesToSave), name)
		}
	}
}

// keyed is a weight with the key by which a pass asks a set for it.
type keyed struct {
	nn.NamedWeight
	key *op.Weight
}

// weightsOf returns the weights of m as nn.Weights does, followed by the layers that share a table, each under its own
// name.
func weightsOf(m spago.Model) []keyed {
	var list []keyed
	for _, w := range nn.Weights(m) {
		list = append(list, keyed{w, w.Weight})
	}
	for _, h := range nn.TiedLayers(m) {
		list = append(list, keyed{nn.NamedWeight{Name: h.Path + ".weight", Weight: h.Layer.Table()}, h.Layer.Key()})
	}
	return list
}

// savedModule returns the outermost module that contains the weight and whose path ends in one of the names. As in
// PEFT's matching of modules_to_save, a dot before the name is not required.
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
	weight *op.Weight // key by which a pass asks a set for the layer
	values *op.Weight // the layer's weight: weight itself, or the shared table of a tied layer
	bias   *op.Weight // nil: none
	table  bool       // an embedding
	module any
	inOut  bool  // the weight is stored in×out
	hits   []int // indices of the targets that match the path
	out    bool  // exclude_modules or layers_to_transform leave the module out
}

// candidates returns the linear and embedding layers of m outside modules_to_save, and the other modules there.
func (s *Set) candidates(m spago.Model) (list []candidate, others []candidate) {
	nn.Walk(m, func(path string, module any) {
		if s.inSaved(path) {
			return
		}
		switch l := module.(type) {
		case *nn.Linear:
			list = append(list, candidate{path: path, weight: l.Key(), values: s.wordsOf(l.Key(), l.Weight), bias: l.Bias,
				module: l, inOut: l.Weight.InOut})
		case *nn.Embedding:
			list = append(list, candidate{path: path, weight: l.Key(), values: s.wordsOf(l.Key(), l.Weight), table: true,
				module: l})
		case *op.Weight:
		default:
			others = append(others, candidate{path: path, module: l})
		}
	})
	return list, others
}

// inSaved reports whether a module is in modules_to_save or inside such a module.
func (s *Set) inSaved(path string) bool {
	_, ok := savedModule(path+".", s.config.saved())
	return ok
}

// pooler is the prefix of the pooler of an encoder without a head, whose output has no use.
const pooler = "pooler."

// find sets hits and out of the modules in list. all-linear has no hits.
func (s *selector) find(list []candidate) error {
	match := func(string) ([]int, error) { return nil, nil }
	if t := s.config.TargetModules; t.pattern != AllLinear {
		var err error
		if match, err = t.matcher("target_modules"); err != nil {
			return err
		}
	}
	for i := range list {
		c := &list[i]
		hits, err := match(c.path)
		if err != nil {
			return fmt.Errorf("target_modules: %w", err)
		}
		selected, err := s.selects(c.path)
		if err != nil {
			return err
		}
		c.hits, c.out = hits, !selected
	}
	return nil
}

// addAllLinear adds pairs for all-linear. For feature extraction it excludes the pooler, which PEFT adapts although no
// gradient reaches it, and lists the other layers in target_modules, so that PEFT can load the adapter.
func (s *Set) addAllLinear(sel *selector, list []candidate) error {
	unread := false
	for _, c := range list {
		if c.table || c.out || nn.IsOutputLayer(c.path) {
			continue
		}
		if s.config.TaskType == FeatureExtraction && strings.HasPrefix(c.path, pooler) {
			unread = true
			continue
		}
		if err := s.add(sel, c); err != nil {
			return err
		}
	}
	if len(s.pairs) == 0 {
		return fmt.Errorf("lora: target_modules all-linear matches no layer of the model%s; name the modules to adapt",
			s.config.limits())
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

// addPairs adds a pair for each layer of m that target_modules matches, and sets fan_in_fan_out.
func (s *Set) addPairs(m spago.Model, loaded bool) error {
	s.config.FanInFanOut = false
	list, others := s.candidates(m)
	sel, err := newSelector(s.config)
	if err == nil {
		err = errors.Join(sel.find(list), sel.find(others))
	}
	if err != nil {
		return fmt.Errorf("lora: %w", err)
	}
	var paths []string
	for _, c := range slices.Concat(list, others) {
		paths = append(paths, c.path)
	}
	others = slices.DeleteFunc(others, func(o candidate) bool { return o.out })
	if s.config.TargetModules.pattern == AllLinear {
		err = s.addAllLinear(sel, list)
	} else {
		err = s.addNamed(sel, list, others, loaded)
	}
	if err != nil {
		return err
	}
	idle, err := sel.unused(s.pairs, paths)
	if err != nil {
		return fmt.Errorf("lora: %w", err)
	}
	s.idle = append(s.idle, idle...)
	return nil
}

// addNamed adds a pair for each layer in list that target_modules matches by names or an expression.
func (s *Set) addNamed(sel *selector, list, others []candidate, loaded bool) error {
	t := s.config.TargetModules
	hit := make([]bool, max(1, len(t.names)))
	for _, c := range list {
		for _, i := range c.hits {
			hit[i] = true
		}
		if len(c.hits) == 0 || c.out {
			continue
		}
		if err := s.add(sel, c); err != nil {
			return err
		}
	}
	if len(s.pairs) == 0 && slices.Contains(hit, true) {
		return fmt.Errorf("lora: target_modules %s matches no layer%s; name others", t, s.config.limits())
	}
	if loaded && len(s.pairs) > 0 {
		s.skipUnmatched(hit, others)
	}
	return s.unmatched(hit, list, others)
}

// skipUnmatched sets hit for the targets of a loaded adapter that match no module. It lists them in s.unused, except
// modules of modules_to_save.
func (s *Set) skipUnmatched(hit []bool, others []candidate) {
	unfit := make([]bool, len(hit)) // targets that match a module of another kind
	for _, o := range others {
		for _, i := range o.hits {
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

// add adds the pair of one layer, all zero. It returns an error if the rank exceeds the size of the layer: such a pair
// would not be low-rank, and a damaged adapter_config.json could request any amount of memory.
func (s *Set) add(sel *selector, c candidate) error {
	rows, cols := c.values.Rows, c.values.Cols // out×in, or V×C
	r, alpha, err := sel.rank(c.path)
	if err != nil {
		return fmt.Errorf("lora: %w", err)
	}
	in, out := cols, rows
	if c.table {
		in, out = rows, cols
	}
	if most := largestRank(in, out, c.table); r > most {
		return fmt.Errorf("lora: r is %d, but %s (%d→%d) takes at most %d; set a lower r", r, c.path, in, out, most)
	}
	scale := s.config.scale(r, alpha)
	if f := float64(scale); f == 0 || math.IsInf(f, 0) {
		return fmt.Errorf("lora: lora_alpha %g and r %d give %s the scale %g; want a finite scale above 0", alpha, r, c.path,
			scale)
	}
	site := uint32(siteBase + len(s.pairs))
	corr := &op.Correction{
		A: op.NewParam(r, in, make([]float32, r*in)), B: op.NewParam(out, r, make([]float32, out*r)),
		Scale: scale, Dropout: s.config.Dropout, Site: site,
	}
	if s.config.LoRABias {
		if c.table {
			return fmt.Errorf("lora: lora_bias does not work on embeddings, but target_modules names %s; leave one of them out",
				c.path)
		}
		corr.Bias = op.NewParam(1, out, make([]float32, out))
	}
	if s.config.UseDoRA {
		corr.Magnitude = op.NewMagnitude(out)
	}
	s.pairs = append(s.pairs, pair{c.path, c.weight, c.values, c.bias, c.table, corr})
	s.pairOf[c.weight] = corr
	s.config.FanInFanOut = s.config.FanInFanOut || c.inOut
	return nil
}

// largestRank returns the largest rank that a layer from in to out values takes.
func largestRank(in, out int, table bool) int {
	if table {
		return out
	}
	return max(in, out)
}

// unmatched returns an error that explains the targets without a hit, or nil if there are none.
func (s *Set) unmatched(hit []bool, list, others []candidate) error {
	var errs []error
	for _, o := range others {
		for _, i := range o.hits {
			if !hit[i] || s.config.TargetModules.pattern != "" {
				what := fmt.Sprintf("which is neither linear nor an embedding (%T); name other modules, or train it in full by "+
					"modules_to_save", o.module)
				if _, ok := o.module.(*nn.SharedTable); ok {
					what = "a table that only other layers read; name those, such as embed_tokens"
				}
				errs = append(errs, fmt.Errorf("target_modules %q matches %s, %s", s.config.TargetModules.list()[i], o.path, what))
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
			err = fmt.Errorf("target_modules %q is in modules_to_save, whose weights train directly; "+
				"remove it from target_modules", name)
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

// lastNames returns the distinct last parts of the paths, in order.
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
