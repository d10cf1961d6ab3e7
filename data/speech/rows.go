package speech

import (
	"fmt"
	"slices"

	"github.com/spalora/spalora/data"
)

// The names of columns that need no option. The first of those that win counts; if there is none, exactly one of the
// others may be there.
var (
	winningAudio = []string{"audio", "file_name"}
	knownAudio   = []string{"audio", "file_name", "path", "file", "filename", "audio_path", "audio_file", "audio_filepath"}
	winningTexts = []string{"text"}
	knownTexts   = []string{"text", "sentence", "transcription", "transcript", "transcripts"}
)

// rows appends the rows of a stream to a file.
type rows struct {
	f           *File
	o           Options
	audio, text int // columns, -1 for none
}

// Resolve finds the columns.
func (r *rows) Resolve(h *data.Header) (err error) {
	err = h.GivenAll(data.Column(&r.audio, r.o.AudioColumn, "audio_column"),
		data.Column(&r.text, r.o.TextColumn, "text_column"))
	if err != nil {
		return err
	}
	if r.audio < 0 && h.Numbers && len(h.Names) == 1 {
		r.audio = 0
	}
	if r.audio < 0 {
		r.audio, err = h.Find(data.Search{What: "recording", Option: "audio_column", Winning: winningAudio,
			Known: knownAudio, Used: func(i int) bool { return i == r.text }})
		if err != nil {
			return err
		}
	}
	if r.text < 0 && !r.o.NoLabels {
		if r.text, err = r.findText(h, r.audio); err != nil {
			return err
		}
	}
	r.f.Columns = Columns{h.Name(r.audio), h.Name(r.text)}
	return h.Once(r.audio, r.text)
}

// findText looks for the well-known column of transcripts.
func (r *rows) findText(h *data.Header, audio int) (int, error) {
	return h.Find(data.Search{
		What: "text", Option: "text_column", Winning: winningTexts, Known: knownTexts,
		Used: func(i int) bool { return i == audio }, Optional: r.o.OptionalLabels, NoLabels: r.o.OptionalLabels,
	})
}

// Enough reports whether no more rows are wanted.
func (r *rows) Enough() bool { return r.f.Full(r.o.MaxSamples) }

// plain takes every line that is not blank as the path of a recording.
func (r *rows) plain(lines *data.Lines, _ data.Format) (err error) {
	enough := func() bool { return err != nil || r.Enough() }
	readErr := data.ReadLines(lines, enough, func(text string, line int) {
		if data.Blank(text) {
			r.f.Blank++
			return
		}
		if err = r.append(Row{Audio: text, Line: line}); err != nil {
			err = data.InRow(r.f.Name, line, err)
		}
	})
	if err == nil {
		err = readErr
	}
	return err
}

// append appends a row, whose path it finds.
func (r *rows) append(row Row) (err error) {
	if row.Path, err = data.MediaPath(row.Audio, r.f.Name); err != nil {
		return err
	}
	r.f.Append(row)
	return nil
}

// Record appends one row of CSV or TSV.
func (r *rows) Record(fields [][]byte, line int) error {
	row := Row{Audio: string(fields[r.audio]), Line: line}
	if r.text >= 0 {
		row.Text = string(fields[r.text])
		row.HasText = row.Text != "" || !r.o.OptionalLabels
	}
	return r.append(row)
}

// Object appends one row of JSON Lines. A transcript that is optional may first appear in a later row.
func (r *rows) Object(object data.Object, line int) (err error) {
	to := &r.f.Columns
	if to.Text == "" && !r.o.NoLabels {
		h := data.KeysOf(r.f.Name, line, object)
		text, err := r.findText(h, slices.Index(h.Names, to.Audio))
		if err != nil {
			return err
		}
		to.Text = h.Name(text)
	}
	row := Row{Line: line}
	if row.Audio, err = recording(object, to.Audio); err != nil {
		return err
	}
	if to.Text != "" && !(r.o.OptionalLabels && data.Null(object[to.Text])) {
		if row.Text, err = object.Text(to.Text); err != nil {
			return err
		}
		row.HasText = true
	}
	if object.Rejected(to.Audio, to.Text) {
		if !r.o.optional() {
			r.f.Rejected.Add(line)
			return nil
		}
		row.Text, row.HasText = "", false
	}
	return r.append(row)
}

// recording returns the path of a key: a string, or the path in an object, as datasets writes one.
func recording(object data.Object, key string) (string, error) {
	v, ok := object[key]
	if !ok || v[0] != '{' {
		return object.Text(key)
	}
	inner, _, err := data.ParseObject(v)
	if err == nil && data.Null(inner["path"]) {
		err = fmt.Errorf("the object has no path of a sound file (export the recordings as files)")
	}
	var path string
	if err == nil {
		path, err = inner.Text("path")
	}
	if err != nil {
		return "", fmt.Errorf("%q: %w", key, data.About(err))
	}
	return path, nil
}
