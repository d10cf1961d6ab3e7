package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// FuzzConfig looks for panics, and for errors of more than one line.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		"", "n: 1\n", "n: [1, 2]\nlist: [a, 'b,c', 3]\n", "n: 1\nn: 2\n", "- n\n", "a: {b: c}\n", "n: &x 1\nlist: *x\n",
		"--- \nn: 1\n---\nlist: a\n", "n: |\n 1\n", "? n\n: 1\n", "\t", "n: 0x10\nflag: on\n", "<<: {n: 1}\n",
		"# only a comment\n", "null: 1", "n: !!int 3",
		"adapters: {a: b, 'c': 'd,e=f'}\n", "adapters: [a=b, c]\n", "adapters: 'a=b,\"c=d'\n",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "run.yaml")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		fs.Int("n", 0, "")
		fs.Bool("flag", false, "")
		fs.StringSlice("list", nil, "")
		addAdapters(fs, new([]NamedAdapter))
		if err := readConfig(fs, path); err != nil {
			if s := OneLine(err); s == "" || strings.ContainsAny(s, "\r\n") {
				t.Fatalf("message %q", s)
			}
		}
	})
}
