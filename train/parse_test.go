package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/nn/op"
)

// TestCheckpointContent: a checkpoint with a valid manifest is an error if a part is missing or from another version.
func TestCheckpointContent(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		want   string
	}{
		{"no second moment", func(t *testing.T, dir string) { dropTensor(t, dir, secondPrefix+"w") },
			"tensor exp_avg_sq.w is missing"},
		{"no value", func(t *testing.T, dir string) { dropTensor(t, dir, paramPrefix+"b") }, "tensor param.b is missing"},
		{"no best", func(t *testing.T, dir string) { dropTensor(t, dir, bestPrefix+"w") }, "tensor best.w is missing"},
		{"no tensors", func(t *testing.T, dir string) { must(os.Remove(filepath.Join(dir, tensorsName))) }, tensorsName},
		{"no state", func(t *testing.T, dir string) { must(os.Remove(filepath.Join(dir, stateName))) }, stateName},
		{"newer program", func(t *testing.T, dir string) { replaceState(t, dir, `"version": 1`, `"version": 2`) },
			"version 2, but this program reads version 1"},
		{"unknown field", func(t *testing.T, dir string) { replaceState(t, dir, `"version": 1`, `"version": 1, "ema": 3`) },
			`unknown field "ema"`},
		{"negative place", func(t *testing.T, dir string) { replaceState(t, dir, `"batch": `, `"batch": -`) }, "is negative"},
		{"not JSON", func(t *testing.T, dir string) { replaceState(t, dir, `{`, `[`) }, stateName},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := stopped(t)
			newest := filepath.Join(dir, checkpointName(6))
			c.change(t, newest)
			must(os.Remove(filepath.Join(newest, manifestName)))
			m, err := newManifest(newest)
			must(err)
			must(writeJSON(filepath.Join(newest, manifestName), m, files.System{}))
			toy := newToy(35, 6)
			cfg := toyConfig(toy, "")
			cfg.ResumeFrom = dir
			before := toy.w.Float32()
			_, err = Run(context.Background(), toy, toy.params(), cfg)
			if !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if !slices.Equal(toy.w.Float32(), before) {
				t.Error("the parameters have changed")
			}
		})
	}
}

func dropTensor(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, tensorsName)
	f, err := safetensors.Parse(readFile(t, path))
	must(err)
	var rest []safetensors.Tensor
	for _, other := range f.Names() {
		if x, _ := f.Tensor(other); other != name {
			rest = append(rest, x)
		}
	}
	if len(rest) != len(f.Names())-1 {
		t.Fatalf("no tensor %s among %v", name, f.Names())
	}
	must(safetensors.WriteFile(path, rest, nil))
}

func replaceState(t *testing.T, dir, old, now string) {
	t.Helper()
	path := filepath.Join(dir, stateName)
	b := readFile(t, path)
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("no %q in %s", old, b)
	}
	must(os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(now), 1), 0o666))
}

func TestMetricsJSON(t *testing.T) {
	m := Metrics{Main: "a", Values: []Metric{
		{Name: "a", Value: 0.1}, {Name: "ü\"", Value: math.NaN(), LowerIsBetter: true, Reason: "all equal"},
		{Name: "c", Value: math.Inf(-1), LowerIsBetter: true}, {Name: "d", Value: 1e-300},
	}}
	b, err := json.Marshal(m)
	if want := `{"a":0.1,"ü\"":null,"c":null,"d":1e-300}`; err != nil || string(b) != want {
		t.Errorf("%s, %v; want %s", b, err, want)
	}
	b, err = json.Marshal(newEvaluationState(Evaluation{Step: 3, Epoch: 0.5, Metrics: m}))
	must(err)
	var s evaluationState
	must(json.Unmarshal(b, &s))
	back := s.evaluation()
	if v, ok := back.Metrics.Get("ü\""); !ok || !math.IsNaN(v.Value) || !v.LowerIsBetter || v.Reason != "all equal" ||
		back.Metrics.Main != "a" || back.Epoch != 0.5 {
		t.Errorf("%s was read back as %+v", b, back)
	}
	var n number
	if err := json.Unmarshal([]byte(`"x"`), &n); err == nil {
		t.Error("UnmarshalJSON accepted a string as a number")
	}
}

func TestRowList(t *testing.T) {
	if got := rowList([]int{1, 2}); got != "[1 2]" {
		t.Error(got)
	}
	if got := rowList(make([]int, 20)); got != "[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0] and 4 more" {
		t.Error(got)
	}
}

func TestTokens(t *testing.T) {
	b := &batch.Batch{IDs: make([]int32, 7), Seqs: op.Seqs{Starts: []int{0, 3, 7}},
		Target: &batch.Batch{Seqs: op.Seqs{Starts: []int{0, 5}}}}
	if got := tokens(b); got != 12 {
		t.Errorf("%d tokens, want 12", got)
	}
}

func FuzzManifest(f *testing.F) {
	for _, name := range []string{"state.json", "a/b", "../x", "/etc/passwd", ""} {
		b, err := json.MarshalIndent(manifest{Files: []fileSum{{Name: name, Size: 3, SHA256: "00"}}}, "", "  ")
		must(err)
		f.Add(append(b, '\n'))
	}
	f.Add([]byte(`{"Files":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		again, err := json.MarshalIndent(m, "", "  ")
		if err != nil || !bytes.Equal(append(again, '\n'), b) {
			t.Errorf("accepted %q, which is not as written", b)
		}
		for _, file := range m.Files {
			if !filepath.IsLocal(filepath.FromSlash(file.Name)) {
				t.Errorf("accepted the name %q", file.Name)
			}
		}
	})
}

func FuzzState(f *testing.F) {
	s := state{Version: stateVersion, Step: 3, At: position{1, 2}, Best: &best{"loss", 0.5, 2},
		Params: []paramState{{"w", 2, 3, 3}}}
	s.Evaluations = []evaluationState{{Step: 2, Main: "loss",
		Values: []metricState{{Name: "loss", Value: number(math.NaN()), LowerIsBetter: true}}}}
	b, err := json.Marshal(s)
	must(err)
	f.Add(b)
	f.Add([]byte(`{"version":1,"step":-1}`))
	f.Add([]byte(`{"version":1,"best":null,"params":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if err != nil {
			return
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("%q was read, but cannot be written: %v", b, err)
		}
		now := state{Params: []paramState{{"w", 2, 3, 0}, {"b", 1, 3, 0}}}
		if p := now.differences(s, nil); len(p) == 0 && len(s.Params) != 2 {
			t.Errorf("%q fits", b)
		}
	})
}
