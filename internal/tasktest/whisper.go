package tasktest

import (
	"os"
	"path/filepath"
	"testing"
)

// SmallWhisper returns the directory of a small random Whisper with a multilingual tokenizer and windows of a second,
// made of the files that reference/transcribe_fixture.py writes. root is the path of the repository.
func SmallWhisper(t testing.TB, root string) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"small", "multilingual"} {
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "transcribe", "testdata", part))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
