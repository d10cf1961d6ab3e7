package chat

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data/document"
)

// refusals are parts of the errors about what Jinja renders and this package does not support. Nothing else may be
// refused, and nothing may give another text than Jinja.
var refusals = []string{
	"beyond 64 bits", "a complex number", "a power of 1e+20", "to tens is not supported", "access to attribute",
	"unknown filter", "no attribute 'expandtabs'", "the filter truncate: want a string", "'function' has no text",
	"a loop over a tuple needs brackets", "recursive loops", "set needs one name", "must be names and commas",
}

// TestExpressionsEqualJinja renders the templates of reference/chat_expressions.py.
func TestExpressionsEqualJinja(t *testing.T) {
	content, err := os.ReadFile("testdata/expressions.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Messages []document.Message
		Cases    []struct{ Source, Text, Error string }
	}
	if err := json.Unmarshal(content, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 3000 {
		t.Fatalf("only %d cases", len(f.Cases))
	}
	refused := 0
	for _, c := range f.Cases {
		var got string
		template, err := New(c.Source, "t", nil)
		if err == nil {
			got, err = template.Render(f.Messages, Options{})
		}
		switch {
		case err != nil && c.Error == "":
			refused++
			if !slices.ContainsFunc(refusals, func(part string) bool { return strings.Contains(err.Error(), part) }) {
				t.Errorf("%s: %v; Jinja gives %q", c.Source, err, c.Text)
			}
		case err == nil && c.Error != "":
			t.Errorf("%s: got %q; Jinja refuses it (%s)", c.Source, got, c.Error)
		case got != c.Text:
			t.Errorf("%s: got %q; Jinja gives %q", c.Source, got, c.Text)
		}
	}
	if refused > 60 {
		t.Errorf("%d templates are refused", refused)
	}
}
