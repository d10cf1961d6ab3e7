package data

// Unit is what an offset into a text counts.
type Unit uint8

// The units.
const (
	CodePoints Unit = iota // characters, as Python counts
	UTF16Units             // as JavaScript, Java and C# count: two for a character beyond U+FFFF
	UTF8Bytes              // as Go, Rust and C count
)

// String returns the unit in the plural, for messages.
func (u Unit) String() string {
	switch u {
	case UTF16Units:
		return "units of UTF-16"
	case UTF8Bytes:
		return "bytes of UTF-8"
	}
	return "code points"
}

// Size returns the number of units of a character.
func (u Unit) Size(c rune) int {
	switch {
	case u == UTF16Units && c >= 0x10000:
		return 2
	case u == UTF8Bytes:
		return len(string(c))
	}
	return 1
}

// Byte returns the byte of s at which the character at offset n begins, len(s) for the offset behind the last one, -1
// if there is none or n is within a character.
func (u Unit) Byte(s string, n int) int {
	if n < 0 || n > len(s) {
		return -1
	}
	for i, c := range s {
		if n <= 0 {
			if n < 0 {
				return -1
			}
			return i
		}
		n -= u.Size(c)
	}
	if n == 0 {
		return len(s)
	}
	return -1
}
