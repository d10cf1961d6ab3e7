// Package task holds what the subcommands of all task types share: the flags and the skeletons of "finetune TASK" and
// "predict TASK". Each package below it is one task type and hands out one [Descriptor].
package task

import (
	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks"
)

// Descriptor is a task type on the command line.
type Descriptor struct {
	tasks.Kind
	// BuiltIn is the checkpoint that commands use if none is given.
	BuiltIn cli.BuiltIn
	// Finetune and Predict return the subcommands.
	Finetune, Predict func(env cli.Env) *cobra.Command
	// Classes returns the settings of a merge with the given names of classes and problem type; nil: the task has no
	// classes. It returns an error for a value that has no meaning for the task.
	Classes func(labels []string, problemType string) (tasks.Settings, error)
}

// Kinds returns the task types of descriptors.
func Kinds(list []Descriptor) []tasks.Kind {
	var kinds []tasks.Kind
	for _, d := range list {
		kinds = append(kinds, d.Kind)
	}
	return kinds
}

// ExitCodes ends the help of commands.
const ExitCodes = "Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal"
