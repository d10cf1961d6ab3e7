package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli/clitest"
)

const testdata = "../../testdata"

// TestMain runs the command itself in processes that the tests start.
func TestMain(m *testing.M) {
	if os.Getenv("SPALORA_RUN_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process returns the command as a process of its own.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), "SPALORA_RUN_MAIN=1")
	return cmd
}

// TestWorkflow goes the whole way with the one binary: train, predict, merge, predict with the merged checkpoint.
func TestWorkflow(t *testing.T) {
	c := clitest.ReadCase(t, filepath.Join(testdata, "bert", "query_value"))
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	clitest.OK(t, command, "finetune", "seq-cls", "--model", c.Path("base"), "--train-file", c.Path("train.jsonl"),
		"--max-steps=20", "--learning-rate=0.02", "--output-dir", path("run"))
	attached := clitest.OK(t, command, "predict", "seq-cls", "--model", c.Path("base"), "--adapter", path("run"),
		"--input", c.Path("train.jsonl"))
	clitest.OK(t, command, "adapter", "show", "--adapter", path("run"))
	clitest.OK(t, command, "adapter", "merge", "--model", c.Path("base"), "--adapter", path("run"),
		"--output-dir", path("merged"))
	merged := clitest.OK(t, command, "predict", "seq-cls", "--model", path("merged"), "--input", c.Path("train.jsonl"))
	a := clitest.Lines[struct{ Label string }](t, attached.Out)
	for i, m := range clitest.Lines[struct{ Label string }](t, merged.Out) {
		if m != a[i] {
			t.Errorf("row %d: %q after merging, %q before", i, m.Label, a[i].Label)
		}
	}
}

// TestLanguageModelWorkflow goes the whole way with a language model: train, generate, merge, generate the same with
// the merged checkpoint.
func TestLanguageModelWorkflow(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	clitest.OK(t, command, "finetune", "causal-lm", "--max-steps=4", "--max-train-samples=100",
		"--output-dir", path("run"))
	attached := clitest.OK(t, command, "predict", "causal-lm", "--adapter", path("run"), "--prompt=How do I",
		"--max-new-tokens=16")
	if base := clitest.OK(t, command, "predict", "causal-lm", "--prompt=How do I",
		"--max-new-tokens=16"); base.Out == attached.Out {
		t.Errorf("the adapter has no effect: %s", base.Out)
	}
	clitest.OK(t, command, "adapter", "merge", "--adapter", path("run"), "--output-dir", path("merged"))
	if merged := clitest.OK(t, command, "predict", "causal-lm", "--model", path("merged"), "--prompt=How do I",
		"--max-new-tokens=16"); merged.Out != attached.Out {
		t.Errorf("after merging %s, before %s", merged.Out, attached.Out)
	}
}

func TestGroups(t *testing.T) {
	clitest.Run(t, command).Refused(t, 2, "spalora: a command is missing; want one of finetune, predict, score, adapter")
	clitest.Run(t, command, "train").Refused(t, 2, `there is no command "train"`)
	clitest.Run(t, command, "finetune").Refused(t, 2, "spalora finetune: a command is missing")
	clitest.Run(t, command, "finetune", "ner").Refused(t, 2, `spalora finetune: there is no command "ner"`)
	for _, args := range []string{"summarise --model DIR", "summarise --quiet", "summarise -x"} {
		for _, group := range []string{"finetune", "predict"} {
			clitest.Run(t, command, append([]string{group}, strings.Fields(args)...)...).Refused(t, 2,
				`spalora `+group+`: there is no command "summarise"; want one of seq-cls, `)
		}
	}
	clitest.Run(t, command, "finetune", "seqcls", "--x").Refused(t, 2,
		`spalora finetune: there is no command "seqcls"; did you mean seq-cls? The commands are seq-cls, `)
	clitest.Run(t, command, "adapter", "mrge", "--adapter", "x").Refused(t, 2,
		`spalora adapter: there is no command "mrge"; did you mean merge? `+
			`The commands are combine, convert, diff, export, merge, reduce, show, unmerge, verify`)
	clitest.Run(t, command, "fintune", "seq-cls", "--model", "x").Refused(t, 2,
		`spalora: there is no command "fintune"; did you mean finetune? `)
	clitest.Run(t, command, "finetune", "--model", "x").Refused(t, 2,
		"spalora finetune: unknown flag: --model; begin with the name of a command, one of seq-cls, ")
	clitest.Run(t, command, "adapter", "merge", "--addapter", "x").Refused(t, 2,
		"spalora adapter merge: unknown flag: --addapter; did you mean adapter")
	clitest.Run(t, command, "--model", "x").Refused(t, 2, "spalora: unknown flag: --model")
}

// TestHelp prints help of every command: grouped flags, examples, no line too long.
func TestHelp(t *testing.T) {
	for _, path := range []string{"", "finetune", "finetune seq-cls", "finetune causal-lm", "predict", "predict seq-cls",
		"predict causal-lm", "predict tokenize", "adapter", "adapter merge", "adapter show"} {
		r := clitest.OK(t, command, append(strings.Fields(path), "--help")...)
		want := []string{"Usage:\n  spalora " + path}
		if strings.Contains(path, " ") {
			want = append(want, "\nExamples:\n", "  spalora "+path, "\nGeneral:\n", "--config file", "-h, --help")
		} else {
			want = append(want, "\nCommands:\n")
		}
		for _, text := range want {
			if !strings.Contains(r.Out, text) {
				t.Errorf("%s --help lacks %q:\n%s", path, text, r.Out)
			}
		}
		if strings.Contains(r.Out, "\n  completion ") {
			t.Errorf("%s --help speaks of the command completion", path)
		}
	}
	out := clitest.OK(t, command, "finetune", "seq-cls", "--help").Out
	for _, section := range []string{"Model and data", "How data files are read", "Adapter", "Task", "Training",
		"Optimiser", "Output, evaluation and checkpoints", "Messages"} {
		if !strings.Contains(out, "\n"+section+":\n") {
			t.Errorf("finetune seq-cls --help lacks the section %s", section)
		}
	}
}
