package pair

import (
	"slices"

	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the pairs of a run, of which each may be nil: replaced bytes, lines of parallel
// files that were left out, columns that are not read, empty sources and targets, pairs without a target, pairs to
// train on with several targets, repeated pairs, sources with another target before, and sources to train on that are
// also evaluated or tested on.
func Warnings(train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "a source that is", func(f *File) []data.Warning {
		return f.warnings(f == train)
	})
}

// warnings looks at single pairs and at repeated ones.
func (f *File) warnings(train bool) []data.Warning {
	var hollow, mute, without, several data.Tally
	for p := range f.Values() {
		if data.Blank(p.Source) {
			hollow.Add(p.Line)
		}
		switch {
		case !p.labelled():
			without.Add(p.Line)
		case slices.ContainsFunc(p.Targets, data.Blank):
			mute.Add(p.Line)
		}
		if train && len(p.Targets) > 1 {
			several.Add(p.Line)
		}
	}
	repeated, contrary := f.Repeated(func(a, b Pair) bool { return slices.Equal(a.Targets, b.Targets) })
	out := f.Gaps.WarnOf(f.Name, "line", "without text in one of the two files or in both, which were left out")
	out = append(out, f.unread.Warn(f.Name)...)
	out = append(out, hollow.Warn(f.Name, "with an empty source")...)
	out = append(out, mute.Warn(f.Name, "with an empty target")...)
	if without.N < f.Len() {
		out = append(out, without.Warn(f.Name, "without a target")...)
	}
	out = append(out, several.Warn(f.Name, "with several targets, of which only the first is learned")...)
	out = append(out, repeated.Warn(f.Name, "with the source and target of a row before")...)
	what := "with the source of a row before but another target"
	if !train {
		what += ": `group_sources` makes them one row with several references"
	}
	return append(out, contrary.Warn(f.Name, what)...)
}
