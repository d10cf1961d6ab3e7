package data

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// MediaPath returns the path of a picture or a recording that a row of a data file names: name itself if it is
// absolute, else name in the directory of file. Relative names in standard input, whose file is "-", are relative to
// the working directory. Slashes in name separate directories on every system. It returns an error for a name that is
// empty or has a NUL byte, and for a URL.
func MediaPath(name, file string) (string, error) {
	switch scheme, _, url := strings.Cut(name, "://"); {
	case Blank(name):
		return "", errors.New("the name of the file is empty")
	case strings.ContainsRune(name, 0):
		return "", fmt.Errorf("the name of the file %s has a NUL byte", Excerpt(name))
	case url && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\`):
		return "", fmt.Errorf("%s is a URL: download the file and give its path", Excerpt(name))
	}
	path := filepath.FromSlash(name)
	if filepath.IsAbs(path) || file == "-" {
		return path, nil
	}
	return filepath.Join(filepath.Dir(file), path), nil
}
