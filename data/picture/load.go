package picture

import (
	"context"
	"encoding/binary"
	"hash/fnv"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/vision"
)

// Load reads and decodes the image of row i. It returns an error that names the image if that fails.
func (f *File) Load(i int, o vision.Limits) (*vision.Image, error) { return f.load(f.At(i), o) }

func (f *File) load(e Example, o vision.Limits) (*vision.Image, error) {
	most := o.MaxBytes
	if most <= 0 {
		most = vision.MaxBytes
	}
	content, err := f.images.content(e, most)
	if err != nil {
		return nil, err
	}
	return f.images.decode(e, content, o)
}

// ImageName returns the name of the image of row i in messages.
func (f *File) ImageName(i int) string { return f.images.name(f.At(i)) }

// Check reads and decodes every image, several at a time, and returns the rows with their Sum and size, without up to
// most rows whose images cannot be decoded, which bad lists. More than most of them are an error, see [data.Sift].
func (f *File) Check(ctx context.Context, o vision.Limits, most int) (kept *File, bad []data.BadRow, err error) {
	return data.Sift(ctx, f, most, func(e Example) (Example, error) {
		m, err := f.load(e, o)
		if err == nil {
			e.Sum, e.Width, e.Height = sum(m), m.Width, m.Height
		}
		return e, err
	})
}

// sum returns a hash of the pixels, which is not 0.
func sum(m *vision.Image) int {
	h := fnv.New64a()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(m.Width)))
	h.Write(m.Pix)
	return max(int(h.Sum64()>>1), 1)
}

// decode decodes an image file.
func (f folder) decode(e Example, content []byte, o vision.Limits) (*vision.Image, error) {
	return vision.Decode(content, f.name(e), o)
}

// decode decodes an entry.
func (a archive) decode(e Example, content []byte, o vision.Limits) (*vision.Image, error) {
	return vision.Decode(content, a.name(e), o)
}

// decode returns the grey pixels as an image.
func (x *idx) decode(_ Example, content []byte, _ vision.Limits) (*vision.Image, error) {
	m := vision.NewImage(x.width, x.height)
	for i, v := range content {
		m.Pix[3*i], m.Pix[3*i+1], m.Pix[3*i+2] = v, v, v
	}
	return m, nil
}
