package data

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxDepth bounds how deep folders are searched: deeper ones are links in a circle.
const maxDepth = 32

// metadata are the names of the files that describe the pictures or recordings of a folder, as imagefolder and
// audiofolder of datasets read them.
var metadata = []string{"metadata.csv", "metadata.jsonl"}

// Metadata returns the path of the file that describes the pictures or recordings of a folder, metadata.csv or
// metadata.jsonl, "" if there is none. Both are an error.
func Metadata(dir string) (string, error) {
	found := ""
	for _, name := range metadata {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		if found != "" {
			return "", Errorf(dir, 0, "there are %s and %s; remove one", metadata[0], metadata[1])
		}
		found = file
	}
	return found, nil
}

// WalkFolder calls file with the name of every file below root, relative to it and with slashes, and whether it is a
// regular one. It follows links, and leaves out hidden folders. The first error ends it.
func WalkFolder(root string, file func(name string, regular bool) error) error {
	return walkFolder(root, "", 0, file)
}

func walkFolder(root, below string, depth int, file func(name string, regular bool) error) error {
	dir := filepath.Join(root, filepath.FromSlash(below))
	if depth > maxDepth {
		return Errorf(dir, 0, "folders are nested more than %d deep; are there links in a circle? Remove them", maxDepth)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return &Error{File: dir, Msg: "cannot read", Err: err}
	}
	for _, entry := range entries {
		name := path.Join(below, entry.Name())
		mode := entry.Type()
		if mode&os.ModeSymlink != 0 {
			target := filepath.Join(root, filepath.FromSlash(name))
			info, err := os.Stat(target)
			if err != nil {
				return &Error{File: target, Msg: "cannot follow the link", Err: err}
			}
			mode = info.Mode()
		}
		switch {
		case mode.IsDir() && strings.HasPrefix(entry.Name(), "."):
		case mode.IsDir():
			err = walkFolder(root, name, depth+1, file)
		default:
			err = file(name, mode.IsRegular())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SystemFile reports whether a file of this name is one that systems leave in folders, hidden ones among them.
func SystemFile(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || strings.EqualFold(base, "Thumbs.db") || strings.EqualFold(base, "desktop.ini")
}
