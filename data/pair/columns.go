package pair

import (
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// translation is the key of an object with a text for each language.
const translation = "translation"

// Names that need no option. Those of winning come first; of the others, which are what the data sets of the Hugging
// Face hub and their tools call a text and what is made of it, exactly one may fit.
var (
	winning = names{"source", []string{"target", "targets", "reference", "references"}}
	others  = []names{
		{"document", []string{"summary"}},
		{"article", []string{"highlights", "summary", "abstract"}},
		{"text", []string{"summary"}},
		{"dialogue", []string{"summary"}},
		{"input_text", []string{"target_text"}},
		{"src", []string{"tgt"}},
	}
)

// besides are columns with content for the model that rows may have beside source and target.
var besides = []string{"prefix", "prompt", "instruction", "context", "passage", "question", "query", "history",
	"system"}

// names are those of a source and of targets that go with it.
type names struct {
	source  string
	targets []string
}

// header looks for the columns of pairs.
type header struct{ *data.Header }

// columns are indices into a header, -1 for none.
type columns struct{ languages, source, target int }

// columns finds the columns that o asks for or that are well known.
func (h header) columns(o Options) (columns, error) {
	c := columns{-1, -1, -1}
	err := h.GivenAll(data.Column(&c.source, o.SourceColumn, "source_column"),
		data.Column(&c.target, o.TargetColumn, "target_column"))
	switch {
	case err != nil:
		return c, err
	case h.Numbers:
		err = h.allGiven(&c, o)
	case c.source >= 0 || c.target >= 0:
		err = h.other(&c, o)
	case !h.languages(&c, o):
		c, err = h.known(o)
	}
	if err != nil {
		return c, err
	}
	return c, h.Once(c.languages, c.source, c.target)
}

// allGiven returns an error if columns that go by number are not all given.
func (h header) allGiven(c *columns, o Options) error {
	if c.source < 0 && len(h.Names) == 1 && o.optional() {
		c.source = 0
	}
	if c.source >= 0 && (c.target >= 0 || o.optional()) {
		return nil
	}
	return h.Errorf("without a header, say which column is what with `source_column` and `target_column`, by number from "+
		"0: %s", h.List())
}

// language returns the column that a language names, -1 if there is none.
func (h header) language(language string) int {
	for _, name := range namesOf(language) {
		if i := h.Index(name); i >= 0 {
			return i
		}
	}
	return -1
}

// namesOf returns the names that texts of a language may have: that of the language and the part before its region or
// script.
func namesOf(language string) []string {
	if language == "" {
		return nil
	}
	list := []string{language}
	if i := strings.IndexAny(language, "_-"); i > 0 {
		list = append(list, language[:i])
	}
	return list
}

// languages takes the columns that the languages name, if they are there.
func (h header) languages(c *columns, o Options) bool {
	source, target := h.language(o.SourceLang), h.language(o.TargetLang)
	switch {
	case source < 0 || source == target:
		return false
	case o.NoLabels:
		target = -1
	case target < 0 && !o.OptionalLabels:
		return false
	}
	c.source, c.target = source, target
	return true
}

// other finds the column that goes with the one that an option names.
func (h header) other(c *columns, o Options) (err error) {
	if c.source >= 0 && c.target < 0 && !o.NoLabels {
		c.target, err = h.target(c.source, o)
	}
	if c.source >= 0 || err != nil {
		return err
	}
	used := func(i int) bool { return i == c.target }
	if c.source = h.language(o.SourceLang); c.source >= 0 && !used(c.source) {
		return nil
	}
	if c.source = h.Index(winning.source); c.source >= 0 && !used(c.source) {
		return nil
	}
	var list []string
	for _, n := range others {
		list = append(list, n.source)
	}
	if c.source, err = h.Only(list, used, "source", "`source_column`"); err == nil && c.source < 0 {
		err = h.Errorf("say which %s is the source with `source_column`; there is %s%s", h.What, h.List(), h.Hint())
	}
	return err
}

// target finds the column of targets that goes with the given column of sources, -1 if there is none and o allows that.
func (h header) target(source int, o Options) (int, error) {
	used := func(i int) bool { return i == source }
	if i := h.language(o.TargetLang); i >= 0 && !used(i) {
		return i, nil
	}
	var list []string // of all names if the source has another one than these
	for _, n := range append([]names{winning}, others...) {
		if data.Fold(n.source) == data.Fold(h.Names[source]) {
			list = n.targets
			break
		}
		for _, name := range n.targets {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	i, err := h.Only(list, used, "target", "`target_column`")
	if err == nil && i < 0 && !o.OptionalLabels {
		err = h.Errorf("say which %s is the target with `target_column`%s; there is %s%s", h.What, h.unnamed(o), h.List(),
			h.Hint())
	}
	return i, err
}

// known looks for well-known columns. Where targets are optional, sources without them count if there are no pairs: a
// column source that says where a text is from is then not taken for the text, neither in training nor in prediction.
func (h header) known(o Options) (columns, error) {
	found, err := h.pairs(o, true)
	if err == nil && len(found) == 0 && o.optional() {
		found, err = h.pairs(o, false)
	}
	switch {
	case err != nil:
		return columns{}, err
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return columns{}, h.Errorf("no %ss have names that are known for pairs of texts (source and target, document and "+
			"summary, article and highlights …): say which with `source_column` and `target_column`, or with `source_lang` "+
			"and `target_lang` if they are named after their languages%s; there is %s%s", h.What, h.unnamed(o), h.List(),
			h.Hint())
	}
	return columns{}, h.Unclear("source", "`source_column`", max(found[0].source, found[0].languages),
		max(found[1].source, found[1].languages))
}

// pairs returns the ways to read the rows by well-known names, only those that have targets or all. Those that win come
// alone.
func (h header) pairs(o Options, whole bool) (found []columns, err error) {
	for i, n := range append([]names{winning}, others...) {
		c := columns{-1, h.Index(n.source), -1}
		targets := h.All(n.targets, c.source)
		switch {
		case c.source < 0 || whole && len(targets) == 0:
			continue
		case len(targets) > 1 && !o.NoLabels:
			return nil, h.Unclear("target", "`target_column`", targets...)
		case len(targets) == 1 && !o.NoLabels:
			c.target = targets[0]
		}
		if found = append(found, c); i == 0 {
			return found, nil
		}
	}
	if i := h.Index(translation); i >= 0 && h.What == "key" {
		found = append(found, columns{i, -1, -1})
	}
	return found, nil
}

// unnamed says which languages name no column, for a message.
func (h header) unnamed(o Options) string {
	var list []string
	for _, language := range []string{o.SourceLang, o.TargetLang} {
		if language != "" && h.language(language) < 0 {
			list = append(list, language)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " (no " + h.What + " is called " + strings.Join(list, " or ") + ")"
}
