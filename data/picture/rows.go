package picture

import (
	"slices"

	"github.com/spalora/spalora/data"
)

// The names of columns that need no option. The first of those that win counts; if there is none, exactly one of the
// others may be there.
var (
	winningImages = []string{"image", "file_name"}
	knownImages   = []string{"image", "file_name", "image_path", "path", "file", "filename", "img", "image_file"}
	winningLabels = []string{"label", "labels"}
	knownLabels   = []string{"label", "labels", "category", "class", "target"}
)

// rows appends the rows of a stream to a file.
type rows struct {
	f            *File
	o            Options
	image, label int // columns, -1 for none
}

// Resolve finds the columns.
func (r *rows) Resolve(h *data.Header) (err error) {
	err = h.GivenAll(data.Column(&r.image, r.o.ImageColumn, "image_column"),
		data.Column(&r.label, r.o.LabelColumn, "label_column"))
	if err != nil {
		return err
	}
	if r.image < 0 && h.Numbers && len(h.Names) == 1 {
		r.image = 0
	}
	if r.image < 0 {
		r.image, err = h.Find(data.Search{What: "image", Option: "image_column", Winning: winningImages, Known: knownImages,
			Used: func(i int) bool { return i == r.label }})
		if err != nil {
			return err
		}
	}
	if r.label < 0 && !r.o.NoLabels {
		if r.label, err = r.findLabel(h, r.image); err != nil {
			return err
		}
	}
	r.f.Columns = Columns{h.Name(r.image), h.Name(r.label)}
	return h.Once(r.image, r.label)
}

// findLabel looks for the well-known column of labels.
func (r *rows) findLabel(h *data.Header, image int) (int, error) {
	return h.Find(data.Search{
		What: "label", Option: "label_column", Winning: winningLabels, Known: knownLabels,
		Used:     func(i int) bool { return i == image },
		Optional: r.o.OptionalLabels, NoLabels: r.o.OptionalLabels,
	})
}

// Enough reports that all rows are wanted.
func (r *rows) Enough() bool { return false }

// plain takes every line that is not blank as the path of an image.
func (r *rows) plain(lines *data.Lines, _ data.Format) (err error) {
	readErr := data.ReadLines(lines, func() bool { return err != nil }, func(text string, line int) {
		if data.Blank(text) {
			r.f.Blank++
			return
		}
		if err = r.append(Example{Image: text, Line: line}); err != nil {
			err = data.InRow(r.f.Name, line, err)
		}
	})
	if err == nil {
		err = readErr
	}
	return err
}

// append appends a row.
func (r *rows) append(e Example) error {
	if _, err := data.MediaPath(e.Image, r.f.Name); err != nil {
		return err
	}
	r.f.Append(e)
	return nil
}

// Record appends one row of CSV or TSV.
func (r *rows) Record(row [][]byte, line int) (err error) {
	e := Example{Image: string(row[r.image]), Line: line}
	if r.label >= 0 {
		if e.Label, err = r.o.labels().Field(string(row[r.label]), r.f.Columns.Label); err != nil {
			return err
		}
	}
	return r.append(e)
}

// Object appends one row of JSON Lines. A label that is optional may first appear in a later row.
func (r *rows) Object(row data.Object, line int) (err error) {
	to := &r.f.Columns
	if to.Label == "" && !r.o.NoLabels {
		h := data.KeysOf(r.f.Name, line, row)
		label, err := r.findLabel(h, slices.Index(h.Names, to.Image))
		if err != nil {
			return err
		}
		to.Label = h.Name(label)
	}
	e := Example{Line: line}
	if e.Image, err = row.Text(to.Image); err != nil {
		return err
	}
	if e.Label, err = r.o.labels().Object(row, to.Label); err != nil {
		return err
	}
	if to.Label != "" && row.Rejected(to.Image, to.Label) {
		if !r.o.OptionalLabels {
			r.f.Rejected.Add(line)
			return nil
		}
		e.Label = data.Label{}
	}
	return r.append(e)
}
