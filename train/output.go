package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/internal/files"
)

// prepareOutput prepares the output directory: it removes unfinished checkpoints and, unless this run continues an
// earlier run there, the files of that run, and opens the log after the lines of the steps done.
func (r *run) prepareOutput() error {
	dir := r.cfg.OutputDir
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("train: output directory: %w", err)
	}
	unfinished, earlier, err := r.leftovers()
	if err != nil {
		return fmt.Errorf("train: output directory: %w", err)
	}
	remove := unfinished
	if !r.continues() {
		if len(earlier) > 0 && !r.cfg.Overwrite {
			return fmt.Errorf("train: %w: output directory %s has %s of an earlier run; "+
				"give another `output_dir` or set `overwrite`", ErrConfig, dir, strings.Join(earlier, ", "))
		}
		remove = append(remove, earlier...)
	}
	for _, name := range remove {
		if name == metricsName && r.resumed != "" {
			continue // openMetrics decides
		}
		if err := r.cfg.fs().Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("train: removing a file of an earlier run: %w", err)
		}
	}
	if err := r.openMetrics(); err != nil {
		return err
	}
	return r.restoreBest()
}

// continues reports whether the run writes to the directory of the checkpoint that it was resumed from.
func (r *run) continues() bool {
	return r.resumed != "" && files.Same(filepath.Dir(r.resumed), r.cfg.OutputDir)
}

// leftovers returns the names of unfinished checkpoints in the output directory, which a killed process left, and of
// files of an earlier run.
func (r *run) leftovers() (unfinished, earlier []string, err error) {
	dir := r.cfg.OutputDir
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	replaces := r.cfg.Replaces
	if r.resumed != "" && files.Same(r.resumed, dir) {
		replaces = nil // these files are part of the checkpoint
	}
	for _, e := range entries {
		name := e.Name()
		base, isUnfinished := strings.CutSuffix(name, unfinishedSuffix)
		switch {
		case isUnfinished && checkpointPattern.MatchString(strings.TrimSuffix(base, ".old")):
			unfinished = append(unfinished, name)
		case checkpointPattern.MatchString(name), name == lastName, name == metricsName, slices.Contains(replaces, name):
			earlier = append(earlier, name)
		}
	}
	return unfinished, earlier, nil
}

// openMetrics opens metrics.jsonl after the lines of the steps done. It looks for these lines in the output directory
// and in the directory of the checkpoint. If neither has them, it starts a new log and logs a warning.
func (r *run) openMetrics() error {
	dir, mark := r.cfg.OutputDir, r.state.Metrics
	switch beside := filepath.Dir(r.resumed); {
	case mark.Bytes == 0 || mark.fits(dir):
	case mark.fits(beside):
		if err := copyLog(dir, beside, mark, files.Using(r.cfg.fs())); err != nil {
			return err
		}
	default:
		r.cfg.Logger.Warn().Int("step", r.state.Step).
			Msg(metricsName + " does not have the steps before the checkpoint; starting a new one")
		mark.Bytes = 0
	}
	var err error
	r.log, err = openLog(dir, mark.Bytes)
	return err
}

// restoreBest writes the best adapter of the checkpoint to the output directory, which may have that of a later step,
// or none.
func (r *run) restoreBest() error {
	if r.resumed == "" || r.state.Best == nil {
		return nil
	}
	return r.withBest(func() error { return r.save(r.cfg.OutputDir) })
}

// withBest runs f while the parameters hold the best values.
func (r *run) withBest(f func() error) error {
	now := r.opt.values(nil)
	r.opt.setValues(r.best)
	defer r.opt.setValues(now)
	return f()
}

// saveAdapters saves the adapter of the current state in the output directory: in last/ if the directory itself has a
// better one, otherwise in the directory itself.
func (r *run) saveAdapters() error {
	dir := r.cfg.OutputDir
	if dir == "" || r.updating {
		return nil
	}
	if bad := r.opt.badValue(); bad != "" {
		return fmt.Errorf("train: the adapter of step %d is not saved: %s; set `learning_rate` lower", r.state.Step, bad)
	}
	last := filepath.Join(dir, lastName)
	if r.bestIsOther() {
		if err := r.cfg.fs().Mkdir(last, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("train: %w", err)
		}
		return prefixed(r.save(last))
	}
	if r.state.Best == nil {
		if err := r.save(dir); err != nil {
			return prefixed(err)
		}
	}
	if err := r.cfg.fs().Remove(last); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

func prefixed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("train: %w", err)
}
