package main

import (
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
)

// edited returns a copy of a directory in which the first match of an expression in a file is replaced.
func edited(t *testing.T, dir, file, old, new string) string {
	t.Helper()
	to := clitest.CopyDir(t, dir)
	text := clitest.Read(t, filepath.Join(to, file))
	at := regexp.MustCompile(old).FindStringIndex(text)
	if at == nil {
		t.Fatalf("%s of %s has no %s", file, dir, old)
	}
	clitest.Write(t, filepath.Join(to, file), text[:at[0]]+new+text[at[1]:])
	return to
}

// fault is a damaged base model or adapter, "" for the intact one, or flags, with the answer of the commands.
type fault struct {
	name           string
	model, adapter string
	flags          []string // of predict; with finetune first, of finetune
	code           int
	want           []string
}

// faults is the bench of a table of bad inputs: small base models, adapters and copies with a fault.
type faults struct {
	*testing.T
	c     clitest.Case
	train string // a file of rows for training
}

// config returns a copy of the adapter with a change in adapter_config.json.
func (f faults) config(old, new string) string {
	return edited(f.T, f.c.Path("adapter_final"), "adapter_config.json", old, new)
}

// base returns a copy of the base model with a change in config.json.
func (f faults) base(old, new string) string {
	return edited(f.T, f.c.Path("base"), "config.json", old, new)
}

// tensors returns a copy of a directory with other tensors in a file.
func (f faults) tensors(dir, file string, change func(safetensors.Tensor) (safetensors.Tensor, bool)) string {
	to := clitest.CopyDir(f.T, dir)
	clitest.Rewrite(f.T, filepath.Join(to, file), change)
	return to
}

// adapter returns a copy of the adapter without the tensors whose names have a part.
func (f faults) adapter(without string) string {
	return f.tensors(f.c.Path("adapter_final"), "adapter_model.safetensors",
		func(x safetensors.Tensor) (safetensors.Tensor, bool) { return x, !strings.Contains(x.Name, without) })
}

// check runs the commands that open base model and adapter on each fault. All must give its exit code and one line on
// standard error with all texts, and leave no output behind. With code 0 the texts are warnings.
func (f faults) check(list []fault) {
	for _, x := range list {
		f.Run(x.name, func(t *testing.T) {
			model, adapter := f.c.Path("base"), f.c.Path("adapter_final")
			if x.model != "" {
				model = x.model
			}
			if x.adapter != "" {
				adapter = x.adapter
			}
			dir := t.TempDir()
			merged, run := filepath.Join(dir, "merged"), filepath.Join(dir, "run")
			both := []string{"--model", model, "--adapter", adapter}
			runs := [][]string{append([]string{"predict", "seq-cls", "--quiet", "--text", "a"}, both...),
				append([]string{"adapter", "merge", "--quiet", "--output-dir", merged}, both...),
				append([]string{"finetune", "seq-cls", "--quiet", "--max-steps=1", "--train-file", f.train, "--output-dir", run},
					both...)}
			if len(x.flags) > 0 {
				runs = [][]string{x.flags}
			}
			for _, args := range runs {
				r := clitest.Run(t, command, args...)
				if x.code == cli.Done {
					if r.Code != cli.Done || !strings.Contains(r.Err, strings.Join(x.want, "")) {
						t.Errorf("%s: exit code %d\n%s", args[0], r.Code, r.Err)
					}
					continue
				}
				r.Refused(t, x.code, append(x.want, args[0]+" "+args[1]+": ")...)
				clitest.NothingIn(t, dir)
			}
		})
	}
}

func newFaults(t *testing.T) faults {
	rows := `{"text": "a", "label": "mixed"}` + "\n" + `{"text": "b", "label": "negative"}` + "\n" +
		`{"text": "c d", "label": "positive"}` + "\n"
	return faults{t, clitest.ReadCase(t, filepath.Join(testdata, "bert", "query_value")),
		clitest.Write(t, filepath.Join(t.TempDir(), "train.jsonl"), rows)}
}

// in returns the bench for a subtest.
func (f faults) in(t *testing.T) faults { return faults{t, f.c, f.train} }

// trainFlags returns a training run of one step with flags.
func (f faults) trainFlags(flags ...string) []string {
	return append([]string{"finetune", "seq-cls", "--quiet", "--max-steps=1", "--model", f.c.Path("base"),
		"--train-file", f.train, "--output-dir", filepath.Join(f.TempDir(), "run")}, flags...)
}

// TestAdapterFaults: the commands answer a damaged adapter, or one that does not fit the base model, with the exit code
// 3 and a message that names field or layer, what was found and what is wanted, and the remedy; wrong flags with 2.
func TestAdapterFaults(t *testing.T) {
	f := newFaults(t)
	targets := func(value string) string { return f.config(`"target_modules": \[[^\]]*\]`, `"target_modules": `+value) }
	own := filepath.Join(t.TempDir(), "run") // an adapter that knows its base model
	clitest.OK(t, command, "finetune", "seq-cls", "--quiet", "--max-steps=1", "--model", f.c.Path("base"),
		"--train-file", f.train, "--output-dir", own)
	other := f.tensors(f.c.Path("base"), "model.safetensors", func(x safetensors.Tensor) (safetensors.Tensor, bool) {
		if x.Name == "bert.encoder.layer.1.output.dense.weight" {
			x.Data = append(slices.Clone(x.Data[4:]), x.Data[:4]...)
		}
		return x, true
	})
	const most = "bert.encoder.layer.0.attention.self.query (32→32) takes at most 32; set a lower r"
	const query = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_"
	t.Run("B1", func(t *testing.T) {
		f.in(t).check([]fault{
			{name: "same shapes, other weights", model: other, adapter: own, code: 3,
				want: []string{"was trained on another base model (", "give that one with --model", "--allow-other-base"}},
			{name: "allowed", model: other, adapter: own, code: 0, want: []string{"another base model"},
				flags: []string{"predict", "seq-cls", "--quiet", "--text", "a", "--model", other, "--adapter", own,
					"--allow-other-base"}},
		})
	})
	t.Run("B2", func(t *testing.T) {
		f.in(t).check([]fault{
			{name: "rank", adapter: f.config(`"r": \d+`, `"r": 7`), code: 3,
				want: []string{query + "A.weight is [4 32], want [7 32]",
					query + "B.weight is [32 4], want [32 7]",
					"the rank is 7 in adapter_config.json, but 4 in the tensors; restore the file that was saved with them"}},
			{name: "rank of one layer", adapter: f.config(`"rank_pattern": \{\}`,
				`"rank_pattern": {"0.attention.self.query": 2}`),
				code: 3, want: []string{"2 tensors are of another shape: " + query + "A.weight is [4 32], want [2 32]",
					"the rank is 2"}},
			{name: "base of another width", model: filepath.Join(testdata, "bert", "all_embeddings", "base"), code: 3,
				want: []string{"of another shape", query + "A.weight is [4 32], want [4 20]",
					"give the base model of the adapter as --model"}},
		})
	})
	t.Run("B3", func(t *testing.T) {
		extra := f.config(`"target_modules": \[[^\]]*\]`, `"target_modules": ["query"]`)
		f.in(t).check([]fault{
			{name: "A without B", adapter: f.adapter("layer.0.attention.self.query.lora_B"), code: 3,
				want: []string{"1 tensors are missing: " + query + "B.weight", "--model"}},
			{name: "layer missing", adapter: f.adapter("layer.0.attention.self.query"), code: 3,
				want: []string{"2 tensors are missing: " + query + "A.weight, " + query + "B.weight"}},
			{name: "extra layers", adapter: extra, code: 3, want: []string{"4 tensors are not expected",
				"base_model.model.bert.encoder.layer.0.attention.self.value.lora_A.weight"}},
		})
	})
	t.Run("B4", func(t *testing.T) {
		list := []fault{
			{name: "r 0", adapter: f.config(`"r": \d+`, `"r": 0`), want: []string{"r is 0; want 1 or more"}},
			{name: "r negative", adapter: f.config(`"r": \d+`, `"r": -3`), want: []string{"r is -3; want 1 or more"}},
			{name: "r above the layer", adapter: f.config(`"r": \d+`, `"r": 1000000000`),
				want: []string{"r is 1000000000, but " + most}},
			{name: "alpha 0", adapter: f.config(`"lora_alpha": \d+`, `"lora_alpha": 0`),
				want: []string{"lora_alpha is 0; want a number above 0"}},
			{name: "alpha negative", adapter: f.config(`"lora_alpha": \d+`, `"lora_alpha": -1`),
				want: []string{"lora_alpha is -1; want a number above 0"}},
			{name: "alpha NaN", adapter: f.config(`"lora_alpha": \d+`, `"lora_alpha": NaN`),
				want: []string{"adapter_config.json: line ", "found 'N' where a value was expected"}},
			{name: "dropout 1", adapter: f.config(`"lora_dropout": [\d.]+`, `"lora_dropout": 1`),
				want: []string{"lora_dropout is 1; want at least 0 and below 1"}},
			{name: "dropout negative", adapter: f.config(`"lora_dropout": [\d.]+`, `"lora_dropout": -0.1`),
				want: []string{"lora_dropout is -0.1; want at least 0 and below 1"}},
		}
		for i := range list {
			list[i].code = 3
		}
		for _, x := range []struct{ flag, want string }{
			{"--lora-r=0", "--lora-r is 0; want more than 0"}, {"--lora-r=-2", "r is -2; want 1 or more"},
			{"--lora-r=33", "r is 33, but " + most},
			{"--lora-alpha=0", "lora_alpha is 0; want a number above 0"},
			{"--lora-alpha=NaN", "lora_alpha is NaN; want a number above 0"},
			{"--lora-alpha=-1", "lora_alpha is -1; want a number above 0"},
			{"--lora-dropout=1", "lora_dropout is 1; want at least 0 and below 1"},
		} {
			list = append(list, fault{name: x.flag, flags: f.trainFlags(x.flag), code: 2, want: []string{x.want}})
		}
		f.in(t).check(list)
	})
	t.Run("B5", func(t *testing.T) {
		f.in(t).check([]fault{
			{name: "nothing", adapter: targets(`["q_proj"]`), code: 3, want: []string{
				`target_modules "q_proj" matches no linear or embedding layer; the layers are named word_embeddings, `}},
			{name: "misspelt", flags: f.trainFlags("--target-modules=qeury"), code: 2,
				want: []string{`"qeury" matches no linear or embedding layer; the nearest are bert.encoder.layer.0.`}},
			{name: "norm", adapter: targets(`["LayerNorm"]`), code: 3, want: []string{`target_modules "LayerNorm" matches `,
				"bert.embeddings.LayerNorm, which is neither linear nor an embedding", "name other modules"}},
			{name: "expression", adapter: targets(`"(query"`), code: 3,
				want: []string{`target_modules: "(query" is not a regular expression of Python: `, "missing closing )"}},
			{name: "expression that matches nothing", adapter: targets(`"query"`), code: 3,
				want: []string{`target_modules "query" matches no linear or embedding layer`}},
		})
	})
	t.Run("B6", func(t *testing.T) {
		none := edited(t, f.config(`"task_type": "SEQ_CLS"`, `"task_type": null`), "adapter_config.json",
			`"modules_to_save": \[[^\]]*\]`, `"modules_to_save": null`)
		clitest.Rewrite(t, filepath.Join(none, "adapter_model.safetensors"),
			func(x safetensors.Tensor) (safetensors.Tensor, bool) {
				return x, !strings.Contains(x.Name, "classifier")
			})
		headless := f.tensors(f.c.Path("base"), "model.safetensors", func(x safetensors.Tensor) (safetensors.Tensor, bool) {
			return x, !strings.HasPrefix(x.Name, "classifier")
		})
		f.in(t).check([]fault{
			{name: "head absent", adapter: f.adapter("classifier"), code: 3,
				want: []string{"2 tensors are missing", "base_model.model.classifier.bias",
					"base_model.model.classifier.weight"}},
			{name: "saved module absent", adapter: f.config(`"modules_to_save": \[`, `"modules_to_save": ["pooler", `),
				code: 3,
				want: []string{"2 tensors are missing: base_model.model.bert.pooler.dense.weight"}},
			{name: "no head anywhere", model: headless, adapter: none, code: 3,
				want: []string{"neither the adapter nor the checkpoint",
					"has a classification head, so predictions would be random"},
				flags: []string{"predict", "seq-cls", "--quiet", "--text", "a", "--model", headless, "--adapter", none}},
		})
	})
	t.Run("B11", func(t *testing.T) {
		var list []fault
		for _, x := range [][2]string{{`"init_lora_weights": true`, `"init_lora_weights": "loftq"`},
			{`"layer_replication": null`, `"layer_replication": [[0, 1]]`},
			{`"target_parameters": null`, `"target_parameters": ["experts"]`},
			{`"alora_invocation_tokens": null`, `"alora_invocation_tokens": [1]`},
			{`"use_qalora": false`, `"use_qalora": true`}} {
			name, _, _ := strings.Cut(strings.Trim(x[1], `"`), `"`)
			list = append(list, fault{name: name, adapter: f.config(x[0], x[1]), code: 3, want: []string{name}})
		}
		list = append(list,
			fault{name: "DoRA without magnitudes", adapter: f.config(`"use_dora": false`, `"use_dora": true`), code: 3,
				want: []string{"4 tensors are missing", "query.lora_magnitude_vector"}},
			fault{name: "biases of corrections that are missing", adapter: f.config(`"lora_bias": false`, `"lora_bias": true`),
				code: 3, want: []string{"4 tensors are missing", query + "B.bias"}},
			fault{name: "a bias that there is not", adapter: f.config(`"bias": "none"`, `"bias": "some"`), code: 3,
				want: []string{`bias is "some"; want none, all or lora_only`}},
			fault{name: "another scale", adapter: f.config(`"use_rslora": false`, `"use_rslora": "yes"`), code: 3,
				want: []string{`use_rslora is "yes"`}},
			fault{name: "fan_in_fan_out is the model's",
				adapter: f.config(`"fan_in_fan_out": false`, `"fan_in_fan_out": true`)},
			fault{name: "unknown field", adapter: f.config(`^\{`, `{"use_magic": true,`),
				want: []string{`"use_magic" is not a field of PEFT's LoraConfig; it is ignored`}})
		f.in(t).check(list)
	})
}

// TestBaseFaults: the commands answer a damaged config.json with the exit code 3 and the field, before anything of the
// sizes in it is allocated; keys that nothing reads are warnings.
func TestBaseFaults(t *testing.T) {
	f := newFaults(t)
	t.Run("B9", func(t *testing.T) {
		list := []fault{
			{name: "byte order mark", model: f.base(`^\{`, "\ufeff{"),
				want: []string{"config.json: line 1, column 1: byte order mark"}},
			{name: "comment", model: f.base(`^\{`, "{ // x\n"), want: []string{"config.json: line 1, column 3",
				"JSON has no comments"}},
			{name: "duplicate key", model: f.base(`^\{`, `{"hidden_size": 16,`),
				want: []string{`duplicate key "hidden_size"`}},
			{name: "trailing data", model: f.base(`\}\s*$`, `} {}`), want: []string{"text after the end of the JSON value"}},
			{name: "wrong type", model: f.base(`"hidden_size": \d+`, `"hidden_size": "32"`),
				want: []string{"config.json: field hidden_size: got string, want an integer"}},
			{name: "hidden_size 0", model: f.base(`"hidden_size": \d+`, `"hidden_size": 0`),
				want: []string{"config.json: hidden_size is 0; want 1 to "}},
			{name: "heads", model: f.base(`"num_attention_heads": \d+`, `"num_attention_heads": 3`),
				want: []string{"hidden_size 32 is not a multiple of num_attention_heads 3"}},
			{name: "10^9 layers", model: f.base(`"num_hidden_layers": \d+`, `"num_hidden_layers": 1000000000`),
				want: []string{"num_hidden_layers is 1000000000; want 1 to "}},
			{name: "1000 layers", model: f.base(`"num_hidden_layers": \d+`, `"num_hidden_layers": 1000`),
				want: []string{"bert.encoder.layer.2.attention.self.query.weight"}},
			{name: "another vocabulary", model: f.base(`"vocab_size": \d+`, `"vocab_size": 61`), want: []string{
				"config.json says vocab_size 61 and hidden_size 32, but bert.embeddings.word_embeddings.weight is 96×32; give"}},
			{name: "a huge width", model: f.base(`"intermediate_size": \d+`, `"intermediate_size": 1000000`),
				want: []string{"bert.encoder.layer.0.intermediate.dense.weight"}},
		}
		for i := range list {
			list[i].code = 3
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f.in(t).check(list)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 256<<20 { // of some thirty runs
			t.Errorf("%d MiB were allocated for base models that are refused", n>>20)
		}
	})
	t.Run("B10", func(t *testing.T) {
		f.in(t).check([]fault{
			{name: "model_type", model: f.base(`"model_type": "bert"`, `"model_type": "mamba"`), code: 3,
				want: []string{`model_type "mamba" is not supported; want bert, `}},
			{name: "activation", model: f.base(`"hidden_act": "[a-z_]+"`, `"hidden_act": "swoosh"`), code: 3,
				want: []string{`hidden_act: activation "swoosh" is not supported; want gelu, `}},
			{name: "positions", model: f.base(`^\{`, `{"position_embedding_type": "relative_key",`), code: 3,
				want: []string{`position_embedding_type "relative_key" is not supported; want absolute`}},
			{name: "decoder", model: f.base(`"is_decoder": false`, `"is_decoder": true`), code: 3,
				want: []string{"is_decoder"}},
			{name: "unknown key", model: f.base(`^\{`, `{"hidden_sizes": 3,`),
				want: []string{"config.json: not known and without effect: hidden_sizes"}},
		})
		model := edited(t, filepath.Join(testdata, "causal", "llama_gqa", "base"), "config.json", `"rope_type": "default"`,
			`"rope_type": "spiral"`)
		clitest.Characters(t, model, 96)
		f.in(t).check([]fault{{name: "rope", code: 3,
			want:  []string{`rope type "spiral" is not supported; want default, `},
			flags: []string{"predict", "causal-lm", "--quiet", "--model", model, "--prompt", "a"}}})
	})
	t.Run("B12", func(t *testing.T) {
		merged := filepath.Join(t.TempDir(), "merged")
		clitest.OK(t, command, "adapter", "merge", "--quiet", "--model", f.c.Path("base"), "--adapter",
			f.c.Path("adapter_final"), "--output-dir", merged)
		alone := func(old, new string) []string {
			model := edited(t, merged, "config.json", old, new)
			return []string{"predict", "seq-cls", "--quiet", "--text", "a", "--model", model}
		}
		f.in(t).check([]fault{
			{name: "keys", code: 3, flags: alone(`"2":`, `"3":`), want: []string{"id2label lacks the key 2"}},
			{name: "key other than a number", code: 3, flags: alone(`"2":`, `"two":`),
				want: []string{`id2label has the key "two"; want 0, 1, …`}},
			{name: "duplicate names", code: 3, flags: alone(`"1": "[^"]*"`, `"1": "mixed"`),
				want: []string{`id2label has the name "mixed" twice`}},
			{name: "more names than rows", code: 3, flags: alone(`"2":`, `"3": "x", "2":`),
				want: []string{"id2label in config.json names 4 classes, but the head has 3 outputs"}},
			{name: "num_labels", code: 3, flags: alone(`^\{`, `{"num_labels": 7,`),
				want: []string{"num_labels in config.json is 7, but the head has 3 outputs; correct num_labels, or remove it"}},
		})
	})
}

// TestMergeFaults: merging reads the base model and never changes it, so merging again gives the same bytes; a model
// into which an adapter is merged is another base, which an adapter that knows its own refuses; and what was not
// merged here cannot be unmerged. TestUnmerge of internal/cli/adapter restores the bytes of other types and heads.
func TestMergeFaults(t *testing.T) {
	f := newFaults(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	base := clitest.CopyDir(t, f.c.Path("base"))
	clitest.OK(t, command, "finetune", "seq-cls", "--quiet", "--max-steps=2", "--learning-rate=0.05", "--model", base,
		"--train-file", f.train, "--output-dir", path("run"))
	before := clitest.Tree(t, base) + clitest.Tree(t, path("run"))
	merge := func(model, to string, flags ...string) []string {
		return append([]string{"adapter", "merge", "--quiet", "--model", model, "--adapter", path("run"), "--output-dir",
			path(to)}, flags...)
	}
	weights := func(name string) string { return clitest.Read(t, filepath.Join(path(name), "model.safetensors")) }
	clitest.OK(t, command, merge(base, "once", "--keep-original")...)
	clitest.OK(t, command, merge(base, "twice")...)
	if weights("once") != weights("twice") || weights("once") == clitest.Read(t, filepath.Join(base,
		"model.safetensors")) {
		t.Error("merging again gives other bytes, or merging has no effect")
	}
	list := []fault{
		{name: "into the merged model", flags: merge(path("once"), "thrice"), code: 3,
			want: []string{"the adapter was trained on another base model", "give that one with --model"}},
		{name: "into the merged model, predicting", code: 3, want: []string{"another base model"},
			flags: []string{"predict",
				"seq-cls", "--quiet", "--text", "a", "--model", path("once"), "--adapter", path("run")}},
		{name: "unmerge what is not merged", code: 3, want: []string{"has no unmerge.safetensors",
			"the base model can only be got again from where it came"},
			flags: []string{"adapter", "unmerge", "--model", base, "--output-dir", path("back")}},
		{name: "keep a quantised original", code: 2, want: []string{"--keep-original needs a base model in safetensors",
			"keep the file itself"}, flags: []string{"adapter", "merge", "--quiet", "--keep-original", "--output-dir",
			path("gguf"), "--model", filepath.Join(testdata, "gguf", "llama.gguf"), "--adapter", quantised(t)}},
	}
	for _, x := range list {
		t.Run("B7/"+x.name, func(t *testing.T) {
			clitest.Run(t, command, x.flags...).Refused(t, x.code, append(x.want, x.flags[0]+" "+x.flags[1]+": ")...)
		})
	}
	clitest.OK(t, command, "adapter", "unmerge", "--model", path("once"), "--output-dir", path("back"))
	if weights("back") != clitest.Read(t, filepath.Join(base, "model.safetensors")) {
		t.Error("unmerging restores other bytes")
	}
	clitest.Run(t, command, "adapter", "unmerge", "--model", path("back"), "--output-dir", path("again")).Refused(t, 3,
		"has no unmerge.safetensors")
	if clitest.Tree(t, base)+clitest.Tree(t, path("run")) != before {
		t.Error("base model or adapter have changed")
	}
	if names := clitest.Names(t, dir); !slices.Equal(names, []string{"back", "once", "run", "twice"}) {
		t.Errorf("left behind: %q", names)
	}
}

// quantised returns an adapter for the quantised model testdata/gguf/llama.gguf.
func quantised(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "run")
	text := clitest.Write(t, filepath.Join(t.TempDir(), "train.jsonl"), `{"text": "a b c d"}`+"\n")
	clitest.OK(t, command, "finetune", "causal-lm", "--quiet", "--max-steps=1", "--model",
		filepath.Join(testdata, "gguf", "llama.gguf"), "--train-file", text, "--output-dir", dir)
	return dir
}
