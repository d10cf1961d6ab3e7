package text

import (
	"slices"

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
	err := h.GivenAll(data.Column(&c.text, o.TextColumn, "text_column"),
		data.Column(&c.pair, o.PairColumn, "text_pair_column"), data.Column(&c.label, o.LabelColumn, "label_column"))
	if err != nil {
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
			"0: %s", h.List())
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
	switch len(found) {
	case 0:
		return h.Unknown("texts", "text, sentence, sentence1 and sentence2 …", "`text_column`")
	case 1:
		c.text = found[0].text
		if c.pair < 0 {
			c.pair = found[0].pair
		}
		return nil
	}
	return h.Unclear("text", "`text_column`", found[0].text, found[1].text)
}

// covered reports whether a column is used by one of the matches.
func covered(found []columns, i int) bool {
	return slices.ContainsFunc(found, func(f columns) bool { return f.text == i || f.pair == i })
}

// findLabel looks for the well-known label column.
func (h header) findLabel(c *columns, o Options) (err error) {
	if o.Scores && c.pair < 0 {
		return nil
	}
	c.label, err = h.Find(data.Search{
		What: "label", Option: "label_column", Winning: o.winningLabels(), Known: knownLabels,
		Used:     func(i int) bool { return i == c.text || i == c.pair },
		Optional: o.OptionalLabels, NoLabels: o.OptionalLabels && !o.Scores,
	})
	return err
}
