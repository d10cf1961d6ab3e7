//go:build unix

package text

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spalora/spalora/data"
)

// A pipe that nobody writes to must be refused at once, not waited for.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.csv")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Read(path, Options{})
		done <- err
	}()
	select {
	case err := <-done:
		var e *data.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), "this is a pipe") {
			t.Errorf("got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still waiting for the pipe")
	}
}

func TestDevice(t *testing.T) {
	_, err := Read("/dev/null", Options{Format: data.CSV})
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}
