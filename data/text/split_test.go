package text

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func lines(t *File) []int {
	var out []int
	for e := range t.Values() {
		out = append(out, e.Line)
	}
	return out
}

func countNames(t *File) map[string]int {
	out := map[string]int{}
	for e := range t.Values() {
		out[e.Label.Name]++
	}
	return out
}

// uneven makes a table with the given numbers of rows of class 0, 1 …, interleaved.
func uneven(counts ...int) *File {
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
}

// The whole table is one stratum, also where labels are equal or all different integers.
func TestSplitOff(t *testing.T) {
	var l []data.Label
	for i := range 40 {
		l = append(l, num(float64(i)+0.5))
	}
	regression := names("f.csv")
	for i := range 40 {
		regression.Append(Example{Label: name(fmt.Sprint(float64(i) / 2)), Line: i + 1})
	}
	unlabelled := labelled("f.txt", make([]data.Label, 40)...)
	multi := labelled("f.jsonl", slices.Repeat([]data.Label{list(name("a")), list()}, 20)...)
	integers, few := names("f.csv"),
		labelled("f.jsonl", slices.Repeat([]data.Label{index(0), index(0), index(1), index(2), index(3)}, 8)...)
	for i := range 40 {
		integers.Append(Example{Label: name(fmt.Sprint(i)), Line: i + 1})
	}
	for _, table := range []*File{labelled("f.jsonl", l...), regression, unlabelled, multi, integers, few} {
		rest, held, err := table.SplitOff(0.2, 3)
		if err != nil || held.Len() != 8 || rest.Len() != 32 {
			t.Errorf("%s: %v", table.Name, err)
		}
		for e := range held.Values() {
			all := slices.Collect(table.Values())
			same := all[slices.IndexFunc(all, func(x Example) bool { return x.Line == e.Line })]
			if !reflect.DeepEqual(e, same) {
				t.Errorf("%s: row %+v was %+v", table.Name, e, same)
			}
		}
	}
}

func TestSplitOffErrors(t *testing.T) {
	for _, fraction := range []float64{0, 1, -0.1, 1.5, math.NaN(), math.Inf(1)} {
		for _, split := range []func(*File, float64, uint64) (rest, held *File, err error){(*File).SplitOff,
			(*File).SplitClasses} {
			if _, _, err := split(uneven(5, 5), fraction, 1); !errors.Is(err, data.ErrOption) {
				t.Errorf("fraction %v: %v, want an option error", fraction, err)
			}
		}
	}
	for _, counts := range [][]int{{1}, {1, 1, 1}, {4}} {
		_, _, err := uneven(counts...).SplitClasses(0.1, 1)
		if !errors.Is(err, data.ErrOption) || !strings.Contains(err.Error(), "that leave each class a row to train on") {
			t.Errorf("%v: %v", counts, err)
		}
	}
	if _, _, err := uneven(1, 1, 1).SplitOff(0.1, 1); !errors.Is(err, data.ErrOption) ||
		!strings.HasSuffix(err.Error(), "3 rows cannot be split into two parts with a fraction of 0.1") {
		t.Errorf("%v", err)
	}
	if _, held, err := uneven(1, 1, 1).SplitOff(0.4, 1); err != nil || held.Len() != 1 {
		t.Errorf("%v", err)
	}
}
