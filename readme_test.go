package spalora_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeExamples checks that the Go code of the README is that of the examples, which are compiled and run: its
// blocks equal, in order, the marked parts of the examples' files.
func TestReadmeExamples(t *testing.T) {
	var want []string
	for _, path := range []string{"example_test.go", "tasks/seqcls/example_test.go"} {
		want = append(want, between(read(t, path), "\t// README begins\n", "\t// README ends")...)
	}
	got := between(read(t, "README.md"), "```go\n", "```")
	if len(got) != len(want) || len(got) < 3 {
		t.Fatalf("README.md has %d blocks of Go code, the examples have %d parts for it", len(got), len(want))
	}
	for i, code := range got {
		part := strings.TrimPrefix(strings.ReplaceAll(want[i], "\n\t", "\n"), "\t")
		if code != part {
			t.Errorf("block %d of README.md differs from its example:\n%s\n---\n%s", i+1, code, part)
		}
	}
}

// between returns the parts of a text that begin after one mark and end before another.
func between(text, begin, end string) []string {
	parts := strings.Split(text, begin)[1:]
	for i, p := range parts {
		parts[i], _, _ = strings.Cut(p, end)
	}
	return parts
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
