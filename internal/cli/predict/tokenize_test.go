package predict_test

import (
	"compress/gzip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/golden"
)

type encoding struct {
	IDs     []int    `json:"ids"`
	Offsets [][2]int `json:"offsets"`
}

// TestTokenizeFixtures compares with the ids that transformers' tokenizer gave for the training rows.
func TestTokenizeFixtures(t *testing.T) {
	for _, c := range clitest.Cases(t) {
		batches := golden.Open(t, c.Path("batches.safetensors"))
		ids, starts := batches.Ints("ids"), batches.Ints("starts")
		r := clitest.OK(t, predict.Command, "tokenize", "--quiet", "--model", c.Path("base"),
			"--input", c.Path("train.jsonl"), "--max-length=40")
		list := clitest.Lines[encoding](t, r.Out)
		if len(list) != len(starts)-1 {
			t.Fatalf("%s: %d rows, want %d", c.Dir, len(list), len(starts)-1)
		}
		for i, e := range list {
			if want := ids[starts[i]:starts[i+1]]; !slices.Equal(e.IDs, want) || len(e.Offsets) != len(want) {
				t.Errorf("%s row %d: ids %v, want %v", c.Dir, i, e.IDs, want)
			}
		}
	}
}

// TestTokenizeTexts has values of Hugging Face tokenizers 0.22 for all-MiniLM-L6-v2.
func TestTokenizeTexts(t *testing.T) {
	for _, x := range []struct {
		name, in string
		args     []string
		want     string
	}{
		{"lines, one of them empty", "Héllo [SEP] 😀world\n\n", nil,
			`{"ids":[101,7592,102,100,102],"offsets":[[0,0],[0,5],[6,11],[12,18],[0,0]]}` + "\n" +
				`{"ids":[101,102],"offsets":[[0,0],[0,0]]}` + "\n"},
		{"no special tokens", "hello world\n", []string{"--no-special-tokens"},
			`{"ids":[7592,2088],"offsets":[[0,5],[6,11]]}` + "\n"},
		{"cut", "hello world hello\n", []string{"--max-length=4"},
			`{"ids":[101,7592,2088,102],"offsets":[[0,0],[0,5],[6,11],[0,0]]}` + "\n"},
		{"texts and pairs",
			"{\"text\": \"hello\"}\n\n{\"text\": \"hello\", \"text_pair\": \"world\"}\n{\"text\": \"world\", \"label\": 3}\n",
			nil,
			`{"ids":[101,7592,102],"offsets":[[0,0],[0,5],[0,0]]}` + "\n" +
				`{"ids":[101,7592,102,2088,102],"offsets":[[0,0],[0,5],[0,0],[0,5],[0,0]]}` + "\n" +
				`{"ids":[101,2088,102],"offsets":[[0,0],[0,5],[0,0]]}` + "\n"},
		{"columns", "a,b\nhello,x\n", []string{"--format=csv", "--text-column=a"},
			`{"ids":[101,7592,102],"offsets":[[0,0],[0,5],[0,0]]}` + "\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := clitest.RunWith(t, t.Context(), x.in, predict.Command, append([]string{"tokenize", "--quiet"}, x.args...)...)
			if got := strings.TrimPrefix(r.Err,
				"WARN: 1 of 1 texts are longer than 4 tokens and were cut\n"); r.Out != x.want || got != "" {
				t.Errorf("got\n%s%swant\n%s", r.Out, r.Err, x.want)
			}
			out := filepath.Join(t.TempDir(), "out.jsonl")
			for _, name := range []string{"in", "in.txt", "in.csv", "in.jsonl"} {
				if x.name != "columns" && name == "in.csv" || (x.in[0] == '{') != (name == "in.jsonl") && name != "in" ||
					x.name == "columns" && name != "in.csv" {
					continue
				}
				in := clitest.Write(t, filepath.Join(t.TempDir(), name), x.in)
				clitest.OK(t, predict.Command, append([]string{"tokenize", "--input", in, "--output", out,
					"--overwrite"}, x.args...)...)
				if got := clitest.Read(t, out); got != x.want {
					t.Errorf("%s: got\n%swant\n%s", name, got, x.want)
				}
			}
		})
	}
}

// A file that is compressed with gzip has the same texts, whether its ending tells the format or its content does.
func TestTokenizeZipped(t *testing.T) {
	const rows = "{\"text\": \"hello\"}\n{\"text\": \"hello\", \"text_pair\": \"world\"}\n"
	for _, name := range []string{"in.jsonl", "in"} {
		dir := t.TempDir()
		want := clitest.OK(t, predict.Command, "tokenize", "--input", clitest.Write(t, filepath.Join(dir, name), rows))
		var b strings.Builder
		z := gzip.NewWriter(&b)
		z.Write([]byte(rows))
		z.Close()
		got := clitest.OK(t, predict.Command, "tokenize", "--input",
			clitest.Write(t, filepath.Join(dir, name+".gz"), b.String()))
		if got.Out != want.Out || len(want.Out) == 0 {
			t.Errorf("%s.gz: got\n%swant\n%s", name, got.Out, want.Out)
		}
		cut := clitest.Write(t, filepath.Join(dir, "cut."+name+".gz"), b.String()[:b.Len()-2])
		r := clitest.Run(t, predict.Command, "tokenize", "--input", cut)
		if r.Code != 3 || !strings.Contains(r.Err, "cut."+name+".gz: the gzip stream ends early") {
			t.Errorf("cut off: exit code %d, %s", r.Code, r.Err)
		}
	}
}

func TestTokenizeRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	in := file("in.txt", "hello\n")
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no file", []string{"--input", "none"}, 3, []string{"none: there is no such file"}},
		{"directory", []string{"--input", dir}, 3, []string{"directory"}},
		{"no model", []string{"--input", in, "--model", "none"}, 3, []string{"--model none", "no such directory"}},
		{"no tokenizer", []string{"--input", in, "--model", dir}, 3, []string{"--model", "tokenizer.json", "vocab.txt"}},
		{"broken tokenizer", []string{"--input", in, "--model", filepath.Dir(file("m/tokenizer.json", "{"))}, 3,
			[]string{"tokenizer.json"}},
		{"row without text", []string{"--input", file("a.jsonl",
			"{\"text\": \"a\"}\n{\"text_pair\": \"b\", \"text\": \"c\"}\n{\"txt\": \"b\"}\n")}, 3, []string{"a.jsonl:3"}},
		{"broken row", []string{"--input", file("b.jsonl", "{\"text\": \"a\"}\n{\"text\": \n")}, 3, []string{"b.jsonl:2"}},
		{"not UTF-8", []string{"--input", file("c.txt", "caf\xe9\n")}, 3, []string{"c.txt:1", "--replace-invalid"}},
		{"strategy without length", []string{"--input", in, "--truncation", "only_first"}, 2,
			[]string{"--truncation needs --max-length"}},
		{"negative length", []string{"--input", in, "--max-length", "-1"}, 2, []string{"--max-length is -1"}},
		{"length too small", []string{"--input", in, "--max-length", "1"}, 2, []string{"--max-length is 1"}},
		{"what cannot be cut", []string{"--input", file("d.jsonl", "{\"text\": \"a\"}\n{\"text\": \"a b c d e\"}\n"),
			"--max-length", "4", "--truncation", "only_second"}, 3,
			[]string{"d.jsonl: text 2 cannot be tokenised: ", "only_second cannot shorten"}},
		{"labels", []string{"--input", in, "--label-column", "x"}, 2, []string{"unknown flag: --label-column"}},
		{"output exists", []string{"--input", in, "--output", in + ".out"}, 2, []string{"in.txt.out", "--overwrite"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			file("in.txt.out", "x")
			before := clitest.Tree(t, dir)
			clitest.Run(t, predict.Command, append([]string{"tokenize"}, x.args...)...).Refused(t, x.code,
				append(x.want, "predict tokenize: ")...)
			if after := clitest.Tree(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	clitest.Run(t, predict.Command, "token").Refused(t, cli.Usage, "want one of seq-cls, token-cls", "tokenize")
}
