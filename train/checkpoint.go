package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/nn/op"
)

// Names in an output directory and in a checkpoint.
const (
	lastName         = "last"
	stateName        = "state.json"
	tensorsName      = "state.safetensors"
	unfinishedSuffix = ".incomplete"
)

// Prefixes of the names of a checkpoint's tensors, before the names of the parameters.
const (
	paramPrefix  = "param."
	firstPrefix  = "exp_avg."
	secondPrefix = "exp_avg_sq."
	bestPrefix   = "best."
)

var checkpointPattern = regexp.MustCompile(`^checkpoint-(0|[1-9][0-9]*)$`)

func checkpointName(step int) string { return fmt.Sprintf("checkpoint-%d", step) }

// checkpointSteps returns the steps of the checkpoints in dir, the latest step first. It does not use file times.
func checkpointSteps(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		m := checkpointPattern.FindStringSubmatch(e.Name())
		if m == nil || !e.IsDir() {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil {
			steps = append(steps, n)
		}
	}
	slices.Sort(steps)
	slices.Reverse(steps)
	return steps, nil
}

// saveCheckpoint writes checkpoint-<step> completely or not at all, and then removes the checkpoints that are not kept.
func (r *run) saveCheckpoint() error {
	if bad := r.opt.badValue(); bad != "" {
		return fmt.Errorf("train: no checkpoint of step %d: %s; set `learning_rate` lower", r.state.Step, bad)
	}
	mark, err := r.log.sync()
	if err != nil {
		return err
	}
	r.state.Metrics = mark
	r.state.Runtime = r.elapsed().Seconds()
	r.state.Params = paramStates(r.params, r.opt.moments)
	disk := r.cfg.fs()
	path := filepath.Join(r.cfg.OutputDir, checkpointName(r.state.Step))
	temp := path + unfinishedSuffix
	err = disk.Remove(temp) // a killed process may have left it
	if err == nil {
		err = r.fillCheckpoint(temp)
	}
	if err == nil {
		err = replaceDir(disk, temp, path)
	}
	if err != nil {
		if left := disk.Remove(temp); left != nil {
			err = fmt.Errorf("%w (and removing the unfinished %s: %w)", err, temp, left)
		}
		return fmt.Errorf("train: saving %s: %w", path, err)
	}
	r.saved = time.Now()
	return r.prune()
}

// fillCheckpoint writes the files of a checkpoint into the new directory dir, the manifest last, and syncs them to
// disk.
func (r *run) fillCheckpoint(dir string) error {
	disk := r.cfg.fs()
	if err := disk.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := r.save(dir); err != nil {
		return err
	}
	metadata := map[string]string{"format": "spalora training state"}
	err := safetensors.WriteFile(filepath.Join(dir, tensorsName), r.tensors(), metadata, files.Using(disk))
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, stateName), r.state, disk); err != nil {
		return err
	}
	m, err := newManifest(dir)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, manifestName), m, disk); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return disk.SyncDir(path)
	})
}

// replaceDir moves the finished directory temp to path and removes an older one there. If the system cannot exchange
// two directories, it gives the older one the name of an unfinished one until the new one is in place.
func replaceDir(disk files.FS, temp, path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := disk.Rename(temp, path); err != nil {
			return err
		}
		return disk.SyncDir(filepath.Dir(path))
	}
	old := temp
	if err := disk.Exchange(temp, path); errors.Is(err, errors.ErrUnsupported) {
		old = path + ".old" + unfinishedSuffix
		if err := disk.Rename(path, old); err != nil {
			return err
		}
		if err := disk.Rename(temp, path); err != nil {
			return also(err, disk.Rename(old, path))
		}
	} else if err != nil {
		return err
	}
	if err := disk.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return disk.Remove(old)
}

// tensors returns the tensors of a checkpoint: of every parameter the values and, unless it is frozen, both moments,
// and the best values if these are those of another step.
func (r *run) tensors() []safetensors.Tensor {
	var list []safetensors.Tensor
	add := func(prefix string, i int, values []float32) {
		rows, cols := op.Size(r.params[i].Param)
		list = append(list, safetensors.Tensor{
			Name: prefix + r.params[i].Name, DType: safetensors.F32, Shape: []int{rows, cols}, Data: safetensors.Bytes(values),
		})
	}
	for i, p := range r.params {
		add(paramPrefix, i, op.Values(p.Param))
		if !p.Param.RequiresGrad() {
			continue
		}
		add(firstPrefix, i, r.opt.moments[i].m)
		add(secondPrefix, i, r.opt.moments[i].v)
		if r.bestIsOther() {
			add(bestPrefix, i, r.best[i])
		}
	}
	return list
}

// bestIsOther reports whether there is a best state and it is not the current one.
func (r *run) bestIsOther() bool { return r.state.Best != nil && r.state.Best.Step != r.state.Step }

// prune removes checkpoints beyond the number to keep, but never the newest one or that of the best step. It also
// removes checkpoints of later steps: they belong to a run that this one, resumed from an earlier step, replaces.
func (r *run) prune() error {
	steps, err := checkpointSteps(r.cfg.OutputDir)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	kept := 0
	for _, n := range steps {
		later := n > r.state.Step
		if !later {
			kept++
			isBest := r.state.Best != nil && r.state.Best.Step == n
			if r.cfg.KeepCheckpoints == 0 || kept <= r.cfg.KeepCheckpoints || isBest {
				continue
			}
		}
		path := filepath.Join(r.cfg.OutputDir, checkpointName(n))
		if later {
			r.cfg.Logger.Info().Str("checkpoint", path).Msg("removing a later checkpoint, which this run replaces")
		}
		if err := removeCheckpoint(r.cfg.fs(), path); err != nil {
			return fmt.Errorf("train: removing the old checkpoint %s: %w", path, err)
		}
	}
	return nil
}

// removeCheckpoint renames the checkpoint before it removes it, so that a killed process leaves no damaged checkpoint.
func removeCheckpoint(disk files.FS, path string) error {
	gone := path + ".old" + unfinishedSuffix
	if err := disk.Remove(gone); err != nil {
		return err
	}
	if err := disk.Rename(path, gone); err != nil {
		return err
	}
	return disk.Remove(gone)
}

// save writes the adapter to dir with Config.Save.
func (r *run) save(dir string) (err error) {
	defer recovered("", &err)
	if err := r.cfg.Save(dir); err != nil {
		return fmt.Errorf("saving the adapter to %s: %w", dir, err)
	}
	return nil
}

// writeJSON writes v to the file path as indented JSON.
func writeJSON(path string, v any, disk files.FS) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return files.WriteFile(path, files.Bytes(append(b, '\n')), files.Using(disk))
}
