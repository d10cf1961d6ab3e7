package all_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// newTokens are the lines of a file for --add-tokens; the small BERT and the language models know "the", or have no
// such word.
const newTokens = "covidosis\n\nblorptastic\n[CALL]\n"

// numbersOf returns the numbers in a row of JSON, whatever their keys are, in the order of the text.
func numbersOf(t *testing.T, text string) (list []float64) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if err != nil {
			return list
		}
		if x, ok := token.(float64); ok {
			list = append(list, x)
		}
	}
}

// sameNumbers compares predictions within rounding.
func sameNumbers(t *testing.T, what, got, want string) {
	t.Helper()
	a, b := numbersOf(t, got), numbersOf(t, want)
	if len(a) != len(b) || len(a) == 0 {
		t.Errorf("%s: %q, want %q", what, got, want)
		return
	}
	for i := range a {
		if d := math.Abs(a[i] - b[i]); !(d <= 1e-4*max(1, math.Abs(b[i]))) {
			t.Errorf("%s: number %d is %g, want %g", what, i, a[i], b[i])
		}
	}
}

// sameFiles compares the adapters of two directories byte by byte.
func sameFiles(t *testing.T, a, b string, names ...string) {
	t.Helper()
	for _, name := range names {
		if clitest.Read(t, filepath.Join(a, name)) != clitest.Read(t, filepath.Join(b, name)) {
			t.Errorf("%s and %s have another %s", a, b, name)
		}
	}
}

// TestAddTokens trains with words that are new in the vocabulary: predictions, resumed and further runs, merged models
// and a dry run have the adapter's tokenizer, and the words are one token each.
func TestAddTokens(t *testing.T) {
	small := clitest.Small(t).Path("base")
	dir := t.TempDir()
	tokens := clitest.Write(t, filepath.Join(dir, "new.txt"), newTokens)
	rows := clitest.Write(t, filepath.Join(dir, "train.csv"), "text,label\ncovidosis is good,positive\n"+
		"film blorptastic,negative\nblorptastic covidosis film,mixed\nwe pay [CALL] late,positive\n")
	texts := clitest.Write(t, filepath.Join(dir, "texts.jsonl"), `{"text": "covidosis film"}`+"\n"+`{"text": "we"}`+"\n")
	lines := clitest.Write(t, filepath.Join(dir, "lines.jsonl"), `{"text": "a covidosis b blorptastic"}`+"\n"+
		`{"text": "[CALL] a [CALL] covidosis"}`+"\n")
	for _, x := range []struct {
		name, task, model, train string
		predict                  []string
		known                    int
	}{
		{"bert", "seq-cls", small, rows, []string{"--input", texts, "--logits"}, 96},
		{"qwen2", "causal-lm", "../../../../testdata/llamacpp/qwen2", lines, []string{"--input", lines, "--logits"}, 294},
		{"llama", "causal-lm", "../../../../testdata/llamacpp/llama", lines, []string{"--input", lines, "--logits"}, 349},
	} {
		t.Run(x.name, func(t *testing.T) {
			whole, other, next, merged := filepath.Join(dir, x.name), t.TempDir()+"/other", t.TempDir()+"/next", t.TempDir()+"/m"
			common := []string{x.task, "--quiet", "--model", x.model}
			args := slices.Concat(common, []string{"--train-file", x.train, "--learning-rate=0.05", "--batch-size=2"})
			first := slices.Concat(args, []string{"--add-tokens", tokens, "--max-steps=4", "--save-steps=2"})
			if x.task == "causal-lm" {
				first = append(first, "--sample-max-new-tokens=0")
				args = append(args, "--sample-max-new-tokens=0")
			}
			dry := clitest.OK(t, finetune.Command, append(first, "--dry-run", "--output-dir", whole)...).Out
			clitest.OK(t, finetune.Command, append(first, "--output-dir", whole)...)
			var forecast struct {
				Rows []struct{ Rows int } `json:"trainable_rows"`
			}
			if err := json.Unmarshal([]byte(dry), &forecast); err != nil || len(forecast.Rows) == 0 ||
				forecast.Rows[0].Rows != 3 {
				t.Errorf("the dry run says %s: %v", dry, err)
			}

			clitest.OK(t, finetune.Command, append(first, "--output-dir", other, "--threads=1",
				"--resume-from-checkpoint", filepath.Join(whole, "checkpoint-2"))...)
			sameFiles(t, whole, other, "adapter_model.safetensors", "adapter_config.json", "tokenizer_config.json")
			one := clitest.Write(t, filepath.Join(t.TempDir(), "one.txt"), "covidosis\n")
			clitest.Run(t, finetune.Command, slices.Concat(args, []string{"--max-steps=4", "--save-steps=2", "--add-tokens",
				one, "--output-dir", t.TempDir() + "/one", "--resume-from-checkpoint", filepath.Join(whole, "checkpoint-2")})...).
				Refused(t, cli.Usage, "add_tokens is ")

			clitest.OK(t, finetune.Command, append(args, "--adapter", whole, "--max-steps=1", "--output-dir", next)...)
			sameFiles(t, whole, next, "tokenizer_config.json")
			clitest.OK(t, adapter.Command, "verify", "--quiet", "--model", x.model, "--adapter", next)

			clitest.OK(t, adapter.Command, "merge", "--quiet", "--model", x.model, "--adapter", whole, "--output-dir", merged)
			got := clitest.OK(t, predict.Command, append(slices.Concat(common, x.predict), "--adapter", whole)...).Out
			want := clitest.OK(t, predict.Command, append([]string{x.task, "--quiet", "--model", merged}, x.predict...)...).Out
			sameNumbers(t, "merged", got, want)
			pieces := clitest.OK(t, predict.Command, "tokenize", "--quiet", "--model", x.model, "--input", lines).Out
			ids := clitest.OK(t, predict.Command, "tokenize", "--quiet", "--model", merged, "--input", lines).Out
			for i := range 3 {
				id := fmt.Sprint(x.known + i)
				if strings.Contains(pieces, id) || !strings.Contains(ids, id) {
					t.Errorf("token %s: the base model's ids are %s, the merged model's %s", id, pieces, ids)
				}
			}
		})
	}
}

// TestAddTokensRefused: settings and files that do not fit are errors before anything is written.
func TestAddTokensRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	good := write("new.txt", newTokens)
	line := write("lines.jsonl", `{"text": "a b c"}`+"\n")
	rows := write("rows.csv", "text,label\nwe,positive\nfilm,negative\nbook,mixed\n")
	small, qwen := clitest.Small(t).Path("base"), "../../../../testdata/llamacpp/qwen2"
	out := filepath.Join(dir, "out")
	classify := []string{"seq-cls", "--model", small, "--train-file", rows}
	write2 := []string{"causal-lm", "--model", qwen, "--train-file", line}
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{append(classify, "--add-tokens", filepath.Join(dir, "none")), cli.BadInput, "there is no such file"},
		{append(classify, "--add-tokens", write("empty.txt", "\n")), cli.BadInput, "empty.txt: the file has no tokens"},
		{append(classify, "--add-tokens", write("known.txt", "the\n")), cli.BadInput, "already"},
		{append(classify, "--add-tokens", write("bad.json", "[\"a\",\n1]")), cli.BadInput, "bad.json:2: want a string"},
		{append(classify, "--add-tokens", write("bytes.txt", "a\n\xff")), cli.BadInput,
			"bytes.txt:2: the text is not valid UTF-8"},
		{append(classify, "--add-tokens", good, "--adapter", dir), cli.Usage, "--add-tokens is for a new adapter"},
		{append(classify, "--add-tokens", good, "--target-modules=query,word_embeddings"), cli.Usage,
			"in target_modules and in trainable_token_indices"},
		{append(write2, "--add-tokens", good, "--full"), cli.Usage, "--add-tokens is for adapters"},
		{append(write2, "--add-tokens", good, "--modules-to-save=embed_tokens"), cli.Usage, "lm_head shares the table"},
	} {
		args := append(slices.Clone(x.args), "--quiet", "--max-steps=1", "--output-dir", out)
		clitest.Run(t, finetune.Command, args...).Refused(t, x.code, x.want)
	}
}

// TestAddTokensSaved trains whole tables with new tokens, which the adapter then has.
func TestAddTokensSaved(t *testing.T) {
	dir := t.TempDir()
	tokens := clitest.Write(t, filepath.Join(dir, "new.txt"), newTokens)
	lines := clitest.Write(t, filepath.Join(dir, "lines.jsonl"), `{"text": "a covidosis b blorptastic"}`+"\n")
	for _, x := range []struct{ model, modules, tokens string }{
		{"qwen2", "embed_tokens,lm_head", "null"}, {"llama", "embed_tokens,lm_head", "null"},
		{"llama", "lm_head", "[349,350,351]"}, {"llama", "embed_tokens", `{"lm_head":[349,350,351]}`},
	} {
		model, out := "../../../../testdata/llamacpp/"+x.model, t.TempDir()+"/out"
		clitest.OK(t, finetune.Command, "causal-lm", "--quiet", "--model", model, "--train-file", lines, "--max-steps=2",
			"--sample-max-new-tokens=0", "--add-tokens", tokens, "--modules-to-save", x.modules, "--output-dir", out)
		var config struct {
			Rows json.RawMessage `json:"trainable_token_indices"`
		}
		text := clitest.Read(t, filepath.Join(out, "adapter_config.json"))
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			t.Fatal(err)
		}
		var compact strings.Builder
		for _, s := range strings.Fields(string(config.Rows)) {
			compact.WriteString(s)
		}
		if got := compact.String(); got != x.tokens && !(got == "" && x.tokens == "null") {
			t.Errorf("%s: trainable_token_indices is %s, want %s", x.modules, got, x.tokens)
		}
		merged := t.TempDir() + "/m"
		clitest.OK(t, adapter.Command, "merge", "--quiet", "--model", model, "--adapter", out, "--output-dir", merged)
		args := []string{"causal-lm", "--quiet", "--input", lines, "--logits"}
		sameNumbers(t, x.model, clitest.OK(t, predict.Command, append(args, "--model", model, "--adapter", out)...).Out,
			clitest.OK(t, predict.Command, append(args, "--model", merged)...).Out)
	}
}
