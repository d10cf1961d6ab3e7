package files

import (
	"io"
	"io/fs"
	"os"
)

// FS holds every operation by which this package changes the disk. The functions of this package use [System] unless
// [Using] passes another FS. Implementations must be safe for concurrent use.
type FS interface {
	// Create creates a file and opens it for writing; it returns an error if path exists.
	Create(path string, perm fs.FileMode) (File, error)
	// Mkdir makes a directory; its parent must exist.
	Mkdir(path string, perm fs.FileMode) error
	// Rename moves a file or directory. It replaces a file at the new path, or an empty directory if the system can.
	Rename(from, to string) error
	// Exchange swaps two directories in one step. It returns errors.ErrUnsupported if the system has no such step.
	Exchange(a, b string) error
	// Remove removes path and, if it is a directory, everything in it; it returns nil if path does not exist.
	Remove(path string) error
	// SyncDir forces the entries of a directory to disk.
	SyncDir(path string) error
}

// File is a file being written.
type File interface {
	io.Writer
	Sync() error // forces the content to disk
	Close() error
}

// Option changes how a file or directory is written.
type Option func(*settings)

type settings struct {
	fs     FS
	verify func(path string) error // nil: no check
}

// Using returns an option that replaces the system's file system with fsys, for tests.
func Using(fsys FS) Option { return func(s *settings) { s.fs = fsys } }

// Verify returns an option that has [WriteFile] call verify with the path of the complete temporary file, before that
// replaces the target. After an error of verify, the target is unchanged and WriteFile returns the error.
func Verify(verify func(path string) error) Option { return func(s *settings) { s.verify = verify } }

func apply(opts []Option) settings {
	s := settings{fs: System{}}
	for _, o := range opts {
		o(&s)
	}
	return s
}

// System is the FS of the operating system. The zero value is ready for use.
type System struct{}

// Create implements [FS].
func (System) Create(path string, perm fs.FileMode) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
}

// Mkdir implements [FS].
func (System) Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }

// Rename implements [FS].
func (System) Rename(from, to string) error { return os.Rename(from, to) }

// Exchange implements [FS].
func (System) Exchange(a, b string) error { return exchange(a, b) }

// Remove implements [FS].
func (System) Remove(path string) error { return os.RemoveAll(path) }

// SyncDir implements [FS].
func (System) SyncDir(path string) error { return syncDir(path) }
