package tokenize

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// wire is the encoding of a field in a protocol buffer
// (https://protobuf.dev/programming-guides/encoding).
type wire int

const (
	varint    wire = 0
	fixed64   wire = 1
	delimited wire = 2 // a length, then as many bytes: a string or a message
	fixed32   wire = 5
)

// protoField is a field of a message.
type protoField struct {
	number int
	wire   wire
	value  uint64 // unless delimited
	data   []byte // if delimited
}

// eachField calls use for every field of a message, in order. It returns an error if the message is damaged, or the
// first error of use.
func eachField(message []byte, use func(protoField) error) error {
	for at := 0; at < len(message); {
		f, n, err := readField(message[at:])
		if err == nil {
			err = use(f)
		}
		if err != nil {
			return fmt.Errorf("byte %d: %w", at, err)
		}
		at += n
	}
	return nil
}

var errTruncated = errors.New("the file ends inside a field")

// readField reads the first field of a message and returns its number of bytes.
func readField(message []byte) (f protoField, n int, err error) {
	tag, n, err := readVarint(message)
	if err != nil {
		return f, 0, err
	}
	if number := tag >> 3; number == 0 || number > 1<<29-1 {
		return f, 0, fmt.Errorf("%d is not the number of a field", number)
	}
	f.number, f.wire = int(tag>>3), wire(tag&7)
	rest := message[n:]
	size := 0
	switch f.wire {
	case varint:
		f.value, size, err = readVarint(rest)
	case fixed64:
		if size = 8; size <= len(rest) {
			f.value = binary.LittleEndian.Uint64(rest)
		}
	case fixed32:
		if size = 4; size <= len(rest) {
			f.value = uint64(binary.LittleEndian.Uint32(rest))
		}
	case delimited:
		var length uint64
		if length, size, err = readVarint(rest); err == nil && length > uint64(len(rest)-size) {
			err = errTruncated
		}
		if err == nil {
			f.data = rest[size : size+int(length)]
			size += int(length)
		}
	default:
		err = fmt.Errorf("field %d has the encoding %d, which SentencePiece does not write", f.number, f.wire)
	}
	if err == nil && size > len(rest) {
		err = errTruncated
	}
	return f, n + size, err
}

// readVarint reads an integer of 7 bits a byte and returns its number of bytes.
func readVarint(data []byte) (v uint64, n int, err error) {
	switch v, n = binary.Uvarint(data); {
	case n == 0:
		return 0, 0, errTruncated
	case n < 0:
		return 0, 0, errors.New("an integer of more than 64 bits")
	}
	return v, n, nil
}

// want returns an error if f has another encoding.
func (f protoField) want(w wire) error {
	if f.wire != w {
		return fmt.Errorf("field %d has the encoding %d, want %d", f.number, f.wire, w)
	}
	return nil
}
