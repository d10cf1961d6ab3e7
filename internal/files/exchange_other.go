//go:build !linux && !darwin

package files

import "errors"

func exchange(string, string) error { return errors.ErrUnsupported }
