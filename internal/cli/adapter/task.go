package adapter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/arch"
)

// commands lists the values of --task.
func commands() []string {
	var names []string
	for _, t := range cli.Tasks() {
		names = append(names, t.Command)
	}
	return names
}

// told returns the name of the task, that of [cli.Task], that the flag or the adapter itself says; sure tells that nothing else can be meant. "" says
// that only tensors and the base can tell.
func (r *mergeRun) told() (task string, sure bool, err error) {
	dir := r.flags.Adapter
	if err := cli.CheckAdapterDir(dir); err != nil {
		return "", false, err
	}
	class, err := lora.BaseClass(dir)
	if err != nil {
		return "", false, cli.InputError(err)
	}
	ofClass := taskOfClass(class)
	if r.task != "" {
		task, err := r.asked(ofClass)
		return task, true, err
	}
	c, _, err := lora.ReadConfig(dir)
	if err != nil {
		return "", false, cli.InputError(err)
	}
	notes, err := lora.ReadNotes(dir)
	if err != nil {
		return "", false, cli.InputError(err)
	}
	use := notes[cli.UseNote]
	for _, t := range cli.Tasks() {
		if use == t.Name {
			return t.Name, true, nil
		}
	}
	for _, t := range cli.Tasks() {
		if use == "" && c.TaskType != lora.NoTask && c.TaskType == t.Type {
			return t.Name, t.Type != lora.SeqCls, nil // PEFT's adapters for multiple choice may say SEQ_CLS
		}
	}
	return ofClass, ofClass != "", nil
}

// asked returns the name of the task that --task says. One that the adapter contradicts, itself or by the class that it was made for, is an error.
func (r *mergeRun) asked(ofClass string) (string, error) {
	for _, t := range cli.Tasks() {
		if t.Command != r.task {
			continue
		}
		err := t.Check(r.flags.Adapter)
		if err == nil && ofClass != "" && ofClass != t.Name {
			err = fmt.Errorf("%s: the adapter was made for %s, not for %s", r.flags.Adapter, ofClass, t.Name)
		}
		if err != nil {
			return "", cli.UsageError(fmt.Errorf("--task %s: %w", r.task, err))
		}
		return t.Name, nil
	}
	return "", cli.UsageError(fmt.Errorf("--task is %q; want one of %s", r.task, strings.Join(commands(), ", ")))
}

// recognise returns the name of the task of an adapter that says nothing, or SEQ_CLS (told), by its tensors, its base and the base's own class.
func (r *mergeRun) recognise(base *cli.Base, told string) (string, error) {
	tensors, err := lora.Tensors(r.flags.Adapter)
	if err != nil {
		return "", cli.InputError(err)
	}
	a, _ := models.ArchOf(base.Info.ModelType)
	outputs, heads := 0, []arch.Kind(nil) // heads with these outputs
	for _, t := range tensors {
		kinds := models.HeadsWith(t.Path)
		switch {
		case slices.Equal(kinds, []arch.Kind{arch.Choice}):
			return cli.MultipleChoice("").Name, nil
		case slices.Equal(kinds, []arch.Kind{arch.Question}) && told == "":
			return cli.QuestionAnswering(0).Name, nil
		}
		if k := a.HeadsWith(t.Path); len(k) > 0 && len(t.Shape) == 2 {
			outputs, heads = t.Shape[0], k
		}
	}
	if !slices.Contains(heads, arch.Sequence) { // which has its outputs elsewhere, behind another layer
		if outputs == 1 && slices.Contains(heads, arch.Choice) {
			return cli.MultipleChoice("").Name, nil
		}
		if told == "" && slices.Contains(heads, arch.Token) {
			return cli.TokenClassification().Name, nil
		}
	}
	n, err := cli.HeadOutputs(r.flags.Adapter)
	if err != nil {
		return "", err
	}
	task := told
	if task == "" {
		task = taskOf(base)
		fits := n == 0 || n == 1 && task == cli.MultipleChoice("").Name || n > 1 && task == cli.TokenClassification().Name
		if !fits { // the base was made for something else than the adapter
			task = cli.SequenceClassification().Name
		}
	}
	if task == cli.SequenceClassification().Name && n == 1 {
		return task, r.oneOutput()
	}
	return task, nil
}

// oneOutput says what a head with one output is taken for, if nothing else does.
func (r *mergeRun) oneOutput() error {
	saved, err := cli.ReadLabels(r.flags.Adapter)
	if err == nil && saved == nil && r.flags.Problem == "" {
		r.console.Log.Warn().Msgf("%s: the head has one output and is taken for a regression; if it is for multiple choice, give --task multiple-choice", r.flags.Adapter)
	}
	return err
}

// taskOfClass returns the name of the task that a class of transformers is for, "" if it is none that is known.
func taskOfClass(class string) string {
	for _, k := range []struct{ suffix, task string }{
		{"ForCausalLM", cli.CausalLanguageModel().Name}, {"LMHeadModel", cli.CausalLanguageModel().Name},
		{"ForSequenceClassification", cli.SequenceClassification().Name}, {"ForTokenClassification", cli.TokenClassification().Name},
		{"ForQuestionAnswering", cli.QuestionAnswering(0).Name}, {"ForMultipleChoice", cli.MultipleChoice("").Name},
		{"Model", cli.FeatureExtraction().Name},
	} {
		if strings.HasSuffix(class, k.suffix) {
			return k.task
		}
	}
	return ""
}

// taskOf returns the name of the task that the checkpoint's own class is for.
func taskOf(b *cli.Base) string {
	for _, c := range b.Info.Classes {
		if task := taskOfClass(c); task != "" {
			return task
		}
	}
	return cli.SequenceClassification().Name
}

// checkLabels errs if flags for classes are given for an adapter that has none.
func (r *mergeRun) checkLabels(task string) error {
	c := r.flags
	switch task {
	case cli.SequenceClassification().Name:
		return nil
	case cli.TokenClassification().Name:
		if c.Problem == "" {
			return nil
		}
		return cli.UsageError(errors.New("--problem-type is for sequence classifiers, but the adapter is for token classification"))
	}
	if len(c.Labels) > 0 || c.Problem != "" {
		return cli.UsageError(errors.New("--labels and --problem-type are for classifiers, but the adapter is for " + task))
	}
	return nil
}
