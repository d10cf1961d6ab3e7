package speech

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spalora/spalora/data"
)

// maxSound is the largest sound file that [ReadFS] reads, in bytes.
const maxSound = 1 << 30

// ReadFS reads a folder with metadata.csv or metadata.jsonl from a file system, as [Read] reads one from disk, and the
// recordings that its rows name into memory. Messages call it name. It is for recordings that are compiled in
// (embed.FS) or in an archive (zip.Reader).
func ReadFS(files fs.FS, name string, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Format != "" && o.Format != Folder {
		return nil, data.OptionErrorf("%s is a folder; `format %s` reads a file", name, string(o.Format))
	}
	if o.Adapter != nil {
		return nil, data.OptionErrorf("%s is a folder in memory, whose rows cannot name an adapter", name)
	}
	o.Format = ""
	for _, metadata := range []string{"metadata.csv", "metadata.jsonl"} {
		text, err := readSound(files, metadata)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &data.Error{File: name + "/" + metadata, Msg: "cannot read", Err: err}
		}
		rows, err := ReadBytes(text, metadata, o)
		if err != nil {
			return nil, err
		}
		f := *rows
		f.File = data.NewFile(name, rows.Format, []Row{}...)
		for row := range rows.Values() {
			sound, err := readSound(files, row.Audio)
			if err != nil {
				return nil, &data.Error{File: name + "/" + metadata, Line: row.Line, Msg: "cannot read the recording", Err: err}
			}
			row.Sound = string(sound)
			f.Append(row)
		}
		return &f, nil
	}
	return nil, data.Errorf(name, 0, "there is no metadata.csv and no metadata.jsonl")
}

// readSound reads a file of a file system.
func readSound(files fs.FS, name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, fmt.Errorf("%q is not a path within the folder", name)
	}
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSound+1))
	if err == nil && len(content) > maxSound {
		err = fmt.Errorf("%s has more than %d MiB; divide it", name, maxSound>>20)
	}
	return content, errors.Join(err, f.Close())
}
