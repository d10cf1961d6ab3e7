package causallm_test

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/golden"
)

// generated is a row of the output.
type generated struct {
	Prompt string
	Copy   *int `json:"sequence"`
	Text   string
	Finish string `json:"finish_reason"`
	Tokens []int
	Score  *float32
}

// logitsRow is a row of --logits.
type logitsRow struct {
	IDs    []int
	Logits [][]float32
}

// causalArgs uses a fixture's base and its trained adapter.
func causalArgs(c clitest.CausalCase, args ...string) []string {
	return append([]string{"causal-lm", "--quiet", "--model", c.Base, "--adapter", c.Path("adapter_final")}, args...)
}

// TestLogits compares with transformers and PEFT: base, adapter.
func TestLogits(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(clitest.Testdata, "causal", "*"))
	if err != nil || len(paths) < 20 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if name == "rope_dynamic" {
			continue // its rows are longer than its positions
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clitest.ReadCausal(t, "causal/"+name)
			expected := golden.Open(t, c.Path("expected.safetensors"))
			for state, args := range map[string][]string{"final": causalArgs(c), "base": {"causal-lm", "--model", c.Base}} {
				out := filepath.Join(t.TempDir(), state)
				clitest.OK(t, predict.Command, append(args, "--input", c.File(t), "--logits", "--output", out)...)
				want := expected.Float32(state + ".logits")
				var got []float32
				for _, row := range clitest.Lines[logitsRow](t, clitest.Read(t, out)) {
					for _, l := range row.Logits {
						if len(got) < len(want) { // the fixture has the first rows
							got = append(got, l...)
						}
					}
				}
				if len(got) != len(want) {
					t.Fatalf("%d logits, want %d", len(got), len(want))
				}
				if d := golden.MaxRel(got, want); d > 2e-5 {
					t.Errorf("%s: logits differ by %.1e of the largest", state, d)
				}
			}
		})
	}
}

// TestGenerate looks at the rows of prompts from the command line and from files of each kind.
func TestGenerate(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	one := func(args ...string) []generated {
		t.Helper()
		return clitest.Lines[generated](t, clitest.OK(t, predict.Command,
			causalArgs(c, append([]string{"--max-new-tokens=5"}, args...)...)...).Out)
	}
	want := one("--prompt=Who?", "--prompt=a b")
	if len(want) != 2 || want[0].Prompt != "Who?" || want[1].Prompt != "a b" || want[0].Copy != nil {
		t.Fatalf("%+v", want)
	}
	for _, g := range want {
		if g.Finish == "length" != (len(g.Tokens) == 5) || len(g.Tokens) == 0 || len(g.Tokens) > 5 {
			t.Errorf("%+v", g)
		}
		if text := clitest.Text(slices.DeleteFunc(slices.Clone(g.Tokens),
			func(id int) bool { return id == 0 })); text != g.Text {
			t.Errorf("the tokens of %+v are %q", g, text)
		}
	}
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	for name, text := range map[string]string{
		"lines.txt": "Who?\n\na b\n", "text.jsonl": `{"text": "Who?"}` + "\n" + `{"text": "a b"}` + "\n",
		"prompt.jsonl": `{"prompt": "Who?"}` + "\n" + `{"prompt": "a b"}` + "\n",
		"both.jsonl":   `{"prompt": "Who?", "completion": "x"}` + "\n" + `{"prompt": "a b", "completion": "y"}` + "\n",
		"prompt.csv":   "prompt,id\nWho?,1\na b,2\n",
	} {
		if got := one("--input", file(name, text)); !equal(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got := one("--input", file("ask.jsonl", `{"ask": "Who?"}`+"\n"+`{"ask": "a b"}`+"\n"),
		"--prompt-column=ask"); !equal(got, want) {
		t.Errorf("--prompt-column: %+v, want %+v", got, want)
	}
	r := clitest.RunWith(t, t.Context(), "Who?\na b\n", predict.Command, causalArgs(c, "--max-new-tokens=5")...)
	if got := clitest.Lines[generated](t, r.Out); !equal(got, want) {
		t.Errorf("standard input: %+v, want %+v", got, want)
	}
	// Chats: the template of the tokenizer writes u:…;a:, and s:…; for the system.
	chat := one("--chat", "--system=x", "--prompt=Who?")
	if raw := one("--prompt=s:x;u:Who?;a:"); !slices.Equal(chat[0].Tokens, raw[0].Tokens) || chat[0].Prompt != "Who?" {
		t.Errorf("chat %+v, the same as text %+v", chat, raw)
	}
	rows := file("chat.jsonl", `{"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "Who?"}, `+
		`{"role": "assistant", "content": "not read"}]}`+"\n")
	if got := one("--input", rows); !equal(got, chat) {
		t.Errorf("messages: %+v, want %+v", got, chat)
	}
	if got := one("--input", file("q.txt", "Who?\n"), "--chat", "--system=x"); !equal(got, chat) {
		t.Errorf("lines as messages: %+v, want %+v", got, chat)
	}
}

func equal(a, b []generated) bool {
	return slices.EqualFunc(a, b, func(a, b generated) bool {
		return a.Prompt == b.Prompt && a.Text == b.Text && a.Finish == b.Finish && slices.Equal(a.Tokens, b.Tokens)
	})
}

// TestSampling tries the flags that choose tokens, and the defaults that a checkpoint gives.
func TestSampling(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/llama_gqa")
	text := func(args ...string) string {
		t.Helper()
		return clitest.OK(t, predict.Command, causalArgs(c,
			append([]string{"--prompt=cat", "--max-new-tokens=12"}, args...)...)...).Out
	}
	greedy, sampled := text(), text("--do-sample", "--temperature=1.5")
	if greedy == sampled || text() != greedy || text("--do-sample", "--temperature=1.5", "--threads=1") != sampled {
		t.Error("greedy and sampled texts are equal, or not the same twice")
	}
	if text("--temperature=1.5") != sampled {
		t.Error("--temperature does not imply --do-sample")
	}
	if text("--temperature=1.5", "--seed=1") == sampled || text("--temperature=1.5", "--top-k=2") == sampled {
		t.Error("--seed or --top-k has no effect")
	}
	for _, flags := range []string{"--temperature=0", "--top-k=1", "--top-p=0.0001", "--min-p=1", "--do-sample=false"} {
		if text(flags) != greedy {
			t.Errorf("%s is not greedy", flags)
		}
	}
	if text("--repetition-penalty=5") == greedy {
		t.Error("--repetition-penalty has no effect")
	}
	list := clitest.Lines[generated](t, text("--temperature=1.5", "--num-return-sequences=3"))
	if len(list) != 3 || *list[2].Copy != 2 || list[0].Text == list[1].Text {
		t.Errorf("three sequences: %+v", list)
	}
	g := clitest.Lines[generated](t, greedy)[0]
	if len(g.Text) < 4 {
		t.Fatalf("too short to stop in: %+v", g)
	}
	stop := g.Text[2:4]
	if s := clitest.Lines[generated](t, text("--stop="+stop))[0]; s.Finish != "stop_string" ||
		s.Text != g.Text[:strings.Index(g.Text, stop)] {
		t.Errorf("--stop %q of %q gives %+v", stop, g.Text, s)
	}
	clitest.Write(t, filepath.Join(c.Base, "generation_config.json"),
		`{"do_sample": true, "temperature": 1.5, "eos_token_id": [0, 5]}`)
	if text() != sampled {
		t.Error("generation_config.json has no effect")
	}
	if text("--do-sample=false") != greedy {
		t.Error("--do-sample=false does not win over generation_config.json")
	}
	clitest.Write(t, filepath.Join(c.Base, "generation_config.json"),
		`{"eos_token_id": `+string(mustJSON(t, g.Tokens[1]))+`}`)
	if s := clitest.Lines[generated](t, text())[0]; s.Finish != "stop" ||
		len(s.Tokens) != slices.Index(g.Tokens, g.Tokens[1])+1 {
		t.Errorf("another end token gives %+v", s)
	}
}

// TestBeams tries the flags of beam search.
func TestBeams(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/llama_gqa")
	search := func(args ...string) []generated {
		t.Helper()
		return clitest.Lines[generated](t, clitest.OK(t, predict.Command, causalArgs(c,
			append([]string{"--prompt=cat", "--prompt=dogs", "--max-new-tokens=12"}, args...)...)...).Out)
	}
	greedy, best := search(), search("--num-beams=4")
	if len(best) != 2 || best[0].Score == nil || greedy[0].Score != nil || equal(greedy, best) {
		t.Fatalf("greedy %+v, 4 beams %+v", greedy, best)
	}
	all := search("--num-beams=4", "--num-return-sequences=3")
	if len(all) != 6 || !slices.Equal(all[0].Tokens, best[0].Tokens) || !slices.Equal(all[3].Tokens, best[1].Tokens) {
		t.Errorf("three of four: %+v\nthe best: %+v", all, best)
	}
	for i, s := range all {
		if *s.Copy != i%3 || i%3 > 0 && *s.Score > *all[i-1].Score {
			t.Errorf("sequence %d is number %d with the score %v", i, *s.Copy, *s.Score)
		}
	}
	if got := search("--num-beams=4", "--length-penalty=0"); *got[0].Score > 5**best[0].Score {
		t.Errorf("the score is %v without a length penalty, %v with one", *got[0].Score, *best[0].Score)
	}
	end := string(mustJSON(t, best[0].Tokens[0]))
	clitest.Write(t, filepath.Join(c.Base, "generation_config.json"),
		`{"eos_token_id": [`+end+`, 3, 4, 5, 20, 22], "num_beams": 3, "early_stopping": true}`)
	file := search()
	if equal(file, search("--num-beams=1")) {
		t.Error("num_beams of generation_config.json has no effect")
	}
	if got := search("--num-beams=3", "--early-stopping=true"); !equal(got, file) {
		t.Errorf("flags give %+v, the file %+v", got, file)
	}
	if equal(search("--early-stopping=never", "--length-penalty=3"), file) {
		t.Error("--early-stopping and --length-penalty have no effect")
	}
	for _, s := range search("--min-length=12") {
		if s.Finish == "stop" && len(s.Tokens) < 8 {
			t.Errorf("--min-length=12 gives %+v", s)
		}
	}
	for _, x := range []struct {
		args []string
		want string
	}{
		{[]string{"--num-beams=2", "--top-k=3"}, "--num-beams searches the most probable texts, --top-k draws tokens"},
		{[]string{"--num-beams=-1"}, "--num-beams is -1"},
		{[]string{"--num-beams=2", "--num-return-sequences=3"}, "--num-return-sequences is 3; want at most --num-beams, 2"},
		{[]string{"--early-stopping=maybe"}, "is not false, true or never"},
		{[]string{"--num-beams=1", "--length-penalty=2"}, "set --num-beams to 2 or more"},
		{[]string{"--min-length=3", "--min-new-tokens=2"}, "--min-length has no effect with --min-new-tokens"},
	} {
		clitest.Run(t, predict.Command, causalArgs(c, append(x.args, "--prompt=a")...)...).Refused(t, cli.Usage, x.want)
	}
}

// TestGenerationWarnings: settings of generation_config.json that are not honoured are reported once each.
func TestGenerationWarnings(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/llama_gqa")
	clitest.Write(t, filepath.Join(c.Base, "generation_config.json"),
		`{"guidance_scale": 4, "use_cache": false, "colour": 1}`)
	r := clitest.OK(t, predict.Command, causalArgs(c, "--prompt=cat", "--prompt=dog", "--max-new-tokens=3")...)
	for _, want := range []string{"generation_config.json: guidance_scale is 4: classifier-free guidance is not supported",
		"generation_config.json: not known and without effect: colour"} {
		if strings.Count(r.Err, want) != 1 {
			t.Errorf("%q is there %d times in\n%s", want, strings.Count(r.Err, want), r.Err)
		}
	}
	if strings.Contains(r.Err, "use_cache") {
		t.Errorf("a warning about a key without effect:\n%s", r.Err)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestStream writes the answer to one prompt on a terminal as text.
func TestStream(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/llama_gqa")
	args := causalArgs(c, "--prompt=cat", "--max-new-tokens=12")
	want := clitest.Lines[generated](t, clitest.OK(t, predict.Command, args...).Out)[0].Text
	var out clitest.Buffer
	env := clitest.Env(nil, &out, new(clitest.Buffer))
	env.OutTerminal = true
	if code := cli.Run(t.Context(), env, predict.Command, args); code != cli.Done || out.String() != want+"\n" {
		t.Errorf("exit code %d, %q, want %q", code, out.String(), want+"\n")
	}
}

// TestTalk holds a conversation: each answer is that of a chat with everything before it.
func TestTalk(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/qwen2")
	flags := []string{"--chat", "--max-new-tokens=3"}
	r := clitest.RunWith(t, t.Context(), "a\n\nb\r\n", predict.Command, causalArgs(c, flags...)...)
	if r.Code != cli.Done {
		t.Fatal(r.Err)
	}
	answer := func(messages ...map[string]string) string {
		file := clitest.Write(t, filepath.Join(t.TempDir(), "m.jsonl"),
			string(mustJSON(t, map[string]any{"messages": messages}))+"\n")
		return clitest.Lines[generated](t, clitest.OK(t, predict.Command,
			causalArgs(c, "--max-new-tokens=3", "--input", file)...).Out)[0].Text
	}
	a := map[string]string{"role": "user", "content": "a"}
	first := answer(a)
	second := answer(a, map[string]string{"role": "assistant", "content": first},
		map[string]string{"role": "user", "content": "b"})
	if want := first + "\n" + second + "\n"; r.Out != want {
		t.Errorf("the chat is %q, want %q", r.Out, want)
	}
	// A chat longer than the 40 positions forgets its beginning; a message longer than them is an error.
	r = clitest.RunWith(t, t.Context(), strings.Repeat("0123456789\n", 4), predict.Command, causalArgs(c, flags...)...)
	if r.Code != cli.Done || !strings.Contains(r.Err, "first 2 messages are forgotten") || strings.Count(r.Out, "\n") < 4 {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	r = clitest.RunWith(t, t.Context(), strings.Repeat("x", 60)+"\n", predict.Command, causalArgs(c, flags...)...)
	if r.Code != cli.Failure || !strings.Contains(r.Err, "40 positions") {
		t.Errorf("exit code %d\n%s", r.Code, r.Err)
	}
	// A signal while the terminal waits for a line ends the chat.
	in, keep := io.Pipe()
	defer keep.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var out clitest.Buffer
	out.When("> ", cancel)
	env := clitest.Env(in, &out, new(clitest.Buffer))
	env.InTerminal = true
	if code := cli.Run(ctx, env, predict.Command, causalArgs(c, flags...)); code != cli.Done || out.String() != "> \n" {
		t.Errorf("exit code %d, %q", code, out.String())
	}
}

// TestPerplexity holds --metrics-file to the logits.
func TestPerplexity(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	out := filepath.Join(t.TempDir(), "m.json")
	in := clitest.Write(t, filepath.Join(t.TempDir(), "in.jsonl"), `{"text": "The cat sat"}`+"\n"+`{"text": "a b"}`+"\n")
	if r := clitest.OK(t, predict.Command, causalArgs(c, "--input", in, "--metrics-file", out)...); r.Out != "" {
		t.Errorf("standard output has %q", r.Out)
	}
	var got struct{ Loss, Perplexity, Accuracy float64 }
	if err := json.Unmarshal([]byte(clitest.Read(t, out)), &got); err != nil {
		t.Fatal(err)
	}
	loss, n := 0.0, 0.0
	for _, row := range clitest.Lines[logitsRow](t,
		clitest.OK(t, predict.Command, causalArgs(c, "--input", in, "--logits")...).Out) {
		for i, l := range row.Logits[:len(row.Logits)-1] {
			sum := 0.0
			for _, x := range l {
				sum += math.Exp(float64(x))
			}
			loss += math.Log(sum) - float64(l[row.IDs[i+1]])
			n++
		}
	}
	if loss /= n; math.Abs(got.Loss-loss) > 1e-5 || math.Abs(got.Perplexity-math.Exp(loss)) > 1e-3 {
		t.Errorf("metrics %+v, the logits say loss %v", got, loss)
	}
	text := clitest.Write(t, filepath.Join(t.TempDir(), "in.txt"), strings.Repeat("The cat sat.\n", 20))
	r := clitest.OK(t, predict.Command, append(causalArgs(c, "--input", text, "--metrics-file", out, "--overwrite"),
		"--quiet=false")...)
	if !strings.Contains(r.Err, "perplexity") {
		t.Error(r.Err)
	}
}

func TestPredictRefused(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	in := file("in.jsonl", `{"text": "good"}`+"\n")
	bare := clitest.CopyDir(t, c.Base)
	clitest.Write(t, filepath.Join(bare, "tokenizer_config.json"), `{"eos_token": "<|endoftext|>"}`)
	sequence := clitest.CopyDir(t, c.Path("adapter_final"))
	config := filepath.Join(sequence, "adapter_config.json")
	clitest.Write(t, config, strings.Replace(clitest.Read(t, config), "CAUSAL_LM", "SEQ_CLS", 1))
	long := strings.Repeat("x", 40)
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no input file", []string{"--input", "none.txt"}, 3, []string{"none.txt", "no such file"}},
		{"directory", []string{"--input", dir}, 3, []string{dir, "directory"}},
		{"empty file", []string{"--input", file("empty.txt", "")}, 3, []string{"empty.txt"}},
		{"blank lines", []string{"--input", file("blank.txt", "\n\n")}, 3, []string{"blank.txt", "empty"}},
		{"wrong column", []string{"--input", in, "--prompt-column=x"}, 3, []string{"in.jsonl", `"x"`}},
		{"no column", []string{"--input", file("a.csv", "x,y\na,b\n")}, 3, []string{"a.csv", "--text-column"}},
		{"not JSON", []string{"--input", file("bad.jsonl", `{"prompt": "a"}`+"\n{\n")}, 3, []string{"bad.jsonl:2"}},
		{"prompt too long", []string{"--prompt", long}, 2, []string{"--prompt", "40 tokens", "32 positions"}},
		{"row too long", []string{"--input", file("long.txt", "a\n"+long+"\n")}, 3,
			[]string{"long.txt:2", "40 tokens", "32 positions"}},
		{"two inputs", []string{"--input", in, "--prompt=a"}, 2, []string{"--input and --prompt"}},
		{"columns of prompts", []string{"--prompt=a", "--text-column=b"}, 2, []string{"--text-column is for --input"}},
		{"system without chat", []string{"--prompt=a", "--system=b"}, 2, []string{"--system needs --chat"}},
		{"chat without template", []string{"--prompt=a", "--chat", "--model", bare, "--allow-other-base"}, 3,
			[]string{"no chat template", "chat_template.jinja"}},
		{"chats without template", []string{"--input",
			file("c.jsonl", `{"messages": [{"role": "user", "content": "x"}]}`+"\n"), "--model", bare}, 3,
			[]string{"c.jsonl", "no chat template"}},
		{"logits of a chat", []string{"--chat", "--logits"}, 2, []string{"--chat is for generating"}},
		{"logits of prompts", []string{"--input", file("p.jsonl", `{"prompt": "a", "completion": "b"}`+"\n"), "--logits"},
			3, []string{"p.jsonl", "--text-column"}},
		{"metrics of prompts", []string{"--prompt=a", "--metrics-file=m"}, 2, []string{"--metrics-file needs --input"}},
		{"two results", []string{"--input", in, "--logits", "--metrics-file=m"}, 2, []string{"--logits and --metrics-file"}},
		{"length for generating", []string{"--prompt=a", "--max-length=3"}, 2, []string{"--max-new-tokens"}},
		{"length", []string{"--input", in, "--logits", "--max-length=50"}, 2,
			[]string{"--max-length is 50", "the positions of the model"}},
		{"temperature", []string{"--prompt=a", "--temperature=-1"}, 2, []string{"--temperature is -1"}},
		{"no sampling", []string{"--prompt=a", "--top-p=0.5", "--do-sample=false"}, 2, []string{"--top-p has no effect"}},
		{"draw the best", []string{"--prompt=a", "--temperature=0", "--do-sample"}, 2, []string{"--temperature 0"}},
		{"equal sequences", []string{"--prompt=a", "--num-return-sequences=2"}, 2, []string{"--num-return-sequences is 2"}},
		{"no tokens", []string{"--prompt=a", "--max-new-tokens=0"}, 2, []string{"--max-new-tokens is 0"}},
		{"output exists", []string{"--prompt=a", "--output", file("there.jsonl", "x")}, 2,
			[]string{"there.jsonl", "exists", "--overwrite"}},
		{"output is the input", []string{"--input", in, "--output", in, "--overwrite"}, 2, []string{"this is the input"}},
		{"no adapter", []string{"--prompt=a", "--adapter=none"}, 3, []string{"--adapter none", "no such directory"}},
		{"adapter of a classifier", []string{"--prompt=a", "--adapter", sequence}, 3, []string{"SEQ_CLS", "CAUSAL_LM"}},
		{"no model", []string{"--prompt=a", "--model=none"}, 3, []string{"--model none", "no such directory"}},
		{"encoder", []string{"--prompt=a", "--model", filepath.Join(clitest.Testdata, "bert", "query_value", "base")}, 3,
			[]string{`"bert"`, "next token"}},
		{"generation_config.json", []string{"--prompt=a", "--model",
			withFile(t, c.Base, "generation_config.json", `{"temperature": "hot"}`)}, 3, []string{"generation_config.json"}},
		{"end token", []string{"--prompt=a", "--model",
			withFile(t, c.Base, "generation_config.json", `{"eos_token_id": "x"}`)}, 3,
			[]string{"generation_config.json", "eos_token_id"}},
		{"threads", []string{"--prompt=a", "--threads=-2"}, 2, []string{"--threads is -2"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := clitest.Tree(t, dir)
			clitest.Run(t, predict.Command, causalArgs(c, x.args...)...).Refused(t, x.code,
				append(x.want, "predict causal-lm: ")...)
			if after := clitest.Tree(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	env := cli.Env{Out: new(clitest.Buffer), Err: new(clitest.Buffer), InTerminal: true}
	if code := cli.Run(t.Context(), env, predict.Command, causalArgs(c)); code != cli.Usage {
		t.Errorf("nothing to go on with: exit code %d, want 2", code)
	}
}

// withFile copies a directory and writes one more file into it.
func withFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	copied := clitest.CopyDir(t, dir)
	clitest.Write(t, filepath.Join(copied, name), text)
	return copied
}

// TestDamagedWeights has weights that make logits NaN.
func TestDamagedWeights(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	clitest.Rewrite(t, filepath.Join(c.Base, "model.safetensors"), func(x safetensors.Tensor) (safetensors.Tensor, bool) {
		if strings.HasSuffix(x.Name, "ln_f.bias") {
			copy(x.Data[len(x.Data)-4:], []byte{0xff, 0xff, 0xff, 0x7f})
		}
		return x, true
	})
	out := filepath.Join(t.TempDir(), "out.jsonl")
	for _, args := range [][]string{{"--logits"}, nil} {
		r := clitest.Run(t, predict.Command, append([]string{"causal-lm", "--quiet", "--model", c.Base, "--prompt=cat",
			"--output", out}, args...)...)
		if r.Code != cli.Failure || !strings.Contains(r.Err, "NaN") {
			t.Errorf("exit code %d\n%s", r.Code, r.Err)
		}
		clitest.NothingIn(t, filepath.Dir(out))
	}
}
