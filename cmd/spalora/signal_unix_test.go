//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spalora/spalora/internal/cli/clitest"
)

// TestSignal interrupts a real process in the middle of training.
func TestSignal(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(testdata, "bert", "query_value"))
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out")
			args := []string{"finetune", "seq-cls", "--model", c.Path("base"), "--train-file", c.Path("train.jsonl"),
				"--max-steps=1000000", "--validation-split=0.2", "--output-dir", out}
			cmd := process(t, args...)
			var stderr clitest.Buffer
			cmd.Stderr = &stderr
			trains := make(chan struct{})
			stderr.When("evaluation: accuracy", func() { close(trains) })
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-trains:
			case <-time.After(30 * time.Second):
				t.Errorf("no step in 30 s\n%s", stderr.String())
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(stderr.String(), "stopped after step") {
				t.Fatalf("%v, exit code %d, want 4\n%s", err, code, stderr.String())
			}
			for _, name := range []string{"adapter_config.json", "adapter_model.safetensors", "labels.json",
				"results.json", "metrics.jsonl"} {
				if _, err := os.Stat(filepath.Join(out, name)); err != nil {
					t.Error(err)
				}
			}
			checkpoints, err := filepath.Glob(filepath.Join(out, "checkpoint-*", "manifest.json"))
			if err != nil || len(checkpoints) != 1 {
				t.Errorf("checkpoints %v, want one", checkpoints)
			}
			if _, err := os.Stat(filepath.Join(out, ".lock")); err == nil {
				t.Error("the lock is still there")
			}
		})
	}
}
