package causallm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestFinetuneRefused gives flags and files that cannot be used: one line, the right exit code, nothing left behind.
func TestFinetuneRefused(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	base := func(change func(dir string)) string {
		d := clitest.CopyDir(t, c.Base)
		change(d)
		return d
	}
	bare := base(func(d string) {
		clitest.Write(t, filepath.Join(d, "tokenizer_config.json"), `{"eos_token": "<|endoftext|>"}`)
	})
	speechless := base(func(d string) {
		if err := os.Remove(filepath.Join(d, "tokenizer.json")); err != nil {
			t.Fatal(err)
		}
	})
	sequence := clitest.CopyDir(t, c.Path("adapter_final"))
	config := filepath.Join(sequence, "adapter_config.json")
	clitest.Write(t, config, strings.Replace(clitest.Read(t, config), "CAUSAL_LM", "SEQ_CLS", 1))
	chats := file("chats.jsonl",
		`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`+"\n")
	prompts := file("prompts.jsonl", `{"prompt": "a", "completion": "b"}`+"\n")
	rows := file("rows.jsonl", `{"text": "a b c"}`+"\n"+`{"text": "`+strings.Repeat("x", 40)+`"}`+"\n")
	tiny := file("tiny.json",
		`{"model_type": "gpt2", "vocab_size": 50, "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 16}`)
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"unknown flag", []string{"--blok-size=3"}, 2, []string{"unknown flag: --blok-size", "block-size"}},
		{"block too long", []string{"--block-size=33"}, 2, []string{"--block-size is 33", "2 to 32"}},
		{"block of one", []string{"--block-size=1"}, 2, []string{"--block-size is 1"}},
		{"negative block", []string{"--block-size=-1"}, 2, []string{"--block-size is -1"}},
		{"block of prompts", []string{"--train-file", prompts, "--block-size=8"}, 2,
			[]string{"--block-size is for texts", "prompts.jsonl"}},
		{"length", []string{"--max-length=50"}, 2, []string{"--max-length is 50", "2 to 32"}},
		{"too long", []string{"--train-file", rows, "--too-long=error"}, 3, []string{"rows.jsonl:2", "40 tokens", "32"}},
		{"too long by a wrong name", []string{"--too-long=drop"}, 2, []string{`--too-long is "drop"`}},
		{"rows and plain text", []string{"--train-file", rows, "--eval-file", file("eval.txt", "abc")}, 2,
			[]string{"eval.txt is plain text", "--block-size"}},
		{"sample", []string{"--sample-max-new-tokens=-1"}, 2, []string{"--sample-max-new-tokens is -1"}},
		{"sample prompt too long", []string{"--sample-prompt=" + strings.Repeat("x", 32)}, 2,
			[]string{"--sample-prompt", "32 tokens", "32 positions"}},
		{"preview", []string{"--preview=-1"}, 2, []string{"--preview is -1"}},
		{"dtype", []string{"--full", "--save-dtype=int8"}, 2, []string{`--save-dtype is "int8"`, "bfloat16"}},
		{"dtype of an adapter", []string{"--save-dtype=float16"}, 2, []string{"--save-dtype needs --full"}},
		{"rank of a whole model", []string{"--full", "--lora-r=4"}, 2, []string{"--lora-r is for adapters"}},
		{"adapter of a whole model", []string{"--full", "--adapter", c.Path("adapter_init")}, 2,
			[]string{"--adapter is for adapters"}},
		{"tokenizer of a checkpoint", []string{"--tokenizer=x"}, 2, []string{"--tokenizer needs --from-scratch"}},
		{"two models", []string{"--from-scratch", tiny, "--full"}, 2, []string{"--from-scratch and --model"}},
		{"adapter from scratch", []string{"--model=", "--from-scratch", tiny}, 2, []string{"--from-scratch needs --full"}},
		{"scratch too small", []string{"--model=", "--from-scratch", tiny, "--full", "--tokenizer", c.Base}, 3,
			[]string{"tiny.json", "96 tokens", "vocab_size is 50"}},
		{"no tokenizer for scratch", []string{"--model=", "--from-scratch", tiny, "--full"}, 3,
			[]string{"tiny.json", "tokenizer"}},
		{"no config for scratch", []string{"--model=", "--from-scratch=none.json", "--full", "--tokenizer", c.Base}, 3,
			[]string{"none.json", "no such file"}},
		{"config for scratch is none", []string{"--model=", "--from-scratch", prompts, "--full", "--tokenizer", c.Base}, 3,
			[]string{"prompts.jsonl", "model_type"}},
		{"targets", []string{"--target-modules=q_proj"}, 2, []string{`"q_proj" matches no`}},
		{"head to save", []string{"--modules-to-save=score"}, 2, []string{"--modules-to-save score"}},
		{"metric", []string{"--validation-split=0.2", "--metric-for-best-model=bleu"}, 2, []string{`"bleu"`, "perplexity"}},
		{"no train file", []string{"--train-file=none.txt"}, 3, []string{"none.txt", "no such file"}},
		{"directory", []string{"--train-file", dir}, 3, []string{dir, "directory"}},
		{"empty", []string{"--train-file", file("empty.txt", "")}, 3, []string{"empty.txt"}},
		{"wrong column", []string{"--train-file", prompts, "--text-column=nothing"}, 3,
			[]string{"prompts.jsonl", "--text-column", `"nothing"`}},
		{"no column", []string{"--train-file", file("a.csv", "x,y\n1,2\n")}, 3, []string{"a.csv", "--text-column"}},
		{"column of plain text", []string{"--text-column=x"}, 2, []string{"plain text, which has no columns"}},
		{"nothing to learn", []string{"--train-file", file("one.jsonl", `{"text": "a"}`+"\n")}, 3,
			[]string{"one.jsonl", "none of 1 documents has a token to learn"}},
		{"not JSON", []string{"--train-file", file("bad.jsonl", `{"text": "a b"}`+"\n{\n")}, 3, []string{"bad.jsonl:2"}},
		{"not UTF-8", []string{"--train-file", file("latin.txt", "caf\xe9")}, 3, []string{"latin.txt:1", "UTF-8"}},
		{"no model", []string{"--model=none"}, 3, []string{"--model none", "no such directory"}},
		{"model is a file", []string{"--model", prompts}, 3, []string{"prompts.jsonl"}},
		{"encoder", []string{"--model", filepath.Join(clitest.Testdata, "bert", "query_value", "base")}, 3,
			[]string{`"bert"`, "next token", "gpt2, llama"}},
		{"no tokenizer", []string{"--model", speechless}, 3, []string{"tokenizer"}},
		{"chats without template", []string{"--model", bare, "--train-file", chats}, 3,
			[]string{"chats.jsonl", "no chat template", "chat_template.jinja"}},
		{"model as adapter", []string{"--adapter", c.Base}, 3, []string{"adapter_config.json"}},
		{"adapter of a classifier", []string{"--adapter", sequence}, 3, []string{"SEQ_CLS", "CAUSAL_LM"}},
		{"output exists", []string{"--output-dir", dir}, 2, []string{dir, "--overwrite"}},
		{"checkpoint", []string{"--resume-from-checkpoint", filepath.Join(dir, "none")}, 3,
			[]string{"--resume-from-checkpoint", "no such file"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			before := clitest.Tree(t, dir)
			out := filepath.Join(t.TempDir(), "a", "b")
			clitest.Run(t, finetune.Command, append(clitest.StoryArgs(t, "--output-dir", out), x.args...)...).Refused(t,
				x.code, append(x.want, "finetune causal-lm: ")...)
			clitest.NothingIn(t, filepath.Dir(filepath.Dir(out)))
			if after := clitest.Tree(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	clitest.Run(t, finetune.Command, "causal-lm", "--prompt-column=x").Refused(t, cli.Usage,
		"--prompt-column needs --train-file")
}

// TestOwnBase does not let the whole model take the place of its base.
func TestOwnBase(t *testing.T) {
	args := clitest.StoryArgs(t, "--full", "--overwrite")
	model := args[3]
	before := clitest.Tree(t, model)
	clitest.Run(t, finetune.Command, append(args, "--output-dir", model)...).Refused(t, cli.Usage, "--output-dir",
		"is --model")
	if clitest.Tree(t, model) != before {
		t.Error("the base has changed")
	}
}
