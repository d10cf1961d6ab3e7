package causallm_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// TestTokenWithoutRow: a tokenizer may have tokens for which the model has no word embedding. Only a text with one of
// them is an error, which names the row of the file.
func TestTokenWithoutRow(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	base := clitest.CopyDir(t, c.Base)
	path := filepath.Join(base, "tokenizer.json")
	clitest.Write(t, path, strings.Replace(clitest.Read(t, path), `"~":95`, `"~":95,"é":96`, 1))
	file := clitest.Write(t, filepath.Join(t.TempDir(), "rows.jsonl"), `{"text": "tea"}`+"\n"+`{"text": "café"}`+"\n")
	out := filepath.Join(t.TempDir(), "out")

	train := clitest.StoryArgs(t, "--output-dir", out, "--model", base)
	clitest.OK(t, finetune.Command, append(train, "--max-steps", "1")...)
	r := clitest.Run(t, finetune.Command, append(train, "--overwrite", "--train-file", file)...)
	faulty(t, r, 3, "rows.jsonl:2", `"é"`, "id 96", "96 ids")

	clitest.OK(t, predict.Command, "causal-lm", "--model", base, "--prompt", "tea", "--max-new-tokens", "2")
	r = clitest.Run(t, predict.Command, "causal-lm", "--model", base, "--prompt", "café")
	faulty(t, r, 2, `"café"`, `"é"`, "id 96", "96 ids")
}

// faulty checks that a command ended with an exit code and that the last line of standard error has the given texts.
func faulty(t *testing.T, r clitest.Result, code int, texts ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.Err), "\n")
	if r.Code != code {
		t.Errorf("exit code %d, want %d\n%s", r.Code, code, r.Err)
	}
	for _, text := range texts {
		if !strings.Contains(lines[len(lines)-1], text) {
			t.Errorf("the message lacks %q\n%s", text, r.Err)
		}
	}
}
