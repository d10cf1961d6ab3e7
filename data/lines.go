package data

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// maxRecord bounds the bytes of one row. A longer one is taken for a file without line ends or with a quote that is
// never closed, and refused before it fills the memory.
const maxRecord = 64 << 20

// MaxContent bounds the bytes of a line of a file whose content is one value: a plain text, which may be a whole book
// in one line, or the object of a SQuAD file.
const MaxContent = 1 << 30

// buffer is the size of the read buffer of [Lines] in bytes.
const buffer = 64 << 10

// Lines cuts a UTF-8 stream into physical lines that end with LF, CRLF, a lone CR, or the end of the stream. It drops a
// byte order mark at the start. Other encodings, NUL bytes and lines above 64 MiB are errors.
type Lines struct {
	r       *bufio.Reader
	name    string
	max     int
	replace bool // replace invalid UTF-8 by U+FFFD instead of failing

	line     int   // number of the line that Next returned last, 1-based
	column   int   // bytes of the line before the one that nextByte returned last
	last     byte  // which nextByte returned last
	offset   int64 // bytes consumed
	replaced int   // lines in which bytes were replaced
	joined   Joined
	served   *served // nil: rows name no adapters
	buf      []byte
}

// NewLines returns the lines of r, unpacked as [Unzip] does. Messages call the stream name. With replace, bytes that
// are not UTF-8 become U+FFFD instead of an error.
func NewLines(r io.Reader, name string, replace bool) (*Lines, error) {
	r, err := Unzip(r, name)
	if err != nil {
		return nil, err
	}
	l := &Lines{r: bufio.NewReaderSize(r, buffer), name: name, max: maxRecord, replace: replace}
	head, err := l.r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, &Error{File: name, Msg: "cannot read", Err: err}
	}
	if what := foreign(head); what != "" {
		return nil, Errorf(name, 0, "%s", what)
	}
	if bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")) {
		n, _ := l.r.Discard(3)
		l.offset = int64(n)
	}
	return l, nil
}

// Name returns the name of the stream in messages.
func (l *Lines) Name() string { return l.name }

// Line returns the 1-based number of the line that Next returned last, 0 before the first.
func (l *Lines) Line() int { return l.line }

// Replaced returns the number of lines in which bytes that are not UTF-8 were replaced.
func (l *Lines) Replaced() int { return l.replaced }

// Head returns the bytes that follow, at most 64 KiB, without consuming them.
func (l *Lines) Head() []byte {
	head, _ := l.r.Peek(l.r.Size())
	return head
}

// Content reads all lines that are left, each of at most [MaxContent] bytes, with LF as their ending.
func (l *Lines) Content() ([]byte, error) {
	l.max = MaxContent
	var content []byte
	for {
		line, end, err := l.Next()
		if errors.Is(err, io.EOF) {
			return content, nil
		}
		if err != nil {
			return nil, err
		}
		content = append(content, line...)
		if len(end) > 0 {
			content = append(content, '\n')
		}
	}
}

// Next returns the next line and its ending ("\n", "\r\n", "\r", or "" at the end of the stream). Both are valid until
// the next call. It returns io.EOF after the last byte.
func (l *Lines) Next() (text, end []byte, err error) {
	l.buf = l.buf[:0]
	start := l.offset
	for {
		if _, err := l.r.Peek(1); err != nil {
			if !errors.Is(err, io.EOF) {
				return nil, nil, &Error{File: l.name, Line: l.line + 1, Msg: "cannot read", Err: err}
			}
			if len(l.buf) == 0 {
				return nil, nil, io.EOF
			}
			break
		}
		window, _ := l.r.Peek(l.r.Buffered())
		n := lineEnd(window)
		if len(l.buf)+max(n, 0) > l.max || n < 0 && len(l.buf)+len(window) > l.max {
			return nil, nil, Errorf(l.name, l.line+1,
				"the line is longer than %d MiB: is this a text file with one row per line?", l.max>>20)
		}
		if n < 0 {
			l.buf = append(l.buf, window...)
			l.discard(len(window))
			continue
		}
		l.buf = append(l.buf, window[:n]...)
		end = l.takeEnd(n, window[n])
		break
	}
	l.line++
	text, err = l.check(l.buf, start, 0)
	return text, end, err
}

// nextByte returns the next byte of a file whose rows need not end with their lines, for readers that do not call Next.
// It counts lines: line is that of the byte, column the number of bytes before it in the line. It returns io.EOF after
// the last byte.
func (l *Lines) nextByte() (byte, error) {
	c, err := l.r.ReadByte()
	if err != nil && !errors.Is(err, io.EOF) {
		err = &Error{File: l.name, Line: l.line, Msg: "cannot read", Err: err}
	}
	if err != nil {
		return 0, err
	}
	if l.offset++; l.last == '\n' || l.last == '\r' && c != '\n' || l.line == 0 {
		l.line++
		l.column = -1
	}
	l.column++
	l.last = c
	return c, nil
}

// takeEnd consumes n bytes of text and the line ending that begins with c.
func (l *Lines) takeEnd(n int, c byte) []byte {
	l.discard(n + 1)
	if c == '\n' {
		return []byte("\n")
	}
	if b, err := l.r.Peek(1); err == nil && b[0] == '\n' {
		l.discard(1)
		return []byte("\r\n")
	}
	return []byte("\r")
}

func (l *Lines) discard(n int) {
	d, _ := l.r.Discard(n) // n bytes are buffered
	l.offset += int64(d)
}

// check returns the bytes, which begin at offset start of the file, before bytes of a line behind its start, if they
// are text.
func (l *Lines) check(text []byte, start int64, before int) ([]byte, error) {
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return nil, Errorf(l.name, l.line, "byte %d of the line (offset %d of the file) is NUL: this is not a text file in "+
			"UTF-8", before+i+1, start+int64(i))
	}
	if utf8.Valid(text) {
		return text, nil
	}
	if l.replace {
		l.replaced++
		return bytes.ToValidUTF8(text, []byte("\uFFFD")), nil
	}
	i := invalidAt(text)
	return nil, Errorf(l.name, l.line,
		"byte %d of the line (offset %d of the file) is 0x%02X, which is not UTF-8: convert the file to UTF-8 "+
			"(it may be Latin-1 or Windows-1252) or replace such bytes with `replace_invalid`",
		before+i+1, start+int64(i), text[i])
}

// lineEnd returns the index of the first CR or LF, -1 if there is none.
func lineEnd(b []byte) int {
	n := bytes.IndexByte(b, '\n')
	head := b
	if n >= 0 {
		head = b[:n]
	}
	if c := bytes.IndexByte(head, '\r'); c >= 0 {
		return c
	}
	return n
}

// invalidAt returns the index of the first byte that is not UTF-8.
func invalidAt(b []byte) int {
	i := 0
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// foreign names what a file is by its first bytes if that is not UTF-8 text.
func foreign(head []byte) string {
	const unpack = "; unpack it first"
	switch {
	case bytes.HasPrefix(head, []byte("\xFF\xFE\x00\x00")), bytes.HasPrefix(head, []byte("\x00\x00\xFE\xFF")):
		return "the file is UTF-32 (byte order mark); convert it to UTF-8, for example with iconv -f UTF-32 -t UTF-8"
	case bytes.HasPrefix(head, []byte("\xFF\xFE")), bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return "the file is UTF-16 (byte order mark); convert it to UTF-8, for example with iconv -f UTF-16 -t UTF-8"
	case bytes.HasPrefix(head, []byte("\x1F\x8B")):
		return "the file is compressed with gzip" + unpack + ", or let its name end in " + zipped
	case bytes.HasPrefix(head, []byte("BZh")) && len(head) > 3 && head[3] >= '1' && head[3] <= '9':
		return "the file is compressed with bzip2" + unpack
	case bytes.HasPrefix(head, []byte("\xFD7zXZ\x00")):
		return "the file is compressed with xz" + unpack
	case bytes.HasPrefix(head, []byte("\x28\xB5\x2F\xFD")):
		return "the file is compressed with zstd" + unpack
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "the file is a zip archive or a spreadsheet (.xlsx); unpack it or export it as CSV"
	case bytes.HasPrefix(head, []byte("PAR1")):
		return "the file is Parquet; export it as CSV or JSON Lines, for example with pandas"
	case bytes.HasPrefix(head, []byte("ARROW1")):
		return "the file is Arrow; export it as CSV or JSON Lines, for example with pandas"
	}
	even, odd := 0, 0
	for i, c := range head {
		if c == 0 && i%2 == 0 {
			even++
		} else if c == 0 {
			odd++
		}
	}
	if n := len(head) / 2; n >= 2 && (even > n/2 && odd == 0 || odd > n/2 && even == 0) {
		return "the file looks like UTF-16 without a byte order mark; convert it to UTF-8, for example with iconv"
	}
	return ""
}
