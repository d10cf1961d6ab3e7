package all_test

import (
	"slices"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/all"
	"github.com/spalora/spalora/tasks"
)

// TestKinds compares the task types of the commands with those of the package spalora. The order counts: an adapter
// that names no task is compared with them one after another.
func TestKinds(t *testing.T) {
	commands, front := tasks.Commands(task.Kinds(all.Tasks())), tasks.Commands(spalora.Kinds())
	if !slices.Equal(commands, front) {
		t.Errorf("the commands have the tasks %v, the package spalora %v; list a new task in both", commands, front)
	}
}
