package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/nn/op"
)

// resume loads the state of the checkpoint of Config.ResumeFrom. After an error the run is unchanged.
func (r *run) resume() error {
	dir, then, err := r.choose()
	if err != nil {
		return err
	}
	now := state{Settings: r.settings(), Identity: r.cfg.Identity, Earlier: r.cfg.Earlier,
		Params: paramStates(r.params, r.opt.moments)}
	if p := now.differences(then, r.cfg.AllowChanged); len(p) > 0 {
		return fmt.Errorf("train: %w the checkpoint %s: %v", ErrConfig, dir, p)
	}
	for _, name := range r.cfg.AllowChanged {
		r.cfg.Logger.Warn().Str("setting", name).
			Msg("may differ from that of the checkpoint, so the result may differ from that of a run that was never stopped")
	}
	if then.Step > r.plan.Steps {
		return fmt.Errorf("train: %w the checkpoint %s: it has %d steps, but this run has %d; "+
			"set `max_steps` or `num_train_epochs` higher", ErrConfig, dir, then.Step, r.plan.Steps)
	}
	if err := r.load(dir, then); err != nil {
		return err
	}
	then.Settings, then.Identity = now.Settings, now.Identity
	r.state, r.resumed = *then, dir
	r.plan.Done = then.Step
	r.before = then.Runtime
	r.cfg.Logger.Info().Str("checkpoint", dir).Int("step", then.Step).Msg("resumed")
	return nil
}

// choose returns the checkpoint to resume from: Config.ResumeFrom itself or, if that is an output directory, the newest
// complete checkpoint there. If that one is damaged, it returns an error, or with Config.ResumeFallback the one before.
func (r *run) choose() (string, *state, error) {
	from := filepath.Clean(r.cfg.ResumeFrom)
	if _, err := os.Stat(filepath.Join(from, manifestName)); err == nil ||
		checkpointPattern.MatchString(filepath.Base(from)) {
		s, err := openState(from)
		return from, s, err
	}
	steps, err := checkpointSteps(from)
	if err != nil {
		return "", nil, fmt.Errorf("train: %w: %w", ErrCheckpoint, err)
	}
	for i, n := range steps {
		dir := filepath.Join(from, checkpointName(n))
		if _, err := os.Stat(filepath.Join(dir, manifestName)); errors.Is(err, fs.ErrNotExist) {
			r.cfg.Logger.Warn().Str("checkpoint", dir).Msg("skipped: it has no manifest, so it is not complete")
			continue
		}
		s, err := openState(dir)
		if err == nil {
			return dir, s, nil
		}
		if !r.cfg.ResumeFallback {
			if i+1 < len(steps) {
				err = fmt.Errorf("%w; resume from an earlier one, such as %s, or set `resume_fallback`", err,
					checkpointName(steps[i+1]))
			}
			return "", nil, err
		}
		r.cfg.Logger.Warn().Err(err).Msg("skipped")
	}
	return "", nil, fmt.Errorf("train: %w: %s has no complete checkpoint (checkpoint-<step>); give another directory",
		ErrCheckpoint, from)
}

// openState returns the state of the checkpoint in dir after verifying all its files.
func openState(dir string) (*state, error) {
	if err := verify(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, stateName)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("train: %w: %w", ErrCheckpoint, err)
	}
	s, err := parseState(b)
	if err != nil {
		return nil, fmt.Errorf("train: %w: %s: %w", ErrCheckpoint, path, err)
	}
	return s, nil
}

// parseState returns the state in b, the content of state.json. It returns an error if b has another version or an
// unknown field, which would be lost.
func parseState(b []byte) (*state, error) {
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	if v.Version != stateVersion {
		return nil, fmt.Errorf("it has version %d, but this program reads version %d", v.Version, stateVersion)
	}
	s := new(state)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, err
	}
	if s.Step < 0 || s.At.Epoch < 0 || s.At.Batch < 0 || s.Metrics.Bytes < 0 {
		return nil, fmt.Errorf("step %d, epoch %d, batch %d or length %d of the log is negative",
			s.Step, s.At.Epoch, s.At.Batch, s.Metrics.Bytes)
	}
	return s, nil
}

// load copies the tensors of a checkpoint, which must have the parameters of the run, into the run.
func (r *run) load(dir string, s *state) error {
	path := filepath.Join(dir, tensorsName)
	f, err := safetensors.Open(path)
	if err != nil {
		return fmt.Errorf("train: %w: %w", ErrCheckpoint, err)
	}
	defer f.Close()
	var p problems
	read := func(prefix string, i int) []float32 {
		name := prefix + r.params[i].Name
		t, ok := f.Tensor(name)
		if !ok || t.DType != safetensors.F32 || t.Len() != len(op.Values(r.params[i].Param)) {
			p.add("tensor %s is missing or has another type or size", name)
			return nil
		}
		return safetensors.Float32s(t.Data)
	}
	type tensors struct{ value, m, v, best []float32 }
	all := make([]tensors, len(r.params))
	other := s.Best != nil && s.Best.Step != s.Step
	for i := range r.params {
		all[i].value = read(paramPrefix, i)
		all[i].best = all[i].value
		if !r.params[i].Param.RequiresGrad() {
			continue
		}
		all[i].m, all[i].v = read(firstPrefix, i), read(secondPrefix, i)
		if other {
			all[i].best = read(bestPrefix, i)
		}
	}
	if len(p) > 0 {
		return fmt.Errorf("train: %w: %s: %v", ErrCheckpoint, path, p)
	}
	for i, t := range all {
		copy(op.Values(r.params[i].Param), t.value)
		copy(r.opt.moments[i].m, t.m)
		copy(r.opt.moments[i].v, t.v)
		r.opt.moments[i].steps = s.Params[i].Steps
		if s.Best != nil {
			r.best = append(r.best, append([]float32(nil), t.best...))
		}
	}
	return nil
}
