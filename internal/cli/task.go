package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
)

// UseNote is the note of an adapter (see [lora.Set.SetNote]) that holds the name of its task.
const UseNote = "use"

// Task is a task type as commands see it.
type Task struct {
	Name    string          // in words; adapters made here remember it
	Command string          // the subcommands of finetune and predict
	Type    lora.TaskType   // of a new adapter
	Accepts []lora.TaskType // what an adapter may say that it is for, beside Type and nothing at all
	Saves   []string        // modules that a new adapter trains whole, beside those that belong to Type
}

// SequenceClassification is the task of "finetune seq-cls".
func SequenceClassification() Task {
	return Task{Name: "sequence classification", Command: "seq-cls", Type: lora.SeqCls}
}

// TokenClassification is the task of "finetune token-cls".
func TokenClassification() Task {
	return Task{Name: "token classification", Command: "token-cls", Type: lora.TokenCls}
}

// CausalLanguageModel is the task of "finetune causal-lm".
func CausalLanguageModel() Task {
	return Task{Name: "causal language modelling", Command: "causal-lm", Type: lora.CausalLM}
}

// FeatureExtraction is the task of sentence embeddings.
func FeatureExtraction() Task {
	return Task{Name: "feature extraction", Command: "embed", Type: lora.FeatureExtraction}
}

// QuestionAnswering is the task of "finetune question-answering" for a model with so many token types. PEFT's model for QUESTION_ANS does
// not hand token types on, so an adapter that needs them says nothing.
func QuestionAnswering(tokenTypes int) Task {
	t := Task{Name: "question answering", Command: "question-answering", Type: lora.QuestionAns}
	if tokenTypes > 1 {
		t.Type, t.Accepts, t.Saves = lora.NoTask, []lora.TaskType{lora.QuestionAns}, lora.QuestionAns.Heads()
	}
	return t
}

// MultipleChoice is the task of "finetune multiple-choice" for a config.json's model_type. PEFT does not know it; those who train such a
// model with PEFT may have called it SEQ_CLS, which saves the same head.
func MultipleChoice(modelType string) Task {
	a, _ := models.ArchOf(modelType)
	head, _ := a.Head(arch.Choice)
	return Task{
		Name: "multiple choice", Command: "multiple-choice", Accepts: []lora.TaskType{lora.SeqCls}, Saves: head.Saves(),
	}
}

// Keeps reports whether a new adapter trains a module whole and saves it, because the task has it as a head.
func (t Task) Keeps(module string) bool {
	for _, head := range append(t.Type.Heads(), t.Saves...) {
		if module == head || strings.HasSuffix(module, head) || strings.HasPrefix(module, head+".") {
			return true
		}
	}
	return false
}

// Tasks lists the tasks, those whose adapters depend on the model without what they save.
func Tasks() []Task {
	return []Task{SequenceClassification(), TokenClassification(), QuestionAnswering(0), MultipleChoice(""), FeatureExtraction(), CausalLanguageModel()}
}

// Check errs if the adapter in dir says that it was made for another task.
func (t Task) Check(dir string) error {
	c, _, err := lora.ReadConfig(dir)
	if err != nil {
		return err
	}
	if c.TaskType != lora.NoTask && c.TaskType != t.Type && !slices.Contains(t.Accepts, c.TaskType) {
		return fmt.Errorf("%s: the adapter is for %s, not for %s", dir, c.TaskType, t.words())
	}
	notes, err := lora.ReadNotes(dir)
	if err != nil {
		return err
	}
	if use := notes[UseNote]; use != "" && use != t.Name {
		return fmt.Errorf("%s: the adapter was trained for %s, not for %s", dir, use, t.words())
	}
	return nil
}

// words names the task, with what PEFT calls it.
func (t Task) words() string {
	if t.Type == lora.NoTask {
		return t.Name
	}
	return fmt.Sprintf("%s (%s)", t.Name, t.Type)
}
