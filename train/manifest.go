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

// ErrCheckpoint is what every error about a checkpoint wraps that is missing, incomplete or damaged.
var ErrCheckpoint = errors.New("checkpoint cannot be used")

// manifest lists the files of a checkpoint. It is written last: a directory without one is not complete.
type manifest struct {
	Files []fileSum `json:"files"` // in the order of their names
}

// fileSum is the size and the SHA-256 sum of one file.
type fileSum struct {
	Name   string `json:"name"` // relative, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// newManifest sums up all files below dir.
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

// sumFile returns size and sum of a file.
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

// verify errs unless the checkpoint in dir has its manifest and every file is as the manifest says. It names all files that are not.
func verify(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("train: %w: %s has no %s: it is not a complete checkpoint", ErrCheckpoint, dir, manifestName)
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
			p.add("%s has %d bytes, its manifest says %d", want.Name, got.Size, want.Size)
		case got.SHA256 != want.SHA256:
			p.add("%s does not have the SHA-256 sum of its manifest", want.Name)
		}
	}
	if len(p) > 0 {
		return fmt.Errorf("train: %w: %s is damaged: %v", ErrCheckpoint, dir, p)
	}
	return nil
}

// parseManifest accepts only the very bytes that writing the manifest gives, so that no flipped bit in it goes unseen.
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
		return m, errors.New("it is not as it was written")
	}
	if len(m.Files) == 0 {
		return m, errors.New("it lists no files")
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return m, fmt.Errorf("file name %q leads out of the checkpoint", f.Name)
		}
	}
	return m, nil
}
