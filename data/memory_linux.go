package data

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// AvailableMemory returns how many bytes the process can still take: what the system has available or, if that is
// less, what the limit of the process's control group leaves. 0 means that it is not known.
func AvailableMemory() uint64 {
	free := memAvailable()
	limit, used := controlGroup("memory.max"), controlGroup("memory.current")
	if limit > used && (free == 0 || limit-used < free) {
		free = limit - used
	}
	return free
}

// memAvailable reads MemAvailable of /proc/meminfo.
func memAvailable() uint64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "MemAvailable:")
		if !ok {
			continue
		}
		kilobytes, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
		if err != nil {
			return 0
		}
		return kilobytes << 10
	}
	return 0
}

// controlGroup reads a number of the control group (version 2) at the root of the process's view; 0 if there is none,
// or no limit.
func controlGroup(name string) uint64 {
	text, err := os.ReadFile("/sys/fs/cgroup/" + name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0 // "max"
	}
	return n
}
