// Package files replaces files and directories atomically, and protects output directories.
//
// [WriteFile] writes to a temporary file beside the target, forces it to disk, renames it into place and forces the
// directory to disk. After a failure, a kill or a loss of power the path holds either the old content or the new, never
// a part. [WriteDir] replaces a directory with all its files in the same way. [PrepareOutput] checks, before hours of
// training, that results may be written to a directory, and locks it against a second process.
//
//	err := files.WriteFile(path, func(w io.Writer) error { return encode(w, results) })
//
// Several files that belong together go into one directory that WriteDir replaces. If that is not possible, because
// other files are in the same directory, the caller replaces each file separately and writes last the file that makes
// the set valid.
//
// Temporary names begin with ".spalora-". The next PrepareOutput of an output directory removes those that a killed
// process left there.
//
// Every change goes through an [FS]; tests use [Using] to pass one that fails at a chosen operation.
//
// Limits: if the system cannot exchange two directories in one step (Windows, some network file systems), WriteDir
// replaces an existing directory by two renames, and a kill between them leaves the old one under its temporary name.
// Windows cannot force a directory to disk, so this step is left out there.
package files
