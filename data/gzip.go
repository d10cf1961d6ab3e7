package data

import (
	"bufio"
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

// Unzip returns what r, the content of a file of this name, holds compressed with gzip, or r itself if the name does
// not end in .gz or r does not begin as a gzip stream does: what has received a file may have unpacked it already. It
// returns an error if the stream does not begin as it should, and the returned reader if it is corrupt, ends early, or
// unpacks to more than could be read into memory.
func Unzip(r io.Reader, name string) (io.Reader, error) { return unzip(r, name, AvailableMemory()) }

func unzip(r io.Reader, name string, available uint64) (io.Reader, error) {
	if !isZipped(name) {
		return r, nil
	}
	head := bufio.NewReader(r)
	first, err := head.Peek(1)
	switch {
	case errors.Is(err, io.EOF):
		return head, nil
	case err != nil:
		return nil, &Error{File: name, Msg: "cannot read", Err: err}
	case first[0] != 0x1F: // with which no text begins
		return head, nil
	}
	z, err := gzip.NewReader(head)
	if err != nil {
		return nil, &Error{File: name, Msg: "cannot read", Err: gzipError(err)}
	}
	return &unzipper{z: z, available: available}, nil
}

// unzipper reads the content of a gzip stream. It returns an error if that is corrupt or ends early, or if the rows of
// so much content would not fit into memory.
type unzipper struct {
	z         *gzip.Reader
	n         uint64 // bytes that were read
	available uint64 // bytes of memory that were free at the start, 0 if it is not known
	err       error  // what the last Read returned
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
