//go:build unix

package tokenize

import (
	"syscall"
	"time"
)

// cpuTime returns the processor time of the process, which does not depend on other load of the machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
