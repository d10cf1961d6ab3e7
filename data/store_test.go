package data

import (
	"reflect"
	"strings"
	"testing"
)

// word is a row for the tests of [File].
type word struct {
	text  string
	label Label
}

func (w word) Code(c *Coder) word {
	c.Text(&w.text)
	if !c.Hashes() {
		c.Label(&w.label)
	}
	return w
}
func (w word) StartLine() int      { return 1 }
func (w word) Key() (string, bool) { return w.text, w.text != "none" }

// words is a kind of file.
type words struct{ File[word] }

func TestStore(t *testing.T) {
	list := []word{
		{"", Label{}}, {"a", Label{Kind: NameLabel, Name: "x"}},
		{strings.Repeat("long ", chunkSize), Label{Kind: IndexLabel, Index: -7, Number: -7}},
		{"日本", Label{Kind: NumberLabel, Number: 0.1}}, {"b", Label{Kind: ListLabel}},
		{"c", Label{Kind: ListLabel, List: []Label{{Kind: NameLabel, Name: "p"}, {Kind: NameLabel, Name: ""}}}},
	}
	f := &words{}
	for range 20000 {
		f.Append(word{"row", Label{Kind: NameLabel, Name: "y"}})
	}
	f.Append(list...)
	for i, want := range list {
		if got := f.At(20000 + i); !reflect.DeepEqual(got, want) {
			t.Errorf("row %d is %.40v, want %.40v", i, got, want)
		}
	}
	hash := f.Hash()
	part := Part(f, 20001, 20002)
	none := Filter(f, func(w word) bool { return false })
	short := Filter(f, func(w word) bool { return len(w.text) == 1 })
	none.Append(word{text: "mine"}) // must not be seen by the others
	part.Append(word{text: "mine too"})
	f.Append(word{text: "last"})
	if got := []int{part.Len(), none.Len(), short.Len(), f.Len()}; !reflect.DeepEqual(got, []int{2, 1, 3, 20007}) {
		t.Errorf("the files have %v rows", got)
	}
	if part.At(0).text != "a" || part.At(1).text != "mine too" || none.At(0).text != "mine" || short.At(2).text != "c" ||
		f.At(20006).text != "last" {
		t.Error("files that share rows have taken rows from each other")
	}
	if Limit(f, 20006).Hash() != hash {
		t.Error("rows changed")
	}
	upper := Map(short, func(w word) word { w.text = strings.ToUpper(w.text); return w })
	if upper.At(0).text != "A" || short.At(0).text != "a" {
		t.Error("a map changed its source")
	}
	take := make([]bool, upper.Len())
	take[1] = true
	if rest, held, err := Divide(upper, take, 0.5, "3 rows", ""); err != nil || rest.At(1).text != "C" ||
		held.At(0).text != "B" {
		t.Errorf("the wrong rows were divided: %v", err)
	}
}

func TestSeen(t *testing.T) {
	f := &words{}
	s := newSeen(&f.File)
	for i, text := range []string{"a", "b", "a", "none", ""} {
		w := word{text: text}
		f.Append(w)
		s.add(i, w)
	}
	// As if "z" had the hash of "a".
	for h, i := range s.rows {
		if i == 0 {
			s.rows[h] = 1
		}
	}
	s.add(2, word{text: "a"})
	for text, want := range map[string]int{"a": 2, "b": 1, "": 4} {
		if got, ok := s.find(word{text: text}); !ok || got != want {
			t.Errorf("%q is row %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"c", "none"} {
		if _, ok := s.find(word{text: text}); ok {
			t.Errorf("%q, which was not added, is found", text)
		}
	}
}
