//go:build !unix

package files

// syncDir does nothing: Windows cannot force a directory to disk and orders its metadata by a journal.
func syncDir(string) error { return nil }
