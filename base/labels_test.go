package base_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/base"
)

func TestReadLabels(t *testing.T) {
	dir := t.TempDir()
	if l, err := base.ReadLabels(dir); l != nil || err != nil {
		t.Errorf("no file: %v, %v", l, err)
	}
	for _, c := range []struct{ text, names, err string }{
		{`["a", "b"]`, "a,b", ""},
		{`{"problem_type": "multi_label_classification", "labels": ["x", "y"]}`, "x,y", ""},
		{`["a", "a"]`, "", "given twice"},
		{`["a", 1]`, "", "list of class names"},
		{`[`, "", "list of class names"},
		{`{"labels": ["a"]}`, "", "problem_type"},
		{`nonsense`, "", "labels.json"},
	} {
		if err := os.WriteFile(filepath.Join(dir, base.LabelsName), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := base.ReadLabels(dir)
		switch {
		case c.err == "" && (err != nil || strings.Join(l.Names, ",") != c.names):
			t.Errorf("%s: %v, %v", c.text, l, err)
		case c.err != "" && (!errors.Is(err, base.ErrInput) || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %q", c.text, err, c.err)
		}
	}
}
