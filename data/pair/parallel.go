package pair

import (
	"errors"
	"fmt"
	"io"

	"github.com/spalora/spalora/data"
)

// ReadParallel reads two files of plain text: line n of the file target is the target of line n of the file source.
// Both may be compressed with gzip. It returns an error with both counts if the files differ in their number of lines.
//
// A line that is blank on one side or on both, as corpora mark a sentence that was not translated, is left out and
// counted in Gaps. With o.OptionalLabels all lines stay, so that predictions have a row for each.
func ReadParallel(source, target string, o Options) (*File, error) {
	return data.ReadPath(target, o, func(targets io.Reader, _ string, o Options) (*File, error) {
		return data.ReadPath(source, o, func(sources io.Reader, _ string, o Options) (*File, error) {
			return readParallel(sources, source, targets, target, o)
		})
	})
}

// ReadWith reads path with [Read], or together with a file of targets as [ReadParallel] does if target is not empty.
func ReadWith(path, target string, o Options) (*File, error) {
	if target == "" {
		return Read(path, o)
	}
	return ReadParallel(path, target, o)
}

// ReadFromWith is like [ReadWith], but reads the pairs, or the sources, from r. Messages call them name.
func ReadFromWith(r io.Reader, name, target string, o Options) (*File, error) {
	if target == "" {
		return ReadFrom(r, name, o)
	}
	return data.ReadPath(target, o, func(targets io.Reader, _ string, o Options) (*File, error) {
		return readParallel(r, name, targets, target, o)
	})
}

// readParallel reads the pairs of two streams.
func readParallel(sources io.Reader, source string, targets io.Reader, target string, o Options) (*File, error) {
	if o.NoLabels {
		return nil, data.OptionErrorf("a file of targets is given where no targets are read")
	}
	if source == target {
		return nil, data.OptionErrorf("the sources and the targets are the same file (%s)", source)
	}
	for _, name := range []string{source, target} {
		if f := data.FormatOf(name); o.Format == "" && f != "" && f != data.PlainText {
			return nil, data.OptionErrorf("two files are read as plain text, but %s is named as %s, which has columns for "+
				"both: give it alone, or use `format txt`", name, f)
		}
	}
	if o.Format == "" {
		o.Format = data.PlainText
	}
	if o.Format != data.PlainText {
		return nil, data.OptionErrorf("two files are read as plain text, not as %s: give one file", o.Format)
	}
	right, err := data.NewLines(targets, target, o.ReplaceInvalid)
	if err != nil {
		return nil, err
	}
	r := &rows{f: New(source), o: o}
	f, err := r.read(sources, func(left *data.Lines, _ data.Format) error { return r.parallel(left, right) })
	if err == nil {
		f.Replaced += right.Replaced()
	}
	return f, err
}

// side is one of two parallel files.
type side struct {
	*data.Lines
	ended bool
	lone  int // lines that end with a CR that no LF follows
}

// next returns the next line; ok is false behind the last one.
func (s *side) next() (text string, ok bool, err error) {
	line, end, err := s.Next()
	switch {
	case errors.Is(err, io.EOF):
		s.ended = true
		return "", false, nil
	case err != nil:
		return "", false, err
	case string(end) == "\r":
		s.lone++
	}
	return string(line), true, nil
}

// rest reads the lines that are left.
func (s *side) rest() error {
	for !s.ended {
		if _, _, err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// parallel appends the lines of two files.
func (r *rows) parallel(sources, targets *data.Lines) error {
	left, right := &side{Lines: sources}, &side{Lines: targets}
	for !r.Enough() {
		source, ok, err := left.next()
		if err != nil {
			return err
		}
		target, paired, err := right.next()
		switch {
		case err != nil:
			return err
		case ok != paired:
			return unequal(left, right)
		case !ok:
			if r.f.Len() == 0 && r.f.Gaps.N > 0 {
				return data.Errorf(left.Name(), 0, "no line has text both here and in %s", right.Name())
			}
			return nil
		case !r.o.OptionalLabels && (data.Blank(source) || data.Blank(target)):
			r.f.Gaps.Add(left.Line())
		default:
			r.f.Append(Pair{Source: source, Targets: r.targets(target), Line: left.Line()})
		}
	}
	return nil
}

// unequal is the error about files with different numbers of lines, of which one has ended.
func unequal(left, right *side) error {
	if err := errors.Join(left.rest(), right.rest()); err != nil {
		return err
	}
	hint := ""
	for _, s := range []*side{left, right} {
		if s.lone > 0 && s.lone < s.Line() {
			hint += fmt.Sprintf("; in %s, a lone CR ends %s", s.Name(), data.Plural(s.lone, "line"))
		}
	}
	return data.Errorf(left.Name(), 0, "the file has %s, but %s has %d: line n of one must be the target of line n of "+
		"the other%s", data.Plural(left.Line(), "line"), right.Name(), right.Line(), hint)
}
