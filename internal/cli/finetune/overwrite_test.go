package finetune_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// adapterFiles are what every run that trains an adapter leaves.
var adapterFiles = []string{"adapter_config.json", "adapter_model.safetensors", "metrics.jsonl", "results.json"}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := clitest.Names(t, dir); !slices.Equal(got, want) {
		t.Errorf("the directory has %v, want %v", got, want)
	}
}

// TestOverwriteOtherTask lets runs of several tasks follow each other in one directory: each leaves its own files only,
// and files that no run wrote.
func TestOverwriteOtherTask(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	into := []string{"--output-dir", out, "--overwrite"}
	clitest.Write(t, filepath.Join(out, "README.md"), "mine")
	clitest.OK(t, finetune.Command, smallArgs(t, append(into, "--save-steps=1")...)...)
	wantNames(t, out, append([]string{"README.md", "checkpoint-1", "checkpoint-2", "labels.json"}, adapterFiles...)...)
	pairs := clitest.Write(t, filepath.Join(t.TempDir(), "train.csv"),
		"sentence1,sentence2,score\na b,a c,5\nd e f,g h,0.5\ni j,i,4\nk,l m n,1\no p,p o,4.5\nq r,s t,0\n")
	embed := []string{"embed", "--quiet", "--model", clitest.Small(t).Path("base"), "--train-file", pairs, "--max-steps=4",
		"--batch-size=3", "--max-score=5"}
	clitest.OK(t, finetune.Command, append(embed, into...)...)
	wantNames(t, out, append([]string{"README.md", "pooling.json"}, adapterFiles...)...)
	clitest.OK(t, finetune.Command, clitest.StoryArgs(t, append(into, "--full")...)...)
	wantNames(t, out, "README.md", "config.json", "metrics.jsonl", "model.safetensors", "results.json",
		"tokenizer.json", "tokenizer_config.json")
	clitest.OK(t, finetune.Command, smallArgs(t, into...)...)
	wantNames(t, out, append([]string{"README.md", "labels.json"}, adapterFiles...)...)
}

// TestOverwriteKeepsModels writes an adapter into the directory of a model: of a downloaded one, and of a run's that is
// the base.
func TestOverwriteKeepsModels(t *testing.T) {
	base := clitest.ReadCausal(t, "causal/gpt2_c_attn").Base
	model := clitest.Names(t, base)
	clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", base, "--overwrite")...)
	wantNames(t, base, append(append([]string{"labels.json"}, adapterFiles...), model...)...)
	full := filepath.Join(t.TempDir(), "full")
	args := clitest.StoryArgs(t, "--output-dir", full)
	clitest.OK(t, finetune.Command, append(args, "--full")...)
	model = slices.DeleteFunc(clitest.Names(t, full), func(n string) bool { return slices.Contains(adapterFiles, n) })
	clitest.OK(t, finetune.Command, append(args, "--overwrite", "--model", full)...)
	wantNames(t, full, append(model, adapterFiles...)...)
}

// TestOverwriteFailing has runs over an earlier one fail: before they begin, they leave it alone; later, nothing of it.
func TestOverwriteFailing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", out, "--save-steps=1")...)
	before := clitest.Tree(t, out)
	bad := clitest.Write(t, filepath.Join(t.TempDir(), "bad.csv"), "sentence1,sentence2,score\na,b,0.5\n")
	again := []string{"--output-dir", out, "--overwrite"}
	for _, args := range [][]string{
		smallArgs(t, append(again, "--train-file", bad, "--text-column=none")...),
		smallArgs(t, append(again, "--target-modules=none")...),
		smallArgs(t, append(again, "--metric-for-best-model=none", "--validation-split=0.2")...),
		smallArgs(t, append(again, "--adapter", filepath.Join(out, "checkpoint-1"))...),
	} {
		if r := clitest.Run(t, finetune.Command, args...); r.Code != cli.Usage && r.Code != cli.BadInput {
			t.Errorf("%v: exit code %d: %s", args, r.Code, r.Err)
		}
		if clitest.Tree(t, out) != before {
			t.Fatalf("%v has changed the earlier run", args)
		}
	}
	nan := append(smallArgs(t, again...), "--allow-non-finite", "--model", withNaN(t, "embeddings.LayerNorm.bias"))
	if r := clitest.Run(t, finetune.Command, nan...); r.Code != cli.Failure || !strings.Contains(r.Err, "step 1") {
		t.Fatalf("exit code %d: %s", r.Code, r.Err)
	}
	wantNames(t, out, "metrics.jsonl", "results.json")
}

// TestOverwriteOwnAdapter starts from the adapter in the output directory, which stays there although the run fails.
func TestOverwriteOwnAdapter(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", out, "--save-steps=1")...)
	args := append(smallArgs(t, "--output-dir", out, "--overwrite", "--adapter", out), "--allow-non-finite",
		"--allow-other-base", "--model", withNaN(t, "embeddings.LayerNorm.bias"))
	if r := clitest.Run(t, finetune.Command, args...); r.Code != cli.Failure || !strings.Contains(r.Err, "step 1") {
		t.Fatalf("exit code %d: %s", r.Code, r.Err)
	}
	wantNames(t, out, append([]string{"labels.json"}, adapterFiles...)...)
}
