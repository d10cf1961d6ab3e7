package speech

import "github.com/spalora/spalora/data"

// Warnings returns what is odd about the rows of a run, of which each may be nil: replaced bytes, files of folders that
// were left out, empty transcripts and rows without one, repeated recordings, and recordings to train on that are also
// evaluated or tested on. After [File.Check] recordings are compared by their samples, before by their names.
func Warnings(train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "a recording that is", (*File).warnings)
}

// warnings looks at single rows and at repeated ones.
func (f *File) warnings() []data.Warning {
	var mute, without data.Tally
	for r := range f.Values() {
		switch {
		case !r.labelled():
			without.Add(r.Line)
		case data.Blank(r.Text):
			mute.Add(r.Line)
		}
	}
	same, contrary := f.Repeated(func(a, b Row) bool { return a.Text == b.Text && a.HasText == b.HasText })
	out := f.Others.WarnOf(f.Name, "file", "that are neither WAV nor FLAC, which were left out")
	out = append(out, mute.Warn(f.Name, "with an empty transcript")...)
	if without.N < f.Len() {
		out = append(out, without.Warn(f.Name, "without a transcript")...)
	}
	out = append(out, same.Warn(f.Name, "with the recording and transcript of a row before")...)
	return append(out, contrary.Warn(f.Name, "with the recording of a row before but another transcript")...)
}
