package qa_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// questionRows are questions whose answers are the word behind "is", in words that the small model's tokenizer knows.
func questionRows(n int, contextWords int) string {
	things := []string{"film", "book", "card", "bank", "time", "day"}
	kinds := []string{"good", "bad", "great", "poor", "new", "old", "fast", "slow"}
	var b strings.Builder
	for i := range n {
		thing, kind := things[i%len(things)], kinds[(i*5+i/6)%len(kinds)]
		before := strings.Repeat("we will send money . ", i%3)
		context := before + "the " + thing + " is very " + kind + " . " +
			strings.Repeat("they lost it again . ", contextWords/5)
		start := len(before) + len("the "+thing+" is very ")
		fmt.Fprintf(&b,
			`{"id": "q%d", "question": "is the %s ?", "context": %q, "answers": {"text": [%q], "answer_start": [%d]}}`+"\n",
			i, thing, context, kind, start)
	}
	return b.String()
}

// qaArgs trains on a small file for two steps.
func qaArgs(t *testing.T, args ...string) []string {
	t.Helper()
	file := clitest.Write(t, filepath.Join(t.TempDir(), "train.jsonl"), questionRows(24, 20))
	return append([]string{"question-answering", "--quiet", "--model", clitest.Small(t).Path("base"), "--train-file",
		file, "--max-steps=2", "--batch-size=4"}, args...)
}

// TestQuestionAnswering looks at what a run leaves, and that predict makes of it the metrics that the run printed.
func TestQuestionAnswering(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	test := clitest.Write(t, filepath.Join(dir, "test.jsonl"), questionRows(12, 30))
	args := slices.DeleteFunc(qaArgs(t, "--output-dir", out, "--validation-split=0.3", "--test-file", test,
		"--max-length=32", "--max-answer-length=5"),
		func(a string) bool { return a == "--quiet" })
	r := clitest.OK(t, finetune.Command, args...)
	want := []string{"adapter_config.json", "adapter_model.safetensors", "metrics.jsonl", "results.json"}
	checkpoint := func(n string) bool { return n == "last" || strings.HasPrefix(n, "checkpoint-") }
	if got := slices.DeleteFunc(clitest.Names(t, out), checkpoint); !slices.Equal(got, want) {
		t.Errorf("the directory has %v, want %v", got, want)
	}
	var config struct {
		Task  *string  `json:"task_type"`
		Saved []string `json:"modules_to_save"`
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "adapter_config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	if config.Task != nil || !slices.Contains(config.Saved, "qa_outputs") {
		t.Errorf("task_type %v, modules_to_save %v; want null and qa_outputs", config.Task, config.Saved)
	}
	for _, text := range []string{
		"windows of at most 32 tokens", "overlap by half of what they hold", "qa_outputs.weight",
	} {
		if !strings.Contains(r.Err, text) {
			t.Errorf("the log lacks %q:\n%s", text, r.Err)
		}
	}
	if !strings.Contains(r.Out, "test, 12 rows: f1 ") || !strings.Contains(r.Out, "exact_match ") {
		t.Errorf("standard output:\n%s", r.Out)
	}
	var results struct{ Test map[string]float64 }
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "results.json"))), &results); err != nil {
		t.Fatal(err)
	}
	scores := filepath.Join(dir, "scores.json")
	clitest.OK(t, predict.Command, "question-answering", "--quiet", "--model", clitest.Small(t).Path("base"),
		"--adapter", out, "--input", test, "--metrics-file", scores)
	var again map[string]float64
	if err := json.Unmarshal([]byte(clitest.Read(t, scores)), &again); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"f1", "exact_match"} {
		if a, b := results.Test[name], again[name]; a != b || len(again) != 2 {
			t.Errorf("%s: %v after training, %v of predict: %v", name, a, b, again)
		}
	}
	if loss := results.Test["loss"]; math.IsNaN(loss) || loss <= 0 {
		t.Errorf("the loss is %v", loss)
	}
}

// TestQAOverfit memorises questions over several windows, some of them without an answer.
func TestQAOverfit(t *testing.T) {
	dir := t.TempDir()
	rows := questionRows(12, 30) +
		`{"id": "none", "question": "can you pay ?", "context": "they lost it again . we will send money .", ` +
		`"answers": {"text": [], "answer_start": []}}` + "\n"
	file := clitest.Write(t, filepath.Join(dir, "train.jsonl"), rows)
	out := filepath.Join(dir, "out")
	clitest.OK(t, finetune.Command, "question-answering", "--quiet", "--model", clitest.Small(t).Path("base"),
		"--train-file", file, "--test-file", file, "--output-dir", out,
		"--max-steps=120", "--batch-size=8", "--learning-rate=0.005", "--target-modules=all-linear", "--max-length=30",
		"--dropout=0")
	var results struct{ Test map[string]float64 }
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "results.json"))), &results); err != nil {
		t.Fatal(err)
	}
	if results.Test["f1"] < 95 || results.Test["NoAns_exact"] != 100 || len(results.Test) != 11 {
		t.Errorf("memorised: %v", results.Test)
	}
}

// TestQAResume continues after a stop, and from a checkpoint, with the bytes of a run that was never stopped; other
// windows are an error.
func TestQAResume(t *testing.T) {
	args := qaArgs(t, "--max-steps=6", "--dropout=0.1", "--lora-dropout=0.2", "--validation-split=0.25",
		"--eval-steps=2", "--max-length=30",
		"--doc-stride=5", "--save-steps=1", "--keep-checkpoints=0")
	whole := filepath.Join(t.TempDir(), "whole")
	clitest.OK(t, finetune.Command, append(args, "--output-dir", whole)...)
	compare := func(dir string) {
		t.Helper()
		for _, name := range []string{"adapter_model.safetensors", "adapter_config.json"} {
			if clitest.Read(t, filepath.Join(dir, name)) != clitest.Read(t, filepath.Join(whole, name)) {
				t.Errorf("%s has other bytes than that of the run without a stop", name)
			}
		}
		if a, b := clitest.Metrics(t, dir), clitest.Metrics(t, whole); a != b {
			t.Errorf("metrics.jsonl is\n%s\nwant\n%s", a, b)
		}
	}
	other := filepath.Join(t.TempDir(), "other")
	clitest.OK(t, finetune.Command, append(args, "--output-dir", other, "--threads=1", "--resume-from-checkpoint",
		filepath.Join(whole, "checkpoint-3"))...)
	compare(other)
	stopped := filepath.Join(t.TempDir(), "stopped")
	r := clitest.StopAfterFirstStep(t, finetune.Command, append(args, "--output-dir", stopped)...)
	if r.Code != cli.Cancelled || !slices.Contains(clitest.Names(t, stopped), "adapter_model.safetensors") {
		t.Fatalf("exit code %d, want %d\n%s", r.Code, cli.Cancelled, r.Err)
	}
	clitest.OK(t, finetune.Command, append(args, "--resume-from-checkpoint", stopped)...)
	compare(stopped)
	for flag, want := range map[string]string{
		"--doc-stride=6": "doc_stride", "--max-length=31": "max_length", "--max-query-length=30": "max_query_length",
		"--max-answer-length=7": "max_answer_length",
	} {
		clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", whole, flag)...).Refused(t, cli.Usage, want)
	}
}

// TestQAZeroTypes continues from an adapter for QUESTION_ANS on a model with token types: PEFT would give it none.
func TestQAZeroTypes(t *testing.T) {
	first := filepath.Join(t.TempDir(), "first")
	clitest.OK(t, finetune.Command, qaArgs(t, "--output-dir", first)...)
	for _, name := range []string{"QUESTION_ANS", "QUESTION_ANSWERING"} {
		named := clitest.CopyDir(t, first)
		file := filepath.Join(named, "adapter_config.json")
		clitest.Write(t, file, strings.Replace(clitest.Read(t, file), `"task_type":null`,
			fmt.Sprintf(`"task_type":%q`, name), 1))
		if text := strings.ReplaceAll(clitest.Read(t, file), " ", ""); !strings.Contains(text, name) {
			clitest.Write(t, file, strings.Replace(clitest.Read(t, file), `"task_type": null`,
				fmt.Sprintf(`"task_type": %q`, name), 1))
		}
		out := filepath.Join(t.TempDir(), "out")
		r := clitest.OK(t, finetune.Command, qaArgs(t, "--adapter", named, "--output-dir", out)...)
		if !strings.Contains(r.Err, "gives every token the type 0") {
			t.Errorf("%s: the log does not say that there are no token types:\n%s", name, r.Err)
		}
		if text := clitest.Read(t, filepath.Join(out, "adapter_config.json")); !strings.Contains(text, `"QUESTION_ANS"`) {
			t.Errorf("%s: the adapter has become %s", name, text)
		}
		plain := filepath.Join(t.TempDir(), "plain")
		r = clitest.OK(t, finetune.Command, qaArgs(t, "--adapter", first, "--output-dir", plain)...)
		if strings.Contains(r.Err, "type 0") {
			t.Errorf("an adapter without a task type runs without token types:\n%s", r.Err)
		}
		if clitest.Metrics(t, out) == clitest.Metrics(t, plain) {
			t.Errorf("%s: token types make no difference", name)
		}
	}
}

// TestQARefused gives flags, files and adapters that have no meaning (C7, D10).
func TestQARefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	row := func(id, answers string) string {
		return fmt.Sprintf(`{"id": %q, "question": "is the film good ?", "context": "the film is good .", "answers": %s}`,
			id, answers) + "\n"
	}
	good := row("a", `{"text": ["good"], "answer_start": [12]}`)
	misplaced := row("b", `{"text": ["good"], "answer_start": [1]}`)
	long := file("long.jsonl", strings.Replace(good, "is the film good ?", strings.Repeat("is the film good ? ", 9), 1))
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no file", []string{"--train-file", "none.json"}, 3, []string{"none.json", "no such file"}},
		{"directory", []string{"--train-file", dir}, 3, []string{dir, "directory"}},
		{"empty", []string{"--train-file", file("empty.json", "")}, 3, []string{"empty.json", "empty"}},
		{"not JSON", []string{"--train-file", file("bad.jsonl", good+"{\"id\": \n")}, 3, []string{"bad.jsonl:2"}},
		{"ending", []string{"--train-file", file("a.csv", "id,question\n")}, 2, []string{"a.csv", "SQuAD JSON"}},
		{"no such key", []string{"--question-column", "q"}, 3, []string{"--question-column", `"q"`}},
		{"no answers", []string{"--train-file", file("none.jsonl", `{"id": "a", "question": "x ?", "context": "y"}`+"\n")},
			3, []string{"none.jsonl", "answers"}},
		{"misplaced, strict", []string{"--train-file", file("m.jsonl", good+misplaced), "--strict"}, 3,
			[]string{"m.jsonl:2"}},
		{"nothing to learn", []string{"--train-file", file("n.jsonl", row("a", `{"text": ["bad"], "answer_start": [1]}`))},
			3, []string{"n.jsonl", "nothing to learn"}},
		{"question alone", []string{"--train-file", long}, 3,
			[]string{"long.jsonl:1", "45 tokens", "max length 40", "--max-query-length"}},
		{"stride", []string{"--max-length=20", "--doc-stride=13"}, 3,
			[]string{"train.jsonl:1", "room for 13 tokens", "stride is 13"}},
		{"length", []string{"--max-length=41"}, 2, []string{"--max-length is 41; want 1 to 40, the positions"}},
		{"negative", []string{"--doc-stride=-1", "--max-query-length=-2"}, 2,
			[]string{"--doc-stride is -1", "--max-query-length is -2"}},
		{"answer length", []string{"--max-answer-length=-1", "--n-best-size=-1"}, 2,
			[]string{"--max-answer-length is -1", "--n-best-size is -1"}},
		{"no answer length", []string{"--max-answer-length=0"}, 2, []string{"--max-answer-length is 0", "30"}},
		{"no n-best size", []string{"--n-best-size=0"}, 2, []string{"--n-best-size is 0", "20"}},
		{"threshold", []string{"--null-score-diff-threshold=1"}, 2,
			[]string{"--null-score-diff-threshold", "--version-2-with-negative"}},
		{"metric", []string{"--validation-split=0.3", "--metric-for-best-model=accuracy"}, 2,
			[]string{`--metric-for-best-model is "accuracy"`, "exact_match"}},
		{"adapter of another task", []string{"--adapter", clitest.Small(t).Path("adapter_init")}, 3,
			[]string{"SEQ_CLS", "question answering"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			clitest.Run(t, finetune.Command, qaArgs(t, append(x.args, "--output-dir", out)...)...).Refused(t, x.code, x.want...)
			clitest.NothingIn(t, filepath.Dir(out))
		})
	}
	clitest.Run(t, finetune.Command, "question-answering", "--context-column", "x").Refused(t, cli.Usage,
		"--context-column needs --train-file")
	some := file("some.jsonl", good+misplaced+row("c", `{"text": ["bad"], "answer_start": [1]}`))
	r := clitest.OK(t, finetune.Command, qaArgs(t, "--train-file", some, "--output-dir", filepath.Join(dir, "some"))...)
	for _, want := range []string{
		"2 answers of the whole file not at answer_start", "1 question without an answer whose place is known",
	} {
		if !strings.Contains(r.Err, want) {
			t.Errorf("the log lacks %q:\n%s", want, r.Err)
		}
	}
}

// TestQALoggedOnce holds out a part of a file with a misplaced answer, in a row that is used or not, and reads files
// with answers that no window holds: each is logged once for its file, with what it means.
func TestQALoggedOnce(t *testing.T) {
	dir := t.TempDir()
	misplaced := strings.Replace(questionRows(1, 0), `"answer_start": [`, `"answer_start": [1`, 1)
	file := clitest.Write(t, filepath.Join(dir, "m.jsonl"), questionRows(12, 20)+strings.Replace(misplaced, "q0", "x", 1))
	for _, limit := range []string{"0", "8"} {
		r := clitest.OK(t, finetune.Command, qaArgs(t, "--train-file", file, "--validation-split=0.3",
			"--max-train-samples", limit, "--output-dir", filepath.Join(dir, "m"+limit))...)
		if n := strings.Count(r.Err, "1 answer of the whole file not at answer_start"); n != 1 {
			t.Errorf("limit %s: logged %d times:\n%s", limit, n, r.Err)
		}
	}
	lost := strings.NewReplacer("is very good .", "is very "+strings.Repeat("good ", 40)+".", `["good"]`,
		fmt.Sprintf("[%q]", strings.TrimSpace(strings.Repeat("good ", 40))))
	file = clitest.Write(t, filepath.Join(dir, "lost.jsonl"), lost.Replace(questionRows(12, 20)))
	r := clitest.OK(t, finetune.Command, qaArgs(t, "--train-file", file, "--eval-file", file, "--test-file", file,
		"--max-length=32", "--output-dir", filepath.Join(dir, "lost"))...)
	for want, times := range map[string]int{
		"not within one window: they are learned as questions without an answer": 1,
		"not within one window: it cannot be predicted as a whole":               2,
	} {
		if n := strings.Count(r.Err, want); n != times {
			t.Errorf("%q is logged %d times, want %d:\n%s", want, n, times, r.Err)
		}
	}
}
