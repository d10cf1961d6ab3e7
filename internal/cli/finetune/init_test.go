package finetune_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestStartingValues: --init-lora-weights runs with each name, resuming gives the bytes of a run without a stop, and
// the saved adapter is one for the unchanged base, from which another run can start.
func TestStartingValues(t *testing.T) {
	for name, want := range map[string]struct {
		init any // in adapter_config.json
		r    float64
	}{
		"false": {false, 4}, "gaussian": {"gaussian", 4}, "orthogonal": {"orthogonal", 4}, "eva": {"eva", 4},
		"pissa": {nil, 8}, "pissa_niter_2": {nil, 8}, "olora": {nil, 8},
	} {
		t.Run(name, func(t *testing.T) {
			whole, other := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "other")
			args := smallArgs(t, "--lora-r=4", "--target-modules=query,value,output.dense", "--save-steps=1",
				"--init-lora-weights", name)
			clitest.OK(t, finetune.Command, append(args, "--output-dir", whole)...)
			clitest.OK(t, finetune.Command, append(args, "--output-dir", other, "--threads=1",
				"--resume-from-checkpoint", filepath.Join(whole, "checkpoint-1"))...)
			for _, file := range []string{"adapter_model.safetensors", "adapter_config.json"} {
				if clitest.Read(t, filepath.Join(whole, file)) != clitest.Read(t, filepath.Join(other, file)) {
					t.Errorf("%s of the resumed run has other bytes", file)
				}
			}
			var config map[string]any
			text := clitest.Read(t, filepath.Join(whole, "adapter_config.json"))
			if err := json.Unmarshal([]byte(text), &config); err != nil {
				t.Fatal(err)
			}
			if config["init_lora_weights"] != want.init || config["r"] != want.r ||
				(config["eva_config"] != nil) != (name == "eva") {
				t.Errorf("adapter_config.json is %s; want init_lora_weights %v and r %g", text, want.init, want.r)
			}
			clitest.OK(t, finetune.Command, append(smallArgs(t), "--adapter", whole, "--output-dir", t.TempDir()+"/next")...)
			clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", whole, "--init-lora-weights=true")...).
				Refused(t, cli.Usage, "init_lora_weights")
		})
	}
}

// TestStartingValuesRefused: names that PEFT has and this project does not, settings that do not fit.
func TestStartingValuesRefused(t *testing.T) {
	for flags, want := range map[string]string{
		"--init-lora-weights=corda":                           "corda",
		"--init-lora-weights=loftq":                           "loftq",
		"--init-lora-weights=lora_ga":                         "lora_ga",
		"--init-lora-weights=mica":                            "mica",
		"--init-lora-weights=zeros":                           "pissa_niter_N",
		"--init-lora-weights=orthogonal --lora-r=3":           "even r",
		"--eva-config=rho=1":                                  "--init-lora-weights",
		"--init-lora-weights=eva --eva-config=row=1":          "rho",
		"--init-lora-weights=eva --lora-r=64":                 "lower r",
		"--init-lora-weights=eva --batch-size=1 --lora-r=100": "lower r",
	} {
		clitest.Run(t, finetune.Command, smallArgs(t, strings.Fields(flags)...)...).Refused(t, cli.Usage, want)
	}
}
