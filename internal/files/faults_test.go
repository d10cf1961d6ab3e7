package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// faulty is a file system in which operation number at fails, and also those after it if forever is set. It counts from
// 1; with 0 nothing fails.
type faulty struct {
	FS
	mu      sync.Mutex
	at      int
	forever bool
	noSwap  bool // Exchange is not supported
	count   int
	failed  []string
}

func (f *faulty) fail(operation, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.at == 0 || f.count < f.at || f.count > f.at && !f.forever {
		return nil
	}
	f.failed = append(f.failed, operation)
	return &fs.PathError{Op: operation, Path: path, Err: syscall.ENOSPC}
}

func (f *faulty) Create(path string, perm fs.FileMode) (File, error) {
	if err := f.fail("create", path); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(path, perm)
	return &faultyFile{file, f, path}, err
}

func (f *faulty) Mkdir(path string, perm fs.FileMode) error {
	return f.do("mkdir", path, func() error { return f.FS.Mkdir(path, perm) })
}

func (f *faulty) Rename(from, to string) error {
	return f.do("rename", to, func() error { return f.FS.Rename(from, to) })
}

func (f *faulty) Exchange(a, b string) error {
	if f.noSwap {
		return errors.ErrUnsupported
	}
	return f.do("exchange", b, func() error { return f.FS.Exchange(a, b) })
}

func (f *faulty) Remove(path string) error {
	return f.do("remove", path, func() error { return f.FS.Remove(path) })
}

func (f *faulty) SyncDir(path string) error {
	return f.do("syncdir", path, func() error { return f.FS.SyncDir(path) })
}

// do does the operation unless it has to fail.
func (f *faulty) do(operation, path string, action func() error) error {
	if err := f.fail(operation, path); err != nil {
		return err
	}
	return action()
}

type faultyFile struct {
	File
	fs   *faulty
	path string
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.fail("write", f.path); err != nil {
		n, _ := f.File.Write(p[:len(p)/2]) // a full disk accepts a part
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.fail("sync", f.path); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) Close() error {
	return errors.Join(f.fs.fail("close", f.path), f.File.Close())
}

// content returns text larger than the buffer, so that there are several writes.
func content(mark string) string { return strings.Repeat(mark, 100_000) }

func put(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// eachFault calls try with each operation failing in turn, once and permanently, until a call meets no fault.
func eachFault(t *testing.T, noSwap bool, try func(t *testing.T, f *faulty)) {
	t.Helper()
	for _, forever := range []bool{false, true} {
		for at := 1; ; at++ {
			f := &faulty{FS: System{}, at: at, forever: forever, noSwap: noSwap}
			t.Run(fmt.Sprintf("forever=%v/%d", forever, at), func(t *testing.T) { try(t, f) })
			if len(f.failed) == 0 {
				if at < 4 {
					t.Errorf("only %d operations were tried", at)
				}
				break
			}
			if at > 100 {
				t.Fatal("no end")
			}
		}
	}
}

// temps returns the temporary names in dir.
func temps(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if isTemp(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestWriteFileFaults(t *testing.T) {
	for _, older := range []bool{false, true} {
		t.Run(fmt.Sprintf("older=%v", older), func(t *testing.T) {
			eachFault(t, false, func(t *testing.T, f *faulty) {
				dir := t.TempDir()
				path := filepath.Join(dir, "model.bin")
				want := map[string]bool{content("new"): true, "": !older, content("old"): older}
				if older {
					if err := os.WriteFile(path, []byte(content("old")), 0o666); err != nil {
						t.Fatal(err)
					}
				}
				err := WriteFile(path, put(content("new")), Using(f))
				checkFault(t, f, err, path)
				got, readErr := os.ReadFile(path)
				if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
					t.Fatal(readErr)
				}
				if !want[string(got)] || err == nil && string(got) != content("new") {
					t.Errorf("after %v: %d bytes that are neither the old nor the new content", f.failed, len(got))
				}
				if !f.forever && len(temps(t, dir)) > 0 {
					t.Errorf("after %v: %v is left", f.failed, temps(t, dir))
				}
			})
		})
	}
}

// checkFault compares the error with the faults: there must be an error if and only if an operation failed, and it must
// name cause and path.
func checkFault(t *testing.T, f *faulty, err error, path string) {
	t.Helper()
	if (err != nil) != (len(f.failed) > 0) {
		t.Fatalf("after %v: error %v", f.failed, err)
	}
	if err != nil && (!errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path)) {
		t.Errorf("after %v: %q does not name %s or its cause", f.failed, err, path)
	}
}

func TestWriteDirFaults(t *testing.T) {
	for _, c := range []struct {
		name          string
		older, noSwap bool
	}{{"new", false, false}, {"exchange", true, false}, {"two renames", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			eachFault(t, c.noSwap, func(t *testing.T, f *faulty) {
				parent := t.TempDir()
				path := filepath.Join(parent, "adapter")
				if c.older {
					writeTree(t, path, "old")
				}
				err := WriteDir(path, true, buildTree("new"), Using(f))
				checkFault(t, f, err, path)
				state := readTree(t, path)
				if c.noSwap && f.forever && state == "" && len(temps(t, parent)) > 0 {
					state = readTree(t, filepath.Join(parent, temps(t, parent)[0])) // between the two renames; nothing worked any more
				}
				if state != "new" && (err == nil || c.older && state != "old" || !c.older && state != "") {
					t.Errorf("after %v: the directory is %q", f.failed, state)
				}
				removeFailed := strings.Contains(strings.Join(f.failed, " "), "remove")
				if left := temps(t, parent); len(left) > 0 && !removeFailed && !f.forever {
					t.Errorf("after %v: %v is left", f.failed, left)
				}
			})
		})
	}
}

func buildTree(mark string) func(d *Dir) error {
	return func(d *Dir) error {
		for _, name := range []string{"config.json", "last/config.json", "last/weights"} {
			if err := d.WriteFile(name, put(mark)); err != nil {
				return err
			}
		}
		return nil
	}
}

func writeTree(t *testing.T, path, mark string) {
	t.Helper()
	if err := WriteDir(path, true, buildTree(mark)); err != nil {
		t.Fatal(err)
	}
}

// readTree returns the mark of a complete tree, "" if there is nothing, "mixed" or "half" if the tree is not complete.
func readTree(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	marks := map[string]bool{}
	for _, name := range []string{"config.json", "last/config.json", "last/weights"} {
		text, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			return "half"
		}
		marks[string(text)] = true
	}
	if len(marks) > 1 {
		return "mixed"
	}
	for mark := range marks {
		return mark
	}
	return ""
}

func TestPrepareOutputFaults(t *testing.T) {
	eachFault(t, false, func(t *testing.T, f *faulty) {
		dir := filepath.Join(t.TempDir(), "runs", "a")
		lock, err := PrepareOutput(dir, false, Using(f))
		checkFault(t, f, err, dir)
		if err != nil { // a failed call must not keep others out
			lock, err = PrepareOutput(dir, false)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	})
}
