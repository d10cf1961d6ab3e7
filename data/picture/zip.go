package picture

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"github.com/spalora/spalora/data"
)

// maxEntries bounds the entries of an archive.
const maxEntries = MaxImages

// archive is a zip archive: a file, which is opened for each image, or one in memory.
type archive struct {
	path   string
	memory []byte // nil: a file
}

// open returns the content of the archive.
func (a archive) open() (r io.ReaderAt, size int64, done func() error, err error) {
	if a.memory != nil {
		return bytes.NewReader(a.memory), int64(len(a.memory)), func() error { return nil }, nil
	}
	f, err := os.Open(a.path)
	if err != nil {
		return nil, 0, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, nil, errors.Join(err, f.Close())
	}
	return f, info.Size(), f.Close, nil
}

func (a archive) name(e Example) string { return a.path + "/" + e.Image }

// content unpacks an entry. It returns an error if that has not the size and the checksum that the archive says.
func (a archive) content(e Example, most int64) (content []byte, err error) {
	if int64(e.place.size) > most {
		return nil, data.Errorf(a.name(e), 0, "the entry has %d bytes, more than %d; make the image smaller", e.place.size,
			most)
	}
	r, _, done, err := a.open()
	if err == nil {
		content, err = unpack(r, e.place)
		err = errors.Join(err, done())
	}
	if err != nil {
		return nil, &data.Error{File: a.name(e), Msg: "cannot read", Err: err}
	}
	return content, nil
}

// unpack reads an entry at its place in an archive.
func unpack(r io.ReaderAt, p place) ([]byte, error) {
	var from io.Reader = io.NewSectionReader(r, int64(p.offset), int64(p.packed))
	if p.method == int(zip.Deflate) {
		from = flate.NewReader(from)
	}
	content, err := io.ReadAll(io.LimitReader(from, int64(p.size)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the archive is corrupt: %w", err)
	case len(content) != p.size:
		return nil, fmt.Errorf("the archive is corrupt: the entry does not have the %d bytes that the archive says", p.size)
	case int(crc32.ChecksumIEEE(content)) != p.crc:
		return nil, errors.New("the archive is corrupt: the checksum is wrong")
	}
	return content, nil
}

// readZip lists the images of an archive.
func readZip(a archive, o Options) (f *File, err error) {
	if err := o.fits(Zip, a.path); err != nil {
		return nil, err
	}
	r, size, done, err := a.open()
	if err != nil {
		return nil, &data.Error{File: a.path, Msg: "cannot read", Err: err}
	}
	defer func() { err = errors.Join(err, done()) }()
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // whose names are checked below
		return nil, &data.Error{File: a.path, Msg: "cannot read the archive; get it again", Err: err}
	}
	if len(z.File) > maxEntries {
		return nil, data.Errorf(a.path, 0, "the archive has %d entries, at most %d are read; divide it", len(z.File),
			maxEntries)
	}
	l := listing{name: a.path}
	seen := make(map[string]bool, len(z.File))
	for _, entry := range z.File {
		if err := checkName(entry.Name); err != nil {
			return nil, &data.Error{File: a.path, Msg: "entry " + data.Excerpt(entry.Name), Err: err}
		}
		if seen[entry.Name] {
			return nil, data.Errorf(a.path, 0, "the archive has two entries %s; make it anew", data.Excerpt(entry.Name))
		}
		seen[entry.Name] = true
		if strings.HasSuffix(entry.Name, "/") || strings.HasPrefix(entry.Name, "__MACOSX/") || hidden(entry.Name) {
			continue
		}
		p := place{}
		if isImage(entry.Name) {
			if p, err = placeOf(entry, size); err != nil {
				return nil, &data.Error{File: a.path, Msg: "entry " + data.Excerpt(entry.Name), Err: err}
			}
		}
		if err := l.add(entry.Name, p); err != nil {
			return nil, err
		}
	}
	return l.file(Zip, o, a)
}

// hidden reports whether a folder of a path begins with a dot.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.Contains(name, "/.") }

// checkName returns an error if the name of an entry is that of a place outside of the archive. Nothing is unpacked to
// disk, but such an archive was not made to hold images.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case strings.ContainsAny(name, "\\\x00"):
		return errors.New("the name has a backslash or a NUL byte; make the archive anew, with slashes")
	case strings.HasPrefix(name, "/") || len(name) > 1 && name[1] == ':':
		return errors.New("the name is an absolute path")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return errors.New("the name leads out of the archive")
		}
	}
	return nil
}

// placeOf returns where the content of an entry is, in an archive of the given size.
func placeOf(entry *zip.File, size int64) (p place, err error) {
	const encrypted = 1
	switch {
	case entry.Flags&encrypted != 0:
		return p, errors.New("the entry is encrypted; unpack the archive")
	case entry.Method != zip.Store && entry.Method != zip.Deflate:
		return p, fmt.Errorf("the entry is packed with method %d, want 0 (stored) or 8 (deflate); unpack the archive",
			entry.Method)
	case !entry.Mode().IsRegular():
		return p, errors.New("the entry is a link or a device; unpack the archive")
	case entry.UncompressedSize64 > maxFile || entry.CompressedSize64 > uint64(size):
		return p, fmt.Errorf("the entry has %d bytes, at most %d are read; make the image smaller",
			max(entry.UncompressedSize64, entry.CompressedSize64), min(maxFile, size))
	}
	offset, err := entry.DataOffset()
	if err != nil {
		return p, err
	}
	if offset < 0 || offset > size-int64(entry.CompressedSize64) {
		return p, errors.New("the entry lies outside of the archive; get it again")
	}
	return place{offset: int(offset), packed: int(entry.CompressedSize64), size: int(entry.UncompressedSize64),
		method: int(entry.Method), crc: int(entry.CRC32)}, nil
}
