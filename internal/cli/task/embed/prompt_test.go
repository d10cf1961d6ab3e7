package embed_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// promptedModel is a sentence encoder with prompts, of which one is the default, that lower-cases texts, pools in two
// ways and keeps 40 values of a vector of length 1.
func promptedModel(t *testing.T) string {
	t.Helper()
	model := clitest.CopyDir(t, filepath.Join(clitest.Testdata, "sentence", "model"))
	for name, text := range map[string]string{
		"modules.json": `[{"type":"sentence_transformers.models.Transformer","path":""},` +
			`{"type":"sentence_transformers.models.Pooling","path":"1_Pooling"},` +
			`{"type":"sentence_transformers.models.Normalize","path":"2_Normalize"}]`,
		"1_Pooling/config.json":     `{"embedding_dimension":16,"pooling_mode":["max","cls","mean"],"include_prompt":false}`,
		"sentence_bert_config.json": `{"max_seq_length":30,"do_lower_case":true}`,
		"config_sentence_transformers.json": `{"prompts":{"query":"Question: ","story":"Once "},` +
			`"default_prompt_name":"query","similarity_fn_name":"dot","truncate_dim":40}`,
	} {
		clitest.Write(t, filepath.Join(model, name), text)
	}
	return model
}

// TestPrompts trains with the checkpoint's prompt, with another and with none: the adapter remembers what was given,
// and the merged model has it as its default. The files of the checkpoint act in all of these.
func TestPrompts(t *testing.T) {
	model, pairs := promptedModel(t), clitest.Write(t, filepath.Join(t.TempDir(), "train.csv"), scoredPairs)
	vectors := func(args ...string) string {
		t.Helper()
		return clitest.OK(t, predict.Command, append([]string{"embed", "--quiet", "--text", "Where Is It", "--text", "b"},
			args...)...).Out
	}
	const warning = `its default prompt "Question: " is put before texts to evaluate, not before those to train on`
	seen := map[string]string{}
	for _, c := range []struct {
		name    string
		args    []string
		predict []string // flags with which the adapter of the base has the same vectors
		merged  string   // in the merged config_sentence_transformers.json
	}{
		{"none given", nil, []string{"--prompt-name=query"}, `"default_prompt_name":"query"`},
		{"a name", []string{"--prompt-name=story"}, []string{"--prompt=Once "},
			`"default_prompt_name": "story"`},
		{"a text", []string{"--prompt=Mine: "}, []string{"--prompt=Mine: "},
			`"default_prompt_name": "trained"`},
		{"the default", []string{"--prompt=Question: "}, []string{"--prompt-name=query"},
			`"default_prompt_name":"query"`},
		{"an empty one", []string{"--prompt="}, []string{"--prompt="}, `"default_prompt_name": null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			r := clitest.OK(t, finetune.Command, append([]string{"embed", "--model", model, "--train-file", pairs,
				"--max-score=5", "--max-steps=2", "--batch-size=3", "--output-dir", out}, c.args...)...)
			if strings.Contains(r.Err, warning) != (c.args == nil) {
				t.Errorf("standard error:\n%s", r.Err)
			}
			_, rest, _ := strings.Cut(r.Err, "over 6 rows, ")
			seen[c.name], _, _ = strings.Cut(rest, " tokens an epoch")
			own := vectors("--model", model, "--adapter", out)
			if own != vectors(append([]string{"--model", model, "--adapter", out}, c.predict...)...) ||
				own == vectors("--model", model, "--adapter", out, "--prompt=Other ") {
				t.Error("the prompt is another than that of the training")
			}
			merged := filepath.Join(t.TempDir(), "merged")
			clitest.OK(t, adapter.Command, "merge", "--model", model, "--adapter", out, "--output-dir", merged)
			if text := clitest.Read(t, filepath.Join(merged, "config_sentence_transformers.json")); !strings.Contains(text,
				c.merged) || !strings.Contains(text, "truncate_dim") {
				t.Errorf("config_sentence_transformers.json is %s", text)
			}
			want, got := clitest.Lines[row](t, own), clitest.Lines[row](t, vectors("--model", merged))
			for i := range want {
				for j, v := range want[i].Embedding {
					if len(got[i].Embedding) != 40 || math.Abs(float64(got[i].Embedding[j]-v)) > 1e-5 {
						t.Fatalf("text %d: the merged model has the vector %v, want %v", i, got[i].Embedding, want[i].Embedding)
					}
				}
			}
		})
	}
	if seen["none given"] != seen["an empty one"] || seen["a name"] == seen["an empty one"] ||
		seen["the default"] == seen["an empty one"] {
		t.Errorf("tokens to train on: %v", seen)
	}
}
