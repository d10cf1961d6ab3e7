package settings

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables in docs/settings.md anew")

// TestDocs holds the tables in docs/settings.md to Files.
func TestDocs(t *testing.T) {
	const page, start = "../../docs/settings.md", "<!-- tables -->\n"
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text, _, found := strings.Cut(string(old), start)
	if !found {
		t.Fatalf("%s has no line %s", page, start)
	}
	text += start
	for _, f := range Files {
		text += "\n" + table(f)
	}
	switch {
	case text == string(old):
	case *update:
		if err := os.WriteFile(page, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("docs/settings.md does not have the tables of this package; go test ./internal/settings -run TestDocs " +
			"-update writes them anew")
	}
}

// table returns the section about a file.
func table(f File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n| key | effect | |\n|---|---|---|\n", f.Name)
	for _, k := range f.Keys {
		effect := k.Effect.String()
		if len(k.Silent) > 0 {
			effect += ", but for `" + strings.Join(k.Silent, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, effect, strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(k.Note))
	}
	return b.String()
}
