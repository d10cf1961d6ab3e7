package vision

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/gif"
)

// decodeGIF returns the first frame as Pillow shows it: on the whole screen, whose other pixels have the transparent
// colour, or colour 0 if there is none. A transparent pixel shows the stored colour of its number, which the standard
// library replaces.
func decodeGIF(data []byte) (*Image, error) {
	src, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	s, ok := src.(*image.Paletted)
	if !ok {
		return FromImage(src), nil
	}
	colours, empty := headOfGIF(data)
	screen := NewImage(int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:])))
	screen.rows(func(y int, row []byte) {
		numbers, left := []byte(nil), 0
		if y >= s.Rect.Min.Y && y < s.Rect.Max.Y {
			numbers, left = s.Pix[(y-s.Rect.Min.Y)*s.Stride:][:s.Rect.Dx()], s.Rect.Min.X
		}
		for x := range screen.Width {
			number := empty
			if x >= left && x < left+len(numbers) {
				number = numbers[x-left]
			}
			copy(row[3*x:3*x+3], colours[min(3*int(number), len(colours)):])
		}
	})
	return screen, nil
}

// headOfGIF returns the colours of the first frame of a file that could be decoded, three bytes each, and the number of
// the transparent colour, or 0.
func headOfGIF(data []byte) (colours []byte, transparent byte) {
	const screen, descriptor = 13, 10
	colours, rest := tableOfGIF(data[screen:], data[10])
	for len(rest) > 1 {
		switch rest[0] {
		case '!': // an extension: its kind, then blocks of up to 255 bytes, the last one empty
			kind := rest[1]
			rest = rest[2:]
			for first := true; len(rest) > 0; first = false {
				block := rest[1:min(1+int(rest[0]), len(rest))]
				rest = rest[1+len(block):]
				if first && kind == 0xf9 && len(block) >= 4 && block[0]&1 != 0 {
					transparent = block[3]
				}
				if len(block) == 0 {
					break
				}
			}
		case ',':
			if len(rest) > descriptor && rest[descriptor-1]&0x80 != 0 {
				colours, _ = tableOfGIF(rest[descriptor:], rest[descriptor-1])
			}
			return colours, transparent
		default: // the standard library refuses such a file
			return colours, transparent
		}
	}
	return colours, transparent
}

// tableOfGIF splits the table of colours off, if the flags say that there is one.
func tableOfGIF(data []byte, flags byte) (table, rest []byte) {
	if flags&0x80 == 0 {
		return nil, data
	}
	n := min(3<<(flags&7+1), len(data))
	return data[:n], data[n:]
}
