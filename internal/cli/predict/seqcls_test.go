package predict_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/golden"
)

// prediction is a row of the output.
type prediction struct {
	Label  any                `json:"label"`
	Score  any                `json:"score"`
	Logits []float32          `json:"logits"`
	Scores map[string]float64 `json:"scores"`
}

func fixture(t *testing.T, name string) clitest.Case {
	return clitest.ReadCase(t, filepath.Join(clitest.Testdata, "bert", name))
}

func seqCls(c clitest.Case, args ...string) []string {
	return append([]string{"seq-cls", "--quiet", "--model", c.Path("base"), "--adapter", c.Path("adapter_final"),
		"--problem-type", c.Problem}, args...)
}

// TestLogits compares with transformers and PEFT.
func TestLogits(t *testing.T) {
	for _, c := range clitest.Cases(t) {
		t.Run(filepath.Base(c.Dir), func(t *testing.T) {
			rows := strings.SplitAfter(clitest.Read(t, c.Path("train.jsonl")), "\n")
			in := clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"), strings.Join(rows[:c.BatchSize], ""))
			out := filepath.Join(t.TempDir(), "out.jsonl")
			clitest.OK(t, predict.Command, seqCls(c, "--input", in, "--output", out, "--logits")...)
			var got []float32
			for _, p := range clitest.Lines[prediction](t, clitest.Read(t, out)) {
				got = append(got, p.Logits...)
			}
			want := golden.Open(t, c.Path("expected.safetensors")).Float32("final.logits")
			if len(got) != len(want) {
				t.Fatalf("%d logits, want %d", len(got), len(want))
			}
			largest, worst := 0.0, 0.0
			for i, w := range want {
				largest, worst = max(largest, math.Abs(float64(w))), max(worst, math.Abs(float64(got[i]-w)))
			}
			if worst > 2e-5*largest {
				t.Errorf("logits differ by %.1e, the largest is %.3g", worst, largest)
			}
		})
	}
}

// TestSingleLabel checks what is written against its definition.
func TestSingleLabel(t *testing.T) {
	c := fixture(t, "query_value")
	r := clitest.OK(t, predict.Command, seqCls(c, "--input", c.Path("train.jsonl"), "--logits", "--all-scores")...)
	list := clitest.Lines[prediction](t, r.Out)
	if len(list) != 72 {
		t.Fatalf("%d rows, want 72", len(list))
	}
	names := []string{"negative", "positive", "mixed"}
	for i, p := range list {
		best, sum := 0, 0.0
		for j, x := range p.Logits {
			if x > p.Logits[best] {
				best = j
			}
			sum += math.Exp(float64(x))
		}
		if p.Label != names[best] {
			t.Errorf("row %d: label %v, the largest logit is that of %s", i, p.Label, names[best])
		}
		for j, name := range names {
			if want := math.Exp(float64(p.Logits[j])) / sum; math.Abs(p.Scores[name]-want) > 1e-6 {
				t.Errorf("row %d: %s has %v, want %v", i, name, p.Scores[name], want)
			}
		}
		if p.Score != p.Scores[names[best]] {
			t.Errorf("row %d: score %v is not that of the label, %v", i, p.Score, p.Scores)
		}
	}
	if first, _, _ := strings.Cut(r.Out, "\n"); !strings.Contains(first, `"scores":{"negative":`) {
		t.Errorf("the classes are not in their order: %s", first)
	}
}

func TestMultiLabel(t *testing.T) {
	c := fixture(t, "multi_label")
	r := clitest.OK(t, predict.Command, seqCls(c, "--input", c.Path("train.jsonl"), "--logits", "--all-scores")...)
	for i, p := range clitest.Lines[prediction](t, r.Out) {
		labels, scores := p.Label.([]any), p.Score.([]any)
		n := 0
		for j, x := range p.Logits {
			name := "LABEL_" + string(rune('0'+j))
			if want := 1 / (1 + math.Exp(-float64(x))); math.Abs(p.Scores[name]-want) > 1e-6 {
				t.Errorf("row %d: %s has %v, want %v", i, name, p.Scores[name], want)
			}
			if x <= 0 {
				continue
			}
			if n >= len(labels) || labels[n] != name || scores[n] != p.Scores[name] {
				t.Fatalf("row %d: labels %v, scores %v for logits %v", i, labels, scores, p.Logits)
			}
			n++
		}
		if n != len(labels) {
			t.Errorf("row %d: labels %v for logits %v", i, labels, p.Logits)
		}
	}
}

func TestRegression(t *testing.T) {
	c := fixture(t, "regression")
	r := clitest.OK(t, predict.Command, seqCls(c, "--input", c.Path("train.jsonl"), "--logits")...)
	for i, p := range clitest.Lines[prediction](t, r.Out) {
		if p.Label != nil || float32(p.Score.(float64)) != p.Logits[0] {
			t.Errorf("row %d: %+v", i, p)
		}
	}
	clitest.Run(t, predict.Command, seqCls(c, "--input", c.Path("train.jsonl"), "--all-scores")...).Refused(t, cli.Usage,
		"--all-scores", "regression")
}

// TestMetrics scores rows whose labels are in the input; those without do not count.
func TestMetrics(t *testing.T) {
	c := fixture(t, "query_value")
	list := clitest.Lines[prediction](t, clitest.OK(t, predict.Command,
		seqCls(c, "--input", c.Path("train.jsonl"), "--no-labels")...).Out)
	dir := t.TempDir()
	var b strings.Builder
	for i, row := range clitest.Lines[map[string]any](t, clitest.Read(t, c.Path("train.jsonl"))) {
		row["label"] = list[i].Label // so that all are right
		if i%3 == 1 {
			delete(row, "label")
		}
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	in := clitest.Write(t, filepath.Join(dir, "in.jsonl"), b.String())
	file := filepath.Join(dir, "metrics.json")
	args := seqCls(c, "--input", in, "--output", filepath.Join(dir, "out.jsonl"), "--metrics-file", file)
	args = append(args[:1:1], args[2:]...) // not quiet
	r := clitest.OK(t, predict.Command, args...)
	if !strings.Contains(r.Err, "48 labelled rows: accuracy 1.0000") {
		t.Errorf("standard error has\n%s", r.Err)
	}
	var got map[string]float64
	if err := json.Unmarshal([]byte(clitest.Read(t, file)), &got); err != nil {
		t.Fatal(err)
	}
	if got["accuracy"] != 1 || got["macro_f1"] != 1 || !(got["loss"] > 0) {
		t.Errorf("metrics are %v", got)
	}
	if n := strings.Count(clitest.Read(t, filepath.Join(dir, "out.jsonl")), "\n"); n != 72 {
		t.Errorf("%d rows, want 72", n)
	}
	for _, name := range []string{"multi_label", "regression"} {
		c := fixture(t, name)
		clitest.OK(t, predict.Command, seqCls(c, "--input", c.Path("train.jsonl"),
			"--metrics-file", filepath.Join(dir, name))...)
	}
}

// TestSources reads the same texts from the command line, from files of all formats and from standard input.
func TestSources(t *testing.T) {
	c := fixture(t, "save_pooler")
	dir := t.TempDir()
	want := clitest.OK(t, predict.Command, seqCls(c, "--text", "good, old bank", "--text-pair", "very slow",
		"--text", "the money", "--text-pair", "you")...).Out
	for name, text := range map[string]string{
		"a.csv": "text,text_pair,label\n\"good, old bank\",very slow,LABEL_1\nthe money,you,LABEL_0\n",
		"a.tsv": "text\ttext_pair\ngood, old bank\tvery slow\nthe money\tyou\n",
		"a.jsonl": "{\"text\": \"good, old bank\", \"text_pair\": \"very slow\", \"label\": 1}\n{\"text\": \"the " +
			"money\", \"text_pair\": \"you\"}\n",
	} {
		file := clitest.Write(t, filepath.Join(dir, name), text)
		if got := clitest.OK(t, predict.Command, seqCls(c, "--input", file)...).Out; got != want {
			t.Errorf("%s:\n%swant\n%s", name, got, want)
		}
		args := []string{"--input=-"}
		if name != "a.jsonl" {
			args = append(args, "--format="+name[2:])
		}
		if r := clitest.RunWith(t, t.Context(), text, predict.Command, seqCls(c, args...)...); r.Out != want {
			t.Errorf("%s on standard input:\n%s%swant\n%s", name, r.Out, r.Err, want)
		}
	}
	c = fixture(t, "query_value")
	one := clitest.OK(t, predict.Command, seqCls(c, "--text", "good, old bank", "--text", "the money")...).Out
	if r := clitest.RunWith(t, t.Context(), "good, old bank\nthe money\n", predict.Command, seqCls(c)...); r.Out != one {
		t.Errorf("plain text on standard input:\n%s%swant\n%s", r.Out, r.Err, one)
	}
}

// TestUnnamed predicts with an adapter of PEFT, which neither names its classes nor says what they are.
func TestUnnamed(t *testing.T) {
	c := fixture(t, "save_pooler")
	in := clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"),
		"{\"text\": \"a\", \"text_pair\": \"b\", \"label\": \"good\"}\n")
	args := []string{"seq-cls", "--model", c.Path("base"), "--adapter", c.Path("adapter_final"), "--input", in}
	r := clitest.OK(t, predict.Command, args...)
	if !strings.Contains(r.Err, "labels are not compared") || !strings.Contains(r.Out, `"label":"LABEL_`) {
		t.Error(r.Err, r.Out)
	}
	names := "--labels=good,bad"
	for i := 2; i < c.NumLabels; i++ {
		names += ",x" + string(rune('0'+i))
	}
	if r := clitest.OK(t, predict.Command, append(args, names)...); !strings.Contains(r.Err, "1 labelled rows: accuracy") {
		t.Error(r.Err)
	}
	clitest.Run(t, predict.Command, append(args, "--labels=good")...).Refused(t, cli.Usage, "--labels gives 1 names")
	c = fixture(t, "multi_label")
	r = clitest.OK(t, predict.Command, "seq-cls", "--model", c.Path("base"), "--adapter", c.Path("adapter_final"),
		"--input", c.Path("train.jsonl"))
	if !strings.Contains(r.Err, "micro_f1") || !strings.Contains(r.Out, `"label":[`) {
		t.Error(r.Err, r.Out)
	}
}

// TestHeads opens heads of checkpoints, and refuses random ones.
func TestHeads(t *testing.T) {
	c := fixture(t, "query_value") // whose base has a head
	if r := clitest.OK(t, predict.Command, "seq-cls", "--model", c.Path("base"),
		"--text", "good"); !strings.Contains(r.Out, `"score"`) {
		t.Error(r.Out)
	}
	clitest.Run(t, predict.Command, "seq-cls", "--text", "good").Refused(t, cli.BadInput, "no classification head",
		"random", "--adapter")
	c = fixture(t, "save_pooler")
	clitest.Run(t, predict.Command, "seq-cls", "--model", c.Path("base"), "--text", "good").Refused(t, cli.BadInput,
		"no classification head")
	headless := clitest.CopyDir(t, c.Path("adapter_final"))
	file := filepath.Join(headless, "adapter_model.safetensors")
	clitest.Rewrite(t, file, func(x safetensors.Tensor) (safetensors.Tensor, bool) {
		return x, !strings.Contains(x.Name, "classifier")
	})
	clitest.Run(t, predict.Command, "seq-cls", "--model", c.Path("base"), "--adapter", headless,
		"--text", "good").Refused(t, cli.BadInput, "neither the adapter nor the checkpoint")
}

// TestNothingLeft: where the rows cannot be written there are no metrics either.
func TestNothingLeft(t *testing.T) {
	c := fixture(t, "query_value")
	dir := t.TempDir()
	in := clitest.Write(t, filepath.Join(dir, "in.csv"), "text,label\ngood,positive\n")
	env := clitest.Env(strings.NewReader(""), nil, new(clitest.Buffer))
	env.Out = refusing{}
	code := cli.Run(t.Context(), env, predict.Command,
		seqCls(c, "--input", in, "--metrics-file", filepath.Join(dir, "m.json")))
	if _, err := os.Stat(filepath.Join(dir, "m.json")); code != cli.Failure || !os.IsNotExist(err) {
		t.Errorf("exit code %d, metrics: %v", code, err)
	}
}

// refusing is a full disk.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestNotANumber has weights that make logits NaN.
func TestNotANumber(t *testing.T) {
	c := fixture(t, "query_value")
	bad := clitest.CopyDir(t, c.Path("adapter_final"))
	clitest.Rewrite(t, filepath.Join(bad, "adapter_model.safetensors"),
		func(x safetensors.Tensor) (safetensors.Tensor, bool) {
			if strings.HasSuffix(x.Name, "classifier.bias") {
				copy(x.Data[4:], []byte{0, 0, 0xc0, 0x7f})
			}
			return x, true
		})
	out := filepath.Join(t.TempDir(), "out.jsonl")
	r := clitest.Run(t, predict.Command, "seq-cls", "--quiet", "--model", c.Path("base"), "--adapter", bad,
		"--input", c.Path("train.jsonl"), "--output", out)
	if r.Code != cli.Failure || !strings.Contains(r.Err, "train.jsonl:1: logit 1 is NaN") {
		t.Errorf("exit code %d\n%s", r.Code, r.Err)
	}
	nothingIn(t, filepath.Dir(out))
}
