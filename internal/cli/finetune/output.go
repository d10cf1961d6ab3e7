package finetune

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
)

// prepareOutput makes and locks the output directory. Only the directory of a run that is resumed may hold anything without
// --overwrite.
func (f *trainFlags) prepareOutput(task string) (*output, error) {
	dir := f.outputDir
	resumed := ""
	if f.resume != "" {
		if _, err := os.Stat(f.resume); err != nil {
			return nil, cli.InputError(fmt.Errorf("--resume-from-checkpoint: %w", err))
		}
		resumed = filepath.Clean(f.resume)
		if strings.HasPrefix(filepath.Base(resumed), "checkpoint-") {
			resumed = filepath.Dir(resumed)
		}
	}
	if dir == "" {
		dir = resumed
	}
	if dir == "" {
		name := filepath.Join("runs", task+"-"+time.Now().Format("20060102-150405"))
		dir = name
		for i := 2; ; i++ {
			if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
				break
			}
			dir = fmt.Sprintf("%s-%d", name, i)
		}
	}
	overwrite := f.overwrite || resumed != "" && filepath.Clean(dir) == resumed
	if err := files.CheckOutput(dir, overwrite); err != nil {
		return nil, cli.UsageError(err)
	}
	o := &output{dir: dir, made: missing(dir)}
	var err error
	if o.lock, err = files.PrepareOutput(dir, overwrite); err != nil {
		o.removeEmpty()
		return nil, err
	}
	return o, nil
}

// replaced lists the files in the output directory that go when a new run begins: those that runs of any task write. What this run reads
// there stays until it is written anew: the adapter to start from, and in the directories that are listed the model and its tokenizer.
func (j *job) replaced(dir string, models ...string) []string {
	list := []string{resultsName}
	if !files.Same(dir, j.lora.adapter) {
		list = append(append(list, lora.FileNames()...), cli.LabelsName, cli.PoolingName)
	}
	if holdsWholeModel(dir) && !slices.ContainsFunc(models, func(m string) bool { return files.Same(dir, m) }) {
		list = append(list, cli.ModelFileNames()...)
	}
	return list
}

// holdsWholeModel reports whether a run with --full wrote to dir. The names of a model's files alone do not tell.
func holdsWholeModel(dir string) bool {
	var r struct {
		Task, Model string
		Adapter     json.RawMessage
	}
	text, err := os.ReadFile(filepath.Join(dir, resultsName))
	if err == nil && json.Unmarshal(text, &r) == nil && r.Task != "" && r.Model != "" && r.Adapter == nil {
		return true
	}
	weights, err := filepath.Glob(filepath.Join(dir, "checkpoint-*", "model.safetensors"))
	return err == nil && len(weights) > 0
}

// removedInput errs if --overwrite would remove a directory that the run reads: a checkpoint, or last, of an earlier run.
func (j *job) removedInput() error {
	if !j.train.overwrite || j.train.resume != "" {
		return nil
	}
	for _, x := range []struct{ flag, path string }{{"adapter", j.lora.adapter}, {"model", j.model}} {
		path := filepath.Clean(x.path)
		name := filepath.Base(path)
		if x.path != "" && (name == "last" || strings.HasPrefix(name, "checkpoint-")) && files.Same(filepath.Dir(path), j.train.outputDir) {
			return fmt.Errorf("--%s %s is of the run that --overwrite removes from --output-dir; give another --output-dir", x.flag, x.path)
		}
	}
	return nil
}

// output is the directory that a run writes to, locked.
type output struct {
	dir  string
	lock *files.Lock
	made []string // the directories that this run made, innermost first
}

// release unlocks the directory. What a start that failed has left empty is removed.
func (o *output) release() error {
	err := o.lock.Release()
	o.removeEmpty()
	return err
}

func (o *output) removeEmpty() {
	for _, dir := range o.made {
		if os.Remove(dir) != nil { // it holds something, or was never made
			return
		}
	}
}

// missing lists dir and the directories above it that do not exist, innermost first.
func missing(dir string) []string {
	var list []string
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			return list
		}
		list = append(list, dir)
	}
}
