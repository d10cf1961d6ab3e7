package qa_test

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

const qaContext = "we will send money . 😀 the film is very good . they lost it again and again , always and never ."

// qaAdapter trains an adapter for questions on the small model, and returns the flags that predict with it.
func qaAdapter(t *testing.T) []string {
	t.Helper()
	base := clitest.Small(t).Path("base")
	out := filepath.Join(t.TempDir(), "out")
	file := clitest.Write(t, filepath.Join(t.TempDir(), "train.jsonl"), qaRow("a", "good")+qaRow("b", "send money"))
	clitest.OK(t, finetune.Command, "question-answering", "--quiet", "--model", base, "--train-file", file,
		"--max-steps=30", "--batch-size=2", "--learning-rate=0.01",
		"--output-dir", out)
	return []string{"question-answering", "--quiet", "--model", base, "--adapter", out}
}

// qaRow is a question about the context in JSON Lines.
func qaRow(id, answer string) string {
	question := map[string]string{"good": "is the film good ?", "send money": "will they pay ?",
		"": "is the bank old ?"}[answer]
	row := map[string]any{"id": id, "question": question, "context": qaContext}
	answers := map[string]any{"text": []string{}, "answer_start": []int{}}
	if answer != "" {
		answers = map[string]any{"text": []string{answer},
			"answer_start": []int{len([]rune(qaContext[:strings.Index(qaContext, answer)]))}}
	}
	row["answers"] = answers
	text, _ := json.Marshal(row)
	return string(text) + "\n"
}

type qaSpan struct {
	Answer     string
	Start, End *int
	Score      float64
	StartLogit *float32 `json:"start_logit"`
	EndLogit   *float32 `json:"end_logit"`
}

type qaLine struct {
	qaSpan
	ID      string
	Diff    *float64 `json:"null_score_diff"`
	Answers []qaSpan
}

// check holds an answer to the context that it was found in.
func (s qaSpan) check(t *testing.T) {
	t.Helper()
	switch {
	case s.Start == nil && (s.End != nil || s.Answer != ""):
		t.Errorf("no answer, but %+v", s)
	case s.Start != nil && string([]rune(qaContext)[*s.Start:*s.End]) != s.Answer:
		t.Errorf("%d to %d is not %q", *s.Start, *s.End, s.Answer)
	case !(s.Score >= 0 && s.Score <= 1):
		t.Errorf("score %v", s.Score)
	}
}

// TestQAAnswers asks about a context behind a character of four bytes: on the command line, from a file, over windows
// of any size, with n-best answers, and as the official script reads them.
func TestQAAnswers(t *testing.T) {
	args := qaAdapter(t)
	ask := append(args, "--context", qaContext, "--question", "is the film good ?", "--question", "will they pay ?")
	lines := clitest.Lines[qaLine](t, clitest.OK(t, predict.Command, ask...).Out)
	if len(lines) != 2 || lines[0].ID != "1" || lines[0].Answer != "good" || lines[1].Answer != "send money" ||
		lines[0].Diff != nil || lines[0].Answers != nil {
		t.Fatalf("%+v", lines)
	}
	if lines[0].Start == nil || *lines[0].Start != 40 || *lines[0].End != 44 {
		t.Errorf("code points %+v", lines[0])
	}
	file := clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"), qaRow("x", "good")+qaRow("y", "send money"))
	whole := clitest.OK(t, predict.Command, append(args, "--input", file, "--all-answers", "--n-best-size=7",
		"--max-answer-length=3")...)
	for _, l := range clitest.Lines[qaLine](t, whole.Out) {
		l.check(t)
		sum := 0.0
		for i, a := range l.Answers {
			a.check(t)
			sum += a.Score
			if a.StartLogit == nil || a.EndLogit == nil || i > 0 && a.Score > l.Answers[i-1].Score ||
				len(strings.Fields(a.Answer)) > 3 {
				t.Errorf("answer %d: %+v", i, a)
			}
		}
		if len(l.Answers) < 2 || len(l.Answers) > 7 || l.Answers[0].Answer != l.Answer || math.Abs(sum-1) > 1e-6 {
			t.Errorf("%d answers, the scores are %v in all: %+v", len(l.Answers), sum, l)
		}
	}
	for _, flags := range [][]string{{"--tokens-per-batch=1"}, {"--threads=1"}} {
		flags = append(flags, "--input", file, "--all-answers", "--n-best-size=7", "--max-answer-length=3")
		if r := clitest.OK(t, predict.Command, append(args, flags...)...); r.Out != whole.Out {
			t.Errorf("%v changes the answers", flags)
		}
	}
	for _, l := range clitest.Lines[qaLine](t, clitest.OK(t, predict.Command,
		append(args, "--input", file, "--max-length=16", "--doc-stride=3")...).Out) {
		l.check(t)
	}
	squad := map[string]string{}
	r := clitest.OK(t, predict.Command, append(args, "--input", file, "--output-format=squad")...)
	if err := json.Unmarshal([]byte(r.Out), &squad); err != nil || squad["x"] != "good" || squad["y"] != "send money" ||
		len(squad) != 2 {
		t.Errorf("%v, %v", squad, err)
	}
}

// TestQABlankContext asks about a context that has no word: there is no answer, and with all answers an empty list of
// them.
func TestQABlankContext(t *testing.T) {
	args := qaAdapter(t)
	file := clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"),
		`{"id": "a", "question": "is it ?", "context": "  "}`+"\n")
	want := `{"id":"a","answer":"","start":null,"end":null,"score":0`
	for flag, end := range map[string]string{"--all-answers": `,"answers":[]}`, "--all-answers=false": "}"} {
		if r := clitest.OK(t, predict.Command, append(args, "--input", file, flag)...); r.Out != want+end+"\n" {
			t.Errorf("%s: %s", flag, r.Out)
		}
	}
}

// TestQANull predicts no answer, by threshold and by what the input has.
func TestQANull(t *testing.T) {
	args := qaAdapter(t)
	scores := filepath.Join(t.TempDir(), "m.json")
	file := clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"), qaRow("x", "good")+qaRow("z", ""))
	lines := clitest.Lines[qaLine](t, clitest.OK(t, predict.Command,
		append(args, "--input", file, "--metrics-file", scores, "--all-answers")...).Out)
	if len(lines) != 2 || lines[0].Diff == nil || lines[1].Diff == nil {
		t.Fatalf("%+v", lines)
	}
	for _, l := range lines {
		l.check(t)
		if null := l.Start == nil; null != (*l.Diff > 0) {
			t.Errorf("difference %v, %+v", *l.Diff, l.qaSpan)
		}
	}
	var m map[string]float64
	if err := json.Unmarshal([]byte(clitest.Read(t, scores)), &m); err != nil || len(m) != 10 {
		t.Errorf("%v, %v", m, err)
	}
	for threshold, null := range map[string]bool{"-100": true, "100": false} {
		for _, l := range clitest.Lines[qaLine](t, clitest.OK(t, predict.Command,
			append(args, "--input", file, "--null-score-diff-threshold="+threshold)...).Out) {
			if (l.Start == nil) != null {
				t.Errorf("threshold %s: %+v", threshold, l.qaSpan)
			}
		}
	}
	for _, l := range clitest.Lines[qaLine](t, clitest.OK(t, predict.Command,
		append(args, "--input", file, "--version-2-with-negative=false")...).Out) {
		if l.Start == nil || l.Diff != nil {
			t.Errorf("without null answers: %+v", l)
		}
	}
}

func TestQAPredictRefused(t *testing.T) {
	dir := t.TempDir()
	base := clitest.Small(t)
	adapter := qaAdapter(t)[5]
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	in := file("in.jsonl", qaRow("a", "good"))
	bare := file("bare.jsonl", `{"question": "is it ?", "context": "it is ."}`+"\n")
	one := []string{"--question", "is it ?", "--context", "it is ."}
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no input file", []string{"--input", "none.json"}, 3, []string{"none.json", "no such file"}},
		{"empty file", []string{"--input", file("empty.jsonl", "")}, 3, []string{"empty.jsonl", "empty"}},
		{"no key", []string{"--input", file("k.jsonl", `{"question": "x"}`+"\n")}, 3, []string{"k.jsonl:1", "context"}},
		{"no metrics", []string{"--input", bare, "--metrics-file", filepath.Join(dir, "m")}, 3,
			[]string{"bare.jsonl", "no question has answers"}},
		{"two inputs", append([]string{"--input", in}, one...), 2, []string{"--input and --question"}},
		{"question only", one[:2], 2, []string{"--question and --context"}},
		{"contexts", append([]string{"--context", "x", "--question", "a", "--question", "b"}, one...), 2,
			[]string{"2 times --context for 3 times --question"}},
		{"empty question", []string{"--question", " ", "--context", "x"}, 2, []string{"is empty"}},
		{"columns", append([]string{"--id-column", "x"}, one...), 2, []string{"--id-column is for files"}},
		{"metrics of a question", append([]string{"--metrics-file", "m"}, one...), 2, []string{"--metrics-file"}},
		{"labels and none", []string{"--input", in, "--no-labels", "--strict"}, 2, []string{"--no-labels"}},
		{"format", []string{"--input", in, "--output-format", "csv"}, 2, []string{`--output-format is "csv"`}},
		{"squad with n-best", []string{"--input", in, "--output-format", "squad", "--all-answers"}, 2,
			[]string{"--all-answers"}},
		{"length", []string{"--input", in, "--max-length", "41"}, 2,
			[]string{"--max-length is 41; want 1 to 40, the positions"}},
		{"no room", []string{"--input", in, "--max-length", "8"}, 3, []string{"in.jsonl:1", "max length 8"}},
		{"threshold", []string{"--input", in, "--null-score-diff-threshold", "1"}, 2, []string{"--version-2-with-negative"}},
		{"threads", []string{"--input", in, "--threads", "-2"}, 2, []string{"--threads is -2"}},
		{"output exists", []string{"--input", in, "--output", in}, 2, []string{"in.jsonl"}},
		{"adapter of another task", append([]string{"--adapter", base.Path("adapter_final")}, one...), 3,
			[]string{"SEQ_CLS", "question answering"}},
		{"no adapter", append([]string{"--adapter", "none"}, one...), 3, []string{"--adapter none"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			args := append([]string{"question-answering", "--quiet", "--model", base.Path("base"), "--adapter", adapter},
				x.args...)
			clitest.Run(t, predict.Command, args...).Refused(t, x.code, x.want...)
		})
	}
	bareBase := append([]string{"question-answering", "--quiet", "--model", base.Path("base")}, one...)
	clitest.Run(t, predict.Command, bareBase...).Refused(t, cli.BadInput, "qa_outputs", "--adapter")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := clitest.RunWith(t, ctx, clitest.Read(t, in), predict.Command, "question-answering", "--model",
		base.Path("base"), "--adapter", adapter)
	if r.Code != cli.Cancelled || r.Out != "" {
		t.Errorf("stopped: exit code %d, output %q", r.Code, r.Out)
	}
}

// TestQARemembersNull trains on questions without an answer: predict may answer nothing without a flag, although the
// input has no answers.
func TestQARemembersNull(t *testing.T) {
	base := clitest.Small(t).Path("base")
	dir := t.TempDir()
	train := func(name, rows string) string {
		t.Helper()
		file, out := clitest.Write(t, filepath.Join(dir, name+".jsonl"), rows), filepath.Join(dir, name)
		clitest.OK(t, finetune.Command, "question-answering", "--quiet", "--model", base, "--train-file", file,
			"--max-steps=1", "--output-dir", out)
		return out
	}
	ask := []string{"question-answering", "--quiet", "--model", base, "--context", qaContext, "--question",
		"is the film good ?", "--adapter"}
	for _, x := range []struct {
		name string
		args []string
		null bool
	}{
		{"some", []string{train("some", qaRow("a", "good")+qaRow("b", ""))}, true},
		{"none", []string{train("none", qaRow("a", "good"))}, false},
		{"refused", []string{filepath.Join(dir, "some"), "--version-2-with-negative=false"}, false},
	} {
		lines := clitest.Lines[qaLine](t, clitest.OK(t, predict.Command, append(ask, x.args...)...).Out)
		if got := lines[0].Diff != nil; got != x.null {
			t.Errorf("%s: null_score_diff is written: %v", x.name, got)
		}
	}
}
