package tokencls_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
)

var (
	tokenDir  = filepath.Join(clitest.Testdata, "minilm_tokens")
	tokenTest = filepath.Join(tokenDir, "test.jsonl")
)

// tokenCls returns the flags that predict with the embedded MiniLM and an adapter of the fixture.
func tokenCls(args ...string) []string {
	return append([]string{"token-cls", "--quiet", "--adapter", filepath.Join(tokenDir, "adapter_init")}, args...)
}

// tokenPrediction is a row of the output.
type tokenPrediction struct {
	Entities []struct {
		Group      string `json:"entity_group"`
		Tag        string `json:"entity"`
		Score      float64
		Index      int
		Word       string
		Start, End int
	}
	Words  [][2]int
	Tags   []*string
	Scores []*float64
}

// TestPredictWords reads words: one tag for each, entities in the words joined by blanks, and metrics.
func TestPredictWords(t *testing.T) {
	out, scores := filepath.Join(t.TempDir(), "out.jsonl"), filepath.Join(t.TempDir(), "m.json")
	clitest.OK(t, predict.Command, tokenCls("--input", tokenTest, "--output", out, "--metrics-file", scores)...)
	rows := clitest.Lines[struct{ Tokens, Tags []string }](t, clitest.Read(t, tokenTest))
	list := clitest.Lines[tokenPrediction](t, clitest.Read(t, out))
	if len(list) != len(rows) || len(rows) == 0 {
		t.Fatalf("%d rows, want %d", len(list), len(rows))
	}
	right, words := 0, 0
	for i, p := range list {
		text := []rune(strings.Join(rows[i].Tokens, " "))
		if len(p.Tags) != len(rows[i].Tokens) || len(p.Scores) != len(p.Tags) || p.Words != nil {
			t.Fatalf("row %d: %d tags for %d words", i, len(p.Tags), len(rows[i].Tokens))
		}
		for j, tag := range p.Tags {
			if words++; *tag == rows[i].Tags[j] {
				right++
			}
			if *p.Scores[j] <= 1.0/9 || *p.Scores[j] > 1 {
				t.Errorf("row %d: score %v of the most probable of nine tags", i, *p.Scores[j])
			}
		}
		for _, e := range p.Entities {
			if e.Word != string(text[e.Start:e.End]) || e.Group == "" || strings.HasPrefix(e.Group, "B-") {
				t.Errorf("row %d: %+v in %q", i, e, string(text))
			}
		}
	}
	var m map[string]float64
	if err := json.Unmarshal([]byte(clitest.Read(t, scores)), &m); err != nil {
		t.Fatal(err)
	}
	if want := float64(right) / float64(words); m["accuracy"] != want || m["f1"] <= 0 || m["loss"] <= 0 || len(m) != 5 {
		t.Errorf("metrics %v; accuracy is %v", m, want)
	}
	r := clitest.OK(t, predict.Command, tokenCls("--input", tokenTest, "--tokens-per-batch=64", "--threads=1")...)
	if r.Out != clitest.Read(t, out) {
		t.Error("batches and threads change the output")
	}
}

// TestPredictTexts reads raw texts from the command line, from a file and from standard input.
func TestPredictTexts(t *testing.T) {
	texts := []string{"Łukasz comes at 7:30 pm", "", "nothing\u200b"}
	r := clitest.OK(t, predict.Command, tokenCls("--text", texts[0], "--text", texts[1], "--text", texts[2], "--words")...)
	list := clitest.Lines[tokenPrediction](t, r.Out)
	if len(list) != 3 || len(list[0].Words) != 7 || len(list[0].Tags) != 7 || list[0].Words[4] != [2]int{17, 18} ||
		list[1].Entities == nil || len(list[1].Words) != 0 {
		t.Fatalf("%s", r.Out)
	}
	file := clitest.Write(t, filepath.Join(t.TempDir(), "texts.txt"), strings.Join(texts, "\n")+"\n")
	if again := clitest.OK(t, predict.Command, tokenCls("--input", file, "--words")...); again.Out != r.Out {
		t.Errorf("of a file %s, of the command line %s", again.Out, r.Out)
	}
	piped := clitest.RunWith(t, t.Context(), strings.Join(texts, "\n")+"\n", predict.Command, tokenCls("--words")...)
	if piped.Out != r.Out {
		t.Errorf("of standard input %s, of the command line %s\n%s", piped.Out, r.Out, piped.Err)
	}
	none := clitest.Lines[tokenPrediction](t, clitest.OK(t, predict.Command,
		tokenCls("--text", texts[0], "--aggregation-strategy", "none")...).Out)
	for _, e := range none[0].Entities {
		if e.Tag == "" || e.Group != "" || e.Index == 0 || e.Tag == "O" {
			t.Errorf("token %+v", e)
		}
	}
	odd := clitest.OK(t, predict.Command, tokenCls("--text", "Anna ❤ at 7 ❤ pm ❤ or 7 ❤",
		"--aggregation-strategy", "none")...)
	if strings.Contains(odd.Out, "[UNK]") || !strings.Contains(odd.Out, "❤") {
		t.Errorf("unknown words are not spelled as in the text: %s", odd.Out)
	}
	if rows := clitest.OK(t, predict.Command, tokenCls("--text", " ", "--words")...); !strings.Contains(rows.Out,
		`"words":[],"tags":[],"scores":[]`) {
		t.Errorf("of a blank text: %s", rows.Out)
	}
	if e := none[0].Entities; len(e) == 0 || e[1].Word != "##uka" && e[1].Word != "##kas" {
		t.Errorf("tokens %+v", e)
	}
}

// TestPredictLong reads a text that is longer than the limit in windows, or cuts it.
func TestPredictLong(t *testing.T) {
	text := strings.Repeat("for Anna at 7 pm ", 12)
	windows := clitest.Lines[tokenPrediction](t, clitest.OK(t, predict.Command,
		tokenCls("--text", text, "--words", "--max-length=16")...).Out)[0]
	for i, tag := range windows.Tags {
		if tag == nil {
			t.Errorf("word %d has no tag", i)
		}
	}
	r := clitest.OK(t, predict.Command, tokenCls("--text", text, "--words", "--max-length=16", "--stride=-1")...)
	cut := clitest.Lines[tokenPrediction](t, r.Out)[0]
	if n := len(cut.Tags); n != 60 || cut.Tags[13] == nil || cut.Tags[14] != nil || cut.Scores[14] != nil {
		t.Errorf("%d tags: %s", n, r.Out)
	}
	if !strings.Contains(r.Err, "1 of 1 sentences are longer than 16 tokens and were cut; 46 words are lost") {
		t.Errorf("standard error: %s", r.Err)
	}
}

func TestPredictRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	seqCls := clitest.Small(t)
	other := clitest.CopyDir(t, filepath.Join(tokenDir, "adapter_init"))
	clitest.Write(t, filepath.Join(other, "labels.json"),
		`{"problem_type": "single_label_classification", "labels": ["a", "b", "c", "d", "e", "f", "g", "h", "i"]}`)
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"strategy", []string{"--text", "a", "--aggregation-strategy", "mean"}, 2,
			[]string{`--aggregation-strategy is "mean"`, "first"}},
		{"mode", []string{"--text", "a", "--seqeval-mode", "x"}, 2, []string{"--seqeval-mode"}},
		{"scheme", []string{"--text", "a", "--scheme", "x"}, 2, []string{`"x"`, "IOB2"}},
		{"stride", []string{"--input", tokenTest, "--stride", "-3"}, 2, []string{"--stride is -3"}},
		{"no room", []string{"--text", "a b c", "--max-length", "2"}, 3, []string{"--text:1", "room"}},
		{"columns of texts", []string{"--text", "a", "--tokens-column", "b"}, 2, []string{"--tokens-column is for files"}},
		{"metrics over the output", []string{"--input", tokenTest, "--output", filepath.Join(dir, "x"), "--metrics-file",
			filepath.Join(dir, "y", "..", "x")}, 2, []string{"--metrics-file"}},
		{"metrics of texts", []string{"--text", "a", "--metrics-file", filepath.Join(dir, "m")}, 2,
			[]string{"--metrics-file"}},
		{"tags and none", []string{"--input", tokenTest, "--no-labels", "--tags-column", "tags"}, 2, []string{"--no-labels"}},
		{"no input file", []string{"--input", "none.conll"}, 3, []string{"none.conll", "no such file"}},
		{"wrong column", []string{"--input", file("a.jsonl", `{"tokens": ["a"]}`+"\n"), "--tokens-column", "words"}, 3,
			[]string{"a.jsonl", `"words"`}},
		{"no tags for metrics", []string{"--input", file("b.txt", "a b\n"), "--metrics-file", filepath.Join(dir, "m.json")},
			3, []string{"b.txt", "no sentence has tags"}},
		{"wrong tag", []string{"--input", file("c.conll", "a\tO\nb\tB-LOC\n")}, 3,
			[]string{"c.conll:1", `"B-LOC"`, "--no-labels"}},
		{"strict", []string{"--input", file("d.conll", "a\tO\nb\tI-time\n"), "--strict"}, 3,
			[]string{"d.conll:1", "I-time", "B-time"}},
		{"adapter of sequences", []string{"--text", "a", "--model", seqCls.Path("base"), "--adapter",
			seqCls.Path("adapter_final")}, 3, []string{"SEQ_CLS", "token classification"}},
		{"labels of sequences", []string{"--text", "a", "--adapter", other}, 3,
			[]string{"labels.json says single_label_classification"}},
		{"no head", []string{"--text", "a", "--adapter="}, 2, []string{"--adapter is empty"}},
		{"labels of another size", []string{"--text", "a", "--labels", "a,b"}, 2,
			[]string{"--labels gives 2 names", "9 outputs"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := clitest.Tree(t, dir)
			clitest.Run(t, predict.Command, tokenCls(x.args...)...).Refused(t, x.code, append(x.want, "predict token-cls: ")...)
			if after := clitest.Tree(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	clitest.Run(t, predict.Command, "seq-cls", "--quiet", "--text", "a", "--adapter",
		filepath.Join(tokenDir, "adapter_init")).Refused(t, cli.BadInput, "TOKEN_CLS")
}

// TestPredictOffsets scores spans that count units of UTF-16 like those in code points, and says so.
func TestPredictOffsets(t *testing.T) {
	dir := t.TempDir()
	scores := func(start, end int) (metrics, messages string) {
		row := fmt.Sprintf(`{"text":"😀 table at midnight",`+
			`"spans":[{"start":%d,"end":%d,"label":"time","text":"midnight"}]}`, start, end)
		file := clitest.Write(t, filepath.Join(dir, "rows.jsonl"), row+"\n")
		out := filepath.Join(dir, "m.json")
		args := slices.DeleteFunc(tokenCls("--input", file, "--metrics-file", out, "--overwrite"), func(a string) bool {
			return a == "--quiet"
		})
		messages = clitest.OK(t, predict.Command, args...).Err
		return clitest.Read(t, out), messages
	}
	want, silent := scores(11, 19)
	got, messages := scores(12, 20)
	if got != want || !strings.Contains(messages, "1 span with offsets that count units of UTF-16") ||
		strings.Contains(silent, "offsets") {
		t.Errorf("metrics %s, want %s\n%s", got, want, messages)
	}
}
