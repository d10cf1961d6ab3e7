package predict_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// TestRemembers trains with inputs of other lengths than the defaults: predict, and a run that continues from the
// adapter, take them over, unless a flag says otherwise.
func TestRemembers(t *testing.T) {
	base := fixture(t, "query_value").Path("base")
	dir := t.TempDir()
	file := clitest.Write(t, filepath.Join(dir, "train.csv"),
		"text,label\n\"the film is very good\",positive\n\"the book is very bad\",negative\n")
	train := func(args ...string) string {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out")
		clitest.OK(t, finetune.Command, append([]string{"seq-cls", "--quiet", "--model", base, "--train-file", file,
			"--max-steps=1", "--output-dir", out}, args...)...)
		return out
	}
	long := []string{"seq-cls", "--logits", "--model", base,
		"--text", "the film is very very good again and again", "--adapter"}
	cut := func(args ...string) clitest.Result {
		t.Helper()
		return clitest.OK(t, predict.Command, append(long, args...)...)
	}
	const remembered = "was trained with --max-length 5"

	first := train("--max-length=5")
	short := cut(first)
	if !strings.Contains(short.Err, remembered) {
		t.Errorf("the log lacks %q:\n%s", remembered, short.Err)
	}
	whole := cut(first, "--max-length=0")
	if strings.Contains(whole.Err, remembered) || whole.Out == short.Out {
		t.Errorf("--max-length does not win over what the adapter remembers:\n%s%s", whole.Err, whole.Out)
	}
	if again := cut(train("--adapter", first)); !strings.Contains(again.Err, remembered) {
		t.Errorf("a run that went on from the adapter does not remember it:\n%s", again.Err)
	}
	if other := cut(train("--adapter", first, "--max-length=7", "--truncation=only_first")); !strings.Contains(other.Err,
		"trained with --max-length 7 --truncation only_first") {
		t.Errorf("a run that went on otherwise remembers:\n%s", other.Err)
	}
	if plain := cut(train()); strings.Contains(plain.Err, "was trained with") {
		t.Errorf("nothing was given, but:\n%s", plain.Err)
	}
}

// TestRemembersScheme trains on tags in IOB1 whose names alone look like IOB2: predict reads a file of them as the
// training did, and finds the entities of raw texts by the same rules.
func TestRemembersScheme(t *testing.T) {
	base := fixture(t, "query_value").Path("base")
	dir := t.TempDir()
	file := clitest.Write(t, filepath.Join(dir, "train.conll"),
		"film\tI-X\nfilm\tB-X\nis\tO\n\nthe\tO\nbook\tI-X\n\nbook\tI-X\ncard\tB-X\ncard\tI-X\n")
	for _, x := range []struct{ args, log []string }{
		{nil, []string{"tags of the scheme IOB1 (guessed from the tags)", "--scheme IOB1"}},
		{[]string{"--seqeval-mode=strict"}, []string{"--seqeval-mode strict"}},
		{[]string{"--scheme=none"}, []string{"tags that spell no entities", "--scheme none"}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		trained := clitest.OK(t, finetune.Command, append([]string{"token-cls", "--model", base, "--train-file", file,
			"--test-file", file, "--labels=B-X,I-X,O", "--max-steps=20",
			"--output-dir", out}, x.args...)...)
		again := clitest.OK(t, predict.Command, "token-cls", "--model", base, "--adapter", out, "--input", file)
		for _, text := range x.log {
			if !strings.Contains(trained.Err+again.Err, text) {
				t.Errorf("%v: the logs lack %q:\n%s%s", x.args, text, trained.Err, again.Err)
			}
		}
		_, want, _ := strings.Cut(trained.Out, "test, 3 rows: ")
		want, _, _ = strings.Cut(want, ", loss")
		if want == "" || !strings.Contains(again.Err, want) || strings.Contains(again.Err, "repaired") {
			t.Errorf("%v: the test has %q, predict says\n%s", x.args, want, again.Err)
		}
		clitest.OK(t, predict.Command, "token-cls", "--quiet", "--model", base, "--adapter", out, "--text", "the film")
	}
}

// TestRemembersFiles: how labels count choices, and scores measure pairs, holds for files to predict too, and is no
// matter on the command line.
func TestRemembersFiles(t *testing.T) {
	base := fixture(t, "query_value").Path("base")
	dir := t.TempDir()
	choices := clitest.Write(t, filepath.Join(dir, "c.csv"),
		"question,choice1,choice2,label\nthe film is,good,bad,1\nthe book is,new,old,1\n")
	pairs := clitest.Write(t, filepath.Join(dir, "p.csv"),
		"text,text_pair,score\nthe film,the book,4\nthe card,the bank,1\n")
	for _, x := range []struct{ file, task, flag, line string }{
		{choices, "multiple-choice", "--first-index=1", "--context a --choice b --choice c"},
		{pairs, "embed", "--max-score=5", "--text a --text b"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		trained := clitest.OK(t, finetune.Command, x.task, "--model", base, "--train-file", x.file, "--test-file", x.file,
			"--max-steps=1", "--output-dir", out, x.flag)
		with := []string{x.task, "--model", base, "--adapter", out}
		again := clitest.OK(t, predict.Command, append(with, "--input", x.file)...)
		_, want, _ := strings.Cut(trained.Out, "test, 2 rows: ")
		want, _, _ = strings.Cut(want, "\n")
		if want == "" || !strings.Contains(again.Err, want) {
			t.Errorf("%s: the test has %q, predict says\n%s", x.task, want, again.Err)
		}
		clitest.OK(t, predict.Command, append(with, strings.Fields(x.line)...)...)
		typed := clitest.Run(t, predict.Command, append(append(with, strings.Fields(x.line)...), x.flag)...)
		if x.task == "multiple-choice" && (typed.Code != cli.Usage ||
			!strings.Contains(typed.Err, "--first-index is for files")) {
			t.Errorf("%d %s", typed.Code, typed.Err)
		}
	}
}

// TestRemembersNonsense reads adapters with invalid notes.
func TestRemembersNonsense(t *testing.T) {
	c := fixture(t, "query_value")
	for value, x := range map[string]struct {
		code int
		want string
	}{"long": {cli.BadInput, `remembers --max-length "long"`}, "-3": {cli.Usage, "-3"}} {
		dir := clitest.CopyDir(t, c.Path("adapter_final"))
		path := filepath.Join(dir, "adapter_model.safetensors")
		list, _ := clitest.Tensors(t, path)
		if err := safetensors.WriteFile(path, list, map[string]string{"spalora.max-length": value}); err != nil {
			t.Fatal(err)
		}
		clitest.Run(t, predict.Command, "seq-cls", "--quiet", "--model", c.Path("base"), "--adapter", dir,
			"--text", "good").Refused(t, x.code, x.want)
	}
}
