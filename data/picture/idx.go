package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// The first bytes of IDX files of bytes: of images with three dimensions, and of labels with one.
const (
	imagesMagic = 0x00000803
	labelsMagic = 0x00000801
)

// maxSide bounds the height and the width of an image of IDX.
const maxSide = 1 << 14

// idx holds the grey images of an IDX file, a byte for each pixel.
type idx struct {
	path          string
	height, width int
	pixels        []byte // all rows; nil: they are read from the file, at offset
	offset        int64
}

func (x *idx) name(e Example) string { return x.path + ", image " + e.Image }

// content returns the pixels of a row.
func (x *idx) content(e Example, _ int64) ([]byte, error) {
	n := x.height * x.width
	at := e.place.offset * n
	if x.pixels != nil {
		return x.pixels[at : at+n : at+n], nil
	}
	f, err := os.Open(x.path)
	if err == nil {
		defer f.Close()
		row := make([]byte, n)
		if _, err = f.ReadAt(row, x.offset+int64(at)); err == nil {
			return row, nil
		}
	}
	return nil, &data.Error{File: x.name(e), Msg: "cannot read", Err: err}
}

// readIDX reads the header of an IDX file of images, and the file of their labels beside it.
func readIDX(path string, o Options) (*File, error) {
	if err := o.fits(IDX, path); err != nil {
		return nil, err
	}
	f, err := data.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &data.Error{File: path, Msg: "cannot read", Err: err}
	}
	x, n, err := openIDX(f, path, info.Size())
	if err != nil {
		return nil, err
	}
	var labels []byte
	if !o.NoLabels {
		name := labelsBeside(path)
		if name == "" && !o.OptionalLabels {
			return nil, data.Errorf(path, 0, "the file of the labels is missing: it has the name of this one with "+
				"\"labels\" and \"idx1\" in place of \"images\" and \"idx3\"; put it beside")
		}
		if name != "" {
			if labels, err = readLabels(name); err != nil {
				return nil, err
			}
		}
	}
	return x.file(n, labels, o)
}

// ReadIDX reads images and labels in the format of MNIST from memory; each may be packed with gzip. labels may be nil
// if they are optional. Messages call the images name. The content must not be changed afterwards.
func ReadIDX(images, labels []byte, name string, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := o.fits(IDX, name); err != nil {
		return nil, err
	}
	x, n, err := openIDX(bytes.NewReader(images), name, 0)
	if err != nil {
		return nil, err
	}
	var list []byte
	if labels != nil {
		if list, err = labelsOf(bytes.NewReader(labels), name+" (labels)"); err != nil {
			return nil, err
		}
	}
	return x.file(n, list, o)
}

// unpacked returns the content of a file that may be packed with gzip, whatever its name.
func unpacked(r io.Reader, name string) (content *bufio.Reader, packed bool, err error) {
	head := bufio.NewReader(r)
	if magic, _ := head.Peek(2); !bytes.Equal(magic, []byte{0x1F, 0x8B}) {
		return head, false, nil
	}
	u, err := data.Unzip(head, "x.gz")
	if err != nil {
		return nil, true, &data.Error{File: name, Msg: "cannot read", Err: errors.Unwrap(err)}
	}
	return bufio.NewReader(u), true, nil
}

// openIDX reads the header of images and, if they are packed or in memory (size 0), their pixels. It returns the number
// of images.
func openIDX(r io.Reader, name string, size int64) (x *idx, n int, err error) {
	content, packed, err := unpacked(r, name)
	if err != nil {
		return nil, 0, err
	}
	sizes, err := header(content, name, imagesMagic, 3)
	if err != nil {
		return nil, 0, err
	}
	n = sizes[0]
	x = &idx{path: name, height: sizes[1], width: sizes[2], offset: 4 * 4}
	switch {
	case x.height == 0 || x.width == 0 || x.height > maxSide || x.width > maxSide:
		return nil, 0, data.Errorf(name, 0, "the images have %d×%d pixels, want 1 to %d each way", x.width, x.height,
			maxSide)
	case n > MaxImages || n > math.MaxInt/(x.height*x.width):
		return nil, 0, data.Errorf(name, 0, "the header says %d images; at most %d are read", n, MaxImages)
	}
	want := int64(n) * int64(x.height) * int64(x.width)
	if !packed && size > 0 {
		if size != x.offset+want {
			return nil, 0, data.Errorf(name, 0, "the file has %d bytes, but %d images of %d×%d pixels need %d; get it again",
				size, n, x.width, x.height, x.offset+want)
		}
		return x, n, nil
	}
	x.pixels, err = exactly(content, name, want)
	return x, n, err
}

// header reads the magic number and the sizes of an IDX file.
func header(r io.Reader, name string, magic uint32, dims int) ([]int, error) {
	numbers := make([]uint32, 1+dims)
	for i := range numbers {
		if err := binary.Read(r, binary.BigEndian, &numbers[i]); err != nil {
			return nil, &data.Error{File: name, Msg: "cannot read the header of IDX", Err: err}
		}
		if i == 0 && numbers[0] != magic {
			return nil, data.Errorf(name, 0, "the file begins with 0x%08X, want 0x%08X: bytes in IDX with %s", numbers[0],
				magic, data.Plural(dims, "dimension"))
		}
	}
	sizes := make([]int, dims)
	for i, n := range numbers[1:] {
		sizes[i] = int(n)
	}
	return sizes, nil
}

// exactly reads n bytes, after which the content must end.
func exactly(r io.Reader, name string, n int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, n+1)) // which grows with what is there, not with what the header says
	switch {
	case err != nil:
		return nil, &data.Error{File: name, Msg: "cannot read", Err: err}
	case int64(len(content)) < n:
		return nil, data.Errorf(name, 0, "the file ends after %d of the %d bytes that its header says; get it again",
			len(content), n)
	case int64(len(content)) > n:
		return nil, data.Errorf(name, 0, "bytes follow the %d that the header says; get the file again", n)
	}
	return content, nil
}

// file returns the rows of n images. labels may be nil.
func (x *idx) file(n int, labels []byte, o Options) (*File, error) {
	if labels != nil && len(labels) != n {
		return nil, data.Errorf(x.path, 0, "there are %d images, but %d labels", n, len(labels))
	}
	if labels == nil && !o.OptionalLabels && !o.NoLabels {
		return nil, data.Errorf(x.path, 0, "the images have no labels")
	}
	f := newFile(x.path, IDX, o, x)
	for i := range n {
		e := Example{Image: strconv.Itoa(i), place: place{offset: i}}
		if labels != nil && !o.NoLabels {
			e.Label = data.Label{Kind: data.IndexLabel, Index: int64(labels[i]), Number: float64(labels[i])}
		}
		f.Append(e)
	}
	if n == 0 {
		return nil, data.Errorf(x.path, 0, "the file has no images")
	}
	return f, nil
}

// labelsBeside returns the name of the file of labels beside one of images, "" if there is none.
func labelsBeside(path string) string {
	dir, name := filepath.Split(path)
	name = strings.NewReplacer("images", "labels", "idx3", "idx1").Replace(name)
	if name == filepath.Base(path) {
		return ""
	}
	other, packed := strings.CutSuffix(name, ".gz")
	if !packed {
		other = name + ".gz"
	}
	for _, name := range []string{name, other} {
		if _, err := os.Stat(dir + name); err == nil {
			return dir + name
		}
	}
	return ""
}

func readLabels(path string) ([]byte, error) {
	f, err := data.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return labelsOf(f, path)
}

// labelsOf reads the labels of an IDX file.
func labelsOf(r io.Reader, name string) ([]byte, error) {
	content, _, err := unpacked(r, name)
	if err != nil {
		return nil, err
	}
	sizes, err := header(content, name, labelsMagic, 1)
	if err != nil {
		return nil, err
	}
	return exactly(content, name, int64(sizes[0]))
}

// looksLikeIDX reports whether a name is a usual one of IDX files of images.
func looksLikeIDX(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	return strings.Contains(base, "idx3") || strings.HasSuffix(base, ".idx") || strings.HasSuffix(base, ".idx.gz")
}
