package finetune_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestWrongFlags gives flags that have no meaning or contradict each other.
func TestWrongFlags(t *testing.T) {
	c := clitest.Small(t)
	for _, x := range []struct {
		args string
		want []string
	}{
		{"--train-fle x", []string{"unknown flag: --train-fle", "did you mean train-file"}},
		{"--batch-size four", []string{"--batch-size", `"four"`}},
		{"--batch-size 0", []string{"--batch-size is 0"}},
		{"--batch-size -1", []string{"--batch-size is -1"}},
		{"--learning-rate -1", []string{"--learning-rate is -1"}},
		{"--learning-rate NaN", []string{"--learning-rate is NaN"}},
		{"--max-steps 3 --num-train-epochs 2", []string{"--max-steps and --num-train-epochs exclude each other"}},
		{"--batch-size 3 --tokens-per-batch 20", []string{"--tokens-per-batch 20 exclude each other"}},
		{"--warmup-steps 3 --warmup-ratio 0.2", []string{"--warmup-ratio 0.2 exclude each other"}},
		{"--num-train-epochs 0", []string{"--num-train-epochs is 0"}},
		{"--lr-scheduler-type step", []string{`"step"`, "linear, cosine or constant"}},
		{"--validation-split 1", []string{"--validation-split is 1"}},
		{"--validation-split 0.5 --eval-file x", []string{"--validation-split and --eval-file exclude each other"}},
		{"--dropout 1", []string{"--dropout is 1"}},
		{"--lora-dropout 1.5", []string{"lora_dropout is 1.5"}},
		{"--lora-r 0", []string{"--lora-r is 0"}},
		{"--lora-alpha 0", []string{"lora_alpha is 0"}},
		{"--target-modules qery", []string{`"qery" matches no`, "query"}},
		{"--target-modules .*(", []string{"target_modules"}},
		{"--modules-to-save poler", []string{"--modules-to-save poler"}},
		{"--problem-type ranking", []string{`"ranking"`}},
		{"--truncation middle", []string{`--truncation is "middle"`}},
		{"--max-length 99", []string{"--max-length is 99", "1 to 40"}},
		{"--max-length 1", []string{"--max-length is 1", "special tokens"}},
		{"--resume-fallback", []string{"--resume-fallback needs"}},
		{"--allow-changed seed", []string{"--allow-changed (seed) has no effect on a new run"}},
		{"--threads -1", []string{"--threads is -1"}},
		{"--compute-dtype fp16", []string{`--compute-dtype is "fp16"; want float32 or bf16`}},
		{"--bf16", []string{"--compute-dtype", "bf16"}},
		{"--eval-steps 2", []string{"--eval-steps needs an evaluation set"}},
		{"--early-stopping-patience 2", []string{"--early-stopping-patience needs an evaluation set"}},
		{"--validation-split 0.3 --metric-for-best-model bleu", []string{"--metric-for-best-model is \"bleu\"", "accuracy"}},
		{"--label-smoothing-factor 1", []string{"--label-smoothing-factor is 1"}},
		{"--class-weights 1,2", []string{"--class-weights has 2 weights for 3 classes"}},
		{"--class-weights a,b,c", []string{`--class-weights: "a" is not a number`}},
		{"--log-format xml", []string{`--log-format is "xml"`}},
		{"--allow-other-base", []string{"--allow-other-base needs --adapter"}},
		{"--delimiter ab", []string{`"ab"`}},
		{"--no-header", []string{"--no-header is for CSV and TSV"}},
		{"--labels a,a", []string{`"a" is given twice`}},
		{"--save-minutes -1", []string{"--save-minutes is -1"}},
		{"--max-train-samples -1", []string{"--max-train-samples is -1"}},
		{"extra", []string{`unexpected argument "extra"`}},
		{"--adapter " + c.Path("adapter_init") + " --lora-r 3", []string{"--lora-r is 3, but the adapter"}},
		{"--adapter " + c.Path("adapter_init") + " --lora-alpha 3", []string{"--lora-alpha is 3, but the adapter"}},
		{"--adapter " + c.Path("adapter_init") + " --target-modules dense",
			[]string{"--target-modules is dense, but the adapter"}},
		{"--adapter " + c.Path("adapter_init") + " --modules-to-save pooler",
			[]string{"--modules-to-save is pooler, but the adapter"}},
		{"--adapter " + c.Path("adapter_init") + " --lora-dropout 2", []string{"lora_dropout is 2"}},
		{"--train-file - --eval-file -", []string{"only one of"}},
	} {
		t.Run(x.args, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "a", "b")
			args := smallArgs(t, "--output-dir", out)
			if strings.Contains(x.args, "num-train-epochs") || strings.Contains(x.args, "max-steps") {
				args = args[:len(args)-3]
				args = append(args, "--output-dir", out)
			}
			clitest.Run(t, finetune.Command, append(args, strings.Fields(x.args)...)...).Refused(t, cli.Usage,
				append(x.want, "finetune seq-cls: ")...)
			clitest.NothingIn(t, filepath.Dir(filepath.Dir(out)))
		})
	}
	clitest.Run(t, finetune.Command, "seq-cls", "--text-column", "x").Refused(t, cli.Usage,
		"--text-column needs --train-file")
	clitest.Run(t, finetune.Command).Refused(t, cli.Usage, "a command is missing; want one of seq-cls")
	clitest.Run(t, finetune.Command, "seqcls").Refused(t, cli.Usage, `there is no command "seqcls"`)
}

// TestWrongFiles gives files that are missing or damaged.
func TestWrongFiles(t *testing.T) {
	c := clitest.Small(t)
	dir := t.TempDir()
	file := func(name, text string) string { return clitest.Write(t, filepath.Join(dir, name), text) }
	base := func(name string, change func(dir string)) string {
		d := clitest.CopyDir(t, c.Path("base"))
		change(d)
		return d
	}
	adapter := func(change func(dir string)) string {
		d := clitest.CopyDir(t, c.Path("adapter_init"))
		change(d)
		return d
	}
	remove := func(name string) func(string) {
		return func(d string) {
			if err := os.Remove(filepath.Join(d, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, x := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no train file", []string{"--train-file", "none.csv"}, 3, []string{": none.csv: there is no such file\n"}},
		{"labels of a regression", []string{"--problem-type=regression", "--labels=a,b"}, 2,
			[]string{"--labels: a regression (--problem-type) has no classes"}},
		{"directory", []string{"--train-file", dir}, 3, []string{dir, "directory"}},
		{"empty", []string{"--train-file", file("empty.csv", "")}, 3, []string{"empty.csv", "empty"}},
		{"header only", []string{"--train-file", file("header.csv", "text,label\n")}, 3, []string{"header.csv"}},
		{"wrong column", []string{"--train-file", file("cols.csv", "txt,y\na,b\n")}, 3,
			[]string{"cols.csv", "--text-column", "txt"}},
		{"no such column", []string{"--text-column", "nothing"}, 3, []string{"--text-column", `"nothing"`, `"text"`}},
		{"ragged", []string{"--train-file", file("ragged.csv", "text,label\na,negative\nb\n")}, 3, []string{"ragged.csv:3"}},
		{"wrong label", []string{"--train-file", file("label.csv", "text,label\na,negative\nb,good\n"),
			"--labels", "negative,positive,mixed"}, 3,
			[]string{"label.csv:3", `"good"`, "negative", "positive"}},
		{"wrong label in the evaluation", []string{"--eval-file", file("eval.csv", "text,label\na,bad\n")}, 3,
			[]string{"eval.csv:2", `"bad"`}},
		{"pairs in the evaluation", []string{"--eval-file", file("pairs.csv", "text,text_pair,label\na,b,negative\n")}, 3,
			[]string{"pairs.csv:2", "pairs of texts", "single texts"}},
		{"no label in the test", []string{"--test-file", file("test.csv", "text\na\n")}, 3,
			[]string{"test.csv", "--label-column"}},
		{"not JSON", []string{"--train-file", file("bad.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \n")}, 3,
			[]string{"bad.jsonl:2"}},
		{"pickle as data", []string{"--train-file", file("data.csv", "PK\x03\x04....")}, 3, []string{"data.csv", "zip"}},
		{"unknown ending", []string{"--train-file", file("data.xyz", "text,label\n")}, 2,
			[]string{"data.xyz", "--format csv"}},
		{"not UTF-8", []string{"--train-file", file("latin.csv", "text,label\ncaf\xe9,negative\n")}, 3,
			[]string{"latin.csv:2", "UTF-8"}},
		{"no model", []string{"--model", "none"}, 3, []string{"--model none", "no such directory"}},
		{"model is a file", []string{"--model", file("model.bin", "")}, 3, []string{"model.bin", "not a directory"}},
		{"adapter as model", []string{"--model", c.Path("adapter_init")}, 3, []string{"this is an adapter", "base model"}},
		{"model as adapter", []string{"--adapter", c.Path("base")}, 3, []string{"adapter_config.json"}},
		{"no config", []string{"--model", base("", remove("config.json"))}, 3, []string{"no config.json"}},
		{"no weights", []string{"--model", base("", remove("model.safetensors"))}, 3, []string{"model.safetensors"}},
		{"pickle only", []string{"--model", base("", func(d string) {
			remove("model.safetensors")(d)
			clitest.Write(t, filepath.Join(d, "pytorch_model.bin"), "\x80\x02")
		})}, 3, []string{"pytorch_model.bin", "never read", "convert"}},
		{"damaged weights", []string{"--model", base("",
			func(d string) { clitest.Write(t, filepath.Join(d, "model.safetensors"), "abc") })}, 3,
			[]string{"model.safetensors"}},
		{"no tokenizer", []string{"--model", base("", remove("vocab.txt"))}, 3, []string{"tokenizer.json", "vocab.txt"}},
		{"damaged config", []string{"--model", base("",
			func(d string) { clitest.Write(t, filepath.Join(d, "config.json"), "{") })}, 3, []string{"config.json"}},
		{"other architecture", []string{"--model", base("", func(d string) {
			text := clitest.Read(t, filepath.Join(d, "config.json"))
			clitest.Write(t, filepath.Join(d, "config.json"),
				strings.Replace(text, `"model_type": "bert"`, `"model_type": "pegasus"`, 1))
		})}, 3, []string{`"pegasus"`, "bert"}},
		{"no adapter", []string{"--adapter", "none"}, 3, []string{"--adapter none", "no such directory"}},
		{"adapter without weights", []string{"--adapter", adapter(remove("adapter_model.safetensors"))}, 3,
			[]string{"adapter_model.safetensors"}},
		{"adapter as pickle", []string{"--adapter", adapter(func(d string) {
			remove("adapter_model.safetensors")(d)
			clitest.Write(t, filepath.Join(d, "adapter_model.bin"), "\x80\x02")
		})}, 3, []string{"adapter_model.bin", "pickle", "save_pretrained"}},
		{"adapter of another size", []string{"--adapter", filepath.Join(clitest.Testdata, "bert", "all_embeddings",
			"adapter_init")}, 3, []string{"another shape", "word_embeddings"}},
		{"adapter with DoRA", []string{"--adapter", adapter(func(d string) {
			f := filepath.Join(d, "adapter_config.json")
			clitest.Write(t, f, strings.Replace(clitest.Read(t, f), `"use_dora": false`, `"use_dora": true`, 1))
		})}, 3, []string{"lora_magnitude_vector", "missing"}},
		{"labels of another size", []string{"--adapter", adapter(func(d string) {
			clitest.Write(t, filepath.Join(d, "labels.json"), `["negative", "positive", "mixed", "more"]`)
		})}, 3, []string{"labels.json names 4 classes", "3 outputs"}},
		{"head of another size", []string{"--adapter", c.Path("adapter_init"), "--labels", "negative,positive,mixed,more"},
			3, []string{"has 3 outputs", "needs 4", "--labels"}},
		{"nothing to resume", []string{"--resume-from-checkpoint", "none"}, 3, []string{"--resume-from-checkpoint", "none"}},
		{"no checkpoint to resume", []string{"--resume-from-checkpoint", dir}, 3, []string{"no complete checkpoint"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			clitest.Run(t, finetune.Command, smallArgs(t,
				append(x.args, "--output-dir", out)...)...).Refused(t, x.code, x.want...)
			clitest.NothingIn(t, filepath.Dir(out))
		})
	}
}

// TestTokenizerOfAnotherModel: a tokenizer with more tokens than the model has word embeddings is warned of, and a text
// with one of these tokens is refused with its line.
func TestTokenizerOfAnotherModel(t *testing.T) {
	c := clitest.Small(t)
	dir := clitest.CopyDir(t, c.Path("base"))
	v := filepath.Join(dir, "vocab.txt")
	clitest.Write(t, v, clitest.Read(t, v)+"more\n")
	out := filepath.Join(t.TempDir(), "out")
	args := smallArgs(t, "--model", dir, "--output-dir", out)
	const warning = "the tokenizer has 97 tokens, but the model's word embeddings have 96 rows; texts with one of the " +
		`others, such as "more", are errors`
	if r := clitest.OK(t, finetune.Command, args...); !strings.Contains(r.Err, warning) {
		t.Errorf("standard error is %s", r.Err)
	}
	file := clitest.Write(t, filepath.Join(t.TempDir(), "more.csv"), "text,label\na,negative\nb,mixed\nmore,positive\n")
	r := clitest.Run(t, finetune.Command, append(args, "--overwrite", "--train-file", file)...)
	if r.Code != cli.BadInput || !strings.Contains(r.Err, warning) || !strings.Contains(r.Err,
		`more.csv:4: cannot be tokenised: token "more" has the id 96, but the model has word embeddings for 96 ids`) {
		t.Errorf("exit code %d\n%s", r.Code, r.Err)
	}
}

// TestOutputRefused never touches what is there.
func TestOutputRefused(t *testing.T) {
	c := clitest.Small(t)
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	clitest.Write(t, filepath.Join(full, "thesis.txt"), "x")
	file := clitest.Write(t, filepath.Join(dir, "file"), "x")
	if err := os.Symlink(full, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	before := clitest.Tree(t, dir)
	for path, want := range map[string]string{full: "--overwrite", file: "not a directory",
		filepath.Join(dir, "link"): "symbolic link"} {
		clitest.Run(t, finetune.Command, smallArgs(t, "--output-dir", path)...).Refused(t, cli.Usage, path, want)
	}
	clitest.Run(t, finetune.Command, smallArgs(t, "--output-dir", filepath.Join(file, "x"))...).Refused(t,
		cli.Usage, "not a directory")
	if os.Geteuid() != 0 {
		locked := filepath.Join(dir, "read-only")
		if err := os.Mkdir(locked, 0o555); err != nil {
			t.Fatal(err)
		}
		clitest.Run(t, finetune.Command, smallArgs(t, "--output-dir", locked)...).Refused(t, cli.Failure, "permission denied")
		os.Remove(locked)
	}
	if after := clitest.Tree(t, dir); after != before {
		t.Errorf("changed:\n%s\nwas\n%s", after, before)
	}
	// A run that is resumed may write to its own directory only.
	first := filepath.Join(dir, "first")
	clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", first, "--save-steps=1")...)
	clitest.Run(t, finetune.Command, smallArgs(t, "--output-dir", full, "--resume-from-checkpoint", first)...).Refused(t,
		cli.Usage, full, "--overwrite")
	// With --overwrite the run replaces its own files and leaves others.
	clitest.OK(t, finetune.Command, smallArgs(t, "--output-dir", full, "--overwrite")...)
	if clitest.Read(t, filepath.Join(full, "thesis.txt")) != "x" {
		t.Error("a file that is not a result has changed")
	}
	if c.NumLabels != 3 {
		t.Fatal("the fixture has changed")
	}
}

// TestClassifierOnCausal refuses what a classifier on a language model cannot read, and an adapter of the language
// model.
func TestClassifierOnCausal(t *testing.T) {
	c := clitest.ReadCausal(t, "causal_heads/gpt2_seq_cls")
	file := clitest.Write(t, filepath.Join(t.TempDir(), "train.csv"), "text,label\ngood,x\n\"\",y\n")
	args := []string{"seq-cls", "--quiet", "--model", c.Base, "--train-file", file, "--labels=x,y", "--max-steps=1",
		"--output-dir", filepath.Join(t.TempDir(), "out")}
	r := clitest.Run(t, finetune.Command, args...)
	if r.Code != cli.BadInput || !strings.Contains(r.Err, "train.csv:3") || !strings.Contains(r.Err, "no tokens") {
		t.Errorf("exit code %d\n%s", r.Code, r.Err)
	}
	language := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	good := clitest.Write(t, filepath.Join(t.TempDir(), "good.csv"), "text,label\ngood,x\nbad,y\n")
	clitest.Run(t, finetune.Command, append(args, "--train-file", good,
		"--adapter", language.Path("adapter_final"))...).Refused(t, cli.BadInput, "CAUSAL_LM", "SEQ_CLS")
}
