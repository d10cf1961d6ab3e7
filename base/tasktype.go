package base

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
)

// UseNote is the note of an adapter (see [lora.Set.SetNote]) that holds the name of its task.
const UseNote = "use"

// TaskType identifies a task by the names that messages, commands, adapters and transformers use for it.
type TaskType struct {
	Name    string          // in words, as adapters note it: "token classification"
	Command string          // subcommand of finetune and predict: "token-cls"
	PEFT    lora.TaskType   // task_type of a new adapter; NoTask is written as null
	Accepts []lora.TaskType // other task types that an adapter for this task may have; null is always accepted
	Saves   []string        // modules that a new adapter trains in full, beside those that PEFT saves for the task type
	Classes []string        // endings of transformers' class names: "ForTokenClassification"
	Twins   []string        // names of task types with the same models, whose adapters serve this one, too
}

// Serves reports whether an adapter for the task with the given name can be used for this one.
func (t TaskType) Serves(name string) bool { return name == t.Name || slices.Contains(t.Twins, name) }

// Keeps reports whether a new adapter trains a module in full and saves it because it is part of the task's head.
func (t TaskType) Keeps(module string) bool {
	for _, head := range append(t.PEFT.Heads(), t.Saves...) {
		if module == head || strings.HasSuffix(module, head) || strings.HasPrefix(module, head+".") {
			return true
		}
	}
	return false
}

// Check returns an error if the adapter in dir was made for another task.
func (t TaskType) Check(dir string) error {
	c, _, err := lora.ReadConfig(dir)
	if err != nil {
		return err
	}
	if c.TaskType != lora.NoTask && c.TaskType != t.PEFT && !slices.Contains(t.Accepts, c.TaskType) {
		return fmt.Errorf("%s: the adapter is for %s, not for %s", dir, c.TaskType, t)
	}
	notes, err := lora.ReadNotes(dir)
	if err != nil {
		return err
	}
	if use := notes[UseNote]; use != "" && !t.Serves(use) {
		return fmt.Errorf("%s: the adapter was trained for %s, not for %s", dir, use, t)
	}
	return nil
}

// Of returns t, whatever the model. It is for functions that ask for the task type of a model.
func (t TaskType) Of(models.Model) TaskType { return t }

// String returns the name with PEFT's task type, as in "token classification (TOKEN_CLS)".
func (t TaskType) String() string {
	if t.PEFT == lora.NoTask {
		return t.Name
	}
	return fmt.Sprintf("%s (%s)", t.Name, t.PEFT)
}
