package seq2seq_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/cli/score"
)

// reference is what PEFT's adapter computes and writes (reference/seq2seq_task_fixture.py).
type reference struct {
	SourcePrefix string  `json:"source_prefix"`
	LossAfter    float64 `json:"loss_after"`
	Written      map[string][][]int
}

// pairRow is a row of rows.jsonl.
type pairRow struct{ Source, Target string }

// written is a row of the output.
type written struct {
	Adapter *string
	Source  string
	Copy    *int `json:"sequence"`
	Text    string
	Finish  string `json:"finish_reason"`
	Tokens  []int
	Score   *float64
}

// trained returns a base model with an adapter that was trained as PEFT's was, and what PEFT's does.
func trained(t *testing.T) (want reference, base, adapter string) {
	t.Helper()
	text := clitest.Read(t, filepath.Join(clitest.Testdata, "seq2seq_task", "expected.json"))
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	base, adapter = clitest.Bytes(t), filepath.Join(t.TempDir(), "adapter")
	clitest.OK(t, finetune.Command, "seq2seq-lm", "--quiet", "--model", base, "--train-file", rows,
		"--adapter", filepath.Join(clitest.Testdata, "seq2seq", "byt5", "adapter_init"), "--allow-other-base",
		"--source-prefix", want.SourcePrefix, "--max-target-length=24", "--no-shuffle", "--batch-size=2",
		"--max-steps=10", "--learning-rate=3e-3", "--output-dir", adapter)
	return want, base, adapter
}

// metricsOf runs a command with a file for the metrics and returns its output and the metrics.
func metricsOf(t *testing.T, args ...string) (out string, metrics map[string]any) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "metrics.json")
	out = clitest.OK(t, predict.Command, append(args, "--metrics-file", file)...).Out
	if err := json.Unmarshal([]byte(clitest.Read(t, file)), &metrics); err != nil {
		t.Fatal(err)
	}
	return out, metrics
}

// TestPredictEqualsTransformers writes the tokens of transformers' generate, greedily and with beams, with both
// commands. The adapter remembers the prefix.
func TestPredictEqualsTransformers(t *testing.T) {
	want, base, adapter := trained(t)
	for name, flags := range map[string][]string{
		"greedy": {"--no-repeat-ngram-size=1"},
		"beams":  {"--num-beams=4", "--length-penalty=0.6", "--early-stopping=false", "--no-repeat-ngram-size=2"},
	} {
		for _, task := range []string{"seq2seq-lm", "translation"} {
			args := append([]string{task, "--quiet", "--model", base, "--adapter", adapter, "--input", rows,
				"--max-new-tokens=12"}, flags...)
			list := clitest.Lines[written](t, clitest.OK(t, predict.Command, args...).Out)
			if len(list) != len(want.Written[name]) {
				t.Fatalf("%s, %s: %d rows", task, name, len(list))
			}
			for i, w := range list {
				if !slices.Equal(w.Tokens, want.Written[name][i]) {
					t.Errorf("%s, %s, row %d: %v, want %v", task, name, i+1, w.Tokens, want.Written[name][i])
				}
				if stops := w.Tokens[len(w.Tokens)-1] == 1; stops != (w.Finish == "stop") ||
					!stops && (w.Finish != "length" || len(w.Tokens) != 12) {
					t.Errorf("%s, %s, row %d: %+v", task, name, i+1, w)
				}
				if (w.Score != nil) != (name == "beams") || w.Copy != nil || w.Adapter != nil {
					t.Errorf("%s, %s, row %d: %+v", task, name, i+1, w)
				}
			}
		}
	}
}

// TestLogits compares the loss that the logits of the targets give with PEFT's, and the labels with the bytes of the
// targets.
func TestLogits(t *testing.T) {
	want, base, adapter := trained(t)
	args := []string{"seq2seq-lm", "--quiet", "--model", base, "--adapter", adapter, "--input", rows, "--logits"}
	out, metrics := metricsOf(t, args...)
	targets := clitest.Lines[pairRow](t, clitest.Read(t, rows))
	sum, n := 0.0, 0
	for i, row := range clitest.Lines[struct {
		IDs    []int
		Logits [][]float64
	}](t, out) {
		labels := make([]int, 0, 24)
		for _, b := range []byte(targets[i].Target) {
			labels = append(labels, int(b)+3)
		}
		labels = append(labels[:min(len(labels), 23)], 1)
		if !slices.Equal(row.IDs, labels) || len(row.Logits) != len(labels) {
			t.Fatalf("row %d: the labels are %v with %d rows of logits; want %v", i+1, row.IDs, len(row.Logits), labels)
		}
		for k, logits := range row.Logits {
			if len(logits) != 384 {
				t.Fatalf("%d logits, want 384", len(logits))
			}
			total := 0.0
			for _, x := range logits {
				total += math.Exp(x)
			}
			sum += math.Log(total) - logits[labels[k]]
			n++
		}
	}
	for what, got := range map[string]any{"the logits": sum / float64(n), "the metrics": metrics["loss"]} {
		if loss, _ := got.(float64); math.Abs(loss/want.LossAfter-1) > 2e-5 {
			t.Errorf("the loss of %s is %v, of PEFT %v", what, got, want.LossAfter)
		}
	}
	if got := slices.Sorted(maps.Keys(metrics)); !slices.Equal(got, []string{"accuracy", "loss", "perplexity"}) {
		t.Errorf("the metrics are %v", got)
	}
	// A row without a target has no labels.
	in := clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"), `{"source": "a"}`+"\n"+`{"source": "b", "target": "c"}`)
	r := clitest.OK(t, predict.Command, "seq2seq-lm", "--quiet", "--model", base, "--input", in, "--logits")
	if !strings.HasPrefix(r.Out, `{"ids":[],"logits":[]}`+"\n"+`{"ids":[102,1],`) {
		t.Errorf("without a target: %.80s", r.Out)
	}
}

// TestMetrics compares the scores of generated texts with those of the command score, and the loss with that of the
// logits.
func TestMetrics(t *testing.T) {
	_, base, adapter := trained(t)
	dir := t.TempDir()
	// What the small model writes has few words, so it is given references that have some of them.
	args := []string{"seq2seq-lm", "--quiet", "--model", base, "--adapter", adapter, "--no-repeat-ngram-size=1",
		"--max-new-tokens=12"}
	plain := clitest.Lines[written](t, clitest.OK(t, predict.Command, append(args, "--input", rows)...).Out)
	var in, texts, references bytes.Buffer
	line := func(b *bytes.Buffer, v any) { fmt.Fprintf(b, "%s\n", mustJSON(t, v)) }
	for i, w := range plain {
		target := []string{"the running cats " + w.Text, "nothing"}
		if i%3 == 0 {
			target = []string{w.Text + " x", w.Text}
		}
		line(&in, map[string]any{"source": w.Source, "targets": target})
		line(&texts, map[string]any{"text": w.Text})
		line(&references, map[string]any{"text": target})
	}
	line(&in, map[string]any{"source": "A row without a target is not scored."})
	file := func(name string, b bytes.Buffer) string {
		return clitest.Write(t, filepath.Join(dir, name), b.String())
	}
	input := file("in.jsonl", in)
	out, metrics := metricsOf(t, append(args, "--input", input, "--target-column=targets")...)
	if n := strings.Count(out, "\n"); n != 11 {
		t.Errorf("%d rows, want 11", n)
	}
	for metric, names := range map[string]map[string]string{
		"rouge": {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rougeL", "rougeLsum": "rougeLsum"},
		"bleu":  {"bleu": "bleu"}, "chrf": {"chrf": "chrf", "chrf++": "chrf++"},
	} {
		r := clitest.OK(t, score.Command, "--metric", metric, "--predictions", file("texts.jsonl", texts),
			"--references", file("references.jsonl", references))
		var want map[string]any
		if err := json.Unmarshal([]byte(r.Out), &want); err != nil {
			t.Fatal(err)
		}
		for name, key := range names {
			if got, ok := metrics[name].(float64); !ok || got <= 0 || got != want[key] {
				t.Errorf("%s is %v, of score %v", name, metrics[name], want[key])
			}
		}
	}
	if metrics["exact_match"] != 40.0 {
		t.Errorf("exact_match is %v, want 40", metrics["exact_match"])
	}
	for _, name := range []string{"loss", "perplexity", "accuracy"} {
		if _, ok := metrics[name].(float64); !ok {
			t.Errorf("%s is %v", name, metrics[name])
		}
	}
	_, given := metricsOf(t, "seq2seq-lm", "--quiet", "--model", base, "--adapter", adapter, "--input", input,
		"--target-column=targets", "--logits")
	if metrics["loss"] != given["loss"] || metrics["accuracy"] != given["accuracy"] {
		t.Errorf("the loss and accuracy are %v and %v, with --logits %v", metrics["loss"], metrics["accuracy"], given)
	}
	// The stem of what the model is made to write, "cats", is that of the reference.
	clitest.Write(t, filepath.Join(base, "generation_config.json"), `{"decoder_start_token_id": 0, "sequence_bias": [
		[[102], 400], [[100], 300], [[119], 200], [[118], 100], [[1], 50]]}`)
	words := clitest.Write(t, filepath.Join(dir, "words.jsonl"), `{"source": "a", "target": "cat"}`)
	for flags, want := range map[string]float64{"--no-stemmer=false": 100, "--no-stemmer": 0} {
		if _, m := metricsOf(t, append(args, "--input", words, flags)...); m["rouge1"] != want || m["exact_match"] != 0.0 {
			t.Errorf("%s: %v", flags, m)
		}
	}
}

// TestInputs reads the same sources from everything that has some.
func TestInputs(t *testing.T) {
	model, dir := clitest.Bytes(t), t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte("A cat.\nNo\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	args := func(flags ...string) []string {
		return append([]string{"translation", "--quiet", "--model", model, "--max-new-tokens=4"}, flags...)
	}
	want := clitest.OK(t, predict.Command, args("--text=A cat.", "--text=No")...).Out
	if n := strings.Count(want, "\n"); n != 2 || !strings.HasPrefix(want, `{"source":"A cat.","text":`) {
		t.Fatalf("written: %s", want)
	}
	for name, flags := range map[string][]string{
		"plain text": {"--input", file("a.txt", "A cat.\nNo\n")},
		"compressed": {"--input", file("b.txt.gz", zipped.String())},
		"parallel":   {"--input", file("c.en", "A cat.\nNo\n"), "--target-file", file("c.sv", "Katt\nNej\n")},
		"JSON Lines": {"--input", file("d.jsonl", `{"source": "A cat."}`+"\n"+`{"source": "No"}`)},
		"a language": {"--source-lang=en", "--target-lang=sv", "--input", file("e.jsonl",
			`{"translation": {"en": "A cat.", "sv": "Katt"}}`+"\n"+`{"translation": {"en": "No", "sv": "Nej"}}`)},
		"a table":         {"--input", file("f.csv", "id,question\n1,A cat.\n2,No\n"), "--source-column=question"},
		"without targets": {"--input", file("g.tsv", "source\ttarget\nA cat.\tKatt\nNo\tNej\n"), "--no-labels"},
	} {
		if got := clitest.OK(t, predict.Command, args(flags...)...).Out; got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
	if r := clitest.RunWith(t, t.Context(), "A cat.\nNo\n", predict.Command, args()...); r.Out != want {
		t.Errorf("standard input: %s%s\nwant %s", r.Out, r.Err, want)
	}
	out := filepath.Join(dir, "out.jsonl")
	clitest.OK(t, predict.Command, args("--input", filepath.Join(dir, "a.txt"), "--output", out)...)
	if got := clitest.Read(t, out); got != want {
		t.Errorf("--output: %s\nwant %s", got, want)
	}
}

// TestSequences tries the flags of generation that have an effect of their own on the rows.
func TestSequences(t *testing.T) {
	model := clitest.Bytes(t)
	write := func(flags ...string) []written {
		t.Helper()
		return clitest.Lines[written](t, clitest.OK(t, predict.Command, append([]string{"seq2seq-lm", "--quiet", "--model",
			model, "--text=A cat.", "--text=Two words", "--max-new-tokens=6"}, flags...)...).Out)
	}
	plain, best := write("--no-repeat-ngram-size=1"), write("--no-repeat-ngram-size=1", "--num-beams=4")
	all := write("--no-repeat-ngram-size=1", "--num-beams=4", "--num-return-sequences=3", "--early-stopping=never")
	if len(plain) != 2 || len(all) != 6 {
		t.Fatalf("%d rows, with three sequences %d", len(plain), len(all))
	}
	for i, w := range all {
		if w.Copy == nil || *w.Copy != i%3 || w.Source != plain[i/3].Source || i%3 > 0 && *w.Score > *all[i-1].Score {
			t.Errorf("sequence %d: %+v", i, w)
		}
	}
	if *best[0].Score > *all[0].Score || fmt.Sprint(all[0].Tokens) == fmt.Sprint(all[1].Tokens) {
		t.Errorf("the best is %+v, of several %+v", best[0], all[:2])
	}
	if got := write("--repetition-penalty=5"); fmt.Sprint(got) == fmt.Sprint(write()) {
		t.Error("--repetition-penalty has no effect")
	}
	// A token that is written early ends the text, but not before --min-length, which counts the start token.
	clitest.Write(t, filepath.Join(model, "generation_config.json"), fmt.Sprintf(
		`{"decoder_start_token_id": 0, "eos_token_id": %d}`, plain[0].Tokens[1]))
	if w := write("--no-repeat-ngram-size=1")[0]; w.Finish != "stop" || len(w.Tokens) != 2 {
		t.Errorf("with another end token: %+v", w)
	}
	if w := write("--no-repeat-ngram-size=1", "--min-length=5")[0]; len(w.Tokens) < 5 {
		t.Errorf("--min-length: %+v", w)
	}
	clitest.Write(t, filepath.Join(model, "generation_config.json"), `{"decoder_start_token_id": 77, "max_length": 3}`)
	r := clitest.OK(t, predict.Command, "seq2seq-lm", "--quiet", "--model", model, "--text=A cat.")
	if w := clitest.Lines[written](t, r.Out)[0]; len(w.Tokens) != 2 || slices.Equal(w.Tokens, plain[0].Tokens[:2]) {
		t.Errorf("with another start token and 3 tokens with it: %+v", w)
	}
}

// TestAdapters serves a mixed file: each row is that of its adapter alone, and so are the metrics.
func TestAdapters(t *testing.T) {
	model := clitest.Bytes(t)
	train := func(flags ...string) string {
		out := filepath.Join(t.TempDir(), "out")
		clitest.OK(t, finetune.Command, small(t, "seq2seq-lm", out, append(flags, "--train-file", rows)...)...)
		return out
	}
	one, two := train("--source-prefix=x: ", "--learning-rate=0.05"), train("--source-prefix=yy ", "--seed=3",
		"--target-modules=q,relative_attention_bias", "--lora-r=2", "--learning-rate=0.05")
	source := func(adapter string, i int) string {
		return fmt.Sprintf(`{"source": "row %d", "target": "t%d"%s}`, i, i, adapter) + "\n"
	}
	names := []string{"", "one", "two"}
	var mixed strings.Builder
	alone := map[string]*strings.Builder{"": {}, "one": {}, "two": {}}
	for i := range 9 {
		name := names[i%3]
		field := ""
		if name != "" {
			field = fmt.Sprintf(`, "adapter": %q`, name)
		}
		mixed.WriteString(source(field, i))
		alone[name].WriteString(source("", i))
	}
	file := func(text string) string { return clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"), text) }
	for _, flags := range [][]string{
		{"--max-new-tokens=5", "--no-repeat-ngram-size=1"}, {"--max-new-tokens=4", "--num-beams=3"}, {"--logits"},
	} {
		args := append([]string{"seq2seq-lm", "--quiet", "--model", model}, flags...)
		out, metrics := metricsOf(t, append(args, "--adapters", "one="+one+",two="+two, "--input", file(mixed.String()))...)
		got := strings.SplitAfter(out, "\n")
		seen := map[string]string{}
		for n, name := range names {
			own := slices.Clone(args)
			if name != "" {
				own = append(own, "--adapter", map[string]string{"one": one, "two": two}[name])
			}
			text, want := metricsOf(t, append(own, "--input", file(alone[name].String()))...)
			if seen[text] != "" {
				t.Errorf("%v: the adapters write the same", flags)
			}
			seen[text] = name
			label, key := fmt.Sprintf("%q", name), name
			if name == "" {
				label, key = "null", "none"
			}
			for i, row := range slices.Collect(strings.Lines(text)) {
				if want := `{"adapter":` + label + "," + row[1:]; got[3*i+n] != want {
					t.Errorf("%v: row %d is %swant %s", flags, 3*i+n, got[3*i+n], want)
				}
			}
			each, _ := metrics["adapters"].(map[string]any)
			if fmt.Sprint(each[key]) != fmt.Sprint(want) {
				t.Errorf("%v: the metrics of %s are %v, alone %v", flags, key, each[key], want)
			}
		}
		if _, ok := metrics["loss"].(float64); !ok {
			t.Errorf("%v: the metrics of all rows are %v", flags, metrics)
		}
	}
}

// TestPredictMistakes holds the messages about what people get wrong, and that nothing is written then.
func TestPredictMistakes(t *testing.T) {
	model, dir := clitest.Bytes(t), t.TempDir()
	write := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	sources := write("sources.jsonl", `{"source": "a"}`+"\n")
	en, sv := write("a.en", "one\ntwo\nthree\n"), write("a.sv", "ett\ntvå\n")
	metrics := filepath.Join(dir, "metrics.json")
	for name, x := range map[string]struct {
		code int
		args []string
		text string
	}{
		"no targets":  {3, []string{"--input", sources, "--metrics-file", metrics}, "sources.jsonl: no row has a target"},
		"no labels":   {3, []string{"--input", sources, "--logits"}, "sources.jsonl: no row has a target"},
		"text":        {2, []string{"--text=a", "--logits"}, "--logits needs an input with targets"},
		"both":        {2, []string{"--text=a", "--input", sources}, "--text"},
		"generation":  {2, []string{"--input", rows, "--logits", "--num-beams=2"}, "--num-beams is for generating"},
		"stemmer":     {2, []string{"--input", rows, "--logits", "--no-stemmer"}, "--no-stemmer"},
		"lines":       {3, []string{"--input", en, "--target-file", sv}, "a.sv"},
		"early":       {2, []string{"--text=a", "--early-stopping=maybe"}, "false, true or never"},
		"penalty":     {2, []string{"--text=a", "--length-penalty=2"}, "set --num-beams to 2 or more"},
		"sequences":   {2, []string{"--text=a", "--num-beams=2", "--num-return-sequences=3"}, "at most --num-beams, 2"},
		"adapters":    {2, []string{"--text=a", "--adapters=x=" + dir}, "--adapters"},
		"long source": {2, []string{"--text=a", "--max-source-length=-1"}, "--max-source-length is -1"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		args := append([]string{"seq2seq-lm", "--quiet", "--model", model, "--output", out}, x.args...)
		t.Run(name, func(t *testing.T) {
			clitest.Run(t, predict.Command, args...).Refused(t, x.code, x.text)
			clitest.NothingIn(t, filepath.Dir(out))
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "out")
	clitest.RunWith(t, ctx, "", predict.Command, "seq2seq-lm", "--quiet", "--model", model, "--input", rows, "--output",
		out).Refused(t, cli.Cancelled, "stopped by a signal")
	clitest.NothingIn(t, filepath.Dir(out))
	for _, x := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--max-source-length=4", "--max-new-tokens=2"}, "8 of 10 texts are longer than 4 tokens and were cut"},
		{[]string{"--max-target-length=4", "--logits"}, "targets are longer than 4 tokens and were cut (--max-target"},
		{[]string{"--max-target-length=4", "--max-new-tokens=2"}, "--max-new-tokens limits what is generated"},
	} {
		r := clitest.OK(t, predict.Command, append([]string{"seq2seq-lm", "--quiet", "--model", model, "--input", rows},
			x.flags...)...)
		if !strings.Contains(r.Err, x.want) || strings.Count(r.Err, "\n") != 1 {
			t.Errorf("%v: %s", x.flags, r.Err)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
