package picture

import (
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// MaxImages bounds the images that a directory or an archive may hold.
const MaxImages = 10_000_000

// folder is the directory of images that have files of their own, by their names in it.
type folder string

func (f folder) path(e Example) string {
	p, _ := data.MediaPath(e.Image, string(f)) // the reader has checked it
	return p
}

func (f folder) name(e Example) string { return f.path(e) }

// content reads an image file.
func (f folder) content(e Example, most int64) ([]byte, error) {
	r, err := data.Open(f.path(e))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("the file has more than %d bytes; make the image smaller", most)
	}
	if err != nil {
		return nil, &data.Error{File: f.name(e), Msg: "cannot read", Err: err}
	}
	return content, nil
}

// readFolder reads a directory: its metadata, if it has some, else its class folders.
func readFolder(dir string, o Options) (*File, error) {
	metadata, err := data.Metadata(dir)
	if err != nil {
		return nil, err
	}
	if metadata != "" {
		o.Format = ""
		return data.ReadPath(metadata, o, ReadFrom)
	}
	if err := o.fits(Folder, dir); err != nil {
		return nil, err
	}
	l := listing{name: dir}
	err = data.WalkFolder(dir, func(name string, regular bool) error {
		if !regular {
			l.others.Add(0)
			return nil
		}
		return l.add(name, place{})
	})
	if err != nil {
		return nil, err
	}
	// The trailing separator makes the directory itself that of the names.
	return l.file(Folder, o, folder(dir+string(filepath.Separator)))
}

// listing collects the images of a directory or an archive.
type listing struct {
	name   string
	rows   []Example // Image is the path from the root, with slashes
	others data.Tally
}

// add adds an image, or counts a file that is none. Files that systems leave in folders are skipped.
func (l *listing) add(name string, p place) error {
	switch {
	case data.SystemFile(name):
	case !isImage(name):
		l.others.Add(0)
	case len(l.rows) == MaxImages:
		return data.Errorf(l.name, 0, "there are more than %d images; divide them", MaxImages)
	default:
		l.rows = append(l.rows, Example{Image: name, place: p})
	}
	return nil
}

// file returns the images as a file, sorted by name, each with its folder as its label.
func (l *listing) file(format data.Format, o Options, images images) (*File, error) {
	slices.SortFunc(l.rows, func(a, b Example) int { return strings.Compare(a.Image, b.Image) })
	common := l.common()
	if err := l.parts(common); err != nil {
		return nil, err
	}
	f := newFile(l.name, format, o, images)
	f.Others = l.others
	var outside data.Tally
	first := ""
	for _, e := range l.rows {
		class := path.Dir(e.Image[len(common):])
		switch {
		case o.NoLabels:
		case class != ".":
			e.Label = data.Label{Kind: data.NameLabel, Name: class}
		case !o.OptionalLabels:
			if outside.Add(0); outside.N == 1 {
				first = e.Image
			}
		}
		f.Append(e)
	}
	switch {
	case f.Len() == 0:
		return nil, data.Errorf(l.name, 0, "there are no images (%s)", strings.Join(imageEndings, ", "))
	case outside.N > 0:
		return nil, data.Errorf(l.name, 0, "%s outside of class folders, the first is %s: an image's folder is its class; "+
			"move them, or write metadata.csv with the columns file_name and label", data.Plural(outside.N, "image"), first)
	}
	return f, nil
}

// common returns the folders, with a slash behind, that all images are in, but for the one that is their class.
func (l *listing) common() string {
	if len(l.rows) == 0 {
		return ""
	}
	// The names are sorted: what the first and the last have in common, all have.
	a, b := l.rows[0].Image, l.rows[len(l.rows)-1].Image
	n := 0
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '/' {
			n = i + 1
		}
	}
	for n > 0 && slices.ContainsFunc(l.rows, func(e Example) bool { return !strings.Contains(e.Image[n:], "/") }) {
		n = strings.LastIndexByte(a[:n-1], '/') + 1
	}
	return a[:n]
}

// splits are the names of folders that hold parts of a data set, not classes.
var splits = []string{"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"}

// parts returns an error if the folders are those of parts of a data set, each with class folders.
func (l *listing) parts(common string) error {
	var found []string
	for _, e := range l.rows {
		first, rest, _ := strings.Cut(e.Image[len(common):], "/")
		if !slices.Contains(splits, strings.ToLower(first)) || !strings.Contains(rest, "/") {
			return nil
		}
		if !slices.Contains(found, first) {
			found = append(found, first)
		}
	}
	if len(found) < 2 {
		return nil
	}
	return data.Errorf(l.name, 0, "the folders are parts of a data set (%s), not classes: give each by itself, as in "+
		"`train_file %s`", strings.Join(found, ", "), path.Join(l.name, common, found[len(found)-1]))
}
