package picture

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// The formats beside those of package data.
const (
	Folder data.Format = "imagefolder" // a directory: class folders, or images with metadata.csv or metadata.jsonl
	Zip    data.Format = "zip"         // an archive of class folders
	IDX    data.Format = "idx"         // images of MNIST, with the file of their labels beside
	Image  data.Format = "image"       // an image file
)

// Example is one image with its label.
type Example struct {
	// Image is the image's name as the file has it: a path, that of an entry of an archive, or the number of a row of
	// IDX, from 0.
	Image string
	Label data.Label
	Line  int // 1-based line at which the row begins in its file; 0 for a file without lines
	// Sum is a hash of the image, and Width and Height its size in pixels, once it was read by [File.Check]; before they
	// are 0.
	Sum, Width, Height int

	place place
}

// Code passes the fields of the example. A hash gets the name of an image only if its content is not known.
func (e Example) Code(c *data.Coder) Example {
	if !c.Hashes() {
		c.Int(&e.Line)
		c.Int(&e.Width)
		c.Int(&e.Height)
		e.place.code(c)
	}
	if !c.Hashes() || e.Sum == 0 {
		c.Text(&e.Image)
	}
	c.Int(&e.Sum)
	c.Label(&e.Label)
	return e
}

// StartLine returns the line at which the example begins.
func (e Example) StartLine() int { return e.Line }

// Key identifies the image: by its content if it is known, else by its name.
func (e Example) Key() (string, bool) {
	if e.Sum != 0 {
		return string(append([]byte{0}, uint64Bytes(e.Sum)...)), true
	}
	return e.Image, true
}

// LabelOf returns the label of the example.
func (e Example) LabelOf() data.Label { return e.Label }

// File holds the images of one file, archive or directory. No function of this package changes it after it was read,
// and it is safe for concurrent use.
type File struct {
	data.LabelledFile[Example]
	Columns Columns    // which columns were used
	Others  data.Tally // files in folders that are not images, which were left out

	images images
}

// Columns names the columns that a file was read from, "" for none. Without a header a column's name is its number,
// counted from 0.
type Columns struct{ Image, Label string }

// Options say how a file is read. The zero value reads labelled images in the format of the name. An option that has no
// meaning for the format is an error.
type Options struct {
	// Format is "imagefolder", "zip", "idx", "csv", "tsv", "jsonl", "txt" (a path in each line, no labels) or "image";
	// "" takes it from the name and the content.
	Format data.Format
	// Delimiter, NoHeader and NoQuotes say how CSV and TSV are read, see [data.Layout].
	Delimiter rune
	NoHeader  bool
	NoQuotes  bool
	// ImageColumn and LabelColumn name the columns (JSON: keys). Those not given are looked up among well-known names, in
	// any case: image, else file_name, else image_path, path, file, filename, img or image_file; label, else labels, else
	// category, class or target.
	ImageColumn, LabelColumn string
	// LabelSeparator makes a list of each label in CSV or TSV: with "|" the field "a|b" is two labels and an empty field
	// is none (multi-label).
	LabelSeparator string
	// OptionalLabels accepts files and rows without labels, for prediction.
	OptionalLabels bool
	// NoLabels reads images only, whatever labels there are.
	NoLabels bool
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the lines, instead of failing.
	ReplaceInvalid bool
	// Adapter, if not nil, makes rows name the adapter that serves them, see [data.Layout].
	Adapter func(name string) error
}

// formats lists the formats that files of rows may have.
func formats() []data.Format { return append(data.Formats(), Folder, Zip, IDX, Image) }

// check returns an error if the options contradict each other.
func (o Options) check() error {
	if o.ImageColumn != "" && o.ImageColumn == o.LabelColumn {
		return data.OptionErrorf("the image and the label column are the same (%q)", o.ImageColumn)
	}
	if o.NoLabels && (o.LabelColumn != "" || o.LabelSeparator != "") {
		return data.OptionErrorf("a label column is given where no labels are read")
	}
	if o.Format != "" && !slices.Contains(formats(), o.Format) {
		return data.OptionErrorf("format %q is none of imagefolder, zip, idx, csv, tsv, jsonl, txt, image", string(o.Format))
	}
	return nil
}

// labels says how labels are read.
func (o Options) labels() data.LabelReader {
	return data.LabelReader{Separator: o.LabelSeparator, Optional: o.OptionalLabels}
}

// fits returns an error if an option of rows is given for a format without rows.
func (o Options) fits(f data.Format, name string) error {
	for _, x := range []struct {
		option string
		given  bool
	}{
		{"delimiter", o.Delimiter != 0}, {"no_header", o.NoHeader}, {"no_quotes", o.NoQuotes},
		{"label_separator", o.LabelSeparator != ""},
	} {
		if x.given {
			return data.OnlyDelimited(x.option, f, name)
		}
	}
	switch {
	case o.ImageColumn != "" || o.LabelColumn != "":
		return data.OptionErrorf("%s is read as %s, which has no columns", name, string(f))
	case o.Adapter != nil:
		return data.OptionErrorf("%s is read as %s, whose images cannot name an adapter as `adapters` needs it: write JSON "+
			"Lines with the key %q, or use `adapter` if one serves all", name, string(f), data.AdapterColumn)
	}
	return nil
}

// newFile returns an empty file.
func newFile(name string, f data.Format, o Options, images images) *File {
	file := &File{images: images}
	file.File = data.NewFile[Example](name, f)
	file.Optional = o.OptionalLabels || o.NoLabels
	return file
}

// imageEndings are the endings of the names of image files that folders and archives are searched for.
var imageEndings = []string{".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"}

// isImage reports whether a name has the ending of an image file.
func isImage(name string) bool {
	return slices.Contains(imageEndings, strings.ToLower(filepath.Ext(name)))
}

// Limit returns the first n rows; n <= 0 returns all. Class folders, whose rows have the order of classes, give the
// first rows of each class: as many of each as far as it has them.
func (f *File) Limit(n int) *File {
	if n <= 0 || n >= f.Len() || f.Format != Folder && f.Format != Zip || f.Columns.Image != "" {
		return data.Limit(f, n)
	}
	return f.firstOfEach(n)
}

// firstOfEach returns n rows: the first of each class, then the second of each, and so on, in the order of f.
func (f *File) firstOfEach(n int) *File {
	seen := map[string]int{}
	round := make([]int, f.Len()) // the number of a row within its class
	var sizes []int               // rows of each round
	for i, e := range f.All() {
		r := seen[e.Label.Name]
		seen[e.Label.Name]++
		if round[i] = r; r == len(sizes) {
			sizes = append(sizes, 0)
		}
		sizes[r]++
	}
	whole := 0 // rounds that are taken as a whole
	for n >= sizes[whole] {
		n -= sizes[whole]
		whole++
	}
	i := -1
	return data.Filter(f, func(Example) bool {
		i++
		if round[i] == whole && n > 0 {
			n--
			return true
		}
		return round[i] < whole
	})
}

// SplitOff divides the rows into two files, see [data.SplitOff].
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	return withoutOthers(data.SplitOff(f, fraction, seed))
}

// SplitClasses divides the rows class by class, see [data.SplitClasses].
func (f *File) SplitClasses(fraction float64, seed uint64) (rest, held *File, err error) {
	return withoutOthers(data.SplitClasses(f, fraction, seed))
}

// withoutOthers lets only the rest of a file report what was left out of it.
func withoutOthers(rest, held *File, err error) (*File, *File, error) {
	if err == nil {
		held.Others = data.Tally{}
	}
	return rest, held, err
}

// WithTargets returns the rows for which [data.Label.HasTarget] holds. Dropped counts the others.
func (f *File) WithTargets(p data.Problem) *File { return data.WithTargets(f, p) }

// WithoutLabels returns the rows without their labels.
func (f *File) WithoutLabels() *File {
	return data.Map(f, func(e Example) Example {
		e.Label = data.Label{}
		return e
	})
}
