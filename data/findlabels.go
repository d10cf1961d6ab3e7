package data

import (
	"fmt"
	"slices"
)

// FindLabels returns the classes for a problem and checks that every label of every file is one of them. The first file
// is the one to train on: a name that only others have is an error unless the source gives it. nil files are skipped.
// The error counts all rows at fault and names the first.
func FindLabels[E LabelledRow[E], K any, P LabelledOf[E, K]](p Problem, src LabelSource, files ...P) (*Labels, error) {
	var list []*LabelledFile[E]
	for _, f := range files {
		if f != nil {
			list = append(list, f.labelled())
		}
	}
	return findLabels(p, src, list)
}

func findLabels[E LabelledRow[E]](p Problem, src LabelSource, files []*LabelledFile[E]) (*Labels, error) {
	l, err := src.Given(p)
	if l == nil && err == nil {
		l, err = collect(p, src, files)
	}
	if err != nil {
		return nil, err
	}
	l.Lists = formOfLists(files, len(l.Names))
	if rest, ok := src.Yield(); ok && len(files) > 0 && files[0].verify(l) != nil {
		return findLabels(p, rest, files)
	}
	l.Replaced = src.Replaced()
	for _, f := range files {
		if err := f.verify(l); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// collect makes classes of the labels of the first file, with the generic names of src.Config.
func collect[E LabelledRow[E]](p Problem, src LabelSource, files []*LabelledFile[E]) (*Labels, error) {
	if len(files) == 0 {
		return nil, OptionErrorf("there are neither labels nor data to find them in")
	}
	names, top, err := found(files[0], p)
	if err != nil {
		return nil, err
	}
	if k := bits(files); p == MultiLabel && k > 0 {
		top = k - 1
	}
	if len(names) == 0 && top < 0 {
		return nil, noClass(files[0])
	}
	if len(names) == 0 || src.Covers(names) {
		// Only class indices, or the generic names themselves: the head decides, unless the data has more classes.
		names = make([]string, max(top+1, len(src.Config)))
		for i := range names {
			names[i] = fmt.Sprintf("LABEL_%d", i)
		}
	}
	l, err := NewLabels(p, names)
	if err == nil {
		l.From = "found in " + files[0].Name
	}
	return l, err
}

// noClass says why the labels of a file are not those of classes.
func noClass[E LabelledRow[E]](f *LabelledFile[E]) error {
	for e := range f.Values() {
		if l := e.LabelOf(); l.Kind != NoLabel && l.Kind != ListLabel || len(l.List) > 0 {
			return Errorf(f.Name, e.StartLine(), "the label %s is neither the name nor the index of a class", l)
		}
	}
	return Errorf(f.Name, 0, "no row has a label")
}

// found returns the class names of a file sorted by code point (bytes of UTF-8 sort alike) and its largest class index,
// -1 for none.
func found[E LabelledRow[E]](f *LabelledFile[E], p Problem) (names []string, top int, err error) {
	top = -1
	seen := map[string]bool{}
	loose := map[string]string{}
	for e := range f.Values() {
		for _, l := range elementsOf(e.LabelOf()) {
			if n, ok := l.Integer(); ok && (l.Kind == IndexLabel || p == SingleLabel) {
				if n >= MaxClasses {
					return nil, 0, Errorf(f.Name, e.StartLine(), "the class index %d is too large (the limit is %d)",
						n, MaxClasses-1)
				}
				top = max(top, int(n))
			}
			if l.Kind != NameLabel || seen[l.Name] {
				continue
			}
			if other, ok := loose[Fold(l.Name)]; ok {
				return nil, 0, Errorf(f.Name, e.StartLine(),
					"the labels %q and %q differ in spaces or case only: write them alike, or give all classes with `labels`",
					other, l.Name)
			}
			seen[l.Name] = true
			loose[Fold(l.Name)] = l.Name
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	return names, top, nil
}

// elementsOf returns the single labels of a label.
func elementsOf(l Label) []Label {
	if l.Kind == ListLabel {
		return l.List
	}
	return []Label{l}
}

// bits returns the number of classes if all lists in all files are rows of 0 and 1 of one length, at least 2; else 0.
func bits[E LabelledRow[E]](files []*LabelledFile[E]) int {
	k := 0
	for _, f := range files {
		for e := range f.Values() {
			l := e.LabelOf()
			if l.Kind != ListLabel {
				continue
			}
			if k == 0 {
				k = len(l.List)
			}
			if len(l.List) != k || k < 2 || !isBits(l.List) {
				return 0
			}
		}
	}
	return k
}

func isBits(list []Label) bool {
	for _, e := range list {
		if e.Kind != IndexLabel && e.Kind != NumberLabel || e.Number != 0 && e.Number != 1 {
			return false
		}
	}
	return true
}

func formOfLists[E LabelledRow[E]](files []*LabelledFile[E], k int) ListForm {
	if n := bits(files); n > 0 && n == k {
		return BitLists
	}
	return IndexLists
}

// verify returns an error if a label of the file does not fit the classes.
func (f *LabelledFile[E]) verify(l *Labels) error {
	var err error
	switch l.Problem {
	case Regression:
		_, err = f.Targets()
	case MultiLabel:
		_, err = f.Indicators(l)
	default:
		_, err = f.Classes(l)
	}
	return err
}
