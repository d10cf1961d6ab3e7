package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const manifestName = "manifest.json"

// ErrCheckpoint is wrapped by every error about a checkpoint that is missing, incomplete or damaged.
var ErrCheckpoint = errors.New("checkpoint cannot be used")

// manifest lists the files of a checkpoint. It is written last, so that a checkpoint without a manifest is not
// complete.
type manifest struct {
	Files []fileSum `json:"files"` // in the order of their names
}

// fileSum is the size and the SHA-256 sum of one file.
type fileSum struct {
	Name   string `json:"name"` // relative, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// newManifest returns the manifest of all files below dir.
func newManifest(dir string) (manifest, error) {
	var m manifest
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		s, err := sumFile(path)
		s.Name = filepath.ToSlash(name)
		m.Files = append(m.Files, s)
		return err
	})
	return m, err
}

// sumFile returns the size and the SHA-256 sum of a file, without its name.
func sumFile(path string) (fileSum, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileSum{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return fileSum{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// verify returns an error unless the checkpoint in dir has a manifest and every file in it has the listed size and sum.
// The error names all files that do not.
func verify(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("train: %w: %s has no %s, so it is not complete; give another checkpoint", ErrCheckpoint, dir,
			manifestName)
	}
	if err != nil {
		return fmt.Errorf("train: %w: %w", ErrCheckpoint, err)
	}
	m, err := parseManifest(b)
	if err != nil {
		return fmt.Errorf("train: %w: %s is damaged: %w", ErrCheckpoint, filepath.Join(dir, manifestName), err)
	}
	var p problems
	for _, want := range m.Files {
		got, err := sumFile(filepath.Join(dir, filepath.FromSlash(want.Name)))
		switch {
		case err != nil:
			p.add("%v", err)
		case got.Size != want.Size:
			p.add("%s has %d bytes; want %d", want.Name, got.Size, want.Size)
		case got.SHA256 != want.SHA256:
			p.add("%s has another SHA-256 sum than in the manifest", want.Name)
		}
	}
	if len(p) > 0 {
		return fmt.Errorf("train: %w: %s is damaged: %v", ErrCheckpoint, dir, p)
	}
	return nil
}

// parseManifest returns the manifest in b. It returns an error unless b has exactly the bytes of a written manifest, so
// that it detects every changed bit.
func parseManifest(b []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return m, err
	}
	again, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	if !bytes.Equal(b, append(again, '\n')) {
		return m, errors.New("it has changed since it was written")
	}
	if len(m.Files) == 0 {
		return m, errors.New("it lists no files")
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return m, fmt.Errorf("file name %q is outside the checkpoint", f.Name)
		}
	}
	return m, nil
}
