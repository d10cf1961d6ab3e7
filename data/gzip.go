package data

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// zipped is the ending of the names of files that are compressed with gzip.
const zipped = ".gz"

// isZipped reports whether a file of this name is compressed with gzip.
func isZipped(name string) bool { return strings.EqualFold(filepath.Ext(name), zipped) }

// Ending returns the ending of a file's name in lower case, with its dot. That of a file compressed with gzip is the
// one before .gz: both "rows.jsonl" and "ROWS.JSONL.GZ" have the ending ".jsonl".
func Ending(name string) string {
	if isZipped(name) {
		name = name[:len(name)-len(zipped)]
	}
	return strings.ToLower(filepath.Ext(name))
}

// unzipper reads the content of a gzip stream. It returns an error if that is corrupt or ends early, or if the rows of
// so much content would not fit into memory.
type unzipper struct {
	z         *gzip.Reader
	n         uint64 // bytes that were read
	available uint64 // bytes of memory that were free at the start, 0 if it is not known
	err       error  // what the last Read returned
}

// unzip returns the content of the gzip stream r, a file of this name.
func unzip(r io.Reader, name string, available uint64) (io.Reader, error) {
	z, err := gzip.NewReader(r)
	switch {
	case errors.Is(err, io.EOF):
		return nil, Errorf(name, 0, "the file is empty")
	case errors.Is(err, gzip.ErrHeader):
		return nil, Errorf(name, 0, "the name ends in %s, but the file is not compressed with gzip; rename it", zipped)
	case err != nil:
		return nil, &Error{File: name, Msg: "cannot read", Err: gzipError(err)}
	}
	return &unzipper{z: z, available: available}, nil
}

// Read reads content.
func (u *unzipper) Read(p []byte) (n int, err error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err = u.z.Read(p)
	u.n += uint64(n)
	if need := u.n * perByte; u.available > 0 && need > u.available {
		err = fmt.Errorf("the content is larger than %s, and reading it takes more than the %s of memory that are free: "+
			"divide the file, or use a machine with more memory", gigabytes(u.n), gigabytes(u.available))
	}
	u.err = gzipError(err)
	return n, u.err
}

// gzipError says in other words what is wrong with a gzip stream.
func gzipError(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the gzip stream ends early: was the program that wrote it stopped? Write or copy the file again")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return fmt.Errorf("the gzip stream is corrupt (%w); write or copy the file again", err)
	}
	return err
}
