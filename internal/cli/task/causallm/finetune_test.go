package causallm_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestOutput looks at every file that a run leaves, and at what it prints.
func TestOutput(t *testing.T) {
	out := filepath.Join(t.TempDir(), "new", "dir")
	r := clitest.OK(t, finetune.Command, append(clitest.StoryArgs(t, "--output-dir", out, "--max-steps=40",
		"--eval-steps=20", "--validation-split=0.1", "--learning-rate=0.02", "--target-modules=all-linear",
		"--sample-prompt=The cat", "--sample-prompt=The dog"), "--quiet=false")...)
	want := []string{"adapter_config.json", "adapter_model.safetensors", "metrics.jsonl", "results.json"}
	if got := slices.DeleteFunc(clitest.Names(t, out), func(n string) bool { return n == "last" }); !slices.Equal(got,
		want) {
		t.Errorf("the directory has %v, want %v and perhaps last", got, want)
	}
	if config := clitest.Read(t, filepath.Join(out, "adapter_config.json")); !strings.Contains(config, `"CAUSAL_LM"`) ||
		!strings.Contains(config, `"fan_in_fan_out": true`) {
		t.Errorf("adapter_config.json is %s", config)
	}
	var first, last float64
	for _, l := range clitest.Lines[map[string]float64](t, clitest.Read(t, filepath.Join(out, "metrics.jsonl"))) {
		keys := []string{"step", "epoch", "loss", "grad_norm", "learning_rate", "tokens_per_second"}
		if loss, is := l["eval_loss"]; is {
			keys = []string{"step", "epoch", "eval_loss", "eval_perplexity", "eval_accuracy"}
			if first == 0 {
				first = loss
			}
			last = loss
		}
		for _, k := range keys {
			if _, ok := l[k]; !ok || len(l) != len(keys) {
				t.Errorf("line %v; want the keys %v", l, keys)
			}
		}
	}
	if !(last < first) {
		t.Errorf("the loss of evaluation goes from %v to %v", first, last)
	}
	results := clitest.Read(t, filepath.Join(out, "results.json"))
	if !strings.Contains(results, `"task": "causal-lm"`) || strings.Contains(results, "num_labels") ||
		!strings.Contains(results, `"best_metric": "loss"`) {
		t.Errorf("results.json is %s", results)
	}
	for _, text := range []string{"before training, after \"The cat\":\n", "before training, after \"The dog\":\n",
		"after training, after \"The cat\":\n", "trained 40 steps", "mean perplexity of training", "best evaluation",
		"adapter: " + out} {
		if !strings.Contains(r.Out, text) {
			t.Errorf("standard output lacks %q:\n%s", text, r.Out)
		}
	}
	for _, text := range []string{"perplexity", "step 20 evaluation: loss", "step 20, after \"The cat\":",
		"step 40, after \"The dog\":", "sequences of"} {
		if !strings.Contains(r.Err, text) {
			t.Errorf("standard error lacks %q:\n%s", text, r.Err)
		}
	}
	if r := clitest.OK(t, finetune.Command, clitest.StoryArgs(t, "--output-dir", filepath.Join(t.TempDir(), "x"),
		"--sample-max-new-tokens=0")...); strings.Contains(r.Out, "before") {
		t.Errorf("samples that were not wanted:\n%s", r.Out)
	}
}

// TestWholeModel trains all weights, of a checkpoint and from nothing, and continues from the saved model.
func TestWholeModel(t *testing.T) {
	dir := t.TempDir()
	first := filepath.Join(dir, "first")
	r := clitest.OK(t, finetune.Command, clitest.StoryArgs(t, "--output-dir", first, "--full", "--learning-rate=0.01",
		"--max-steps=20", "--save-dtype=bfloat16")...)
	if got, want := clitest.Names(t, first), []string{"config.json", "metrics.jsonl", "model.safetensors",
		"results.json", "tokenizer.json", "tokenizer_config.json"}; !slices.Equal(got, want) {
		t.Errorf("the directory has %v, want %v", got, want)
	}
	if !strings.Contains(r.Out, "model: "+first) {
		t.Errorf("standard output is %s", r.Out)
	}
	f, err := safetensors.Open(filepath.Join(first, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, ok := f.Tensor("transformer.h.0.attn.c_attn.weight"); !ok || x.DType != safetensors.BF16 ||
		!slices.Equal(x.Shape, []int{24, 72}) {
		t.Errorf("c_attn.weight is %v %v", x.DType, x.Shape)
	}
	if _, ok := f.Tensor("lm_head.weight"); ok {
		t.Error("the tied head was saved beside the word table")
	}
	if config := clitest.Read(t, filepath.Join(first, "config.json")); !strings.Contains(config,
		`"dtype": "bfloat16"`) || !strings.Contains(config, "GPT2LMHeadModel") {
		t.Errorf("config.json is %s", config)
	}
	// The loss is lower where training continues than where it begins.
	loss := func(args ...string) float64 {
		out := filepath.Join(t.TempDir(), "out")
		clitest.OK(t, finetune.Command, clitest.StoryArgs(t, append(args, "--output-dir", out, "--max-steps=1")...)...)
		return clitest.Lines[clitest.Step](t, clitest.Read(t, filepath.Join(out, "metrics.jsonl")))[0].Loss
	}
	if before, after := loss(), loss("--model", first); !(after < before-0.5) {
		t.Errorf("loss %v with the trained model, %v with the one before", after, before)
	}
	scratch := filepath.Join(dir, "scratch")
	config := clitest.Write(t, filepath.Join(dir, "config.json"),
		`{"model_type": "llama", "vocab_size": 96, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
		"num_attention_heads": 2, "max_position_embeddings": 64, "eos_token_id": 0}`)
	clitest.Characters(t, dir, 96)
	file := clitest.Write(t, filepath.Join(dir, "story.txt"), clitest.Story)
	args := []string{"causal-lm", "--quiet", "--from-scratch", config, "--full", "--train-file", file, "--max-steps=3",
		"--output-dir", scratch}
	clitest.OK(t, finetune.Command, args...)
	weights := clitest.Read(t, filepath.Join(scratch, "model.safetensors"))
	again := filepath.Join(dir, "again")
	clitest.OK(t, finetune.Command, append(args[:len(args)-1], again, "--threads=1")...)
	if clitest.Read(t, filepath.Join(again, "model.safetensors")) != weights {
		t.Error("the same settings give other weights")
	}
	clitest.OK(t, finetune.Command, append(args[:len(args)-1], again, "--overwrite", "--seed=1")...)
	if clitest.Read(t, filepath.Join(again, "model.safetensors")) == weights {
		t.Error("another seed gives the same weights")
	}
}

// TestResume stops runs as a signal does, and compares what they come to with runs that were never stopped.
func TestResume(t *testing.T) {
	for _, mode := range [][]string{{"--lora-dropout=0.1", "--dropout=0.1"}, {"--full", "--learning-rate=0.001"}} {
		t.Run(strings.Join(mode, " "), func(t *testing.T) {
			args := clitest.StoryArgs(t, append(mode, "--max-steps=5", "--validation-split=0.1", "--eval-steps=2",
				"--save-steps=2")...)
			whole, stopped := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "stopped")
			clitest.OK(t, finetune.Command, append(args, "--output-dir", whole)...)
			r := clitest.StopAfterFirstStep(t, finetune.Command, append(args, "--output-dir", stopped)...)
			if r.Code != cli.Cancelled || !strings.Contains(r.Err, "--resume-from-checkpoint "+stopped) {
				t.Fatalf("exit code %d, want %d\n%s", r.Code, cli.Cancelled, r.Err)
			}
			kept := "adapter_model.safetensors"
			if slices.Contains(mode, "--full") {
				kept = "model.safetensors"
			}
			if !slices.Contains(clitest.Names(t, stopped), kept) {
				t.Errorf("no %s among %v", kept, clitest.Names(t, stopped))
			}
			r = clitest.OK(t, finetune.Command, append(args, "--resume-from-checkpoint", stopped)...)
			if strings.Contains(r.Out, "before training") {
				t.Errorf("a sample from before training in a run that was resumed:\n%s", r.Out)
			}
			if clitest.Read(t, filepath.Join(stopped, kept)) != clitest.Read(t, filepath.Join(whole, kept)) {
				t.Errorf("%s differs from that of the run without a stop", kept)
			}
			if clitest.Metrics(t, stopped) != clitest.Metrics(t, whole) {
				t.Error("metrics.jsonl differs from that of the run without a stop")
			}
			for _, change := range []string{"--block-size=16", "--seed=3", "--train-on-prompt"} {
				clitest.Run(t, finetune.Command, append(args, "--resume-from-checkpoint", stopped, change)...).Refused(t,
					cli.Usage, "checkpoint-")
			}
		})
	}
}

// TestCheckpointing gives the same bytes with and without gradient checkpointing.
func TestCheckpointing(t *testing.T) {
	var weights []string
	for _, flags := range [][]string{nil, {"--gradient-checkpointing"}} {
		out := filepath.Join(t.TempDir(), "out")
		clitest.OK(t, finetune.Command, clitest.StoryArgs(t, append(flags, "--output-dir", out, "--dropout=0.1")...)...)
		weights = append(weights, clitest.Read(t, filepath.Join(out, "adapter_model.safetensors"))+clitest.Metrics(t, out))
	}
	if weights[0] != weights[1] {
		t.Error("gradient checkpointing changes the results")
	}
}

// kinds are rows of the three kinds, with what --preview shows of the first.
var kinds = []struct{ name, rows, preview string }{
	{"text", `{"text": "A cat."}` + "\n", "── 1: 6 tokens\nA[ cat.]\n"},
	{"prompt and completion", `{"prompt": "Who?", "completion": " Me."}` + "\n",
		"── 1: 9 tokens\nWho?[ Me.<|endoftext|>]\n"},
	{"chat", `{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]}` + "\n",
		"── 1: 13 tokens\nu:Who?;[a:Me.<|endoftext|>]\n"},
}

// TestPreview prints what is learned of each kind of row, trains nothing and writes nothing; the rows train, too.
func TestPreview(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			dir := t.TempDir()
			file := clitest.Write(t, filepath.Join(dir, "rows.jsonl"), k.rows)
			out := filepath.Join(dir, "out")
			args := clitest.StoryArgs(t, "--train-file", file, "--output-dir", out)
			r := clitest.OK(t, finetune.Command, append(args, "--preview=5")...)
			want := strings.Replace(k.preview, "[a:", "a:[", 1)
			if r.Out != want {
				t.Errorf("preview\n%s, want\n%s", r.Out, want)
			}
			colours := clitest.Env(nil, new(clitest.Buffer), new(clitest.Buffer))
			colours.Colour = true
			if code := cli.Run(t.Context(), colours, finetune.Command, append(args, "--preview=1")); code != cli.Done ||
				!strings.Contains(colours.Out.(*clitest.Buffer).String(), "\x1b[32m") {
				t.Errorf("exit code %d, on a terminal: %q", code, colours.Out)
			}
			if names := clitest.Names(t, dir); !slices.Equal(names, []string{"rows.jsonl"}) {
				t.Errorf("--preview has left %v", names)
			}
			clitest.OK(t, finetune.Command, args...)
			r = clitest.OK(t, finetune.Command, append(args, "--preview=1", "--train-on-prompt")...)
			if n := strings.Count(r.Out, "["); n != 1 || strings.Index(r.Out, "[") > len("── 1: 10 tokens\n")+4 {
				t.Errorf("--train-on-prompt:\n%s", r.Out)
			}
		})
	}
}

// TestPreviewMarked shows what is learned of chats with weights, and of instructions with and without a template.
func TestPreviewMarked(t *testing.T) {
	const weights = `{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "You.", ` +
		`"weight": 0}, {"role": "user", "content": "No."}, {"role": "assistant", "content": "Me.", "weight": 1}]}` + "\n"
	const alpaca = `{"instruction": "Who?", "input": "", "output": "Me."}` + "\n"
	for _, tt := range []struct {
		name, rows, want string
		story            bool
		flags            []string
	}{
		{"weights", weights, "u:Who?;a:You.<|endoftext|>u:No.;a:[Me.<|endoftext|>]\n", true, nil},
		{"weights, all learned", weights, "u[:Who?;a:]You.<|endoftext|>[u:No.;a:Me.<|endoftext|>]\n", true,
			[]string{"--train-on-prompt"}},
		{"a template", alpaca, "u:Who?;a:[Me.<|endoftext|>]\n", true, nil},
		{"no template", alpaca, "### Response:[Me.<|endoftext|>]\n", false, nil},
	} {
		file := clitest.Write(t, filepath.Join(t.TempDir(), "rows.jsonl"), tt.rows)
		args := append([]string{"causal-lm", "--train-file", file, "--preview=1"}, tt.flags...)
		if tt.story {
			args = clitest.StoryArgs(t, append(tt.flags, "--train-file", file, "--preview=1")...)
		}
		if r := clitest.OK(t, finetune.Command, args...); !strings.HasSuffix(r.Out, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, r.Out, tt.want)
		}
	}
}

// TestInstructionsOfTwoFiles writes instructions without inputs like those of another file of the run that has inputs.
func TestInstructionsOfTwoFiles(t *testing.T) {
	dir := t.TempDir()
	train := clitest.Write(t, filepath.Join(dir, "train.jsonl"), `{"instruction": "Who?", "output": "Me."}`+"\n"+
		`{"instruction": "Who?", "input": "You?", "output": "Me."}`+"\n")
	eval := clitest.Write(t, filepath.Join(dir, "eval.jsonl"), `{"instruction": "Where?", "output": "Here."}`+"\n")
	r := clitest.OK(t, finetune.Command, "causal-lm", "--train-file", train, "--eval-file", eval, "--preview=2")
	for _, file := range []string{train, eval} {
		if !strings.Contains(r.Err, file+": the instructions with outputs are written as Alpaca's prompts") {
			t.Errorf("%s is read otherwise:\n%s", file, r.Err)
		}
	}
	if !strings.Contains(r.Out, "### Input:\nYou?") {
		t.Errorf("the input is lost:\n%s", r.Out)
	}
}

// TestQuantisedBase trains an adapter of a GGUF file, which stays quantised.
func TestQuantisedBase(t *testing.T) {
	dir := t.TempDir()
	file := clitest.Write(t, filepath.Join(dir, "rows.jsonl"), `{"text": "a b c d"}`+"\n")
	for _, name := range []string{"llama", "gpt2"} {
		out := filepath.Join(dir, name)
		r := clitest.OK(t, finetune.Command, "causal-lm", "--model", filepath.Join(clitest.Testdata, "gguf", name+".gguf"),
			"--train-file", file, "--max-steps=2", "--output-dir", out, "--sample-max-new-tokens=2")
		if !strings.Contains(r.Err, "Q") || !slices.Contains(clitest.Names(t, out), "adapter_model.safetensors") {
			t.Errorf("%s: %v\n%s", name, clitest.Names(t, out), r.Err)
		}
	}
}

// TestSampleCancelled stops a run in the sample before training: nothing was trained, so nothing is saved.
func TestSampleCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "out")
	if r := clitest.RunWith(t, ctx, "", finetune.Command,
		clitest.StoryArgs(t, "--output-dir", out)...); r.Code != cli.Cancelled {
		t.Errorf("exit code %d\n%s", r.Code, r.Err)
	}
	clitest.NothingIn(t, filepath.Dir(out))
}

// TestStandardInput trains on what is piped in, with messages as JSON.
func TestStandardInput(t *testing.T) {
	args := clitest.StoryArgs(t, "--train-file=-", "--format=txt", "--output-dir", filepath.Join(t.TempDir(), "out"),
		"--log-format=json", "--quiet=false", "--print-model")
	r := clitest.RunWith(t, t.Context(), clitest.Story, finetune.Command, args...)
	if r.Code != cli.Done || !strings.Contains(r.Out, "GPT2LMHeadModel(") || !strings.Contains(r.Out, "(lora_A)") {
		t.Fatal(r.Err, r.Out)
	}
	for line := range strings.Lines(r.Err) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line %s", line)
		}
	}
}

// TestBuiltIn trains what is compiled in, on what is compiled in, for a few steps.
func TestBuiltIn(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := clitest.OK(t, finetune.Command, "causal-lm", "--max-steps=8", "--max-train-samples=400", "--output-dir", out)
	for _, text := range []string{"before training, after \"How do I\":", "after training, after \"My card\":",
		"test, 500 rows: loss", "perplexity"} {
		if !strings.Contains(r.Out, text) {
			t.Errorf("standard output lacks %q:\n%s", text, r.Out)
		}
	}
	steps := clitest.Lines[clitest.Step](t, clitest.Read(t, filepath.Join(out, "metrics.jsonl")))
	if first, last := steps[0].Loss, steps[len(steps)-1].Loss; !(last < first-0.3) {
		t.Errorf("the loss goes from %v to %v", first, last)
	}
	if config := clitest.Read(t, filepath.Join(out, "adapter_config.json")); !strings.Contains(config, "all-linear") ||
		!strings.Contains(config, embedded.GPTName) {
		t.Errorf("adapter_config.json is %s", config)
	}
}
