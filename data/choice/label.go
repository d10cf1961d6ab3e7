package choice

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// add checks a question and appends it. names are the names of its choices in the file, nil if they have none.
func (r *rows) add(e Question, names []string, label data.Label) error {
	if len(e.Endings) < 2 {
		return fmt.Errorf("the question has %s; it needs at least two", data.Plural(len(e.Endings), "choice"))
	}
	if !r.o.NoLabels {
		var err error
		if e.Label, err = r.answer(&e, names, label); err != nil {
			return err
		}
	}
	r.f.Append(e)
	return nil
}

// answer returns the index of the choice that a label means, -1 for none.
func (r *rows) answer(e *Question, names []string, label data.Label) (int, error) {
	switch none := label.Kind == data.NoLabel; {
	case r.o.OptionalLabels && (none || withheld(e, names, label)):
		return -1, nil
	case none:
		return 0, errors.New("the question has no label")
	case names != nil:
		return named(names, label)
	case label.Kind == data.IndexLabel:
		return r.index(label.Index, len(e.Endings))
	case label.Kind != data.NameLabel:
		return 0, fmt.Errorf("the label %s is not the number, the letter or the text of a choice", label)
	}
	return r.spelled(e, label.Name)
}

// withheld reports whether a label is the -1 that test sets of the Hugging Face hub write instead of the answer, and no
// choice is called that.
func withheld(e *Question, names []string, label data.Label) bool {
	const none = "-1"
	is := func(s string) bool { return strings.TrimSpace(s) == none }
	switch {
	case label.Kind == data.IndexLabel && label.Index == -1:
		return !slices.ContainsFunc(names, is) // a number is not looked for among the texts
	case label.Kind == data.NameLabel && is(label.Name):
		return !slices.ContainsFunc(names, is) && (names != nil || !slices.ContainsFunc(e.Endings, is))
	}
	return false
}

// named returns the choice that the file gives this name to.
func named(names []string, label data.Label) (int, error) {
	want := label.Name
	if label.Kind == data.IndexLabel {
		want = strconv.FormatInt(label.Index, 10)
	}
	exact := func(a, b string) bool { return a == b }
	folded := func(a, b string) bool { return data.Fold(a) == data.Fold(b) }
	for _, equal := range []func(a, b string) bool{exact, folded} {
		found := -1
		for i, n := range names {
			if !equal(n, want) {
				continue
			}
			if found >= 0 {
				return 0, fmt.Errorf("the choices %d and %d are both called %q", found+1, i+1, n)
			}
			found = i
		}
		if found >= 0 {
			return found, nil
		}
	}
	return 0, fmt.Errorf("the label %s is none of the choices, which are called %s", data.Excerpt(want),
		data.NameList(names))
}

// index returns the choice with this number.
func (r *rows) index(n int64, choices int) (int, error) {
	first := int64(r.o.FirstIndex)
	if n < first || n >= first+int64(choices) {
		hint := ""
		switch {
		case first == 0 && n == int64(choices):
			hint = "; if the first choice has the number 1, use `first_index 1`"
		case first == 1 && n == 0:
			hint = "; leave out `first_index 1` if the first choice has the number 0"
		}
		return 0, fmt.Errorf("the label %d is none of the %d choices, which have the numbers %d to %d%s",
			n, choices, first, first+int64(choices)-1, hint)
	}
	return int(n - first), nil
}

// spelled returns the choice that a text means: by its number, its letter, or itself. If these differ, decide settles
// the answer.
func (r *rows) spelled(e *Question, s string) (int, error) {
	s = strings.TrimSpace(s)
	text := -1
	for i, ending := range e.Endings {
		if strings.TrimSpace(ending) != s {
			continue
		}
		if text >= 0 {
			return 0, fmt.Errorf("the label %s is the text of the choices %d and %d: give a number or a letter",
				data.Excerpt(s), text+1, i+1)
		}
		text = i
	}
	sign, err := -1, error(nil)
	if n, numeral := strconv.ParseInt(s, 10, 64); numeral == nil {
		sign, err = r.index(n, len(e.Endings))
	} else if c := strings.ToUpper(s); len(c) == 1 && c[0] >= 'A' && c[0] <= 'Z' {
		if sign = int(c[0] - 'A'); sign >= len(e.Endings) {
			err = fmt.Errorf("the label %s is none of the %d choices, which have the letters A to %c",
				data.Excerpt(s), len(e.Endings), 'A'+len(e.Endings)-1)
		}
	} else {
		err = fmt.Errorf("the label %s is not the number, the letter or the text of a choice (%s)",
			data.Excerpt(s), data.NameList(e.Endings))
	}
	switch {
	case err != nil && text < 0:
		return 0, err
	case err != nil:
		r.asText = true
		return text, nil
	case text < 0:
		r.asSign = true
		return sign, nil
	case sign != text:
		r.unclear = append(r.unclear, unclearLabel{r.f.Len(), sign, text, s})
	}
	return sign, nil
}

// unclearLabel is a label that is the number or letter of one choice and the text of another.
type unclearLabel struct {
	question   int
	sign, text int // the choices
	label      string
}

// decide settles labels that may be read in two ways, in the way of the other labels of the file, and returns the file.
func (r *rows) decide() (*File, error) {
	if len(r.unclear) == 0 {
		return r.f, nil
	}
	texts := map[int]int{} // the choice of each unclear question if labels are texts
	for _, u := range r.unclear {
		if r.asSign == r.asText {
			return nil, data.Errorf(r.f.Name, r.f.At(u.question).Line,
				"the label %s may be choice %d, whose text it is, or choice %d by its number or letter, and the other rows do "+
					"not decide which: write labels in another way", data.Excerpt(u.label), u.text+1, u.sign+1)
		}
		texts[u.question] = u.text
	}
	if r.asSign {
		return r.f, nil
	}
	i := -1
	return data.Map(r.f, func(q Question) Question {
		i++
		if text, ok := texts[i]; ok {
			q.Label = text
		}
		return q
	}), nil
}
