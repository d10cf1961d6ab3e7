package text

import (
	"strings"

	"github.com/spalora/spalora/data"
)

// known are the column names that need no option, in the order in which they are tried: what the data sets of the
// Hugging Face hub call a text and its pair. "text" wins over the others; of the rest, exactly one may be there.
var known = []struct{ text, pair string }{
	{"text", "text_pair"},
	{"sentence1", "sentence2"},
	{"premise", "hypothesis"},
	{"question1", "question2"},
	{"question", "sentence"},
	{"anchor", "positive"},
	{"sentence", ""},
	{"question", ""},
	{"review", ""},
	{"content", ""},
	{"utterance", ""},
	{"message", ""},
	{"query", ""},
}

// knownLabels are the names of label columns that need no option. The first of those that win (see winningLabels)
// counts; if there is none, exactly one of the others may be there.
var knownLabels = []string{"label", "labels", "category", "class", "target", "intent", "score"}

// winningLabels returns the names of label columns that win over the others, in order: of pairs that are learned by
// their score, the score comes first.
func (o Options) winningLabels() []string {
	if o.Scores {
		return []string{"score", "label", "labels"}
	}
	return []string{"label", "labels"}
}

// columns are indices into a header, -1 for none.
type columns struct{ text, pair, label int }

// header looks for the columns of texts.
type header struct{ *data.Header }

// resolve finds the columns that o asks for or that are well known.
func (h header) resolve(o Options) (columns, error) {
	c := columns{-1, -1, -1}
	var err error
	if c.text, err = h.Given(o.TextColumn, "text_column"); err != nil {
		return c, err
	}
	if c.pair, err = h.Given(o.PairColumn, "text_pair_column"); err != nil {
		return c, err
	}
	if c.label, err = h.Given(o.LabelColumn, "label_column"); err != nil {
		return c, err
	}
	if c.text < 0 {
		if err := h.findText(&c); err != nil {
			return c, err
		}
	}
	if c.label < 0 && !o.NoLabels {
		if err := h.findLabel(&c, o); err != nil {
			return c, err
		}
	}
	return c, h.Once(c.text, c.pair, c.label)
}

// findText looks for the well-known text column and, unless it is given, its pair.
func (h header) findText(c *columns) error {
	if h.Numbers {
		if len(h.Names) == 1 {
			c.text = 0
			return nil
		}
		return h.Errorf("without a header, say which column is what with `text_column` and `label_column`, by number from "+
			"0: %s",
			h.List())
	}
	var found []columns
	for _, k := range known {
		m := columns{h.Index(k.text), -1, -1}
		if m.text < 0 || m.text == c.label || m.text == c.pair {
			continue
		}
		if k.pair != "" && c.pair < 0 {
			m.pair = h.Index(k.pair)
			if m.pair == c.label {
				m.pair = -1
			}
		}
		if k.text != "text" && k.pair != "" && m.pair < 0 && c.pair < 0 {
			continue // sentence1 alone is not a text column
		}
		if k.text == "text" {
			found = []columns{m}
			break
		}
		if !covered(found, m.text) {
			found = append(found, m)
		}
	}
	if len(found) == 1 {
		c.text = found[0].text
		if c.pair < 0 {
			c.pair = found[0].pair
		}
		return nil
	}
	if len(found) == 0 {
		return h.Errorf("no %s has a name that is known for texts (text, sentence, sentence1 and sentence2 …); "+
			"say which with `text_column`; there is %s%s", h.What, h.List(), h.Hint())
	}
	return h.Errorf("the text may be %q or %q; say which with `text_column`",
		h.Names[found[0].text], h.Names[found[1].text])
}

// covered reports whether a column is used by one of the matches.
func covered(found []columns, i int) bool {
	for _, f := range found {
		if f.text == i || f.pair == i {
			return true
		}
	}
	return false
}

// findLabel looks for the well-known label column.
func (h header) findLabel(c *columns, o Options) error {
	if o.Scores && c.pair < 0 {
		return nil
	}
	var found []int
	if !h.Numbers {
		found = h.All(o.winningLabels(), c.text, c.pair)
		if len(found) > 0 {
			found = found[:1]
		} else {
			found = h.All(knownLabels, c.text, c.pair)
		}
	}
	switch {
	case len(found) == 1:
		c.label = found[0]
	case len(found) > 1:
		return h.UnclearLabel(found, o.OptionalLabels && !o.Scores)
	case o.OptionalLabels:
	case h.Numbers:
		return h.Errorf("without a header, say which column is the label with `label_column`, by number from 0: %s", h.List())
	default:
		return h.Errorf("no %s has a name that is known for labels (%s); say which with `label_column`; there is %s%s",
			h.What, strings.Join(knownLabels, ", "), h.List(), h.Hint())
	}
	return nil
}
