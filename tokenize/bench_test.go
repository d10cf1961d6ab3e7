package tokenize

import (
	"os"
	"strings"
	"testing"
)

// BenchmarkEncode measures one thread on lines of English prose and on a text with a character outside ASCII in every
// word.
func BenchmarkEncode(b *testing.B) {
	tok := loadDir(b, minilm)
	raw, err := os.ReadFile("../LICENSE")
	if err != nil {
		b.Fatal(err)
	}
	english := strings.Split(strings.TrimSpace(string(raw)), "\n")
	for _, c := range []struct {
		name  string
		lines []string
		o     Options
	}{
		{"english", english, Options{}},
		{"english offsets", english, Options{Offsets: true, Words: true}},
		{"accents", []string{strings.Repeat("Übergrößenträger aßen früh déjà-vu à São João. ", 20)}, Options{}},
		{"chinese", []string{strings.Repeat("一二三四五六七八九十中国人大学生", 20)}, Options{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			size := 0
			for _, s := range c.lines {
				size += len(s) + 1
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range c.lines {
					if _, err := tok.Encode(s, c.o); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkLoad measures reading a tokenizer.json.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		loadDir(b, minilm)
	}
}

// BenchmarkEncodeBPE measures one thread of byte-level BPE on lines of English prose, with the words of earlier lines
// in the cache, and on one word.
func BenchmarkEncodeBPE(b *testing.B) {
	tok := bpeCase(b, "smollm2")
	raw, err := os.ReadFile("../LICENSE")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		lines []string
	}{
		{"english", strings.Split(strings.TrimSpace(string(raw)), "\n")},
		{"one word", []string{strings.Repeat("supercalifragilistic", 1000)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			size := 0
			for _, s := range c.lines {
				size += len(s) + 1
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range c.lines {
					if _, err := tok.Encode(s, Options{}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
