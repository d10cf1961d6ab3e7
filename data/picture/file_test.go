package picture

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

// write makes files below a new directory. Their content is their name, unless content gives another.
func write(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		name, content, given := strings.Cut(name, "=")
		if !given {
			content = name
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// listed returns the images of a file with their labels and the content that is found for them.
func listed(t *testing.T, f *File) []string {
	t.Helper()
	var out []string
	for e := range f.Values() {
		content, err := f.images.content(e, maxFile)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %s", e.Image, e.Label, content))
	}
	return out
}

func TestFolders(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		o     Options
		want  []string
	}{
		{name: "classes", files: []string{"dog/b.PNG", "cat/2.jpg", "cat/1.jpeg", "cat/.hidden.png", ".git/x.png"},
			want: []string{`cat/1.jpeg "cat" cat/1.jpeg`, `cat/2.jpg "cat" cat/2.jpg`, `dog/b.PNG "dog" dog/b.PNG`}},
		{name: "one class", files: []string{"cat/1.png"}, want: []string{`cat/1.png "cat" cat/1.png`}},
		{name: "nested", files: []string{"all/greek/alpha/1.png", "all/latin/a/1.png"},
			want: []string{`all/greek/alpha/1.png "greek/alpha" all/greek/alpha/1.png`,
				`all/latin/a/1.png "latin/a" all/latin/a/1.png`}},
		{name: "flat, for prediction", files: []string{"2.png", "1.gif", "cat/3.bmp"}, o: Options{OptionalLabels: true},
			want: []string{"1.gif no label 1.gif", "2.png no label 2.png", `cat/3.bmp "cat" cat/3.bmp`}},
		{name: "no labels", files: []string{"cat/3.webp"}, o: Options{NoLabels: true},
			want: []string{"cat/3.webp no label cat/3.webp"}},
		{name: "metadata.csv", files: []string{"metadata.csv=file_name,label\nx/1.png,one\n2.png,two\n", "x/1.png", "2.png"},
			want: []string{`x/1.png "one" x/1.png`, `2.png "two" 2.png`}},
		{name: "metadata.jsonl", files: []string{`metadata.jsonl={"file_name": "1.png", "label": 3}`, "1.png"},
			want: []string{"1.png 3 1.png"}},
		{name: "a folder called train", files: []string{"train/x/1.png", "cars/y/1.png"},
			want: []string{`cars/y/1.png "cars/y" cars/y/1.png`, `train/x/1.png "train/x" train/x/1.png`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Read(write(t, tt.files...), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := listed(t, f); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFolderErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		o     Options
		want  string
	}{
		{"empty", nil, Options{}, "there are no images (.png, .jpg"},
		{"other files", []string{"a.txt", "b/c.tiff"}, Options{}, "there are no images"},
		{"outside", []string{"cat/1.png", "b.png", "a.png"}, Options{},
			"2 images outside of class folders, the first is a.png"},
		{"splits", []string{"train/cat/1.png", "test/cat/2.png"}, Options{},
			"parts of a data set (test, train), not classes"},
		{"both", []string{"metadata.csv=x", "metadata.jsonl=y"}, Options{}, "there are metadata.csv and metadata.jsonl"},
		{"metadata", []string{"metadata.csv=name,label\na,b\n"}, Options{}, "no column has a name that is known for images"},
		{"column", []string{"cat/1.png"}, Options{LabelColumn: "x"}, "is read as imagefolder, which has no columns"},
		{"delimiter", []string{"cat/1.png"}, Options{Delimiter: ';'}, "`delimiter` is for CSV and TSV files"},
		{"adapters", []string{"cat/1.png"}, Options{Adapter: func(string) error { return nil }}, "cannot name an adapter"},
		{"format", []string{"cat/1.png"}, Options{Format: data.CSV}, "this is a directory; `format csv` reads a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, tt.files...)
			_, err := Read(dir, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			var e *data.Error
			if !errors.As(err, &e) && !errors.Is(err, data.ErrOption) {
				t.Errorf("%v is of no known kind", err)
			}
			if !strings.Contains(err.Error(), dir) {
				t.Errorf("%v does not name %s", err, dir)
			}
		})
	}
}

func TestFolderLinks(t *testing.T) {
	dir := write(t, "cat/1.png")
	if err := os.Symlink(filepath.Join(dir, "cat"), filepath.Join(dir, "tiger")); err != nil {
		t.Skip(err)
	}
	f, err := Read(dir, Options{})
	if err != nil || f.Len() != 2 || f.At(1).Label.Name != "tiger" {
		t.Fatalf("got %v rows, %v", f, err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "cat", "again")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, Options{}); err == nil || !strings.Contains(err.Error(), "links in a circle") {
		t.Errorf("got %v", err)
	}
}

func TestRows(t *testing.T) {
	dir := write(t, "a.png", "b.png", "sub/c.png")
	absolute := filepath.Join(dir, "b.png")
	for _, tt := range []struct {
		name, file, content string
		o                   Options
		want                []string
	}{
		{"CSV", "x.csv", "image,label\na.png,cat\nsub/c.png, dog \n", Options{},
			[]string{`a.png "cat" a.png`, `sub/c.png " dog " sub/c.png`}},
		{"absolute", "x.csv", "image,label\n" + absolute + ",cat\n", Options{}, []string{absolute + ` "cat" b.png`}},
		{"columns", "x.tsv", "y\tx\n1\ta.png\n", Options{ImageColumn: "x", LabelColumn: "y"}, []string{`a.png "1" a.png`}},
		{"by number", "x.csv", "cat,a.png\n", Options{NoHeader: true, ImageColumn: "1", LabelColumn: "0"},
			[]string{`a.png "cat" a.png`}},
		{"lists in CSV", "x.csv", "image,label\na.png,x|y\nb.png,\n", Options{LabelSeparator: "|"},
			[]string{`a.png ["x", "y"] a.png`, "b.png [] b.png"}},
		{"JSON Lines", "x.jsonl", `{"image": "a.png", "label": 7}` + "\n" + `{"image": "b.png", "label": "cat"}`, Options{},
			[]string{"a.png 7 a.png", `b.png "cat" b.png`}},
		{"lists", "x.jsonl", `{"image": "a.png", "labels": ["x", "y"]}`, Options{}, []string{`a.png ["x", "y"] a.png`}},
		{"no labels", "x.jsonl", `{"image": "a.png"}` + "\n" + `{"image": "b.png", "label": null}`,
			Options{OptionalLabels: true}, []string{"a.png no label a.png", "b.png no label b.png"}},
		{"late label", "x.jsonl", `{"file_name": "a.png"}` + "\n" + `{"file_name": "b.png", "label": 1}`,
			Options{OptionalLabels: true}, []string{"a.png no label a.png", "b.png 1 b.png"}},
		{"plain text", "x.txt", "a.png\n\nsub/c.png\n", Options{OptionalLabels: true},
			[]string{"a.png no label a.png", "sub/c.png no label sub/c.png"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.file)
			if err := os.WriteFile(path, []byte(tt.content), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := Read(path, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := listed(t, f); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRowErrors(t *testing.T) {
	for _, tt := range []struct{ file, content, want string }{
		{"x.csv", "image,label\na.png,cat\n,dog\n", "x.csv:3: the name of the file is empty"},
		{"x.csv", "image,label\na.png,\n", `x.csv:2: the label (column "label") is empty`},
		{"x.csv", "image,label\nhttps://a.org/b.png,cat\n", `x.csv:2: "https://a.org/b.png" is a URL: download the file`},
		{"x.jsonl", `{"image": "a\u0000", "label": 1}`, `x.jsonl:1: the name of the file "a\x00" has a NUL byte`},
		{"x.jsonl", `{"image": {"bytes": "x"}, "label": 1}`, `x.jsonl:1: "image" is "{\"bytes\": \"x\"}", not a string`},
		{"x.jsonl", `{"image": "a.png"}`, "no key has a name that is known for labels"},
		{"x.csv", "path,file,label\na,b,c\n", `the image may be "path" or "file"; say which with` + " `image_column`"},
		{"x.txt", "a.png\n", "x.txt is read as plain text, which has no labels"},
		{"x.png", "", "x.png is an image, which has no label"},
	} {
		path := filepath.Join(t.TempDir(), tt.file)
		if err := os.WriteFile(path, []byte(tt.content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with %q: got %v, want %q", tt.file, tt.content, err, tt.want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.zip"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing archive: %v", err)
	}
	o := Options{OptionalLabels: true}
	f, err := ReadImages([]string{filepath.Join(t.TempDir(), "none.png")}, o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.images.content(f.At(0), 1)
	if err == nil || !strings.Contains(err.Error(), "none.png: there is no such file") {
		t.Errorf("a missing image: %v", err)
	}
}

// idxOf returns an IDX file of bytes.
func idxOf(magic uint32, content []byte, sizes ...uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, n := range sizes {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return append(b, content...)
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestIDX(t *testing.T) {
	images := idxOf(imagesMagic, []byte("abcdefghijkl"), 2, 2, 3)
	labels := idxOf(labelsMagic, []byte{7, 12}, 2)
	want := []string{"0 7 abcdef", "1 12 ghijkl"}
	for _, tt := range []struct {
		images, labels string
		zip            [2]bool
	}{
		{"train-images-idx3-ubyte", "train-labels-idx1-ubyte", [2]bool{}},
		{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", [2]bool{true, true}},
		{"train-images.idx3-ubyte", "train-labels.idx1-ubyte.gz", [2]bool{false, true}},
		{"x-images.idx.gz", "x-labels.idx", [2]bool{true, false}},
	} {
		dir := t.TempDir()
		for i, name := range []string{tt.images, tt.labels} {
			content := [][]byte{images, labels}[i]
			if tt.zip[i] {
				content = gzipped(t, content)
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		f, err := Read(filepath.Join(dir, tt.images), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := listed(t, f); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", tt.images, got, want)
		}
	}
	f, err := ReadIDX(gzipped(t, images), labels, "memory", Options{})
	if err != nil || !slices.Equal(listed(t, f), want) {
		t.Fatalf("from memory: %v, %v", f, err)
	}
	l, err := FindLabels(data.SingleLabel, data.LabelSource{}, f)
	if err != nil || len(l.Names) != 13 || l.Names[7] != "7" {
		t.Fatalf("classes %v, %v", l, err)
	}
	classes, err := f.Classes(l)
	if err != nil || !slices.Equal(classes, []int32{7, 12}) {
		t.Errorf("rows have the classes %v, %v", classes, err)
	}
	for _, tt := range []struct {
		images, labels []byte
		want           string
	}{
		{images[:20], labels, "ends after 4 of the 12 bytes that its header says"},
		{append(slices.Clone(images), 0), labels, "bytes follow the 12 that the header says"},
		{images[:7], labels, "cannot read the header of IDX"},
		{labels, labels, "begins with 0x00000801, want 0x00000803: bytes in IDX with 3 dimensions"},
		{images, images, "begins with 0x00000803, want 0x00000801: bytes in IDX with 1 dimension"},
		{images, idxOf(labelsMagic, []byte{1}, 1), "there are 2 images, but 1 labels"},
		{images, nil, "the images have no labels"},
		{idxOf(imagesMagic, nil, 1<<31, 1<<13, 1<<13), nil, "the header says 2147483648 images; at most"},
		{idxOf(imagesMagic, nil, 1, 1<<31, 1), nil, "the images have 1×2147483648 pixels"},
		{idxOf(imagesMagic, nil, 0, 1, 1), nil, "the file has no images"},
		{idxOf(imagesMagic, nil, 1<<20, 1<<10, 1<<10), nil, "ends after 0 of the 1099511627776 bytes"},
		{gzipped(t, images)[:20], labels, "the gzip stream"},
	} {
		o := Options{NoLabels: tt.labels == nil && tt.want != "the images have no labels"}
		_, err := ReadIDX(tt.images, tt.labels, "memory", o)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	dir := write(t, "t10k-images-idx3-ubyte="+string(images))
	path := filepath.Join(dir, "t10k-images-idx3-ubyte")
	if _, err := Read(path, Options{}); err == nil || !strings.Contains(err.Error(), "the file of the labels is missing") {
		t.Errorf("without labels: %v", err)
	}
	if f, err := Read(path, Options{OptionalLabels: true}); err != nil || f.Labelled() != 0 {
		t.Errorf("without labels, for prediction: %v", err)
	}
	if err := os.Truncate(path, 20); err != nil {
		t.Fatal(err)
	}
	_, err = Read(path, Options{NoLabels: true})
	if err == nil || !strings.Contains(err.Error(), "the file has 20 bytes") {
		t.Errorf("a truncated file: %v", err)
	}
}

// zipOf returns an archive with entries of these names, whose content is their name.
func zipOf(t testing.TB, change func(h *zip.FileHeader), names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if change != nil {
			change(h)
		}
		e, err := w.CreateHeader(h)
		if err == nil {
			_, err = e.Write([]byte(name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZip(t *testing.T) {
	content := zipOf(t, nil, "top/b/2.png", "top/a/x/1.png", "top/readme.txt", "__MACOSX/top/._1.png", "top/.git/1.png")
	want := []string{`top/a/x/1.png "a/x" top/a/x/1.png`, `top/b/2.png "b" top/b/2.png`}
	memory, err := ReadZip(content, "memory.zip", Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.ZIP")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := Read(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*File{memory, file} {
		if got := listed(t, f); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", f.Name, got, want)
		}
		if f.Others.N != 1 {
			t.Errorf("%s: %d other files, want 1", f.Name, f.Others.N)
		}
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xFF}, len(content)), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = file.images.content(file.At(0), maxFile)
	if err == nil || !strings.Contains(err.Error(), "archive is corrupt") {
		t.Errorf("an archive that changed: %v", err)
	}
	if _, err := file.images.content(file.At(0), 3); err == nil || !strings.Contains(err.Error(), "more than 3") {
		t.Errorf("a large entry: %v", err)
	}
}

func TestZipErrors(t *testing.T) {
	link := func(h *zip.FileHeader) { h.SetMode(os.ModeSymlink | 0o777) }
	for _, tt := range []struct {
		content []byte
		want    string
	}{
		{zipOf(t, nil, "../a.png"), `entry "../a.png": the name leads out of the archive`},
		{zipOf(t, nil, "a/../../b.png"), "leads out"},
		{zipOf(t, nil, "/etc/a.png"), "absolute path"},
		{zipOf(t, nil, "C:/a.png"), "absolute path"},
		{zipOf(t, nil, `a\b.png`), "backslash"},
		{zipOf(t, nil, "a/1.png", "a/1.png"), `two entries "a/1.png"`},
		{zipOf(t, link, "a/1.png"), "a link or a device"},
		{bytes.ReplaceAll(zipOf(t, nil, "a/1.png"), []byte{8, 0, 8, 0}, []byte{9, 0, 8, 0}), "encrypted"},
		{bytes.ReplaceAll(zipOf(t, nil, "a/1.png"), []byte{8, 0, 8, 0}, []byte{8, 0, 12, 0}), "packed with method 12"},
		{zipOf(t, nil, "readme.txt"), "there are no images"},
		{zipOf(t, nil, "1.png"), "outside of class folders"},
		{[]byte("no archive"), "cannot read the archive"},
		{nil, "cannot read the archive"},
	} {
		_, err := ReadZip(tt.content, "x.zip", Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "x.zip") {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

// A small archive may hold entries that are huge when they are unpacked.
func TestZipBomb(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	e, err := w.Create("a/1.png")
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 4 {
		if _, err := e.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := b.Bytes()
	f, err := ReadZip(content, "x.zip", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.images.content(f.At(0), 1<<20); err == nil || !strings.Contains(err.Error(), "has 4194304 bytes") {
		t.Errorf("an entry above the limit: %v", err)
	}
	// The same entry, with a directory that says that it is small: no more than that is unpacked.
	size := binary.LittleEndian.AppendUint32(nil, 4<<20)
	lie := bytes.ReplaceAll(content, size, binary.LittleEndian.AppendUint32(nil, 100))
	if f, err = ReadZip(lie, "x.zip", Options{}); err != nil {
		t.Fatal(err)
	}
	_, err = f.images.content(f.At(0), 1<<20)
	if err == nil || !strings.Contains(err.Error(), "does not have the 100 bytes") {
		t.Errorf("an entry with a wrong size: %v", err)
	}
	huge := bytes.ReplaceAll(content, size, binary.LittleEndian.AppendUint32(nil, 1<<30))
	if _, err = ReadZip(huge, "x.zip", Options{}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("an entry of 1 GiB: %v", err)
	}
}

func TestLimitAndSplit(t *testing.T) {
	names := []string{"a/1.png", "a/2.png", "a/3.png", "a/4.png", "b/1.png", "c/1.png", "c/2.png", "c/3.png"}
	f, err := Read(write(t, names...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	images := func(f *File) string {
		var list []string
		for e := range f.Values() {
			list = append(list, strings.TrimSuffix(e.Image, ".png"))
		}
		return strings.Join(list, " ")
	}
	for n, want := range map[int]string{
		0: "a/1 a/2 a/3 a/4 b/1 c/1 c/2 c/3", 1: "a/1", 3: "a/1 b/1 c/1", 4: "a/1 a/2 b/1 c/1",
		6: "a/1 a/2 a/3 b/1 c/1 c/2", 9: "a/1 a/2 a/3 a/4 b/1 c/1 c/2 c/3",
	} {
		if got := images(f.Limit(n)); got != want {
			t.Errorf("the first %d rows are %s, want %s", n, got, want)
		}
	}
	rest, held, err := f.SplitClasses(0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	count := func(f *File, class string) int {
		return f.Count(func(e Example) bool { return e.Label.Name == class })
	}
	if held.Len() != 4 || count(held, "a") != 2 || count(held, "b") > 1 || count(rest, "b") < 1 || count(held, "c") < 1 {
		t.Errorf("held out: %s, rest: %s", images(held), images(rest))
	}
	if content, err := held.images.content(held.At(0), maxFile); err != nil || len(content) == 0 {
		t.Errorf("a row that was held out cannot be read: %v", err)
	}
}

func TestLabels(t *testing.T) {
	rows := func(lines ...string) *File {
		t.Helper()
		f, err := ReadBytes([]byte(strings.Join(lines, "\n")), "x.jsonl", Options{})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := rows(`{"image": "a", "label": 1}`, `{"image": "b", "label": 0}`)
	for _, tt := range []struct {
		src  data.LabelSource
		want []int32
	}{
		{data.LabelSource{}, []int32{1, 0}},
		{data.LabelSource{Fixed: []string{"cat", "dog"}}, []int32{1, 0}},
		{data.LabelSource{Fixed: []string{"1", "0"}}, []int32{0, 1}}, // integers that are names
	} {
		l, err := FindLabels(data.SingleLabel, tt.src, f)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Classes(l); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %v, %v, want %v", l.Names, got, err, tt.want)
		}
	}
	several := rows(`{"image": "a", "label": ["x", "y"]}`, `{"image": "b", "label": []}`)
	if p, _, err := data.GuessProblem(several); err != nil || p != data.MultiLabel {
		t.Errorf("lists are %v, %v", p, err)
	}
	twice := rows(`{"image": "a", "label": "x"}`, `{"image": "a", "label": "y"}`, `{"image": "a", "label": "x"}`)
	l, err := FindLabels(data.SingleLabel, data.LabelSource{}, twice)
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for _, w := range Warnings(l, twice, nil, rows(`{"image": "a", "label": "x"}`)) {
		messages = append(messages, w.Message)
	}
	for _, want := range []string{"1 row with the image of a row before but another label",
		"1 row with the image and label of a row before", "1 row with images that are also in x.jsonl"} {
		if !slices.Contains(messages, want) {
			t.Errorf("no warning %q in %q", want, messages)
		}
	}
}

func TestAdapters(t *testing.T) {
	o := Options{OptionalLabels: true, Adapter: func(name string) error { return nil }}
	f, err := ReadBytes([]byte(`{"image": "a", "adapter": "x"}`+"\n"+`{"image": "b"}`), "x.jsonl", o)
	if err != nil || f.AdapterOf(0) != "x" || f.AdapterOf(1) != "" {
		t.Fatalf("%v, %v", f, err)
	}
}
