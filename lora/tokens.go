package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TokenRows lists rows of tables that train while the tables stay frozen, as trainable_token_indices of
// adapter_config.json does.
type TokenRows []TableRows

// TableRows lists rows of one table: tokens.
type TableRows struct {
	Table   string // end of the table's path; "": the model's table of words
	Indices []int32
}

// ParseTokenRows returns the rows that text lists: 3,17,256 of the table of words, or name=3,17 for each table,
// separated by semicolons. It returns an error if a part is not a number.
func ParseTokenRows(text string) (TokenRows, error) {
	var list TokenRows
	for part := range strings.SplitSeq(text, ";") {
		name, numbers, named := strings.Cut(part, "=")
		if !named {
			name, numbers = "", part
		}
		rows := TableRows{Table: strings.TrimSpace(name)}
		if named && rows.Table == "" {
			return nil, fmt.Errorf("%q has no name before =; want name=3,17", part)
		}
		if err := json.Unmarshal([]byte("["+numbers+"]"), &rows.Indices); err != nil {
			return nil, fmt.Errorf("%q is not a list of row numbers; want 3,17 or name=3,17;name=5", part)
		}
		list = append(list, rows)
	}
	return list, nil
}

// String returns the rows as [ParseTokenRows] reads them.
func (r TokenRows) String() string {
	var parts []string
	for _, t := range r {
		text := strings.ReplaceAll(strings.Trim(fmt.Sprint(t.Indices), "[]"), " ", ",")
		if t.Table != "" {
			text = t.Table + "=" + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ";")
}

// Equal reports whether r and o list the same rows of the same tables in the same order.
func (r TokenRows) Equal(o TokenRows) bool {
	return slices.EqualFunc(r, o, func(a, b TableRows) bool {
		return a.Table == b.Table && slices.Equal(a.Indices, b.Indices)
	})
}

// MarshalJSON returns a list of rows of the table of words, or an object with lists by table.
func (r TokenRows) MarshalJSON() ([]byte, error) {
	if len(r) == 1 && r[0].Table == "" {
		return json.Marshal(r[0].Indices)
	}
	return orderedObject(len(r), func(i int) (string, any) { return r[i].Table, r[i].Indices })
}

// UnmarshalJSON sets r from what MarshalJSON writes, or to nil from null, an empty list or an empty object. It returns
// an error for any other value.
func (r *TokenRows) UnmarshalJSON(text []byte) error {
	*r = nil
	if len(text) > 0 && text[0] != '{' {
		var list []int32
		if err := json.Unmarshal(text, &list); err != nil {
			return err
		}
		if len(list) > 0 {
			*r = TokenRows{{Indices: list}}
		}
		return nil
	}
	return readOrdered(text, func(key string, rows []int32) { *r = append(*r, TableRows{Table: key, Indices: rows}) })
}

// check returns the error about a table without a list, which TokenRows that are read cannot have.
func (r TokenRows) check() error {
	seen := map[string]bool{}
	for _, t := range r {
		switch {
		case len(t.Indices) == 0:
			return fmt.Errorf("trainable_token_indices has no rows for %q; list some or leave it out", t.Table)
		case seen[t.Table] || t.Table == "" && len(r) > 1:
			return fmt.Errorf("trainable_token_indices has %q twice; name each table once", t.Table)
		}
		seen[t.Table] = true
	}
	return nil
}

// trainedRows are the rows of one table that train.
type trainedRows struct {
	path  string     // of the module
	base  *op.Weight // key by which a pass asks for the table
	param *spago.Param
	table bool // an embedding; otherwise a head
}

// tokensName is the end of the names of these rows in an adapter file.
const tokensName = ".token_adapter.trainable_tokens_delta"

// key returns the name of the rows in an adapter file.
func (t trainedRows) key() string { return keyPrefix + t.path + tokensName }

// addTokens makes the rows of trainable_token_indices trainable. As in PEFT, a head that shares the table follows it,
// unless the head has a list of its own with other rows.
func (s *Set) addTokens(m spago.Model) error {
	rows := s.config.TrainableTokenIndices
	if len(rows) == 0 {
		return nil
	}
	if len(sharedTables(m)) > 0 {
		return errors.New("lora: trainable_token_indices is not supported for encoder–decoders, whose sides share a " +
			"table; use target_modules or modules_to_save")
	}
	list, _ := s.candidates(m)
	own := map[*op.Weight][]int32{} // rows by table or head
	for _, t := range rows {
		found, err := s.addRows(list, t, own)
		if err != nil {
			return err
		}
		if !found {
			return s.noTable(t.Table, list)
		}
	}
	for _, h := range nn.TiedHeads(m) {
		table, with := own[h.Linear.Weight]
		separate, has := own[h.Linear.Key()]
		switch {
		case !with:
		case has && !slices.Equal(table, separate):
			if s.config.EnsureWeightTying {
				return fmt.Errorf("lora: trainable_token_indices lists other rows for %s than for its table, although "+
					"ensure_weight_tying is set; list the same rows, or none for the head", h.Path)
			}
		default:
			s.tokens = slices.DeleteFunc(s.tokens, func(t trainedRows) bool { return t.base == h.Linear.Key() })
			s.copyOf[h.Linear.Key()] = s.copyOf[h.Linear.Weight]
		}
	}
	return nil
}

// addRows makes rows of the modules trainable that t names, and notes them in own. found is false if there are none.
func (s *Set) addRows(list []candidate, t TableRows, own map[*op.Weight][]int32) (found bool, err error) {
	for _, c := range list {
		if t.Table == "" && (!c.table || found) || !strings.HasSuffix(c.path, t.Table) {
			continue
		}
		found = true
		w := c.weight
		if l, ok := c.module.(*nn.Linear); ok {
			w = l.Weight
		}
		if s.copyOf[c.weight] != nil {
			w = s.copyOf[c.weight] // a larger table
		}
		if !w.Filled() {
			return found, fmt.Errorf("lora: attach: %s.weight has no values; load the model first", c.path)
		}
		patched, param, err := w.WithRows(t.Indices)
		if err != nil {
			return found, fmt.Errorf("lora: trainable_token_indices of %s: %w", c.path, err)
		}
		s.tokens = append(s.tokens, trainedRows{c.path, c.weight, param, c.table})
		s.copyOf[c.weight] = patched
		own[c.weight] = t.Indices
	}
	return found, nil
}

// noTable returns the error about a name of trainable_token_indices that matches no module.
func (s *Set) noTable(name string, list []candidate) error {
	if s.inSaved(name) {
		return fmt.Errorf("lora: trainable_token_indices names %q, which is in modules_to_save and trains in full; "+
			"remove it from one of them", name)
	}
	var paths []string
	for _, c := range list {
		paths = append(paths, c.path)
	}
	err := fmt.Errorf("lora: trainable_token_indices %q matches no embedding or linear layer", name)
	if near := nn.Nearest(name, paths); len(near) > 0 {
		return fmt.Errorf("%w; the nearest are %s", err, strings.Join(near, ", "))
	}
	return fmt.Errorf("%w; name a table, such as embed_tokens", err)
}

// checkTokens returns an error if a layer has a pair and rows that train.
func (s *Set) checkTokens() error {
	var errs []error
	for _, t := range s.tokens {
		if s.pairOf[t.base] != nil {
			errs = append(errs, fmt.Errorf("lora: %s is in target_modules and in trainable_token_indices; remove it from "+
				"one of them", t.path))
		}
	}
	return errors.Join(errs...)
}

// tie lets heads that share a saved table follow the set's copy of it, as ensure_weight_tying says. PEFT does so only
// if modules_to_save names embed_tokens or lm_head; it lists the table by its path then, and not the head.
func (s *Set) tie(m spago.Model) error {
	if !s.config.EnsureWeightTying {
		return nil
	}
	if len(sharedTables(m)) > 0 {
		return errors.New("lora: ensure_weight_tying is not supported for encoder–decoders, whose sides share a table")
	}
	heads := nn.TiedHeads(m)
	named := func(list []string) bool {
		return slices.ContainsFunc(list, func(n string) bool {
			last := n[strings.LastIndexByte(n, '.')+1:]
			return last == "embed_tokens" || nn.IsOutputLayer(last)
		})
	}
	switch {
	case len(heads) == 0:
		s.idle = append(s.idle, "ensure_weight_tying has no effect, since the model has no tied head")
		return nil
	case !named(s.config.ModulesToSave):
		if named(s.config.TargetModules.names) {
			return errors.New("lora: ensure_weight_tying with embed_tokens or lm_head in target_modules is not supported: " +
				"table and head would share a pair; use modules_to_save, or merge an adapter of PEFT with PEFT " +
				"(merge_and_unload)")
		}
		if len(s.config.TrainableTokenIndices) == 0 {
			s.idle = append(s.idle, "ensure_weight_tying has no effect, since neither modules_to_save nor target_modules "+
				"names embed_tokens or lm_head")
		}
		return nil
	}
	for _, h := range heads {
		nn.Walk(m, func(path string, module any) {
			e, ok := module.(*nn.Embedding)
			if !ok || e.Weight != h.Linear.Weight {
				return
			}
			names := slices.DeleteFunc(slices.Clone(s.config.ModulesToSave), func(n string) bool {
				return endsIn(h.Path, n)
			})
			if !slices.Contains(names, path) {
				names = append(names, path)
			}
			s.config.ModulesToSave = names
		})
		s.tied = append(s.tied, h)
	}
	return nil
}

// tieCopies lets the tied heads that follow a saved table read the copy of it.
func (s *Set) tieCopies() {
	for _, h := range s.tied {
		if own := s.copyOf[h.Linear.Weight]; own != nil {
			s.copyOf[h.Linear.Key()] = own
		}
	}
}

// rowTrees returns the paths of the modules whose rows train or that follow such rows, with the sizes of the rows.
func (s *Set) rowTrees(m spago.Model) map[string]*spago.Param {
	found := map[string]*spago.Param{}
	for _, t := range s.tokens {
		found[t.path] = t.param
		for _, h := range nn.TiedHeads(m) {
			if h.Linear.Weight == t.base && s.copyOf[h.Linear.Key()] == s.copyOf[t.base] {
				found[h.Path] = t.param
			}
		}
	}
	return found
}

// rowTree returns the text of a module whose rows train, where base is that of the module itself.
func rowTree(base string, p *spago.Param) string {
	n, cols := op.Size(p)
	size := fmt.Sprintf("[torch.FloatTensor of size %dx%d])", n, cols)
	layer := fmt.Sprintf("TrainableTokensLayer(\n  (base_layer): %s\n"+
		"  (trainable_tokens_delta): ParameterDict(  (default): Parameter containing: %s\n"+
		"  (trainable_tokens_original): BufferDict(  (default): Buffer containing: %s\n)", nn.Indent(base), size, size)
	return "TrainableTokensWrapper(\n  (original_module): None\n  (token_adapter): " + nn.Indent(layer) + "\n)"
}
