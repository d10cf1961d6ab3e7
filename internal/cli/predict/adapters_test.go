package predict_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// object is a row of JSON.
type object = map[string]any

// mixedTask says how adapters for a task are trained, and what rows are predicted.
type mixedTask struct {
	command string
	train   map[string][]object // of each adapter; the base model has a head that was trained on those of "base"
	more    map[string][]string // flags of training of an adapter
	rows    []object            // to predict
	flags   [][]string          // of predictions
}

var words = strings.Fields("good bad film money card bank late fast poor great time day never always old new")

// sentences returns n texts of different lengths.
func sentences(n int) []string {
	var list []string
	for i := range n {
		var s []string
		for j := range 2 + i*5%9 {
			s = append(s, words[(i*7+j*3)%len(words)])
		}
		list = append(list, strings.Join(s, " "))
	}
	return list
}

// labelled returns the texts as rows with labels in turn.
func labelled(texts []string, labels ...any) (rows []object) {
	for i, s := range texts {
		rows = append(rows, object{"text": s, "label": labels[i%len(labels)]})
	}
	return rows
}

// mixedTasks returns the tasks.
func mixedTasks() []mixedTask {
	texts := sentences(24)
	each := func(row func(i int, text string) object) (rows []object) {
		for i, s := range texts {
			rows = append(rows, row(i, s))
		}
		return rows
	}
	tagsOf := func(text string, tags ...string) (list []string) {
		for i := range strings.Fields(text) {
			list = append(list, tags[(i+len(text))%len(tags)])
		}
		return list
	}
	tagged := func(tags ...string) []object {
		return each(func(_ int, s string) object { return object{"tokens": strings.Fields(s), "tags": tagsOf(s, tags...)} })
	}
	asked := func(word int) []object {
		return each(func(i int, s string) object {
			w := strings.Fields(s)[word]
			return object{"id": fmt.Sprint(i), "question": "what " + w, "context": s + " .",
				"answers": []object{{"text": w, "answer_start": strings.Index(s, w)}}}
		})
	}
	chosen := func(right int) []object {
		return each(func(i int, s string) object {
			return object{"id": fmt.Sprint(i), "context": s, "choices": []string{"good film", "bad bank", "old card"}[:2+i%2],
				"label": (i + right) % 2}
		})
	}
	pairs := func(by int) []object {
		return each(func(i int, s string) object {
			return object{"sentence1": s, "sentence2": texts[(i+by)%len(texts)], "score": float64(i%5) / 4}
		})
	}
	without := func(rows []object, key string) (list []object) {
		for _, row := range rows {
			c := object{}
			for k, v := range row {
				if k != key {
					c[k] = v
				}
			}
			list = append(list, c)
		}
		return list
	}
	return []mixedTask{
		{"seq-cls", map[string][]object{"base": labelled(texts, "x", "y"), "spam": labelled(texts, "spam", "ham"),
			"topics": labelled(texts, "sport", "money", "film", "other")}, map[string][]string{"topics": {"--max-length=6"}},
			without(labelled(texts, ""), "label"), [][]string{{"--logits", "--all-scores"}, {"--max-length=5"}}},
		{"token-cls", map[string][]object{"base": tagged("O", "B-X"), "spam": tagged("O", "B-PER", "B-LOC", "O"),
			"topics": tagged("NOUN", "VERB", "X")}, map[string][]string{"topics": {"--crf"}},
			without(tagged("O"), "tags"), [][]string{{"--words"}}},
		{"question-answering", map[string][]object{"base": asked(0), "spam": asked(1), "topics": asked(0)}, nil,
			without(asked(1), "answers"),
			[][]string{{"--all-answers", "--n-best-size=3"}, {"--max-length=12", "--doc-stride=2"}}},
		{"multiple-choice", map[string][]object{"base": chosen(0), "spam": chosen(0), "topics": chosen(1)}, nil,
			without(chosen(0), "label"), [][]string{{"--logits", "--all-scores"}}},
		{"embed", map[string][]object{"spam": pairs(1), "topics": pairs(2)},
			map[string][]string{"spam": {"--loss=cosine"}, "topics": {"--loss=cosine", "--pooling=max"}},
			without(labelled(texts, ""), "label"), [][]string{nil, {"--normalize"}}},
	}
}

// jsonl writes rows to a file and returns its path.
func jsonl(t *testing.T, rows []object) string {
	t.Helper()
	var b strings.Builder
	for _, row := range rows {
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	return clitest.Write(t, filepath.Join(t.TempDir(), "rows.jsonl"), b.String())
}

// trained trains the adapters of a task, on a base with a head if the task has rows for one, and returns the base, and
// the adapters by name.
func (m mixedTask) trained(t *testing.T) (base string, adapters map[string]string) {
	t.Helper()
	base = clitest.Small(t).Path("base")
	train := func(name string) string {
		out := filepath.Join(t.TempDir(), name)
		clitest.OK(t, finetune.Command, append([]string{m.command, "--quiet", "--model", base, "--train-file",
			jsonl(t, m.train[name]), "--max-steps=12", "--batch-size=4", "--learning-rate=0.02", "--output-dir", out},
			m.more[name]...)...)
		return out
	}
	if m.train["base"] != nil {
		merged := filepath.Join(t.TempDir(), "merged")
		clitest.OK(t, adapter.Command, "merge", "--model", base, "--adapter", train("base"), "--output-dir", merged)
		base = merged
	}
	return base, map[string]string{"spam": train("spam"), "topics": train("topics")}
}

// namedRows returns the rows with the names of adapters in turn, and those of each adapter alone. The base model, "",
// serves rows whose name is null and rows without a name.
func namedRows(rows []object) (mixed []object, names []string, alone map[string][]object) {
	alone = map[string][]object{}
	for i, row := range rows {
		name := []string{"spam", "topics", "", "topics", "spam", "", "spam"}[i%7]
		c := object{}
		for k, v := range row {
			c[k] = v
		}
		switch {
		case name != "":
			c["adapter"] = name
		case i%7 == 2:
			c["adapter"] = nil
		}
		mixed, names = append(mixed, c), append(names, name)
		alone[name] = append(alone[name], row)
	}
	return mixed, names, alone
}

// sameRows holds the rows of a mixed file to those of each adapter by itself, byte for byte but for the first key.
func sameRows(t *testing.T, mixed string, names []string, alone map[string]string) {
	t.Helper()
	lines := map[string][]string{}
	for name, out := range alone {
		lines[name] = slices.Collect(strings.Lines(out))
	}
	got := slices.Collect(strings.Lines(mixed))
	if len(got) != len(names) {
		t.Fatalf("%d rows, want %d", len(got), len(names))
	}
	for i, name := range names {
		key := `{"adapter":"` + name + `",`
		if name == "" {
			key = `{"adapter":null,`
		}
		want := key + lines[name][0][1:]
		if lines[name] = lines[name][1:]; got[i] != want {
			t.Fatalf("row %d is %swant %s", i, got[i], want)
		}
	}
}

// TestAdapters predicts a mixed file with each task: every row is that of its adapter, or of the base model, alone,
// with its classes.
func TestAdapters(t *testing.T) {
	for _, m := range mixedTasks() {
		t.Run(m.command, func(t *testing.T) {
			t.Parallel()
			base, adapters := m.trained(t)
			mixed, names, alone := namedRows(m.rows)
			in := jsonl(t, mixed)
			all := []string{m.command, "--quiet", "--model", base,
				"--adapters", "spam=" + adapters["spam"] + ",topics=" + adapters["topics"]}
			for _, flags := range m.flags {
				out := map[string]string{}
				for name, rows := range alone {
					args := append([]string{m.command, "--quiet", "--model", base, "--input", jsonl(t, rows)}, flags...)
					if name != "" {
						args = append(args, "--adapter", adapters[name])
					}
					out[name] = clitest.OK(t, predict.Command, args...).Out
				}
				if out["spam"] == out["topics"] {
					t.Fatal("the adapters predict the same")
				}
				for _, speed := range []string{"--tokens-per-batch=4096", "--tokens-per-batch=20", "--threads=1"} {
					args := append(slices.Concat(all, flags), "--input", in, speed)
					sameRows(t, clitest.OK(t, predict.Command, args...).Out, names, out)
				}
			}
		})
	}
}

// TestAdaptersGenerate continues the prompts of a mixed file, and writes their logits: every row is that of its adapter
// alone.
func TestAdaptersGenerate(t *testing.T) {
	base := clitest.ReadCausal(t, "causal/gpt2_c_attn").Base
	train := func(text string) string {
		out := filepath.Join(t.TempDir(), "out")
		file := clitest.Write(t, filepath.Join(t.TempDir(), "t.txt"), strings.Repeat(text, 40))
		clitest.OK(t, finetune.Command, "causal-lm", "--quiet", "--model", base, "--train-file", file, "--max-steps=10",
			"--batch-size=4", "--block-size=16", "--learning-rate=0.03", "--output-dir", out)
		return out
	}
	adapters := map[string]string{"spam": train("the cat sat. "), "topics": train("no dog ran, ")}
	var rows []object
	for i := range 19 {
		rows = append(rows, object{"prompt": clitest.Story[i : i+2+i*3%7]})
	}
	mixed, names, alone := namedRows(rows)
	in := jsonl(t, mixed)
	for _, flags := range [][]string{
		{"--max-new-tokens=6"}, {"--max-new-tokens=5", "--num-beams=3"},
		{"--logits", "--text-column=prompt"},
	} {
		out := map[string]string{}
		for name, rows := range alone {
			args := append([]string{"causal-lm", "--quiet", "--model", base, "--input", jsonl(t, rows)}, flags...)
			if name != "" {
				args = append(args, "--adapter", adapters[name])
			}
			out[name] = clitest.OK(t, predict.Command, args...).Out
		}
		if out["spam"] == out["topics"] || out["spam"] == out[""] {
			t.Fatal("the adapters predict the same")
		}
		for _, speed := range []string{"--threads=0", "--threads=1"} {
			args := append([]string{"causal-lm", "--quiet", "--model", base, "--adapters=spam=" + adapters["spam"],
				"--adapters=topics=" + adapters["topics"], "--input", in, speed}, flags...)
			sameRows(t, clitest.OK(t, predict.Command, args...).Out, names, out)
		}
	}
}

// TestAdaptersPerplexity scores the texts of a mixed file: means over their tokens.
func TestAdaptersPerplexity(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	args := func(more ...string) []string { return append([]string{"causal-lm", "--model", c.Base}, more...) }
	rows := []object{{"text": "the cat"}, {"text": "sat on the mat and slept", "adapter": "spam"},
		{"text": "a dog", "adapter": "spam"}}
	_, alone := metricsOf(t, args("--input", jsonl(t, rows[:1]))...)
	_, spam := metricsOf(t, args("--input", jsonl(t, rows[1:]), "--adapter", c.Path("adapter_final"))...)
	_, got := metricsOf(t, args("--input", jsonl(t, rows), "--adapters", "spam="+c.Path("adapter_final"))...)
	if each := fmt.Sprint(got["adapters"]); each != fmt.Sprint((object{"none": alone, "spam": spam})) {
		t.Errorf("the adapters have %s, alone %v and %v", each, alone, spam)
	}
	// Of the 7, 24 and 5 tokens the first one of each text is not predicted.
	loss := (6*alone["loss"].(float64) + 27*spam["loss"].(float64)) / 33
	for name, want := range (object{"loss": loss, "perplexity": math.Exp(loss)}) {
		if v := got[name].(float64); math.Abs(v-want.(float64)) > 1e-9*v {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	if _, ok := got["accuracy"]; !ok || len(got) != 4 {
		t.Errorf("the metrics of all rows are %v", got)
	}
}

// TestAdaptersRefused lists wrong flags and rows.
func TestAdaptersRefused(t *testing.T) {
	c := clitest.Small(t)
	dir := t.TempDir()
	in := clitest.Write(t, filepath.Join(dir, "in.jsonl"), "{\"text\": \"good\", \"adapter\": \"spam\"}\n")
	ours := c.Path("adapter_final")
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"both", []string{"--input", in, "--adapter", ours, "--adapters", "spam=" + ours}, cli.Usage,
			[]string{"--adapter and --adapters exclude each other"}},
		{"no directory", []string{"--input", in, "--adapters", "spam"}, cli.Usage, []string{`"spam" is not name=directory`}},
		{"empty name", []string{"--input", in, "--adapters", "=" + ours}, cli.Usage, []string{"has no name before the ="}},
		{"empty directory", []string{"--input", in, "--adapters", "spam="}, cli.Usage,
			[]string{`"spam=" has no directory behind the =`}},
		{"empty", []string{"--input", in, "--adapters", ""}, cli.Usage, []string{"is empty; give name=directory"}},
		{"twice", []string{"--input", in, "--adapters", "spam=" + ours, "--adapters=x=y,spam=z"}, cli.Usage,
			[]string{`the name "spam" is given twice`}},
		{"none", []string{"--input", in, "--adapters", "none=" + ours}, cli.Usage,
			[]string{"the name none is that of the base model"}},
		{"text", []string{"--text", "a", "--adapters", "spam=" + ours}, cli.Usage,
			[]string{"--adapters is for rows of --input"}},
		{"missing directory", []string{"--input", in, "--adapters", "spam=" + filepath.Join(dir, "x")}, cli.BadInput,
			[]string{"x: there is no such directory"}},
		{"plain text", []string{"--input", file("a.txt", "good\n"), "--adapters", "spam=" + ours}, cli.Usage,
			[]string{"a.txt is read as txt, whose rows cannot name an adapter", "--adapters", "--adapter if"}},
		{"unknown name", []string{"--input", file("b.jsonl", "{\"text\": \"a\", \"adapter\": \"spma\"}"), "--adapters",
			"spam=" + ours}, cli.BadInput, []string{`b.jsonl:1: "spma" is not a name of --adapters; the nearest are spam`}},
		{"wrong label", []string{"--input", file("d.csv", "text,adapter,label\ngood,spam,wrong\n"), "--adapters",
			"spam=" + ours}, cli.BadInput, []string{"d.csv:2", `"wrong"`}},
	} {
		t.Run(x.name, func(t *testing.T) {
			clitest.Run(t, predict.Command, append([]string{"seq-cls", "--quiet", "--model", c.Path("base")}, x.args...)...).
				Refused(t, x.code, x.want...)
		})
	}
	tokens := file("t.jsonl", "{\"tokens\": [\"good\"], \"adapter\": \"x\"}\n\n{\"tokens\": [\"bad\"]}")
	clitest.Run(t, predict.Command, "token-cls", "--quiet", "--input", tokens, "--adapters",
		"x="+filepath.Join(clitest.Testdata, "minilm_tokens", "adapter_init")).Refused(t, cli.BadInput,
		"t.jsonl:3: the row names no adapter, and the base model has no trained head to serve it: name one of x")
	r := clitest.OK(t, predict.Command, "seq-cls", "--model", c.Path("base"), "--adapters=x="+ours, "--input",
		file("n.jsonl", `{"text": "good", "adaptor": "x"}`))
	if !strings.Contains(r.Err, `n.jsonl: no row has the name of an adapter in "adapter"; the base model serves`) {
		t.Errorf("no warning: %s", r.Err)
	}
	story := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	for want, args := range map[string][]string{
		"--adapters is for rows of --input": {"--prompt=a"},
		`p.jsonl:1: "y" is not a name of --adapters`: {"--input",
			file("p.jsonl", `{"prompt":"a","adapter":"y"}`)},
		"p.txt is read as txt, whose rows cannot name": {"--input", file("p.txt", "a")},
	} {
		r := clitest.Run(t, predict.Command, append([]string{"causal-lm", "--quiet", "--model", story.Base,
			"--adapters=x=" + story.Path("adapter_final")}, args...)...)
		if r.Code == cli.Done || !strings.Contains(r.Err, want) {
			t.Errorf("exit code %d, want %q:\n%s", r.Code, want, r.Err)
		}
	}
}

// TestAdaptersWithoutHead: of a base model without a head, which nothing asks for, neither classes nor settings count.
func TestAdaptersWithoutHead(t *testing.T) {
	dir := clitest.CopyDir(t, filepath.Join(clitest.Testdata, "minilm_tokens", "adapter_init"))
	clitest.Write(t, filepath.Join(dir, "labels.json"), `["O","B-A","I-A","B-B","I-B","B-C","I-C","B-D","I-D"]`)
	in := jsonl(t, []object{{"tokens": []string{"good"}, "tags": []string{"B-A"}, "adapter": "x"}})
	r := clitest.OK(t, predict.Command, "token-cls", "--input", in, "--adapters=x="+dir, "--seqeval-mode=strict")
	if strings.Count(r.Err, "token_classification, 9 outputs") != 1 || strings.Contains(r.Err, "1 outputs") ||
		!strings.Contains(r.Err, "1 labelled rows: f1 ") {
		t.Errorf("standard error is %s", r.Err)
	}
}

// TestAdaptersConfig names adapters in a YAML file: as a mapping, a list and a text, with a comma and = in a path.
func TestAdaptersConfig(t *testing.T) {
	c := clitest.Small(t)
	odd := filepath.Join(t.TempDir(), "a,b=c")
	if err := os.CopyFS(odd, os.DirFS(c.Path("adapter_final"))); err != nil {
		t.Fatal(err)
	}
	in := jsonl(t, []object{{"text": "good film", "adapter": "odd"}, {"text": "bad", "adapter": "b"}})
	args := []string{"seq-cls", "--quiet", "--model", c.Path("base"), "--input", in}
	b := c.Path("adapter_init")
	want := clitest.OK(t, predict.Command, append(args, "--adapters", `"odd=`+odd+`"`, "--adapters=b="+b)...).Out
	for _, yaml := range []string{
		"adapters:\n  odd: " + odd + "\n  b: " + b + "\n", "adapters: ['odd=" + odd + "', b=" + b + "]\n",
		"adapters: '\"odd=" + odd + "\",b=" + b + "'\n",
	} {
		file := clitest.Write(t, filepath.Join(t.TempDir(), "run.yaml"), yaml)
		if r := clitest.OK(t, predict.Command, append(args, "--config", file)...); r.Out != want {
			t.Errorf("%s gives %s, want %s", yaml, r.Out, want)
		}
		// The command line wins.
		one := append(args[:len(args)-1:len(args)-1], jsonl(t, []object{{"text": "good film"}}), "--adapter", b)
		plain := clitest.OK(t, predict.Command, one...).Out
		if r := clitest.OK(t, predict.Command, append(one, "--config", file)...); r.Out != plain {
			t.Errorf("--adapter with adapters in the file gives %s, want %s", r.Out, plain)
		}
	}
}

// metricsOf returns the metrics that a command wrote.
func metricsOf(t *testing.T, args ...string) (text string, metrics map[string]any) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "metrics.json")
	clitest.OK(t, predict.Command, append(args, "--quiet", "--metrics-file", file)...)
	text = clitest.Read(t, file)
	if err := json.Unmarshal([]byte(text), &metrics); err != nil {
		t.Fatal(err)
	}
	return text, metrics
}

// TestAdaptersMetrics scores a mixed file: each adapter as by itself, and means over all rows. A file that one adapter
// serves has the metrics of --adapter.
func TestAdaptersMetrics(t *testing.T) {
	for _, m := range mixedTasks() {
		t.Run(m.command, func(t *testing.T) {
			t.Parallel()
			base, adapters := m.trained(t)
			args := func(more ...string) []string { return append([]string{m.command, "--model", base}, more...) }
			given := "--adapters=spam=" + adapters["spam"] + ",topics=" + adapters["topics"]
			alone := map[string]any{}
			var mixed []object
			for _, name := range []string{"spam", "topics"} {
				rows := m.train[name][:9]
				if name == "topics" {
					rows = m.train[name][9:15]
				}
				text, metrics := metricsOf(t, args("--adapter", adapters[name], "--input", jsonl(t, rows))...)
				alone[name] = metrics
				for i, row := range rows {
					row["adapter"] = name
					mixed = slices.Insert(mixed, min(len(mixed), 2*i), row)
				}
				one, _ := metricsOf(t, args(given, "--input", jsonl(t, rows))...)
				if one != text {
					t.Errorf("%s alone: %s\nby --adapters: %s", name, text, one)
				}
			}
			_, got := metricsOf(t, args(given, "--input", jsonl(t, mixed))...)
			if each := fmt.Sprint(got["adapters"]); each != fmt.Sprint(alone) {
				t.Errorf("the adapters have %s, alone %s", each, alone)
			}
			delete(got, "adapters")
			want := map[string][]string{
				"seq-cls": {"accuracy", "loss"}, "token-cls": {"accuracy"}, "question-answering": {"f1", "exact_match"},
				"multiple-choice": {"accuracy", "loss"}, "embed": {"loss"},
			}[m.command]
			if len(got) != len(want) {
				t.Errorf("the metrics of all rows are %v, want %q", got, want)
			}
			for _, name := range want {
				of := func(adapter string) float64 { return alone[adapter].(map[string]any)[name].(float64) }
				mean := (9*of("spam") + 6*of("topics")) / 15
				if v, _ := got[name].(float64); m.command != "token-cls" && !(v-mean < 1e-9 && mean-v < 1e-9) ||
					v < min(of("spam"), of("topics")) || v > max(of("spam"), of("topics")) {
					t.Errorf("%s is %v, want %v", name, got[name], mean)
				}
			}
		})
	}
}
