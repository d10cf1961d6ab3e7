package tokencls_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// TestCRFWithOptions: a CRF trains beside DoRA, biases and starting values. The merged model predicts the tags of the
// saved adapter, which can be compared and reduced; its transitions stay.
func TestCRFWithOptions(t *testing.T) {
	input := clitest.Write(t, filepath.Join(t.TempDir(), "test.conll"), sentences)
	tags := func(flags ...string) []tokenPrediction {
		return clitest.Lines[tokenPrediction](t, clitest.OK(t, predict.Command, append([]string{"token-cls", "--quiet",
			"--input", input}, flags...)...).Out)
	}
	for _, flags := range []string{"--use-dora", "--use-dora --use-rslora --bias=all", "--init-lora-weights=eva",
		"--init-lora-weights=pissa", "--init-lora-weights=olora --use-dora", "--lora-bias"} {
		t.Run(flags, func(t *testing.T) {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			clitest.OK(t, finetune.Command, append(tokenArgs(t, "--crf", "--crf-constrain", "--lora-r=2",
				"--target-modules=query,value", "--max-steps=20", "--learning-rate=0.02", "--output-dir", at("out")),
				strings.Fields(flags)...)...)
			scores := transitionsOf(t, at("out"))
			if len(scores) != 36 || slices.Max(scores) == 0 {
				t.Fatalf("transitions %v", scores)
			}
			want := tags("--model", tokenBase, "--adapter", at("out"))
			clitest.OK(t, adapter.Command, "merge", "--model", tokenBase, "--adapter", at("out"), "--output-dir",
				at("merged"))
			if got := tags("--model", at("merged")); !sameTags(got, want) {
				t.Errorf("merged\n%+v, want\n%+v", got, want)
			}
			clitest.OK(t, adapter.Command, "diff", "--adapter", at("out"), "--other", at("out"))
			clitest.OK(t, adapter.Command, "reduce", "--adapter", at("out"), "--rank=1", "--output-dir", at("small"))
			if v := transitionsOf(t, at("small")); !slices.Equal(v, scores) {
				t.Errorf("transitions after reducing: %v, want %v", v, scores)
			}
			tags("--model", tokenBase, "--adapter", at("small"))
		})
	}
}

// TestCRFCombined: an adapter with a CRF is combined with one without a head, and keeps its transitions. Two heads are
// refused by name, by combine and merge.
func TestCRFCombined(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, flags := range map[string][]string{"a": {"--crf"}, "b": {"--crf", "--seed=5"}, "plain": nil} {
		clitest.OK(t, finetune.Command, append(tokenArgs(t, "--lora-r=2", "--learning-rate=0.02", "--output-dir", at(name)),
			flags...)...)
	}
	combine := func(first, second string) clitest.Result {
		return clitest.Run(t, adapter.Command, "combine", "--adapters", at(first)+","+at(second), "--weights=0.5,0.5",
			"--combination-type=cat", "--output-dir", at("both"))
	}
	for _, x := range [][2]string{{"a", "b"}, {"a", "plain"}, {"plain", "a"}} {
		combine(x[0], x[1]).Refused(t, cli.BadInput, "both have modules_to_save (classifier.bias), which have no combination",
			"at most one adapter may have a head of its own")
	}
	r := clitest.Run(t, adapter.Command, "merge", "--quiet", "--model", tokenBase, "--adapter", at("a")+","+at("b"),
		"--output-dir", at("both"))
	r.Refused(t, cli.BadInput,
		"the adapter has modules_to_save (classifier.weight), which only the first of several may have")
	clitest.Rewrite(t, weightsOf(at("plain")), func(x safetensors.Tensor) (safetensors.Tensor, bool) {
		return x, !strings.Contains(x.Name, "classifier")
	})
	config := filepath.Join(at("plain"), "adapter_config.json")
	text := clitest.Read(t, config)
	for old, new := range map[string]string{`"task_type": *"TOKEN_CLS"`: `"task_type": null`,
		`"modules_to_save": *\[[^\]]*\]`: `"modules_to_save": null`} {
		text = regexp.MustCompile(old).ReplaceAllString(text, new)
	}
	clitest.Write(t, config, text)
	if r := combine("a", "plain"); r.Code != cli.Done {
		t.Fatal(r.Err)
	}
	if v, want := transitionsOf(t, at("both")), transitionsOf(t, at("a")); len(v) != 36 || !slices.Equal(v, want) {
		t.Errorf("transitions after combining: %v, want %v", v, want)
	}
	clitest.OK(t, predict.Command, "token-cls", "--model", tokenBase, "--adapter", at("both"), "--text", "we lost card")
}
