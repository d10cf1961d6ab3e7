package finetune_test

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestComputeDtype: with bf16 losses and norms are near those of float32, but not the same; results.json says so, and
// the number of workers and a stop do not change a byte.
func TestComputeDtype(t *testing.T) {
	args := smallArgs(t, "--max-steps=6", "--batch-size=7", "--dropout=0.1", "--learning-rate=0.01", "--save-steps=2")
	run := func(more ...string) string {
		dir := filepath.Join(t.TempDir(), "run")
		clitest.OK(t, finetune.Command, append(append(args[:len(args):len(args)], more...), "--output-dir", dir)...)
		return dir
	}
	plain, named := run(), run("--compute-dtype=float32")
	bf16, alone := run("--compute-dtype=bf16"), run("--compute-dtype=bf16", "--threads=1")
	if clitest.Metrics(t, plain) != clitest.Metrics(t, named) || clitest.Metrics(t, bf16) != clitest.Metrics(t, alone) {
		t.Error("naming the default or another number of workers changes the losses")
	}
	type step struct {
		Loss float64 `json:"loss"`
		Norm float64 `json:"grad_norm"`
	}
	steps := func(dir string) (list []step) {
		for line := range strings.Lines(clitest.Metrics(t, dir)) {
			var s step
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatal(err)
			}
			list = append(list, s)
		}
		return list
	}
	want := steps(plain)
	differs := false
	for i, s := range steps(bf16) {
		loss, norm := math.Abs(s.Loss/want[i].Loss-1), math.Abs(s.Norm/want[i].Norm-1)
		if loss > 0.01 || norm > 0.05 {
			t.Errorf("step %d: %+v in BF16, %+v in float32", i+1, s, want[i])
		}
		differs = differs || loss > 0
	}
	if !differs {
		t.Error("BF16 changes no loss")
	}
	for dir, want := range map[string]string{plain: "", bf16: "bf16"} {
		var r struct {
			Train struct {
				Dtype string `json:"compute_dtype"`
			} `json:"train"`
		}
		if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(dir, "results.json"))), &r); err != nil {
			t.Fatal(err)
		}
		if r.Train.Dtype != want {
			t.Errorf("results.json says compute_dtype %q, want %q", r.Train.Dtype, want)
		}
	}
	resumed := run("--compute-dtype=bf16", "--resume-from-checkpoint", filepath.Join(bf16, "checkpoint-4"))
	for _, name := range []string{"adapter_model.safetensors", "adapter_config.json"} {
		if clitest.Read(t, filepath.Join(resumed, name)) != clitest.Read(t, filepath.Join(bf16, name)) {
			t.Errorf("%s has other bytes than that of the run without a stop", name)
		}
	}
	clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", bf16)...).Refused(t, 2, "compute_dtype")
}
