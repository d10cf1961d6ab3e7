package spagonn

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"runtime"
	"strings"
	"sync"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

// guarded runs f and returns its panic as an error. Between watchExits and its end, so does a call of log.Fatal below
// f, with which spago answers a Forward that returns an error.
//
//go:noinline
func guarded(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exit:
			err = fmt.Errorf("spago: %s", string(r))
		default:
			err = fmt.Errorf("spago: %v", r)
		}
	}()
	f()
	return nil
}

// guardedName is the name of guarded in a stack.
var guardedName = func() string {
	var name string
	_ = guarded(func() {
		pc := make([]uintptr, 4)
		frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
		frames.Next() // this function
		f, _ := frames.Next()
		name = f.Function
	})
	return name
}()

// exit is the message of a call of log.Fatal that became a panic.
type exit string

// exits counts the graphs that run now. While there are any, the standard logger writes to the watcher.
var exits struct {
	mu      sync.Mutex
	running int
	now     *watcher
}

// watcher is an output of the standard logger. It turns log.Fatal into a panic if guarded is on the stack, and passes
// everything else on.
type watcher struct{ next io.Writer }

// watchExits makes guarded catch log.Fatal until the caller calls end. It has no effect on goroutines outside of
// guarded. Only the first and the last of overlapping calls set the logger's output, the last one only if nobody else
// has set it in between.
func watchExits() (end func()) {
	exits.mu.Lock()
	defer exits.mu.Unlock()
	if exits.running == 0 {
		exits.now = &watcher{log.Writer()}
		log.SetOutput(exits.now)
	}
	exits.running++
	return func() {
		exits.mu.Lock()
		defer exits.mu.Unlock()
		exits.running--
		if exits.running == 0 && log.Writer() == io.Writer(exits.now) {
			log.SetOutput(exits.now.next)
		}
	}
}

// Write implements io.Writer. The logger calls it on the goroutine that logs, with a lock that a panic releases.
func (w *watcher) Write(line []byte) (int, error) {
	if !fatal() {
		return w.next.Write(line)
	}
	text := string(bytes.TrimSpace(line))
	if _, after, ok := strings.Cut(text, "ag: "); ok {
		text = after
	}
	panic(exit("ended with log.Fatal: " + text))
}

// fatal reports whether the calling goroutine is in a function of package log that ends the process, below guarded.
func fatal() bool {
	found := false
	pc := make([]uintptr, 64)
	for skip := 3; ; skip += len(pc) {
		n := runtime.Callers(skip, pc)
		if n == 0 {
			return false
		}
		frames := runtime.CallersFrames(pc[:n])
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			switch {
			case strings.HasPrefix(f.Function, "log.Fatal"), strings.HasPrefix(f.Function, "log.(*Logger).Fatal"):
				found = true
			case found && f.Function == guardedName:
				return true
			}
		}
	}
}

// faults holds the first error of the parts of a module that run on goroutines of their own.
type faults struct {
	mu    sync.Mutex
	parts int // number of parts that may note an error
	rank  int // of the part with the error
	err   error
}

// note keeps err if no part before this one has an error, whichever came first.
func (f *faults) note(rank int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil || rank < f.rank {
		f.rank, f.err = rank, err
	}
}

// direction is a model of a spago birnn, which calls it on a goroutine of its own, where nobody could recover a panic.
type direction struct {
	spago.Module
	model  spago.StandardModel
	faults *faults
	rank   int
}

// Forward returns what the model returns, or nil after an error, which it notes.
func (d *direction) Forward(xs ...mat.Tensor) (ys []mat.Tensor) {
	if err := guarded(func() { ys = d.model.Forward(xs...) }); err != nil {
		d.faults.note(d.rank, err)
		return nil
	}
	return ys
}
