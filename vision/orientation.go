package vision

import (
	"bytes"
	"encoding/binary"
	"regexp"
)

// upright turns the image as an orientation of EXIF says: 2 mirrors it, 3 turns it by 180°, 4 mirrors it from top to
// bottom, 5 exchanges rows and columns, 6 turns it clockwise, 7 exchanges them from the other corner, 8 turns it
// counterclockwise; all other values leave it.
func (m *Image) upright(orientation int) *Image {
	if orientation < 2 || orientation > 8 {
		return m
	}
	w, h := m.Width, m.Height
	swapped := orientation >= 5
	if swapped {
		w, h = h, w
	}
	// A pixel of the result at (x, y) is that of m at (y, x) if swapped, otherwise (x, y), counted from the end where
	// backX or backY say so.
	backX := orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8
	backY := orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7
	out := NewImage(w, h)
	out.rows(func(y int, row []byte) {
		for x := range w {
			i, j := x, y
			if swapped {
				i, j = y, x
			}
			if backX {
				i = m.Width - 1 - i
			}
			if backY {
				j = m.Height - 1 - j
			}
			copy(row[3*x:3*x+3], m.Pix[3*(j*m.Width+i):])
		}
	})
	return out
}

// orientationOf returns the orientation that EXIF data or, if that has none, an XMP packet gives, or 0.
func orientationOf(exif, xmp []byte) int {
	if o, ok := orientationOfEXIF(exif); ok {
		return o
	}
	if m := xmpOrientation.FindSubmatch(xmp); m != nil {
		return int(m[1][0] - '0')
	}
	return 0
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`)

// orientationOfEXIF looks the orientation up in the first directory of EXIF data.
func orientationOfEXIF(exif []byte) (orientation int, ok bool) {
	for range 2 { // some programs write the mark twice
		exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case len(exif) < 8:
		return 0, false
	case string(exif[:4]) == "MM\x00*":
		order = binary.BigEndian
	case string(exif[:4]) != "II*\x00":
		return 0, false
	}
	at := uint64(order.Uint32(exif[4:]))
	if at+2 > uint64(len(exif)) {
		return 0, false
	}
	const size, tag = 12, 0x0112
	entries := exif[at+2:]
	for range order.Uint16(exif[at:]) {
		if len(entries) < size {
			return 0, false
		}
		if order.Uint16(entries) == tag && order.Uint32(entries[4:]) == 1 {
			switch order.Uint16(entries[2:]) { // the type of the value
			case 1:
				return int(entries[8]), true
			case 3:
				return int(order.Uint16(entries[8:])), true
			case 4:
				return int(min(order.Uint32(entries[8:]), 9)), true
			}
		}
		entries = entries[size:]
	}
	return 0, false
}

// orientationOfJPEG reads the segments before the image data.
func orientationOfJPEG(data []byte) int {
	const app1, startOfScan, xmpMark = 0xe1, 0xda, "http://ns.adobe.com/xap/1.0/\x00"
	var exif, xmp []byte
	for rest := data[2:]; len(rest) >= 4; {
		if rest[0] != 0xff {
			break
		}
		marker := rest[1]
		if marker == 0xff { // padding
			rest = rest[1:]
			continue
		}
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if marker == startOfScan || n < 2 || 2+n > len(rest) {
			break
		}
		segment := rest[4 : 2+n]
		rest = rest[2+n:]
		switch {
		case marker != app1:
		case exif == nil && bytes.HasPrefix(segment, []byte("Exif\x00")):
			exif = segment
		case bytes.HasPrefix(segment, []byte(xmpMark)):
			xmp = segment
		}
	}
	return orientationOf(exif, xmp)
}

// orientationOfPNG reads the chunks eXIf and, not compressed, iTXt.
func orientationOfPNG(data []byte) int {
	var exif, xmp []byte
	for rest := data[8:]; len(rest) >= 12; {
		n := uint64(binary.BigEndian.Uint32(rest))
		if n+12 > uint64(len(rest)) {
			break
		}
		chunk := rest[8 : 8+n]
		switch string(rest[4:8]) {
		case "eXIf":
			exif = chunk
		case "iTXt":
			if bytes.HasPrefix(chunk, []byte("XML:com.adobe.xmp\x00\x00")) {
				xmp = chunk
			}
		}
		rest = rest[12+n:]
	}
	return orientationOf(exif, xmp)
}

// orientationOfWebP reads the chunks EXIF and XMP.
func orientationOfWebP(data []byte) int {
	var exif, xmp []byte
	for rest := data[12:]; len(rest) >= 8; {
		n := uint64(binary.LittleEndian.Uint32(rest[4:]))
		if n+8 > uint64(len(rest)) {
			break
		}
		chunk := rest[8 : 8+n]
		switch string(rest[:4]) {
		case "EXIF":
			exif = chunk
		case "XMP ":
			xmp = chunk
		}
		rest = rest[min(8+n+n%2, uint64(len(rest))):]
	}
	return orientationOf(exif, xmp)
}
