package files

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Tests that need a second process start this test program again with the role in this variable.
const roleVariable = "SPALORA_FILES_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role, dir, _ := strings.Cut(os.Getenv(roleVariable), ":"); role {
	case "holder":
		hold(dir)
	case "writer":
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

// start starts a child in a role and waits for its first line.
func start(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), roleVariable+"="+role+":"+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("child: %q, %v", line, err)
	}
	return child
}

func kill(t *testing.T, child *exec.Cmd) {
	t.Helper()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // reports the kill
}

func hold(dir string) {
	if _, err := LockDir(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("locked")
	time.Sleep(time.Hour)
}

func writeForEver(dir string) {
	fmt.Println("writing")
	for i := 0; ; i++ {
		mark := string(rune('a' + i%26))
		err := WriteFile(filepath.Join(dir, "file"), put(content(mark)))
		if err == nil {
			err = WriteDir(filepath.Join(dir, "tree"), true, buildTree(mark))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// A killed process leaves complete files, and complete directories if the system can exchange them.
func TestKilledWriter(t *testing.T) {
	for range 12 {
		dir := t.TempDir()
		child := start(t, "writer", dir)
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		kill(t, child)
		text, err := os.ReadFile(filepath.Join(dir, "file"))
		if err == nil && (len(text) == 0 || string(text) != content(string(text[:1]))) {
			t.Errorf("the file of %d bytes is not complete", len(text))
		}
		if got := readTree(t, filepath.Join(dir, "tree")); len(got) > 1 {
			t.Errorf("the directory is %s", got)
		}
		lock, err := PrepareOutput(dir, true)
		if err != nil {
			t.Fatal(err)
		}
		if left := temps(t, dir); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestLockOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	child := start(t, "holder", dir)
	_, err := PrepareOutput(dir, true)
	if err == nil || !strings.Contains(err.Error(), "process "+strconv.Itoa(child.Process.Pid)) ||
		!strings.Contains(err.Error(), dir) {
		t.Errorf("locked by process %d: %v", child.Process.Pid, err)
	}
	kill(t, child)
	if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
		t.Fatal("the killed process left no lock file; the test shows nothing")
	}
	lock, err := PrepareOutput(dir, false)
	if err != nil {
		t.Fatalf("the lock of a dead process holds: %v", err)
	}
	for range 2 {
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestLockInOneProcess(t *testing.T) {
	dir := t.TempDir()
	lock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(dir); err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("locked twice: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	if _, err := LockDir(filepath.Join(dir, "none")); err == nil {
		t.Error("locked a directory that does not exist")
	}
}

// Only one goroutine at a time holds the lock, although each release removes the file.
func TestLockContention(t *testing.T) {
	dir := t.TempDir()
	var holders, locked atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				lock, err := LockDir(dir)
				if err != nil {
					continue
				}
				locked.Add(1)
				if n := holders.Add(1); n > 1 {
					t.Errorf("%d hold the lock", n)
				}
				holders.Add(-1)
				if err := lock.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if locked.Load() == 0 {
		t.Error("nobody got the lock")
	}
}
