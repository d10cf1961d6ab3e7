package picture

import (
	"encoding/binary"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/vision"
)

// place says where an image is in the file that holds it; the zero value is that of a file of its own.
type place struct {
	offset int // of the packed content in an archive; the number of a row of IDX
	packed int // bytes in the archive
	size   int // bytes when unpacked
	method int // of the archive: zip.Store or zip.Deflate
	crc    int // checksum of the content
}

func (p *place) code(c *data.Coder) {
	for _, field := range []*int{&p.offset, &p.packed, &p.size, &p.method, &p.crc} {
		c.Int(field)
	}
}

// images is where the images of a file are. It is safe for concurrent use.
type images interface {
	// name returns the name of an image in messages.
	name(e Example) string
	// content returns the bytes of an image file, at most the given number.
	content(e Example, most int64) ([]byte, error)
	// decode returns the image that content returned the bytes of.
	decode(e Example, content []byte, o vision.Limits) (*vision.Image, error)
}

func uint64Bytes(v int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
