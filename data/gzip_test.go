package data

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

// zip returns content compressed with gzip.
func zip(content string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, content)
	z.Close()
	return b.Bytes()
}

func TestEnding(t *testing.T) {
	for name, want := range map[string]string{
		"a/rows.jsonl": ".jsonl", "ROWS.JSONL.GZ": ".jsonl", "train.en.gz": ".en", "rows.gz": "", "rows": "", "-": "",
		"a.csv/rows": "", "rows.tar.gz": ".tar", ".gz": "", "x.gz.gz": ".gz",
	} {
		if got := Ending(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if f := FormatOf("Rows.TSV.gz"); f != TSV {
		t.Errorf("the format is %q", f)
	}
}

// readAll returns all lines of a stream.
func readAll(content []byte, name string) (list []string, err error) {
	lines, err := NewLines(bytes.NewReader(content), name, false)
	if err != nil {
		return nil, err
	}
	err = ReadLines(lines, func() bool { return false }, func(text string, _ int) { list = append(list, text) })
	return list, err
}

func TestUnzip(t *testing.T) {
	content := strings.Repeat("a line of text\n", 20_000) + "the last one"
	packed := zip(content)
	flipped := bytes.Clone(packed)
	flipped[len(flipped)-6] ^= 1 // of the checksum
	block := bytes.Clone(packed)
	block[10] |= 6 // a kind of block that does not exist
	for _, c := range []struct {
		name    string
		content []byte
		want    string // "" for none
	}{
		{"f.txt.gz", packed, ""},
		{"f.txt.gz", append(zip(content[:1000]), zip(content[1000:])...), ""},
		{"f.txt.gz", packed[:len(packed)-1], "cannot read: the gzip stream ends early: was the program that wrote it"},
		{"f.txt.gz", packed[:len(packed)/2], "the gzip stream ends early"},
		{"f.txt.gz", packed[:12], "the gzip stream ends early"},
		{"f.txt.gz", packed[:5], "cannot read: the gzip stream ends early"},
		{"f.txt.gz", flipped, "the gzip stream is corrupt (gzip: invalid checksum); write or copy the file again"},
		{"f.txt.gz", block, "the gzip stream is corrupt (flate: corrupt input"},
		{"f.txt.gz", append(bytes.Clone(packed), "more"...), "cannot read: the gzip stream"},
		{"f.txt.gz", []byte(content), ""}, // unpacked already
		{"f.txt.gz", packed[:1], "cannot read: the gzip stream ends early"},
		{"f.txt.gz", []byte("\x1F\x8C and so on"), "cannot read: the gzip stream is corrupt (gzip: invalid header)"},
		{"f.txt.gz", zip(string(packed)), "the file is compressed with gzip; unpack it first"},
		{"f.txt.gz", zip("a\nb\x00c"), "f.txt.gz:2: byte 2 of the line (offset 3 of the file) is NUL"},
		{"f.txt", packed, "f.txt: the file is compressed with gzip; unpack it first, or let its name end in .gz"},
	} {
		list, err := readAll(c.content, c.name)
		var e *Error
		switch {
		case c.want == "" && (err != nil || strings.Join(list, "\n") != content):
			t.Errorf("%d lines, %v", len(list), err)
		case c.want != "" && (!errors.As(err, &e) || e.File != c.name || !strings.Contains(err.Error(), c.want)):
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// A file that unpacks to more than the memory holds is refused while it is read, with its line.
func TestUnzipMemory(t *testing.T) {
	packed := zip(strings.Repeat("0\n", 1<<20))
	for available, want := range map[uint64]string{
		0: "", 8 << 20: "",
		4 << 20: "the content is larger than 0.0 GB, and reading it takes more than the 0.0 GB of memory that are free",
	} {
		r, err := unzip(bytes.NewReader(packed), "f.gz", available)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		if want == "" && (err != nil || n != 2<<20) ||
			want != "" && (err == nil || !strings.Contains(err.Error(), want) || n > 2<<20) {
			t.Errorf("%d bytes free: %d bytes, %v", available, n, err)
		}
		if _, again := r.Read(make([]byte, 1)); want != "" && again != err {
			t.Errorf("the next read returns %v", again)
		}
	}
}

// FuzzUnzip: a stream is read whole or refused, and what cannot be read is the file's fault.
func FuzzUnzip(f *testing.F) {
	for _, s := range []string{"", "a", "a\r\nb\x00"} {
		f.Add(zip(s))
	}
	f.Add([]byte("a\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		list, err := readAll(content, "f.txt.gz")
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("the error %v is of no known kind", err)
		}
		if len(content) == 0 || content[0] != 0x1F {
			return
		}
		z, zerr := gzip.NewReader(bytes.NewReader(content))
		if zerr == nil {
			var want []byte
			if want, zerr = io.ReadAll(z); zerr == nil && err == nil && !bytes.ContainsAny(want, "\r\xEF") &&
				strings.TrimSuffix(string(want), "\n") != strings.Join(list, "\n") {
				t.Fatalf("got %q, want %q", list, want)
			}
		}
		if zerr != nil && err == nil {
			t.Fatalf("read %q despite %v", list, zerr)
		}
	})
}
