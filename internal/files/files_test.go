package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.bin", "with spaces ünd Unicode 🙂", strings.Repeat("n", 255)} {
		path := filepath.Join(dir, name)
		for _, text := range []string{"one", "", "three"} {
			if err := WriteFile(path, put(text)); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != text {
				t.Errorf("%q: %q, %v", name, got, err)
			}
		}
	}
	if left := temps(t, dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// A relative name without a directory refers to the current directory.
func TestWriteFileHere(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := WriteFile("x", put("text")); err != nil {
		t.Fatal(err)
	}
	if err := WriteDir("d", false, buildTree("new")); err != nil {
		t.Fatal(err)
	}
	if got := readTree(t, "d"); got != "new" {
		t.Error(got)
	}
}

func TestWriteFileRefuses(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no symbolic links here")
	}
	for path, want := range map[string]string{
		dir:                               "it is a directory",
		link:                              "symbolic link",
		os.DevNull:                        "not a regular file",
		filepath.Join(dir, "none", "x"):   "none",
		filepath.Join(dir, "target", "x"): "target",
	} {
		err := WriteFile(path, put("new"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if got, err := os.ReadFile(target); err != nil || string(got) != "old" {
		t.Errorf("target: %q, %v", got, err)
	}
	if left := temps(t, dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// The caller's own error is returned and nothing changes.
func TestCallerFails(t *testing.T) {
	dir := t.TempDir()
	mine := errors.New("mine")
	path := filepath.Join(dir, "x")
	err := WriteFile(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return mine
	})
	if !errors.Is(err, mine) {
		t.Error(err)
	}
	err = WriteDir(path, false, func(d *Dir) error {
		if err := d.WriteFile("a", put("half")); err != nil {
			return err
		}
		return mine
	})
	if !errors.Is(err, mine) {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestWriteDir(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "out")
	if err := os.Mkdir(path, 0o777); err != nil { // an empty directory does not count as existing output
		t.Fatal(err)
	}
	if err := WriteDir(path+"/", false, buildTree("old")); err != nil {
		t.Fatal(err)
	}
	if err := WriteDir(path, false, buildTree("new")); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Error(err)
	}
	if got := readTree(t, path); got != "old" {
		t.Error(got)
	}
	if err := os.WriteFile(filepath.Join(path, "stale"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := WriteDir(path, true, buildTree("new")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "stale")); readTree(t, path) != "new" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", readTree(t, path), err)
	}
	if left := temps(t, parent); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestDirNames(t *testing.T) {
	for _, name := range []string{"../x", "/x", "a/../../x", ""} {
		err := WriteDir(filepath.Join(t.TempDir(), "d"), false, func(d *Dir) error { return d.WriteFile(name, put("x")) })
		if err == nil {
			t.Errorf("%q was written", name)
		}
	}
	err := WriteDir(filepath.Join(t.TempDir(), "d"), false, func(d *Dir) error {
		return errors.Join(d.WriteFile("a/x", put("x")), d.WriteFile("a/x", put("x")))
	})
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("one name twice: %v", err)
	}
}

func TestCheckOutput(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"empty", "full", "leftovers"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "full/x", "leftovers/" + lockName, "leftovers/" + tempName()} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": "empty", "dangling": "none"} {
		if err := os.Symlink(filepath.Join(dir, target), filepath.Join(dir, name)); err != nil {
			t.Skip("no symbolic links here")
		}
	}
	for _, c := range []struct {
		name      string
		overwrite bool
		want      string // "" for no error
	}{
		{"none", false, ""},
		{"none/below", false, ""},
		{"empty", false, ""},
		{"leftovers", false, ""},
		{"full", false, "not empty (x)"},
		{"full", true, ""},
		{"file", true, "not a directory"},
		{"file/below", true, "not a directory"},
		{"link", true, "symbolic link"},
		{"link/", true, "symbolic link"},
		{"dangling", true, "symbolic link"},
	} {
		path := dir + "/" + c.name
		err := CheckOutput(path, c.overwrite)
		if (err != nil) != (c.want != "") || err != nil && (!strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), filepath.Clean(path))) {
			t.Errorf("%s, overwrite %v: %v, want %q", c.name, c.overwrite, err, c.want)
		}
		lock, err := PrepareOutput(path, c.overwrite)
		if (err != nil) != (c.want != "") {
			t.Errorf("PrepareOutput of %s, overwrite %v: %v, want %q", c.name, c.overwrite, err, c.want)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
	if err := CheckOutput("", false); err == nil {
		t.Error("an empty name was accepted")
	}
	if left := temps(t, filepath.Join(dir, "leftovers")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if _, err := os.Stat(filepath.Join(dir, "full", "x")); err != nil {
		t.Error(err)
	}
}

func TestSame(t *testing.T) {
	dir := t.TempDir()
	if !Same(dir, filepath.Join(dir, "x", "..")) {
		t.Error("two names of one directory")
	}
	if Same(dir, filepath.Dir(dir)) || Same(filepath.Join(dir, "none"), filepath.Join(dir, "none")) || Same("", "") {
		t.Error("other directories, or none, are the same")
	}
}

// TestVerify checks the complete temporary file, and keeps the old one if the check fails.
func TestVerify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	seen := ""
	check := func(err error) Option {
		return Verify(func(temp string) error {
			text, e := os.ReadFile(temp)
			seen = string(text)
			return errors.Join(err, e)
		})
	}
	if err := WriteFile(path, put("one"), check(nil)); err != nil || seen != "one" {
		t.Fatalf("%q, %v", seen, err)
	}
	reason := errors.New("no good")
	if err := WriteFile(path, put("two"), check(reason)); !errors.Is(err, reason) || seen != "two" {
		t.Errorf("%q, %v", seen, err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	if left := temps(t, filepath.Dir(path)); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
