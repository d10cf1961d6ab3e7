package transcribe

import (
	"bytes"
	"compress/zlib"
	"math/bits"
)

// compressionRatio returns the size of tokens, in the fewest bytes that hold any id of the vocabulary, divided by their
// size after zlib's compression. Text that repeats itself has a large ratio.
func compressionRatio(tokens []int32, vocabulary int) float64 {
	size := (bits.Len(uint(vocabulary))-1)/8 + 1
	var raw []byte
	for _, id := range tokens {
		for k := range size {
			raw = append(raw, byte(id>>(8*k)))
		}
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	z.Write(raw)
	z.Close()
	return float64(len(raw)) / float64(packed.Len())
}
