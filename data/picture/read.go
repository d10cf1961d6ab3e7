package picture

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// maxFile bounds the bytes of an image file in an archive.
const maxFile = 512 << 20

// Read reads the list of the images of a directory, an archive or a file. Errors about the file are a [*data.Error],
// errors about o wrap [data.ErrOption].
func Read(path string, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	dir := err == nil && info.IsDir()
	switch format := o.formatOf(path, dir); {
	case format == Folder && !dir && err == nil:
		return nil, data.Errorf(path, 0, "this is not a directory, which `format %s` reads", string(Folder))
	case dir && format != Folder:
		return nil, data.Errorf(path, 0, "this is a directory; `format %s` reads a file", string(format))
	case format == Folder && dir:
		return readFolder(path, o)
	case format == Zip || format == IDX:
		f, err := data.Open(path) // which refuses pipes and devices
		if err != nil {
			return nil, err
		}
		f.Close()
		if format == IDX {
			return readIDX(path, o)
		}
		return readZip(archive{path: path}, o)
	case format == Image:
		return ReadImages([]string{path}, o)
	}
	return data.ReadPath(path, o, ReadFrom)
}

// formatOf returns the format of a path; "" leaves it to [data.Layout].
func (o Options) formatOf(path string, dir bool) data.Format {
	switch {
	case o.Format != "":
		return o.Format
	case dir:
		return Folder
	case strings.EqualFold(filepath.Ext(path), ".zip"):
		return Zip
	case looksLikeIDX(path):
		return IDX
	case isImage(path):
		return Image
	}
	return ""
}

// ReadImages returns a file of the image files of these paths, without labels.
func ReadImages(paths []string, o Options) (*File, error) {
	if err := o.fits(Image, strings.Join(paths[:1], "")); err != nil {
		return nil, err
	}
	if !o.OptionalLabels && !o.NoLabels {
		return nil, data.OptionErrorf("%s is an image, which has no label: give a file that names images and labels, or "+
			"class folders", paths[0])
	}
	name := paths[0]
	if len(paths) > 1 {
		name = data.Plural(len(paths), "file")
	}
	f := newFile(name, Image, o, folder("-"))
	for i, path := range paths {
		if _, err := data.MediaPath(path, "-"); err != nil {
			return nil, data.OptionErrorf("image %d: %v", i+1, err)
		}
		f.Append(Example{Image: path})
	}
	return f, nil
}

// ReadZip lists the images of an archive in memory. Messages call it name. The content must not be changed afterwards.
func ReadZip(content []byte, name string, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if content == nil {
		content = []byte{}
	}
	return readZip(archive{path: name, memory: content}, o)
}

// ReadBytes reads the content of a file of rows from memory, like [ReadFrom].
func ReadBytes(content []byte, name string, o Options) (*File, error) {
	return ReadFrom(bytes.NewReader(content), name, o)
}

// ReadFrom reads rows that name image files from a stream: CSV, TSV, JSON Lines or plain text, a path in each line.
// Messages call the stream name, whose ending decides the format unless o does, and whose directory is that of relative
// paths.
func ReadFrom(r io.Reader, name string, o Options) (*File, error) {
	if slices.Contains([]data.Format{Folder, Zip, IDX, Image}, o.Format) {
		return nil, data.OptionErrorf("%s is a stream; `format %s` reads a file or a directory", name, string(o.Format))
	}
	f := newFile(name, "", o, folder(name))
	rows := &rows{f: f, o: o}
	layout := data.Layout{Format: o.Format, Delimiter: o.Delimiter, NoHeader: o.NoHeader, NoQuotes: o.NoQuotes,
		ReplaceInvalid: o.ReplaceInvalid, Adapter: o.Adapter}
	return data.ReadRows(f, r, data.Reading{
		Layout: layout, Formats: data.Formats(), Noun: "rows", Check: o.check, Fits: o.fitsRows, Rows: rows,
		Other: rows.plain,
	})
}

// fitsRows returns an error if an option has no meaning for a format of rows.
func (o Options) fitsRows(f data.Format, name string) error {
	switch {
	case !f.Delimited() && o.LabelSeparator != "":
		return data.OnlyDelimited("label_separator", f, name)
	case f != data.PlainText:
		return nil
	case o.ImageColumn != "" || o.LabelColumn != "":
		return data.OptionErrorf("%s is read as plain text, which has no columns (use `format csv`, tsv or jsonl if it has)",
			name)
	case !o.OptionalLabels && !o.NoLabels:
		return data.OptionErrorf("%s is read as plain text, which has no labels (use `format csv`, tsv or jsonl if it has)",
			name)
	}
	return nil
}
