package speech

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// Read reads the rows of a file or a directory. Errors about it are a [*data.Error], errors about o wrap
// [data.ErrOption]. Sound files are not opened, and need not exist yet.
//
// In JSON a recording is a string, its path, or an object that has the path under the key "path".
func Read(path string, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	dir := err == nil && info.IsDir()
	switch {
	case dir && (o.Format == "" || o.Format == Folder):
		return readFolder(path, o)
	case dir:
		return nil, data.Errorf(path, 0, "this is a directory; `format %s` reads a file", string(o.Format))
	case o.Format == Folder && err == nil:
		return nil, data.Errorf(path, 0, "this is not a directory, which `format %s` reads", string(Folder))
	case o.Format == Audio, o.Format == "" && hasEnding(path, sounds):
		return ReadFiles([]string{path}, o)
	}
	return data.ReadPath(path, o, ReadFrom)
}

// ReadFiles returns a file of the sound files of these paths, without transcripts. It returns an error if there are
// none or o demands transcripts.
func ReadFiles(paths []string, o Options) (*File, error) {
	if len(paths) == 0 {
		return nil, data.OptionErrorf("no sound file is given")
	}
	if err := o.fits(Audio, paths[0]); err != nil {
		return nil, err
	}
	f := New(paths[0])
	f.Format = Audio
	if len(paths) > 1 {
		f.Name = data.Plural(len(paths), "file")
	}
	for _, name := range paths {
		if f.Full(o.MaxSamples) {
			break
		}
		path, err := data.MediaPath(name, "-")
		if err != nil {
			return nil, data.OptionErrorf("%s", err)
		}
		f.Append(Row{Audio: name, Path: path})
	}
	return f, nil
}

// readFolder reads a directory: the rows of its metadata, or without one all of its sound files.
func readFolder(dir string, o Options) (*File, error) {
	metadata, err := data.Metadata(dir)
	if err != nil {
		return nil, err
	}
	if metadata != "" {
		o.Format = ""
		return data.ReadPath(metadata, o, ReadFrom)
	}
	var names []string
	var parts []string // folders with metadata of their own
	f := New(dir)
	f.Format = Folder
	err = data.WalkFolder(dir, func(name string, regular bool) error {
		base := filepath.Base(name)
		switch {
		case regular && (base == "metadata.csv" || base == "metadata.jsonl"):
			parts = append(parts, filepath.Dir(filepath.FromSlash(name)))
		case data.SystemFile(name):
		case !regular || !hasEnding(name, recordings):
			f.Others.Add(0)
		default:
			names = append(names, name)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(parts) > 0:
		slices.Sort(parts)
		return nil, data.Errorf(dir, 0, "its folders have metadata of their own (%s): give each by itself, as in "+
			"`train_file %s`", strings.Join(parts, ", "), filepath.Join(dir, parts[0]))
	case len(names) == 0:
		return nil, data.Errorf(dir, 0, "there are no recordings (%s)", strings.Join(recordings, ", "))
	}
	if err := o.fits(Folder, dir); err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if f.Full(o.MaxSamples) {
			break
		}
		f.Append(Row{Audio: name, Path: filepath.Join(dir, filepath.FromSlash(name))})
	}
	return f, nil
}

// ReadBytes reads the content of a file of rows from memory, like [ReadFrom].
func ReadBytes(content []byte, name string, o Options) (*File, error) {
	return ReadFrom(bytes.NewReader(content), name, o)
}

// ReadFrom reads rows that name sound files from a stream: CSV, TSV, JSON Lines or plain text, a path in each line.
// Messages call the stream name, whose ending decides the format unless o does, and whose directory is that of relative
// paths.
func ReadFrom(r io.Reader, name string, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Format == Folder || o.Format == Audio {
		return nil, data.OptionErrorf("%s is a stream; `format %s` reads a file or a directory", name, string(o.Format))
	}
	rows := &rows{f: New(name), o: o}
	layout := data.Layout{Format: o.Format, Delimiter: o.Delimiter, NoHeader: o.NoHeader, NoQuotes: o.NoQuotes,
		ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples, Adapter: o.Adapter}
	return data.ReadRows(rows.f, r, data.Reading{
		Layout: layout, Formats: data.Formats(), Noun: "rows", Fits: o.fitsRows, Rows: rows, Other: rows.plain,
	})
}
