package spalora_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeExample checks that the library example of the README equals the example that is compiled and run.
func TestReadmeExample(t *testing.T) {
	readme := read(t, "README.md")
	_, code, ok := strings.Cut(readme, "```go\n")
	code, _, ok2 := strings.Cut(code, "```")
	if !ok || !ok2 {
		t.Fatal("README.md has no go block")
	}
	_, body, _ := strings.Cut(read(t, "tasks/seqcls/example_test.go"), "// README begins\n")
	body, _, _ = strings.Cut(body, "\t// README ends")
	body = strings.TrimPrefix(strings.ReplaceAll(body, "\n\t", "\n"), "\t")
	if strings.TrimSpace(code) != strings.TrimSpace(body) {
		t.Errorf("README.md's example differs from tasks/seqcls/example_test.go:\n%s\n---\n%s", code, body)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
