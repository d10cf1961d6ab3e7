package causallm_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/golden"
)

// tokenLogits runs predict causal-lm and returns all logits.
func tokenLogits(t *testing.T, args ...string) []float32 {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, predict.Command, append([]string{"causal-lm", "--logits", "--output", out}, args...)...)
	var list []float32
	for _, row := range clitest.Lines[struct{ Logits [][]float32 }](t, clitest.Read(t, out)) {
		for _, l := range row.Logits {
			list = append(list, l...)
		}
	}
	return list
}

// TestMerge merges adapters of language models: the merged directory gives the logits that transformers gives after
// PEFT's merge_and_unload, and a tied head that must part with its table does.
func TestMerge(t *testing.T) {
	for name, unties := range map[string]bool{
		"gpt2_c_attn": false, "gpt2_all_linear": false, "gpt2_wte": true, "gpt2_lm_head": true, "llama_gqa": false,
		"llama_embed": false, "llama_embed_tied": true, "llama_head": false, "llama_save_head": false, "qwen2": false,
		"qwen3": false, "mistral_window": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clitest.ReadCausal(t, "causal/"+name)
			clitest.Write(t, filepath.Join(c.Base, "generation_config.json"), `{"eos_token_id": 0}`)
			clitest.Write(t, filepath.Join(c.Base, "chat_template.jinja"), "x")
			out := filepath.Join(t.TempDir(), "merged")
			r := clitest.OK(t, adapter.Command, "merge", "--model", c.Base, "--adapter", c.Path("adapter_final"),
				"--output-dir", out)
			if !strings.Contains(r.Out, "(float32)") {
				t.Errorf("standard output is %s", r.Out)
			}
			in := c.File(t)
			got, want := tokenLogits(t, "--model", out, "--input", in),
				tokenLogits(t, "--model", c.Base, "--adapter", c.Path("adapter_final"), "--input", in)
			if d := golden.MaxRel(got, want); d > 1e-5 {
				t.Errorf("logits of the merged and the attached model differ by %.1e of the largest", d)
			}
			if g := golden.Open(t, c.Path("expected.safetensors")); g.Has("merged.logits") {
				want := g.Float32("merged.logits")
				if d := golden.MaxRel(got[:len(want)], want); d > 2e-5 {
					t.Errorf("logits differ from those of PEFT's merged model by %.1e of the largest", d)
				}
			}
			var config struct {
				Tied  *bool    `json:"tie_word_embeddings"`
				Names []string `json:"architectures"`
				DType string
			}
			if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "config.json"))), &config); err != nil {
				t.Fatal(err)
			}
			if unties && (config.Tied == nil || *config.Tied) || len(config.Names) != 1 || config.DType != "float32" {
				t.Errorf("config.json has %+v", config)
			}
			f, err := safetensors.Open(filepath.Join(out, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			own := slices.Contains(f.Names(), "lm_head.weight")
			if tied := config.Tied == nil || *config.Tied; own == tied {
				t.Errorf("tie_word_embeddings is %v, lm_head.weight there: %v", tied, own)
			}
			for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json",
				"chat_template.jinja"} {
				if clitest.Read(t, filepath.Join(out, name)) != clitest.Read(t, filepath.Join(c.Base, name)) {
					t.Errorf("%s is not that of the base", name)
				}
			}
		})
	}
}

// TestMergeCarries: the merged model has the settings files and the files of the tokenizer byte for byte, also those
// that are not read here.
func TestMergeCarries(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/llama_gqa")
	files := map[string]string{
		"generation_config.json":  "{ \"eos_token_id\" : [0, 5],\r\n\"num_beams\": 4, \"top_p\": 0.90}",
		"special_tokens_map.json": "{\n}", "added_tokens.json": "{  }", "chat_template.jinja": "{{ messages }}\r\n",
		"chat_template.json": "{\"chat_template\" : \"x\"}", "preprocessor_config.json": "{\"do_resize\":  true}",
		"processor_config.json": "{ }", "tokenizer.model": "\x0a\x0e\xff\x00", "sentencepiece.bpe.model": "\x0a\x01",
		"spiece.model": "\x0a\x02", "LICENSE": "terms\r\n",
	}
	for name, text := range files {
		clitest.Write(t, filepath.Join(c.Base, name), text)
	}
	files["tokenizer.json"] = clitest.Read(t, filepath.Join(c.Base, "tokenizer.json"))
	files["tokenizer_config.json"] = clitest.Read(t, filepath.Join(c.Base, "tokenizer_config.json"))
	out := filepath.Join(t.TempDir(), "merged")
	clitest.OK(t, adapter.Command, "merge", "--model", c.Base, "--adapter", c.Path("adapter_final"), "--output-dir", out)
	for name, text := range files {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != text {
			t.Errorf("%s is %q, %v; want %q", name, got, err, text)
		}
	}
}

// TestMergeGGUF writes a quantised base with its adapter as safetensors.
func TestMergeGGUF(t *testing.T) {
	for _, name := range []string{"llama", "gpt2", "qwen2"} {
		base := filepath.Join(clitest.Testdata, "gguf", name+".gguf")
		dir := t.TempDir()
		in := clitest.Write(t, filepath.Join(dir, "in.jsonl"), `{"text": "a b c d"}`+"\n")
		run, out := filepath.Join(dir, "run"), filepath.Join(dir, "merged")
		clitest.OK(t, finetune.Command, "causal-lm", "--quiet", "--model", base, "--train-file", in, "--max-steps=4",
			"--learning-rate=0.05", "--target-modules=all-linear", "--output-dir", run)
		clitest.OK(t, adapter.Command, "merge", "--model", base, "--adapter", run, "--output-dir", out)
		got, want := tokenLogits(t, "--model", out, "--input", in),
			tokenLogits(t, "--model", base, "--adapter", run, "--input", in)
		if d := golden.MaxRel(got, want); d > 1e-4 {
			t.Errorf("%s: logits differ by %.1e of the largest", name, d)
		}
	}
}

// TestAdapterWithoutTask merges an adapter that does not name its task, refuses one of another task, and shows one.
func TestAdapterWithoutTask(t *testing.T) {
	c := clitest.ReadCausal(t, "causal/gpt2_c_attn")
	bare := clitest.CopyDir(t, c.Path("adapter_final"))
	config := filepath.Join(bare, "adapter_config.json")
	text := clitest.Read(t, config)
	clitest.Write(t, config, strings.Replace(text, `"CAUSAL_LM"`, "null", 1))
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, adapter.Command, "merge", "--model", c.Base, "--adapter", bare, "--output-dir", out)
	clitest.Write(t, config, strings.Replace(text, "CAUSAL_LM", "TOKEN_CLS", 1))
	for _, args := range [][]string{{"--adapter", bare}, {"--adapter", c.Path("adapter_final"), "--labels=a,b"}} {
		r := clitest.Run(t, adapter.Command, append([]string{"merge", "--model", c.Base, "--output-dir", out + "2"},
			args...)...)
		if r.Code != cli.BadInput && r.Code != cli.Usage {
			t.Errorf("%v: exit code %d\n%s", args, r.Code, r.Err)
		}
	}
	if r := clitest.OK(t, adapter.Command, "show", "--adapter", c.Path("adapter_final")); !strings.Contains(r.Out,
		"CAUSAL_LM") || !strings.Contains(r.Out, "c_attn.lora_A.weight") {
		t.Error(r.Out)
	}
}

// TestMergeReplacedTables merges adapters of PEFT that replace the word table or the head: the merged model has the
// logits of the attached one, and its head is tied where both are replaced by one table.
func TestMergeReplacedTables(t *testing.T) {
	for name, tied := range map[string]bool{"table_below_pair": false, "tables_tied": true, "head_tied": true,
		"head_beside_copy": false, "tables_untied": false, "gpt2_wte": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(clitest.Testdata, "adapters", name)
			var x struct{ Base string }
			if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(dir, "case.json"))), &x); err != nil {
				t.Fatal(err)
			}
			c := clitest.ReadCausal(t, filepath.Dir(x.Base))
			out := filepath.Join(t.TempDir(), "merged")
			r := clitest.OK(t, adapter.Command, "merge", "--model", c.Base, "--adapter", dir, "--output-dir", out)
			if !strings.Contains(r.Err, "is not the base model's and replaces it, as in PEFT") {
				t.Errorf("standard error is %s", r.Err)
			}
			in := c.File(t)
			got := tokenLogits(t, "--model", out, "--input", in)
			if d := golden.MaxRel(got, tokenLogits(t, "--model", c.Base, "--adapter", dir, "--input", in)); d > 1e-5 {
				t.Errorf("logits of the merged and the attached model differ by %.1e of the largest", d)
			}
			if golden.MaxRel(got, tokenLogits(t, "--model", c.Base, "--input", in)) < 1e-2 {
				t.Error("the adapter changes nothing")
			}
			config := clitest.Read(t, filepath.Join(out, "config.json"))
			if stays := strings.Contains(config, `"tie_word_embeddings": true`); stays != tied {
				t.Errorf("the head stays tied: %v", stays)
			}
			// What is trained further keeps the tables.
			run := filepath.Join(t.TempDir(), "run")
			clitest.OK(t, finetune.Command, "causal-lm", "--quiet", "--model", c.Base, "--adapter", dir, "--train-file", in,
				"--max-steps=1", "--learning-rate=1e-9", "--sample-max-new-tokens=0", "--output-dir", run)
			if d := golden.MaxRel(tokenLogits(t, "--model", c.Base, "--adapter", run, "--input", in), got); d > 1e-4 {
				t.Errorf("logits after a step of training without effect differ by %.1e of the largest", d)
			}
		})
	}
}

// TestDifferingHead: a checkpoint that stores a head beside the word table, with other values although config.json ties
// them, is used as it is stored, and what is made of it says that they are not tied.
func TestDifferingHead(t *testing.T) {
	for _, name := range []string{"gpt2_c_attn", "llama_embed_tied"} {
		c := clitest.ReadCausal(t, "causal/"+name)
		in := c.File(t)
		tied := tokenLogits(t, "--model", c.Base, "--input", in)
		weights := filepath.Join(c.Base, "model.safetensors")
		f, err := safetensors.Parse([]byte(clitest.Read(t, weights)))
		if err != nil {
			t.Fatal(err)
		}
		var list []safetensors.Tensor
		for _, n := range f.Names() {
			x, _ := f.Tensor(n)
			x.Name = n
			list = append(list, x)
			if strings.HasSuffix(n, "wte.weight") || strings.HasSuffix(n, "embed_tokens.weight") {
				row := len(x.Data) / x.Shape[0]
				x.Name, x.Data = "lm_head.weight", append(slices.Clone(x.Data[row:]), x.Data[:row]...)
				list = append(list, x)
			}
		}
		if err := safetensors.WriteFile(weights, list, nil); err != nil {
			t.Fatal(err)
		}
		run, out, full := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "merged"),
			filepath.Join(t.TempDir(), "full")
		train := []string{"causal-lm", "--quiet", "--model", c.Base, "--train-file", in, "--max-steps=2",
			"--sample-max-new-tokens=0"}
		clitest.OK(t, finetune.Command, append(train, "--output-dir", run)...)
		clitest.OK(t, adapter.Command, "merge", "--model", c.Base, "--adapter", run, "--output-dir", out)
		clitest.OK(t, finetune.Command, append(train, "--full", "--learning-rate=1e-9", "--output-dir", full)...)
		attached := tokenLogits(t, "--model", c.Base, "--adapter", run, "--input", in)
		if d := golden.MaxRel(tokenLogits(t, "--model", out, "--input", in), attached); d > 1e-5 {
			t.Errorf("%s: logits of the merged and the attached model differ by %.1e of the largest", name, d)
		}
		base := tokenLogits(t, "--model", c.Base, "--input", in)
		if d := golden.MaxRel(tokenLogits(t, "--model", full, "--input", in), base); d > 1e-4 {
			t.Errorf("%s: logits after full training without effect differ by %.1e of the largest", name, d)
		}
		if golden.MaxRel(tied, base) < 1e-2 {
			t.Errorf("%s: the head is not used", name)
		}
		for _, dir := range []string{out, full} {
			if !strings.Contains(clitest.Read(t, filepath.Join(dir, "config.json")), `"tie_word_embeddings": false`) {
				t.Errorf("%s: config.json of %s ties the head", name, dir)
			}
		}
		r := clitest.OK(t, predict.Command, "causal-lm", "--model", c.Base, "--prompt=a", "--max-new-tokens=1")
		if !strings.Contains(r.Err, "lm_head.weight is not equal to the word table") {
			t.Errorf("%s: standard error is %s", name, r.Err)
		}
	}
}
