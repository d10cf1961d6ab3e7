package data

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func lines(t *Table) []int {
	var out []int
	for _, e := range t.Examples {
		out = append(out, e.Line)
	}
	return out
}

func countNames(t *Table) map[string]int {
	out := map[string]int{}
	for _, e := range t.Examples {
		out[e.Label.Name]++
	}
	return out
}

// uneven makes a table with so many rows of class 0, 1 …, interleaved.
func uneven(counts ...int) *Table {
	var labels []string
	left := slices.Clone(counts)
	for len(labels) < sum(counts) {
		for c := range left {
			if left[c] > 0 {
				left[c]--
				labels = append(labels, fmt.Sprint("class ", c))
			}
		}
	}
	return names("f.csv", labels...)
}

func sum(v []int) int {
	n := 0
	for _, x := range v {
		n += x
	}
	return n
}

func TestSplitClasses(t *testing.T) {
	for _, tt := range []struct {
		counts   []int
		fraction float64
		want     []int // held of each class
	}{
		{[]int{100, 100}, 0.1, []int{10, 10}},
		{[]int{80, 20}, 0.1, []int{8, 2}},
		{[]int{95, 5}, 0.1, []int{10, 0}},      // 9.5 and 0.5: equal remainders, the first class first
		{[]int{94, 6}, 0.1, []int{9, 1}},       // 9.4 and 0.6
		{[]int{10, 1, 1}, 0.5, []int{6, 0, 0}}, // single rows stay to train on, others give more
		{[]int{3, 3}, 0.9, []int{2, 2}},        // each class keeps one
		{[]int{1, 2}, 0.4, []int{0, 1}},
		{[]int{7}, 0.29, []int{2}},
		{[]int{100}, 0.29, []int{29}}, // 0.29 × 100 is 28.999… in binary
	} {
		t.Run(fmt.Sprint(tt.counts, tt.fraction), func(t *testing.T) {
			table := uneven(tt.counts...)
			rest, held, err := table.SplitClasses(tt.fraction, 1)
			if err != nil {
				t.Fatal(err)
			}
			got := countNames(held)
			for c, want := range tt.want {
				if n := got[fmt.Sprint("class ", c)]; n != want {
					t.Errorf("%d rows of class %d are held, want %d", n, c, want)
				}
			}
			all := append(lines(rest), lines(held)...)
			slices.Sort(all)
			if !slices.Equal(all, lines(table)) {
				t.Errorf("the parts are not the whole: %v", all)
			}
			if !slices.IsSorted(lines(rest)) || !slices.IsSorted(lines(held)) {
				t.Error("the parts are not in the order of the file")
			}
			if len(countNames(rest)) != len(tt.counts) {
				t.Error("a class has no row left to train on")
			}
		})
	}
}

// The split is part of what makes runs repeatable: these rows must never change.
func TestSplitClassesIsFixed(t *testing.T) {
	table := uneven(12, 8)
	_, held, err := table.SplitClasses(0.25, 42)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lines(held), []int{2, 5, 16, 17, 19}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	_, again, _ := table.SplitClasses(0.25, 42)
	_, other, _ := table.SplitClasses(0.25, 43)
	if !reflect.DeepEqual(held, again) {
		t.Error("the same seed splits in another way")
	}
	if reflect.DeepEqual(held, other) {
		t.Error("another seed splits in the same way")
	}
	// The first outputs of SplitMix64 from 0, as its author publishes them.
	for i, want := range []uint64{0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F} {
		if got := mix(0, i); got != want {
			t.Errorf("mix(0, %d) = %#x, want %#x", i, got, want)
		}
	}
}

// TestSplitOffTellsOnce splits files in which every counter counted something: the part that is held tells nothing of it again.
func TestSplitOffTellsOnce(t *testing.T) {
	table := uneven(10, 10)
	table.Blank, table.Replaced, table.Dropped = 1, 2, 3
	tokens := tagTable(t, "f.conll", "O", "O B-X", "O O", "B-X")
	tokens.Blank, tokens.Replaced, tokens.Moved, tokens.Overlapping, tokens.Repaired = 1, 2, 3, 4, 5
	tokens.movedLine, tokens.overlapLine, tokens.repairedLine = 6, 7, 8
	questions := askAbout(2, 1, 3, 1, 2, 2)
	questions.Blank, questions.Replaced, questions.Misplaced, questions.InBytes, questions.InUTF16, questions.Unplaced, questions.Dropped = 1, 2, 6, 1, 2, 3, 4
	choices := readChoices(t, "f.jsonl", strings.Repeat(`{"question":"c","choices":["a","b"],"label":1}`+"\n", 10), ChoiceOptions{})
	choices.Blank, choices.Replaced = 1, 2
	documents := readDocuments(t, "f.txt", "one\ntwo\nthree\nfour", DocumentOptions{})
	documents.Blank, documents.Replaced, documents.Unread = 1, 2, 3
	for _, whole := range []any{table, tokens, questions, choices, documents} {
		parts := reflect.ValueOf(whole).MethodByName("SplitOff").Call([]reflect.Value{reflect.ValueOf(0.3), reflect.ValueOf(uint64(1))})
		if !parts[2].IsNil() {
			t.Fatal(parts[2])
		}
		all, rest, held := reflect.ValueOf(whole).Elem(), parts[0].Elem(), parts[1].Elem()
		for i := range all.NumField() {
			field := all.Type().Field(i)
			if field.Type != reflect.TypeFor[int]() {
				continue
			}
			n := all.Field(i).Int()
			if n == 0 {
				t.Errorf("%T: the test does not count %s", whole, field.Name)
			}
			if rest.Field(i).Int() != n || held.Field(i).Int() != 0 {
				t.Errorf("%T: %s is %d, of the rest %d, of what is held %d", whole, field.Name, n, rest.Field(i).Int(), held.Field(i).Int())
			}
		}
	}
}

// The whole table is one stratum, also where labels are equal or all different integers.
func TestSplitOff(t *testing.T) {
	var l []Label
	for i := range 40 {
		l = append(l, num(float64(i)+0.5))
	}
	regression := names("f.csv")
	for i := range 40 {
		regression.Examples = append(regression.Examples, Example{Label: name(fmt.Sprint(float64(i) / 2)), Line: i + 1})
	}
	unlabelled := rows("f.txt", make([]Label, 40)...)
	multi := rows("f.jsonl", slices.Repeat([]Label{list(name("a")), list()}, 20)...)
	integers, few := names("f.csv"), rows("f.jsonl", slices.Repeat([]Label{index(0), index(0), index(1), index(2), index(3)}, 8)...)
	for i := range 40 {
		integers.Examples = append(integers.Examples, Example{Label: name(fmt.Sprint(i)), Line: i + 1})
	}
	for _, table := range []*Table{rows("f.jsonl", l...), regression, unlabelled, multi, integers, few} {
		rest, held, err := table.SplitOff(0.2, 3)
		if err != nil || len(held.Examples) != 8 || len(rest.Examples) != 32 {
			t.Errorf("%s: %v", table.Name, err)
		}
		for _, e := range held.Examples {
			same := table.Examples[slices.IndexFunc(table.Examples, func(x Example) bool { return x.Line == e.Line })]
			if !reflect.DeepEqual(e, same) {
				t.Errorf("%s: row %+v was %+v", table.Name, e, same)
			}
		}
	}
}

func TestSplitOffErrors(t *testing.T) {
	for _, fraction := range []float64{0, 1, -0.1, 1.5, math.NaN(), math.Inf(1)} {
		for _, split := range []func(*Table, float64, uint64) (rest, held *Table, err error){(*Table).SplitOff, (*Table).SplitClasses} {
			if _, _, err := split(uneven(5, 5), fraction, 1); !errors.Is(err, ErrOption) {
				t.Errorf("fraction %v: %v, want an option error", fraction, err)
			}
		}
	}
	for _, counts := range [][]int{{1}, {1, 1, 1}, {4}} {
		_, _, err := uneven(counts...).SplitClasses(0.1, 1)
		if !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), "that leave each class a row to train on") {
			t.Errorf("%v: %v", counts, err)
		}
	}
	if _, _, err := uneven(1, 1, 1).SplitOff(0.1, 1); !errors.Is(err, ErrOption) || !strings.HasSuffix(err.Error(), "3 rows cannot be split into two parts with a fraction of 0.1") {
		t.Errorf("%v", err)
	}
	if _, held, err := uneven(1, 1, 1).SplitOff(0.4, 1); err != nil || len(held.Examples) != 1 {
		t.Errorf("%v", err)
	}
}
