package multiplechoice_test

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/golden"
)

// choiceRow is a row of the output.
type choiceRow struct {
	ID     string    `json:"id"`
	Choice int       `json:"choice"`
	Text   string    `json:"text"`
	Score  float64   `json:"score"`
	Logits []float64 `json:"logits"`
	Scores []float64 `json:"scores"`
}

// question is a row of the fixture.
type question struct {
	ID       string   `json:"id"`
	Context  string   `json:"context"`
	Question string   `json:"question"`
	Choices  []string `json:"choices"`
	Label    int      `json:"label"`
}

var choiceDir = filepath.Join(clitest.Testdata, "choice") // reference/choice_fixtures.py

func multipleChoice(args ...string) []string {
	return append([]string{"multiple-choice", "--quiet", "--adapter", filepath.Join(choiceDir, "adapter_final"),
		"--max-length", "28", "--logits", "--all-scores"}, args...)
}

// TestMultipleChoice compares logits with those of transformers and PEFT on the embedded model, and the other fields
// with their definitions.
func TestMultipleChoice(t *testing.T) {
	in := filepath.Join(choiceDir, "test.jsonl")
	scores := filepath.Join(t.TempDir(), "m.json")
	r := clitest.OK(t, predict.Command, multipleChoice("--input", in, "--metrics-file", scores)...)
	rows, questions := clitest.Lines[choiceRow](t, r.Out), clitest.Lines[question](t, clitest.Read(t, in))
	want := golden.Open(t, filepath.Join(choiceDir, "expected.safetensors")).Float32("final.logits")
	largest := 0.0
	for _, x := range want {
		largest = math.Max(largest, math.Abs(float64(x)))
	}
	right, at := 0, 0
	for i, q := range questions {
		p := rows[i]
		if p.ID != q.ID || len(p.Logits) != len(q.Choices) || p.Text != q.Choices[p.Choice] || p.Score != p.Scores[p.Choice] {
			t.Fatalf("row %d: %+v of %+v", i, p, q)
		}
		sum, best := 0.0, slices.Index(p.Logits, slices.Max(p.Logits))
		for k, x := range p.Logits {
			if d := math.Abs(x - float64(want[at+k])); d > 2e-5*largest {
				t.Errorf("%s: logit %d is %v, PEFT's %v", q.ID, k, x, want[at+k])
			}
			sum += math.Exp(x)
		}
		for k, x := range p.Logits {
			if d := math.Abs(p.Scores[k] - math.Exp(x)/sum); d > 1e-6 {
				t.Errorf("%s: score %d is %v of the logits %v", q.ID, k, p.Scores[k], p.Logits)
			}
		}
		if p.Choice != best {
			t.Errorf("%s: choice %d of %v", q.ID, p.Choice, p.Logits)
		}
		if best == q.Label {
			right++
		}
		at += len(q.Choices)
	}
	if at != len(want) || len(rows) != len(questions) {
		t.Errorf("%d logits of %d, %d rows of %d", at, len(want), len(rows), len(questions))
	}
	var metrics struct {
		Accuracy float64 `json:"accuracy"`
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, scores)), &metrics); err != nil ||
		metrics.Accuracy != float64(right)/float64(len(rows)) {
		t.Errorf("%+v, %v, but %d of %d are right", metrics, err, right, len(rows))
	}
	q, args := questions[0], multipleChoice("--context", questions[0].Context, "--question", questions[0].Question)
	for _, c := range q.Choices {
		args = append(args, "--choice", c)
	}
	one := clitest.Lines[choiceRow](t, clitest.OK(t, predict.Command, args...).Out)
	if len(one) != 1 || !slices.Equal(one[0].Logits, rows[0].Logits) || one[0].ID != "" {
		t.Errorf("one question on the command line: %+v, in the file %+v", one, rows[0])
	}
	piped := clitest.RunWith(t, t.Context(), clitest.Read(t, in), predict.Command, multipleChoice("--no-labels")...)
	if piped.Code != 0 || piped.Out != r.Out {
		t.Errorf("standard input: %d %s", piped.Code, piped.Err)
	}
}

func TestMultipleChoicePredictionRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	in := file("in.jsonl", `{"context":"a","choices":["b","c"]}`+"\n")
	c := clitest.Small(t)
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no input file", []string{"--input", "none.jsonl"}, 3, []string{"none.jsonl", "no such file"}},
		{"empty file", []string{"--input", file("e.jsonl", "")}, 3, []string{"e.jsonl", "empty"}},
		{"wrong label", []string{"--input", file("l.jsonl", `{"context":"a","choices":["b","c"],"label":5}`)}, 3,
			[]string{"l.jsonl:1", "the label 5 is none of the 2 choices"}},
		{"two labels", []string{"--input", file("two.csv", "question,choice1,choice2,label,answer\nq,a,b,0,1\n")}, 3,
			[]string{"two.csv:1", `the label may be "label" or "answer"`, "--label-column (or --no-labels)"}},
		{"no labels for metrics", []string{"--input", in, "--metrics-file", filepath.Join(dir, "m.json")}, 3,
			[]string{"in.jsonl", "no question has a label"}},
		{"two inputs", []string{"--input", in, "--context", "a", "--choice", "b", "--choice", "c"}, 2,
			[]string{"--input and --choice"}},
		{"one choice", []string{"--context", "a", "--choice", "b"}, 2, []string{"--choice is given 1 times"}},
		{"empty choice", []string{"--context", "a", "--choice", "b", "--choice", " "}, 2, []string{"a --choice is empty"}},
		{"choices of nothing", []string{"--choice", "b", "--choice", "c"}, 2,
			[]string{"--choice needs --context, --question or both"}},
		{"column of a question", []string{"--context", "a", "--choice", "b", "--choice", "c", "--label-column", "x"}, 2,
			[]string{"--label-column is for files"}},
		{"metrics of a question", []string{"--context", "a", "--choice", "b", "--choice", "c", "--metrics-file", "m"}, 2,
			[]string{"--metrics-file needs"}},
		{"labels and none", []string{"--input", in, "--no-labels", "--label-column", "x"}, 2,
			[]string{"--no-labels excludes"}},
		{"length", []string{"--input", in, "--max-length", "600"}, 2,
			[]string{"--max-length is 600; want 1 to 512, the positions"}},
		{"no room", []string{"--input", in, "--max-length", "2"}, 2, []string{"--max-length is 2"}},
		{"truncation", []string{"--input", in, "--truncation", "x"}, 2, []string{"--truncation"}},
		{"tokens", []string{"--input", in, "--tokens-per-batch", "0"}, 2,
			[]string{"--tokens-per-batch is 0", "want more than 0"}},
		{"output is the input", []string{"--input", in, "--output", in, "--overwrite"}, 2, []string{"this is the input"}},
		{"no adapter", []string{"--input", in, "--adapter", "none"}, 3, []string{"--adapter none", "no such directory"}},
		{"adapter is empty", []string{"--input", in, "--adapter", ""}, 2, []string{"--adapter is empty"}},
		{"an adapter with another head", []string{"--input", in, "--model", c.Path("base"), "--adapter",
			c.Path("adapter_final")}, 3, []string{"classifier"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := clitest.Tree(t, dir)
			args := append([]string{"multiple-choice", "--quiet", "--adapter", filepath.Join(choiceDir, "adapter_final")},
				x.args...)
			clitest.Run(t, predict.Command, args...).Refused(t, x.code, append(x.want, "predict multiple-choice: ")...)
			if after := clitest.Tree(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	clitest.Run(t, predict.Command, "multiple-choice", "--input", in).Refused(t, 3, "classifier.weight", "random",
		"--adapter")
}
