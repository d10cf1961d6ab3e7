package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spalora/spalora/internal/files"
)

var errFault = errors.New("injected fault")

// faulty is a disk whose operation number at fails and, if dead is set, every later one too, so that it leaves the
// files of a killed process.
type faulty struct {
	unsynced
	at   int
	dead bool

	mu    sync.Mutex
	count int
}

func (f *faulty) fails() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.count == f.at || f.dead && f.count > f.at {
		return errFault
	}
	return nil
}

// hit reports whether the fault has happened.
func (f *faulty) hit() bool { return f.count >= f.at }

func (f *faulty) Create(path string, perm fs.FileMode) (files.File, error) {
	if err := f.fails(); err != nil {
		return nil, err
	}
	file, err := f.unsynced.Create(path, perm)
	return faultyFile{file, f}, err
}

func (f *faulty) Mkdir(path string, perm fs.FileMode) error {
	if err := f.fails(); err != nil {
		return err
	}
	return f.unsynced.Mkdir(path, perm)
}

func (f *faulty) Rename(from, to string) error {
	if err := f.fails(); err != nil {
		return err
	}
	return f.unsynced.Rename(from, to)
}

func (f *faulty) Exchange(a, b string) error {
	if err := f.fails(); err != nil {
		return err
	}
	return f.unsynced.Exchange(a, b)
}

func (f *faulty) Remove(path string) error {
	if err := f.fails(); err != nil {
		return err
	}
	return f.unsynced.Remove(path)
}

func (f *faulty) SyncDir(string) error { return f.fails() }

type faultyFile struct {
	files.File
	f *faulty
}

// Write fails after a part of the bytes, as on a full disk.
func (w faultyFile) Write(p []byte) (int, error) {
	if err := w.f.fails(); err != nil {
		n, _ := w.File.Write(p[:len(p)/2])
		return n, err
	}
	return w.File.Write(p)
}

func (w faultyFile) Sync() error { return w.f.fails() }

func (w faultyFile) Close() error {
	err := w.File.Close()
	if fault := w.f.fails(); fault != nil {
		return fault
	}
	return err
}

// TestEveryDiskFault: if any operation on the disk fails, once or from then on, the run returns an error, and resuming
// from the files that it leaves gives the bytes of a run without faults.
func TestEveryDiskFault(t *testing.T) {
	config := func(dir string) (*toy, Config) {
		m := newToy(22, 6)
		m.score = scores(2, 3, 1, 1, 1) // so that best and last differ
		c := toyConfig(m, dir)
		c.SaveSteps, c.EvalSteps, c.KeepCheckpoints = 2, 1, 1
		return m, c
	}
	whole := t.TempDir()
	m, c := config(whole)
	m.train(t, c)
	want := outcome(t, whole)
	for _, dead := range []bool{false, true} {
		t.Run(fmt.Sprintf("dead %v", dead), func(t *testing.T) {
			t.Parallel()
			for at := 1; runWithFault(t, at, dead, config, want); at++ {
			}
		})
	}
}

// runWithFault reports whether the run reached operation number at.
func runWithFault(t *testing.T, at int, dead bool, config func(string) (*toy, Config), want map[string]string) bool {
	t.Helper()
	name := fmt.Sprintf("fault at operation %d", at)
	dir := filepath.Join(t.TempDir(), "out")
	disk := &faulty{at: at, dead: dead}
	m, c := config(dir)
	c.disk, c.Save = disk, m.saver(disk)
	_, err := Run(context.Background(), m, m.params(), c)
	if !disk.hit() {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return false
	}
	if !errors.Is(err, errFault) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: error %v", name, err)
	}
	if !dead {
		checkNothingUnfinished(t, name, dir)
	}
	resumeLatest(t, name, dir, config, want)
	return true
}

// resumeLatest resumes from the newest checkpoint, or starts a new run if there is none, and compares the outcome with
// that of a run without faults.
func resumeLatest(t *testing.T, name, dir string, config func(string) (*toy, Config), want map[string]string) {
	t.Helper()
	m, c := config(dir)
	steps, err := checkpointSteps(dir)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(steps) > 0 {
		c.ResumeFrom = dir
		m.evals = steps[0] // an evaluation after each step
	} else {
		c.Overwrite = true
	}
	if _, err := Run(context.Background(), m, m.params(), c); err != nil {
		t.Fatalf("%s: resuming: %v", name, err)
	}
	sameOutcome(t, name, outcome(t, dir), want)
	checkNothingUnfinished(t, name, dir)
}

func checkNothingUnfinished(t *testing.T, name, dir string) {
	t.Helper()
	if names := list(t, dir); slices.ContainsFunc(names,
		func(n string) bool { return strings.HasSuffix(n, unfinishedSuffix) }) {
		t.Errorf("%s: files %v", name, names)
	}
}

// TestReplaceCheckpoint: a checkpoint at a step that has one already replaces it completely, also if directories cannot
// be exchanged.
func TestReplaceCheckpoint(t *testing.T) {
	for _, exchange := range []bool{true, false} {
		for at := 1; ; at++ {
			dir := t.TempDir()
			disk := &faulty{at: at}
			must(unsynced{}.Mkdir(filepath.Join(dir, "new"), 0o777))
			must(unsynced{}.Mkdir(filepath.Join(dir, "new", "a"), 0o777))
			must(unsynced{}.Mkdir(filepath.Join(dir, "checkpoint-3"), 0o777))
			err := replaceDir(exchanging{disk, exchange}, filepath.Join(dir, "new"), filepath.Join(dir, "checkpoint-3"))
			if (err != nil) != disk.hit() {
				t.Errorf("fault at operation %d: %v", at, err)
			}
			there := list(t, dir)
			if !slices.Contains(there, "checkpoint-3") {
				t.Errorf("fault at operation %d: %v", at, there)
			}
			if err == nil {
				if len(there) != 1 || !slices.Equal(list(t, filepath.Join(dir, "checkpoint-3")), []string{"a"}) {
					t.Errorf("after replacing: %v", there)
				}
				break
			}
		}
	}
}

// exchanging is a disk that may not support exchanging directories.
type exchanging struct {
	*faulty
	can bool
}

func (e exchanging) Exchange(a, b string) error {
	if !e.can {
		return errors.ErrUnsupported
	}
	return e.faulty.Exchange(a, b)
}

func TestLogFaults(t *testing.T) {
	disk := &faulty{at: 2}
	file, err := disk.Create(filepath.Join(t.TempDir(), "log"), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	l := &metricsLog{file: file}
	if err := l.step(StepInfo{Step: 1}); !errors.Is(err, errFault) {
		t.Errorf("a failed write: %v", err)
	}
	disk.at = 3
	if _, err := l.sync(); !errors.Is(err, errFault) {
		t.Errorf("a failed sync: %v", err)
	}
	disk.at = 4
	if err := l.close(); !errors.Is(err, errFault) {
		t.Errorf("a failed close: %v", err)
	}
}
