package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
)

// outputDir returns the output directory and whether its contents may be replaced. Only that of a run that is resumed
// may hold anything without Overwrite.
func (r *Run) outputDir(command string) (dir string, overwrite bool, err error) {
	dir = r.OutputDir
	resumed := ""
	if r.ResumeFromCheckpoint != "" {
		if _, err := os.Stat(r.ResumeFromCheckpoint); err != nil {
			return "", false, base.Input(fmt.Errorf("`resume_from_checkpoint`: %w", err))
		}
		resumed = filepath.Clean(r.ResumeFromCheckpoint)
		if strings.HasPrefix(filepath.Base(resumed), "checkpoint-") {
			resumed = filepath.Dir(resumed)
		}
	}
	if dir == "" {
		dir = resumed
	}
	if dir == "" {
		name := filepath.Join("runs", command+"-"+time.Now().Format("20060102-150405"))
		dir = name
		for i := 2; ; i++ {
			if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
				break
			}
			dir = fmt.Sprintf("%s-%d", name, i)
		}
	}
	overwrite = r.Overwrite || resumed != "" && filepath.Clean(dir) == resumed
	return dir, overwrite, base.Settings(files.CheckOutput(dir, overwrite))
}

// prepareOutput makes and locks the output directory.
func (r *Run) prepareOutput(command string) (*output, error) {
	dir, overwrite, err := r.outputDir(command)
	if err != nil {
		return nil, err
	}
	o := &output{dir: dir, made: missing(dir)}
	if o.lock, err = files.PrepareOutput(dir, overwrite); err != nil {
		o.removeEmpty()
		return nil, err
	}
	return o, nil
}

// replaced lists the files in the output directory that are removed when a new run begins: those that runs of any of
// kinds write. Files that this run reads there stay until it writes them: the adapter to start from, and the model and
// its tokenizer in the given directories.
func (r *Run) replaced(dir string, kinds []Kind, models ...string) []string {
	list := []string{ResultsName}
	if !files.Same(dir, r.Adapter) {
		list = append(list, lora.FileNames()...)
		for _, k := range kinds {
			list = append(list, k.Files...)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, lora.FileNames()[0])); err == nil && !slices.ContainsFunc(
		append(models, r.Adapter), func(m string) bool { return files.Same(dir, m) }) {
		list = append(list, base.OwnFileNames()...)
	}
	if holdsWholeModel(dir) && !slices.ContainsFunc(models, func(m string) bool { return files.Same(dir, m) }) {
		list = append(list, base.ModelFileNames()...)
	}
	return list
}

// holdsWholeModel reports whether a run that trained all weights wrote to dir. The names of a model's files alone are
// no proof.
func holdsWholeModel(dir string) bool {
	var r struct {
		Task, Model string
		Adapter     json.RawMessage
	}
	text, err := os.ReadFile(filepath.Join(dir, ResultsName))
	if err == nil && json.Unmarshal(text, &r) == nil && r.Task != "" && r.Model != "" && r.Adapter == nil {
		return true
	}
	weights, err := filepath.Glob(filepath.Join(dir, "checkpoint-*", "model.safetensors"))
	return err == nil && len(weights) > 0
}

// removedInput returns an error if Overwrite would remove a directory that the run reads: a checkpoint, or last, of
// an earlier run.
func (r *Run) removedInput() error {
	if !r.Overwrite || r.ResumeFromCheckpoint != "" {
		return nil
	}
	for _, x := range []struct{ option, path string }{{"adapter", r.Adapter}, {"model", r.Model}} {
		path := filepath.Clean(x.path)
		name := filepath.Base(path)
		if x.path != "" && (name == "last" || strings.HasPrefix(name, "checkpoint-")) &&
			files.Same(filepath.Dir(path), r.OutputDir) {
			return fmt.Errorf("`%s %s` belongs to the run that `overwrite` removes from `output_dir`; give another `output_dir`",
				x.option, x.path)
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

// release unlocks the directory. After a start that failed it removes the directories that the run made, if they are
// empty.
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
