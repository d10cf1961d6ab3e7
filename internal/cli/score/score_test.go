package score_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/score"
)

// scores runs the command and returns the numbers and texts of its output.
func scores(t *testing.T, args ...string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(clitest.OK(t, score.Command, args...).Out), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestScore: the values are those of rouge_score 0.1.2 and sacreBLEU 2.6.0 for the same files.
func TestScore(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	hyp := file("hyp.txt", "The cats were sitting on the mats, happily.\n\n你好，世界 again and again\r\nsame")
	ref := file("ref.txt", "The cat sat happily on the mat.\n\n你好，世界 again and then\nsame\n")
	other := file("other.jsonl", `{"text": ["Cats were sitting on mats."]}
{"text": "nothing"}

{"text": ["再见", "again and again"], "id": 3}
{"text": "other"}
`)
	for _, x := range []struct {
		args []string
		want map[string]float64
	}{
		{[]string{"--metric=rouge"},
			map[string]float64{"rows": 4, "rouge1": 61.6666667, "rouge2": 24.0384615, "rougeL": 58.3333333}},
		{[]string{"--metric=rouge", "--no-stemmer", "--references", other},
			map[string]float64{"rouge1": 69.2307692, "rouge2": 38.6363636}},
		{[]string{"--metric=bleu"}, map[string]float64{"bleu": 17.4981776}},
		{[]string{"--metric=bleu", "--tokenize=zh", "--references", other}, map[string]float64{"bleu": 55.2530202}},
		{[]string{"--metric=chrf"}, map[string]float64{"chrf": 64.4735087, "chrf++": 60.3792275}},
		{[]string{"--metric=exact-match"}, map[string]float64{"exact_match": 50}},
	} {
		got := scores(t, append([]string{"--predictions", hyp, "--references", ref}, x.args...)...)
		for key, want := range x.want {
			if v, ok := got[key].(float64); !ok || math.Abs(v-want) > 1e-6 {
				t.Errorf("%v: %s is %v, want %v", x.args, key, got[key], want)
			}
		}
	}
	signature := "nrefs:var|case:mixed|eff:no|tok:intl|smooth:exp|version:2.6.0"
	if got := scores(t, "--metric=bleu", "--tokenize=intl", "--predictions", hyp, "--references", other,
		"--references", ref)["signature"]; got != signature {
		t.Errorf("the signature is %v, want %s", got, signature)
	}
}

// TestErrorRates: digits that one text has as words and the other as a figure are equal after normalising.
func TestErrorRates(t *testing.T) {
	dir := t.TempDir()
	hyp := clitest.Write(t, filepath.Join(dir, "hyp.jsonl"), `{"text": " 434."}
{"text": "The colour of you, you, you"}`)
	ref := clitest.Write(t, filepath.Join(dir, "ref.txt"), "four three four\nthe color\n")
	for _, x := range []struct {
		args []string
		want map[string]any
	}{
		{[]string{"--metric=wer"}, map[string]any{"rows": 2.0, "wer": 180.0, "edits": 9.0, "reference_words": 5.0}},
		{[]string{"--metric=wer", "--normalize=basic"}, map[string]any{"wer": 160.0, "edits": 8.0, "reference_words": 5.0}},
		{[]string{"--metric=wer", "--normalize=english"}, map[string]any{"wer": 400.0 / 3, "reference_words": 3.0}},
		{[]string{"--metric=cer", "--normalize=english"}, map[string]any{
			"rows": 2.0, "cer": 1500.0 / 12, "edits": 15.0, "reference_characters": 12.0,
		}},
	} {
		got := scores(t, append([]string{"--predictions", hyp, "--references", ref}, x.args...)...)
		for key, want := range x.want {
			if v, ok := got[key].(float64); !ok || math.Abs(v-want.(float64)) > 1e-9 {
				t.Errorf("%v: %s is %v, want %v", x.args, key, got[key], want)
			}
		}
	}
}

// TestLines: rougeLsum compares lines, which only JSON can hold; plain text is never taken for JSON.
func TestLines(t *testing.T) {
	dir := t.TempDir()
	hyp := clitest.Write(t, filepath.Join(dir, "hyp.jsonl"), `{"text": "one two\nthree four"}`)
	ref := clitest.Write(t, filepath.Join(dir, "ref.jsonl"), `{"text": "three four\none two"}`)
	got := scores(t, "--metric=rouge", "--predictions", hyp, "--references", ref)
	if got["rougeL"] != 50.0 || got["rougeLsum"] != 100.0 {
		t.Errorf("got %v", got)
	}
	plain := clitest.Write(t, filepath.Join(dir, "plain.hyp"), `{"text": "a"}`)
	if got := scores(t, "--metric=exact-match", "--predictions", plain, "--references",
		plain); got["exact_match"] != 100.0 {
		t.Errorf("got %v", got)
	}
	out := filepath.Join(dir, "out.json")
	clitest.OK(t, score.Command, "--metric=chrf", "--predictions", hyp, "--references", ref, "--output", out)
	if text := clitest.Read(t, out); !strings.Contains(text, `"chrf++": `) {
		t.Errorf("the file has %s", text)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	two, three := file("two.txt", "a\nb\n"), file("three.txt", "a\n\nb")
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"nothing", nil, cli.Usage, []string{`--metric is ""; want one of rouge, bleu, chrf, exact-match, wer, cer`,
			"--predictions is missing", "--references is missing"}},
		{"lengths", []string{"--metric=bleu", "--predictions", two, "--references", two, "--references", three},
			cli.BadInput, []string{two + " has 2 texts, " + three + " has 3"}},
		{"tokenizer", []string{"--metric=bleu", "--tokenize=ja-mecab", "--predictions", two, "--references", two},
			cli.Usage, []string{`--tokenize is "ja-mecab"; want one of 13a, intl, zh, char and none`}},
		{"flags of others", []string{"--metric=chrf", "--tokenize=zh", "--no-stemmer", "--predictions", two, "--references",
			two}, cli.Usage, []string{"--tokenize is for --metric bleu", "--no-stemmer is for --metric rouge"}},
		{"normaliser", []string{"--metric=wer", "--normalize=german", "--predictions", two, "--references", two}, cli.Usage,
			[]string{`--normalize is "german"; want one of english, basic`}},
		{"normaliser of others", []string{"--metric=bleu", "--normalize=basic", "--predictions", two, "--references", two},
			cli.Usage, []string{"--normalize is for --metric wer and cer"}},
		{"several references", []string{"--metric=wer", "--predictions", two, "--references", two, "--references", two},
			cli.BadInput, []string{"row 1 has 2 references, but wer compares with one"}},
		{"no file", []string{"--metric=chrf", "--predictions", "none.txt", "--references", two}, cli.BadInput,
			[]string{"none.txt", "there is no such file"}},
		{"no texts", []string{"--metric=chrf", "--predictions", file("empty.txt", ""), "--references", two}, cli.BadInput,
			[]string{"empty.txt", "the file has no texts"}},
		{"no text", []string{"--metric=chrf", "--predictions", file("key.jsonl", `{"txt": "a"}`), "--references", two},
			cli.BadInput, []string{"key.jsonl:1", `no key "text", but "txt"`}},
		{"no text later", []string{"--metric=chrf", "--predictions", file("later.jsonl", "{\"text\": \"a\"}\n{\"b\": 1}"),
			"--references", two}, cli.BadInput, []string{"later.jsonl:2", `the row has no key "text"`}},
		{"list of predictions", []string{"--metric=chrf", "--predictions", file("list.jsonl", `{"text": ["a", "b"]}`),
			"--references", two}, cli.BadInput, []string{"list.jsonl:1", "want a string"}},
		{"not texts", []string{"--metric=chrf", "--predictions", two, "--references",
			file("null.jsonl", `{"text": ["a", null]}`)}, cli.BadInput, []string{"null.jsonl:1", "want a string or a list"}},
		{"no references in a row", []string{"--metric=chrf", "--predictions", two, "--references",
			file("none.jsonl", `{"text": []}`)}, cli.BadInput, []string{"none.jsonl:1", "want a string or a list"}},
		{"over the input", []string{"--metric=chrf", "--predictions", two, "--references", three, "--output", three,
			"--overwrite"}, cli.Usage, []string{"this is the input"}},
	} {
		t.Run(x.name, func(t *testing.T) { clitest.Run(t, score.Command, x.args...).Refused(t, x.code, x.want...) })
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 8 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
