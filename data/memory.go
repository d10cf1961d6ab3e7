package data

import "fmt"

// perByte is how many bytes of memory reading a file and tokenising it takes at most for a byte of the file: its
// rows, their tokens, and what the garbage collector has not reclaimed yet.
const perByte = 4

// checkMemory returns an error if reading a file of the given size would take more memory than there is. available is
// in bytes, 0 if it is not known.
func checkMemory(file string, size int64, available uint64) error {
	need := uint64(max(size, 0)) * perByte
	if available == 0 || need <= available {
		return nil
	}
	return Errorf(file, 0, "the file has %s, and reading it takes about %s of memory, but %s are free: divide the file, "+
		"or use a machine with more memory", gigabytes(uint64(size)), gigabytes(need), gigabytes(available))
}

func gigabytes(n uint64) string { return fmt.Sprintf("%.1f GB", float64(n)/1e9) }
