package finetune

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
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
