// Package files writes files and directories whole or not at all, and guards output directories.
//
// [WriteFile] writes to a temporary file beside the target, forces it to disk, renames it into place and forces the directory to
// disk: after a failure, a kill or a loss of power there is the old content or the new, never half of it. [WriteDir] does the same
// for a directory with all its files. [PrepareOutput] checks, before hours of training, that results may be written to a
// directory, and locks it against a second process.
//
//	err := files.WriteFile(path, func(w io.Writer) error { return encode(w, results) })
//
// Several files that belong together go into one directory that is replaced by WriteDir. Where that cannot be, because other
// files live beside them, each is replaced by itself and the one that makes the set valid is written last.
//
// Temporary names begin with ".spalora-"; what a killed process leaves in an output directory is removed by the next PrepareOutput
// of it.
//
// Every change goes through an [FS]; tests hand in one that fails at a chosen operation, with [Using].
//
// Limits: where the system cannot exchange two directories in one step (Windows, some network file systems), WriteDir replaces an
// existing directory by two renames, and a kill between them leaves the old one under its temporary name. Forcing a directory to
// disk is not possible on Windows and is left out there.
package files
