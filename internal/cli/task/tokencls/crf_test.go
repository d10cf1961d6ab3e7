package tokencls_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/nn/op"
)

const transitions = "base_model.model.crf.TransitionScores"

// weightsOf returns the path of an adapter's tensors.
func weightsOf(dir string) string { return filepath.Join(dir, "adapter_model.safetensors") }

// transitionsOf returns the transition scores of an adapter, nil if it has none.
func transitionsOf(t *testing.T, dir string) []float32 {
	t.Helper()
	list, _ := clitest.Tensors(t, weightsOf(dir))
	for _, x := range list {
		if x.Name == transitions {
			v, err := safetensors.AsFloat32(x)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	return nil
}

// TestCRF follows a CRF from training to predictions, without the adapter's notes, through a merge, and into runs that
// start from the adapter.
func TestCRF(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	input := clitest.Write(t, at("test.conll"), sentences)
	args := tokenArgs(t, "--test-file", input, "--max-steps=60", "--learning-rate=0.02", "--target-modules=all-linear",
		"--crf", "--crf-constrain", "--output-dir", at("out"))
	r := clitest.OK(t, finetune.Command, args...)
	if !strings.Contains(r.Err, "the CRF excludes 8 of 35 transitions, which the scheme IOB2 forbids") {
		t.Errorf("standard error:\n%s", r.Err)
	}
	if config := clitest.Read(t, filepath.Join(at("out"), "adapter_config.json")); !strings.Contains(config, `"crf"`) {
		t.Errorf("modules_to_save has no crf: %s", config)
	}
	scores := transitionsOf(t, at("out"))
	forbidden := 0
	for _, v := range scores {
		if v < op.Forbidden*0.9 {
			forbidden++
		}
	}
	if len(scores) != 36 || forbidden != 8 {
		t.Errorf("%d transitions, of which %d are forbidden", len(scores), forbidden)
	}
	predicted := func(model, adapter string, more ...string) string {
		t.Helper()
		flags := []string{"token-cls", "--quiet", "--model", model, "--input", input}
		if adapter != "" {
			flags = append(flags, "--adapter", adapter)
		}
		return clitest.OK(t, predict.Command, append(flags, more...)...).Out
	}
	want := predicted(tokenBase, at("out"), "--metrics-file", at("metrics.json"))
	results := clitest.Read(t, filepath.Join(at("out"), "results.json"))
	f1 := numberAfter(results[strings.Index(results, `"test"`):], `"f1": `)
	if f1 == "0" || numberAfter(clitest.Read(t, at("metrics.json")), `"f1": `) != f1 {
		t.Errorf("f1 of the run %s, of predictions %s", f1, clitest.Read(t, at("metrics.json")))
	}
	shown := clitest.OK(t, adapter.Command, "show", "--adapter", at("out")).Out
	for _, line := range []string{"crf: true", "crf-constrain: true", "crf.TransitionScores"} {
		if !strings.Contains(shown, line) {
			t.Errorf("adapter show lacks %q:\n%s", line, shown)
		}
	}

	bare := clitest.CopyDir(t, at("out")) // as another program would write the tensors
	list, _ := clitest.Tensors(t, weightsOf(bare))
	if err := safetensors.WriteFile(weightsOf(bare), list, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	if got := predicted(tokenBase, bare); got != want {
		t.Errorf("without notes\n%s, want\n%s", got, want)
	}
	clitest.OK(t, adapter.Command, "merge", "--model", tokenBase, "--adapter", at("out"), "--output-dir", at("merged"))
	a, b := clitest.Lines[tokenPrediction](t, predicted(at("merged"), "")), clitest.Lines[tokenPrediction](t, want)
	if !sameTags(a, b) {
		t.Errorf("merged\n%+v, want\n%+v", a, b)
	}
	if !strings.Contains(clitest.Read(t, filepath.Join(at("merged"), "config.json")), "BertForTokenClassification") {
		t.Error("the merged model has another class")
	}

	next := func(name, from string, more ...string) []float32 {
		t.Helper()
		clitest.OK(t, finetune.Command, tokenArgs(t, append(more, "--adapter", from, "--output-dir", at(name),
			"--learning-rate=0.02")...)...)
		return transitionsOf(t, at(name))
	}
	for name, from := range map[string]string{"again": at("out"), "again without notes": bare} {
		v := next(name, from)
		if len(v) != 36 || slices.Equal(v, scores) {
			t.Errorf("%s: %d transitions, trained: %v", name, len(v), !slices.Equal(v, scores))
			continue
		}
		for i := range v {
			if (v[i] < op.Forbidden*0.9) != (scores[i] < op.Forbidden*0.9) {
				t.Errorf("%s: transition %d is %g, before %g", name, i, v[i], scores[i])
			}
		}
	}
	clitest.OK(t, finetune.Command, tokenArgs(t, "--output-dir", at("plain"))...)
	if v := transitionsOf(t, at("plain")); v != nil {
		t.Errorf("transitions without a CRF: %v", v)
	}
	if v := next("added", at("plain"), "--crf"); len(v) != 36 || slices.Max(v) == 0 || slices.Min(v) < -1 {
		t.Errorf("added transitions %v", v)
	}
	predicted(tokenBase, at("added"))
	merged := clitest.OK(t, finetune.Command, tokenArgs(t, "--model", at("merged"), "--output-dir", at("on merged"))...)
	if transitionsOf(t, at("on merged")) != nil || !strings.Contains(merged.Err, "--crf trains them further") {
		t.Errorf("on a merged checkpoint, without a CRF:\n%s", merged.Err)
	}
	clitest.OK(t, finetune.Command, tokenArgs(t, "--model", at("merged"), "--crf", "--learning-rate=0", "--output-dir",
		at("crf on merged"))...)
	if v := transitionsOf(t, at("crf on merged")); !slices.Equal(v, scores) {
		t.Errorf("transitions of the merged checkpoint %v, want %v", v, scores)
	}

	clitest.Rewrite(t, weightsOf(bare), func(x safetensors.Tensor) (safetensors.Tensor, bool) {
		return x, x.Name != transitions // as PEFT leaves it
	})
	lost := clitest.OK(t, predict.Command, "token-cls", "--model", tokenBase, "--adapter", bare, "--text", "we lost card")
	if !strings.Contains(lost.Err, "modules_to_save names crf, but the file has no transition scores") {
		t.Errorf("standard error:\n%s", lost.Err)
	}
}

// numberAfter returns the characters of a number behind a key.
func numberAfter(text, key string) string {
	_, rest, _ := strings.Cut(text, key)
	return rest[:max(0, strings.IndexAny(rest, ",\n}"))]
}

// sameTags reports whether predictions have the same tags, and scores that differ by rounding only.
func sameTags(a, b []tokenPrediction) bool {
	return slices.EqualFunc(a, b, func(x, y tokenPrediction) bool {
		return slices.EqualFunc(x.Tags, y.Tags, func(p, q *string) bool { return *p == *q }) &&
			slices.EqualFunc(x.Scores, y.Scores, func(p, q *float64) bool { return *p-*q < 1e-4 && *q-*p < 1e-4 })
	})
}

// TestCRFResumes stops a run with a CRF and continues it to the bytes of a run that was not stopped.
func TestCRFResumes(t *testing.T) {
	args := tokenArgs(t, "--max-steps=4", "--dropout=0.1", "--crf", "--crf-constrain", "--weight-decay=0.1",
		"--validation-split=0.3", "--eval-steps=2", "--max-length=5", "--stride=1", "--save-steps=1")
	whole, stopped := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "stopped")
	clitest.OK(t, finetune.Command, append(args, "--output-dir", whole)...)
	r := clitest.StopAfterFirstStep(t, finetune.Command, append(args, "--output-dir", stopped)...)
	if r.Code != cli.Cancelled {
		t.Fatalf("exit code %d\n%s", r.Code, r.Err)
	}
	clitest.OK(t, finetune.Command, append(args, "--threads=1", "--resume-from-checkpoint", stopped)...)
	if clitest.Read(t, weightsOf(stopped)) != clitest.Read(t, weightsOf(whole)) {
		t.Error("the adapter has other bytes than that of the run without a stop")
	}
	for _, change := range []struct{ flag, want string }{
		{"--crf-constrain=false", "crf_constrain"}, {"--crf-constrain=false --crf=false", "crf"},
	} {
		r := clitest.Run(t, finetune.Command, append(append(args, "--resume-from-checkpoint", whole),
			strings.Fields(change.flag)...)...)
		if r.Code != cli.Usage || !strings.Contains(r.Err, change.want) {
			t.Errorf("%s: exit code %d, want 2 and %q\n%s", change.flag, r.Code, change.want, r.Err)
		}
	}
}

// TestCRFRefused gives settings that a CRF excludes, and tags that --crf-constrain cannot use.
func TestCRFRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	good := file("good.conll", sentences)
	for _, x := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--crf-constrain"}, 2, []string{"--crf-constrain needs --crf"}},
		{[]string{"--crf", "--label-all-tokens"}, 2, []string{"--label-all-tokens excludes --crf", "one tag for each word"}},
		{[]string{"--crf", "--label-smoothing-factor=0.1"}, 2, []string{"--label-smoothing-factor excludes --crf"}},
		{[]string{"--crf", "--class-weights=balanced"}, 2, []string{"--class-weights excludes --crf"}},
		{[]string{"--crf", "--crf-constrain", "--scheme=none"}, 2, []string{"--crf-constrain", "spell no entities"}},
		{[]string{"--crf", "--crf-constrain", "--labels=O,B-MISC,I-MISC,B-ORG,I-ORG,OTHER"}, 2,
			[]string{"--crf-constrain", `"OTHER"`, "IOB2"}},
		{[]string{"--crf", "--crf-constrain", "--train-file", file("odd.conll", "a\tI-X\nb\tI-X\n\n"), "--scheme=IOBES"}, 2,
			[]string{"--crf-constrain", "add the tag O", "--labels"}},
		{[]string{"--crf", "--crf-constrain", "--strict", "--scheme=IOB2", "--train-file",
			file("o.conll", "a\tO\nb\tI-X\nc\tB-X\n\n")}, 3, []string{"o.conll:1", "word 1", "I-X", "--strict"}},
	} {
		t.Run(strings.Join(x.args, " "), func(t *testing.T) {
			r := clitest.Run(t, finetune.Command, append([]string{"token-cls", "--quiet", "--model", tokenBase, "--train-file",
				good, "--max-steps=1", "--output-dir", filepath.Join(t.TempDir(), "out")}, x.args...)...)
			r.Err = warning.ReplaceAllString(r.Err, "")
			r.Refused(t, x.code, append(x.want, "finetune token-cls: ")...)
		})
	}
	out := filepath.Join(dir, "out")
	clitest.OK(t, finetune.Command, tokenArgs(t, "--crf", "--max-steps=1", "--output-dir", out)...)
	for _, strategy := range []string{"none", "simple", "average", "max"} {
		clitest.Run(t, predict.Command, "token-cls", "--quiet", "--model", tokenBase, "--adapter", out, "--text", "we",
			"--aggregation-strategy", strategy).Refused(t, cli.Usage, "--aggregation-strategy "+strategy, "CRF", "first")
	}
	r := clitest.Run(t, finetune.Command, tokenArgs(t, "--adapter", out, "--class-weights=balanced", "--quiet",
		"--output-dir", filepath.Join(dir, "next"))...)
	r.Refused(t, cli.Usage, "--class-weights excludes --crf")
}
