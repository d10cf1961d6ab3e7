package causallm_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// addToken adds a special token after the last id of the tokenizer in a directory, with roles such as pad_token.
func addToken(t *testing.T, dir, token string, id int, roles ...string) {
	t.Helper()
	edit := func(name string, change func(m map[string]any)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(dir, name))), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		clitest.Write(t, filepath.Join(dir, name), string(text))
	}
	edit("tokenizer.json", func(m map[string]any) {
		m["added_tokens"] = append(m["added_tokens"].([]any), map[string]any{"id": id, "content": token,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
	})
	edit("tokenizer_config.json", func(m map[string]any) {
		for _, role := range roles {
			m[role] = token
		}
	})
}

// TestTokenBeyondModel: a tokenizer with a token more than the model has word embeddings, as several published LLaMA 2
// have for padding, works like one without it; only texts that spell the token are errors, of their line.
func TestTokenBeyondModel(t *testing.T) {
	for _, name := range []string{"causal/llama_gqa", "causal/gpt2_c_attn"} {
		c := clitest.ReadCausal(t, name)
		generate := []string{"causal-lm", "--model", c.Base, "--prompt", c.Rows[0], "--max-new-tokens=5"}
		want := clitest.OK(t, predict.Command, generate...).Out
		addToken(t, c.Base, "<pad>", c.Vocab, "pad_token")
		if got := clitest.OK(t, predict.Command, generate...).Out; got != want {
			t.Errorf("%s: got %s, without the token %s", name, got, want)
		}
		dir := t.TempDir()
		file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
		good := file("good.jsonl", `{"text": "a b c d e"}`+"\n"+`{"text": "f g"}`+"\n")
		bad := file("bad.jsonl", `{"text": "a b c d e"}`+"\n"+`{"text": "f <pad>"}`+"\n")
		prompts := file("prompts.jsonl",
			`{"prompt": "a b", "completion": "c"}`+"\n"+`{"prompt": "<pad>", "completion": "c"}`+"\n")
		token := fmt.Sprintf(`token "<pad>" has the id %d, but the model has word embeddings for %d ids`, c.Vocab, c.Vocab)
		train := []string{"causal-lm", "--quiet", "--model", c.Base, "--max-steps=1", "--sample-max-new-tokens=2",
			"--output-dir", filepath.Join(dir, "out"), "--overwrite", "--train-file"}
		clitest.OK(t, finetune.Command, append(train, good)...)
		clitest.Run(t, finetune.Command, append(train, bad)...).Refused(t, cli.BadInput, "bad.jsonl:2: ", token)
		clitest.Run(t, finetune.Command, append(train, prompts)...).Refused(t, cli.BadInput, "prompts.jsonl:2: ", token)
		other := file("bad.jsonl", `{"text": "x y z"}`+"\n"+`{"text": "x <pad>"}`+"\n")
		clitest.Run(t, finetune.Command, append(train, good, "--eval-file", other)...).Refused(t, cli.BadInput,
			"bad.jsonl:2: ", token)
		for _, args := range [][]string{{"--prompt", "a <pad>"}, {"--logits", "--input", bad},
			{"--input", bad, "--max-new-tokens=1"}} {
			r := clitest.Run(t, predict.Command, append([]string{"causal-lm", "--model", c.Base}, args...)...)
			if r.Code != cli.BadInput && r.Code != cli.Usage || !strings.Contains(r.Err, token) {
				t.Errorf("%v: exit code %d\n%s", args, r.Code, r.Err)
			}
		}
		// A token that ends texts must be one that the model knows as soon as something is learned from it.
		addToken(t, c.Base, "<end>", c.Vocab+1, "eos_token")
		clitest.OK(t, predict.Command, generate...)
		prompts = file("prompts.jsonl", `{"prompt": "a b", "completion": "c"}`+"\n")
		for _, in := range []string{good, prompts} {
			args := append(train, in, "--block-size=4")
			if in == prompts {
				args = append(train, in)
			}
			r := clitest.Run(t, finetune.Command, args...)
			if r.Code == cli.Done || r.Code == cli.Failure || !strings.Contains(r.Err, `token "<end>" has the id`) {
				t.Errorf("%s: exit code %d\n%s", in, r.Code, r.Err)
			}
		}
	}
}
