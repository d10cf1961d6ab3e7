package finetune_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// spellings are all flags that scripts rely on, with a value and the other names that they have in Hugging Face's
// Trainer, its example scripts and PEFT.
var spellings = []struct {
	flag, value string
	others      []string
}{
	{"model", "m", []string{"model_name_or_path", "model-name-or-path"}},
	{"train-file", "f", nil},
	{"eval-file", "f", []string{"validation_file"}},
	{"test-file", "f", nil},
	{"output-dir", "d", nil},
	{"adapter", "d", []string{"adapter_name_or_path"}},
	{"batch-size", "4", []string{"per_device_train_batch_size", "per-device-train-batch-size", "train_batch_size"}},
	{"gradient-accumulation-steps", "2", nil},
	{"max-steps", "5", nil},
	{"num-train-epochs", "1.5", []string{"epochs"}},
	{"learning-rate", "1e-3", []string{"lr"}},
	{"weight-decay", "0.01", nil},
	{"lr-scheduler-type", "cosine", nil},
	{"warmup-steps", "3", nil},
	{"warmup-ratio", "0.1", nil},
	{"max-grad-norm", "0.5", nil},
	{"max-length", "128", []string{"max_seq_length"}},
	{"seed", "7", nil},
	{"no-shuffle", "true", nil},
	{"lora-r", "4", []string{"r", "lora_rank"}},
	{"lora-alpha", "8", []string{"alpha"}},
	{"lora-dropout", "0.1", nil},
	{"target-modules", "query,value", []string{"lora_target_modules"}},
	{"modules-to-save", "pooler,classifier", nil},
	{"text-column", "a", []string{"text_column_name"}},
	{"text-pair-column", "b", nil},
	{"label-column", "c", []string{"label_column_name"}},
	{"eval-steps", "10", nil},
	{"save-steps", "10", nil},
	{"early-stopping-patience", "2", nil},
	{"metric-for-best-model", "accuracy", nil},
	{"tokens-per-batch", "512", nil},
	{"validation-split", "0.2", nil},
	{"problem-type", "regression", nil},
	{"threads", "2", nil},
	{"overwrite", "true", []string{"overwrite_output_dir"}},
	{"resume-from-checkpoint", "d", nil},
	{"labels", "a,b", nil},
	{"delimiter", ";", nil},
	{"no-header", "true", nil},
	{"no-quotes", "true", nil},
	{"max-train-samples", "9", nil},
	{"no-decay-norm-bias", "true", nil},
	{"dropout", "0.1", nil},
	{"label-smoothing-factor", "0.1", []string{"label_smoothing"}},
	{"class-weights", "1,2", nil},
	{"group-by-length", "true", nil},
	{"use-rslora", "true", nil},
	{"use-dora", "true", nil},
	{"lora-bias", "true", nil},
	{"bias", "lora_only", nil},
	{"optimizer", "lora-fa", nil},
	{"compute-dtype", "bf16", nil},
	{"exclude-modules", "pooler", nil},
	{"layers-to-transform", "0,2", nil},
	{"layers-pattern", "layer", nil},
	{"rank-pattern", "query=4,value=2", nil},
	{"alpha-pattern", "query=8", nil},
	{"trainable-token-indices", "3,17", nil},
	{"ensure-weight-tying", "true", nil},
	{"loraplus-lr-ratio", "16", nil},
	{"loraplus-lr-embedding", "1e-6", nil},
}

// seqCls returns the subcommand.
func seqCls(t *testing.T) *cobra.Command {
	t.Helper()
	cmd, _, err := finetune.Command(clitest.Env(nil, new(clitest.Buffer), new(clitest.Buffer))).Find([]string{"seq-cls"})
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestSpellings(t *testing.T) {
	for _, s := range spellings {
		for _, name := range append([]string{s.flag, strings.ReplaceAll(s.flag, "-", "_")}, s.others...) {
			cmd := seqCls(t)
			if err := cmd.ParseFlags([]string{"--" + name + "=" + s.value}); err != nil {
				t.Errorf("--%s: %v", name, err)
				continue
			}
			fromLine := cmd.Flags().Lookup(s.flag)
			if !fromLine.Changed {
				t.Errorf("--%s does not set --%s", name, s.flag)
			}
			cmd = seqCls(t)
			file := clitest.Write(t, filepath.Join(t.TempDir(), "run.yaml"), name+": "+s.value+"\n")
			if err := cmd.ParseFlags([]string{"--config", file}); err != nil {
				t.Fatal(err)
			}
			if err := cmd.PreRunE(cmd, nil); err != nil {
				t.Errorf("%s in YAML: %v", name, err)
			}
			if fromFile := cmd.Flags().Lookup(s.flag); !fromFile.Changed || fromFile.Value.String() != fromLine.Value.String() {
				t.Errorf("%s: YAML gives %v, the command line %v", name, fromFile.Value, fromLine.Value)
			}
		}
	}
}

// TestCausalSpellings gives the flags of causal-lm that seq-cls lacks, on the command line and in YAML.
func TestCausalSpellings(t *testing.T) {
	for flag, value := range map[string]string{
		"block-size": "64", "prompt-column": "a", "completion-column": "b", "messages-column": "c",
		"train-on-prompt": "true", "too-long": "error",
		"sample-prompt": "x, y", "sample-max-new-tokens": "3", "gradient-checkpointing": "true", "full": "true",
		"from-scratch": "f", "tokenizer": "d",
		"save-dtype": "bfloat16", "preview": "2",
	} {
		for _, name := range []string{flag, strings.ReplaceAll(flag, "-", "_")} {
			cmd, _, err := finetune.Command(clitest.Env(nil, new(clitest.Buffer),
				new(clitest.Buffer))).Find([]string{"causal-lm"})
			if err != nil {
				t.Fatal(err)
			}
			file := clitest.Write(t, filepath.Join(t.TempDir(), "run.yaml"), name+": "+value+"\n")
			if err := cmd.ParseFlags([]string{"--config", file}); err != nil {
				t.Fatal(err)
			}
			if err := cmd.PreRunE(cmd, nil); err != nil || !cmd.Flags().Changed(flag) ||
				!strings.Contains(cmd.Flags().Lookup(flag).Value.String(), value) {
				t.Errorf("%s: %v, %v", name, cmd.Flags().Lookup(flag).Value, err)
			}
		}
	}
}

// smallArgs trains the fixture from scratch for two steps.
func smallArgs(t *testing.T, args ...string) []string {
	c := clitest.Small(t)
	rows := strings.SplitAfter(clitest.Read(t, c.Path("train.jsonl")), "\n")
	file := clitest.Write(t, filepath.Join(t.TempDir(), "train.jsonl"),
		strings.Join(rows[:40], "")) // no text is there twice
	return append([]string{"seq-cls", "--quiet", "--model", c.Path("base"), "--train-file", file,
		"--max-steps=2"}, args...)
}

// TestConfigFile runs with settings of a file, of which the command line overrides some.
func TestConfigFile(t *testing.T) {
	c := clitest.Small(t)
	out := filepath.Join(t.TempDir(), "out")
	file := clitest.Write(t, filepath.Join(t.TempDir(), "run.yaml"), `# a run
model_name_or_path: `+c.Path("base")+`
train_file: "`+c.Path("train.jsonl")+`"
per_device_train_batch_size: 4
num_train_epochs: 3        # --max-steps excludes it, and wins
learning-rate: 1e-3
lora_r: 2
lora_alpha: 6
target_modules: [query, key, value]
labels:
  - negative
  - positive
  - mixed
seed: 5
quiet: true
`)
	clitest.OK(t, finetune.Command, "seq-cls", "--config", file, "--max-steps=3", "--lora_r=3", "--output-dir", out)
	var config struct {
		R, Alpha int
		Targets  []string `json:"target_modules"`
		LoRA     int      `json:"lora_alpha"`
	}
	if err := json.Unmarshal([]byte(clitest.Read(t, filepath.Join(out, "adapter_config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	if config.R != 3 || config.LoRA != 6 || len(config.Targets) != 3 {
		t.Errorf("adapter_config.json has r %d, lora_alpha %d, targets %v", config.R, config.LoRA, config.Targets)
	}
	if n := strings.Count(clitest.Read(t, filepath.Join(out, "metrics.jsonl")), "\n"); n != 3 {
		t.Errorf("%d steps, want those of the command line, 3", n)
	}
}

func TestConfigFileRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown", "seed: 1\nlerning_rate: 2\n", `run.yaml:2: "lerning_rate" is not a setting; did you mean learning-rate?`},
		{"twice", "batch_size: 1\nseed: 1\nbatch-size: 2\n", `run.yaml:3: "batch-size" is set twice, first in line 1`},
		{"twice by an alias", "lr: 1\nlearning_rate: 2\n", `run.yaml:2: "learning_rate" is set twice, first in line 1`},
		{"wrong type", "seed: 1\nbatch_size: many\n", "run.yaml:2: batch_size: "},
		{"list for one value", "batch_size: [1, 2]\n", "run.yaml:1: batch_size: takes one value, not a list"},
		{"no value", "seed:\n", "run.yaml:1: seed: has no value"},
		{"mapping", "seed: {a: 1}\n", "run.yaml:1: seed: want a number, a text or a list"},
		{"a list", "- seed\n", "want lines of the form name: value"},
		{"not YAML", "seed: 1\n  x: [\n", "run.yaml"},
		{"itself", "config: other.yaml\n", `"config" is not a setting`},
		{"aliases of YAML", "seed: &a 1\nbatch_size: *a\n", "anchors, aliases and tags are not supported"},
		{"no blank", "# a run\nseed:1\n", "line 2: want lines of the form name: value, with a blank after the colon"},
		{"UTF-16", "\xff\xfes\x00", "the file is UTF-16; save it as UTF-8"},
		{"not whole", "batch_size: 2.5\n", "run.yaml:1: batch_size: is 2.5; want a whole number"},
		{"a unit", "max_length: 64 tokens\n", `max_length: is "64 tokens"; want a whole number, such as 64`},
		{"a leading zero", "seed: 08\n", `seed: is "08"; want a whole number`},
		{"negative", "seed: -1\n", "seed: is -1; want 0 or more"},
		{"a comma", "learning_rate: 0,001\n", `learning_rate: is "0,001"; want a number, such as 0.001 or 1e-3`},
		{"true for a path", "resume_from_checkpoint: true\n", "resume_from_checkpoint: is true; want a directory"},
		{"all at once", "a_b: 1\nc_d: 2\n", `run.yaml:2: "c_d"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := clitest.Write(t, filepath.Join(dir, "run.yaml"), c.text)
			r := clitest.Run(t, finetune.Command, "seq-cls", "--config", file, "--output-dir", filepath.Join(dir, "out"))
			r.Refused(t, cli.Usage, "finetune seq-cls: --config", c.want)
		})
	}
	clitest.Run(t, finetune.Command, "seq-cls", "--config", "none.yaml").Refused(t, cli.Usage, "--config: open none.yaml")
}

// TestFormsInConfigFile reads what Trainer's YAML files hold besides plain values.
func TestFormsInConfigFile(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"learning_rate: 1e-4":            "learning-rate=0.0001", // a text for other parsers
		"learning_rate: '3e-4 '":         "learning-rate=0.0003",
		"max_length: 64.0":               "max-length=64",
		"eval_steps: 1e3":                "eval-steps=1000",
		"eval_steps: 1_000":              "eval-steps=1000",
		"lora_r: null":                   "lora-r=8",
		"lora_r: ~":                      "lora-r=8",
		"resume_from_checkpoint: false":  "resume-from-checkpoint=",
		"eval_file: null":                "eval-file=",
		"label_column: false":            "label-column=false",
		"\ufefflora_r: 4":                "lora-r=4",
		"%YAML 1.2\n---\nlora_r: 4\n...": "lora-r=4",
		"lora_r: 4\r\nseed: 5\r":         "lora-r=4",
		"lora_r:\t4":                     "lora-r=4",
		"lora_target: [query]":           "target-modules=[query]",
		"micro_batch_size: 2":            "batch-size=2",
		"cutoff_len: 32":                 "max-length=32",
	} {
		cmd := seqCls(t)
		file := clitest.Write(t, filepath.Join(dir, "run.yaml"), text+"\n")
		if err := cmd.ParseFlags([]string{"--config", file}); err != nil {
			t.Fatal(err)
		}
		if err := cmd.PreRunE(cmd, nil); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		name, value, _ := strings.Cut(want, "=")
		if got := cmd.Flags().Lookup(name).Value.String(); got != value {
			t.Errorf("%q: --%s is %q, want %q", text, name, got, value)
		}
	}
}

// TestListsInConfigFile keeps commas in the elements of a list.
func TestListsInConfigFile(t *testing.T) {
	cmd := seqCls(t)
	file := clitest.Write(t, filepath.Join(t.TempDir(), "run.yaml"),
		"labels: [\"yes, sir\", 'say \"no\"', maybe]\nclass_weights: [1, 2.5, 3]\ntarget_modules: '.*\\.(query|value)'\n")
	if err := cmd.ParseFlags([]string{"--config", file}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.PreRunE(cmd, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"labels": `yes, sir|say "no"|maybe`, "class-weights": "1|2.5|3",
		"target-modules": `.*\.(query|value)`} {
		list, err := cmd.Flags().GetStringSlice(name)
		if got := strings.Join(list, "|"); err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", name, got, err, want)
		}
	}
}

// trainingArguments are the fields of transformers 5.23's TrainingArguments.
const trainingArguments = `
	output_dir per_device_train_batch_size num_train_epochs max_steps learning_rate lr_scheduler_type
	lr_scheduler_kwargs warmup_steps optim optim_args weight_decay adam_beta1 adam_beta2 adam_epsilon
	optim_target_modules gradient_accumulation_steps average_tokens_across_devices max_grad_norm
	label_smoothing_factor bf16 fp16 bf16_full_eval fp16_full_eval tf32 activation_checkpointing
	activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs torch_compile
	torch_compile_backend torch_compile_mode use_liger_kernel liger_kernel_config use_cache neftune_noise_alpha
	torch_empty_cache_steps auto_find_batch_size logging_strategy logging_steps logging_first_step
	log_on_each_node logging_nan_inf_filter include_num_input_tokens_seen log_level log_level_replica disable_tqdm
	report_to run_name project trackio_space_id trackio_bucket_id trackio_static_space_id eval_strategy eval_steps
	eval_delay per_device_eval_batch_size prediction_loss_only eval_on_start eval_do_concat_batches
	eval_use_gather_object eval_accumulation_steps include_for_metrics batch_eval_metrics save_only_model
	save_strategy save_steps save_on_each_node save_total_limit enable_jit_checkpoint push_to_hub hub_token
	hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision load_best_model_at_end
	metric_for_best_model greater_is_better ignore_data_skip restore_callback_states_from_checkpoint
	full_determinism seed data_seed use_cpu accelerator_config parallelism_config dataloader_drop_last
	dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor
	dataloader_multiprocessing_context dataloader_in_order remove_unused_columns label_names
	train_sampling_strategy length_column_name ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers
	ddp_static_graph ddp_backend ddp_timeout fsdp fsdp_config deepspeed debug skip_memory_metrics do_train do_eval
	do_predict resume_from_checkpoint local_rank
`

// TestTrainerOptions: every option of Trainer is a flag, another name of one, or is answered with the flags that do the
// same, which exist.
func TestTrainerOptions(t *testing.T) {
	group := finetune.Command(clitest.Env(nil, new(clitest.Buffer), new(clitest.Buffer)))
	known := map[string]bool{}
	for _, cmd := range group.Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
	}
	table := cli.TrainerOptions()
	for name, flags := range table {
		if seqCls(t).Flags().Lookup(name) != nil {
			t.Errorf("%s is a flag or another name of one", name)
		}
		for _, f := range flags {
			if !known[f] {
				t.Errorf("%s is answered with --%s, which no command has", name, f)
			}
		}
	}
	for _, name := range strings.Fields(trainingArguments) {
		if _, ok := table[strings.ReplaceAll(name, "_", "-")]; !ok && seqCls(t).Flags().Lookup(name) == nil {
			t.Errorf("%s is neither a flag nor in the table", name)
		}
	}
	dir := t.TempDir()
	for text, want := range map[string]string{
		"evaluation_strategy: epoch": `"evaluation_strategy" is not a setting; it is an option of Hugging Face's Trainer: ` +
			"use --eval-steps (0 evaluates after each epoch)",
		"bf16: true": `"bf16" is not a setting; it is an option of Hugging Face's Trainer: use --compute-dtype (bf16)`,
		"tf32: true": `"tf32" is not a setting; it is an option of Hugging Face's Trainer: leave it out, everything is ` +
			"computed in float32 on the CPU",
		"per_gpu_train_batch_size: 8": "Trainer: use --batch-size",
		"do_eval: yes":                "Trainer: use --eval-file or --validation-split (either evaluates)",
		"gradient_checkpointing: on":  "Trainer: leave it out, only finetune causal-lm has it",
	} {
		name, value, _ := strings.Cut(text, ": ")
		file := clitest.Write(t, filepath.Join(dir, "run.yaml"), "seed: 1\n"+text+"\n")
		clitest.Run(t, finetune.Command, "seq-cls", "--config", file).Refused(t, cli.Usage, "run.yaml:2: ", want)
		_, hint, _ := strings.Cut(want, "Trainer: ")
		clitest.Run(t, finetune.Command, "seq-cls", "--"+name+"="+value).Refused(t, cli.Usage, "unknown flag: --"+name, hint)
	}
}

// TestWordsOfYAML: yes and on switch an option on, no and off switch it off, and blanks around names in lists mean
// nothing.
func TestWordsOfYAML(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"yes": "true", "on": "true", "On": "true", "YES": "true", "y": "true", "true": "true", `"yes"`: "true",
		"no": "false", "off": "false", "Off": "false", "n": "false", "false": "false",
	} {
		cmd := seqCls(t)
		file := clitest.Write(t, filepath.Join(dir, "run.yaml"), "use_rslora: "+text+"\nlabel_column: "+text+"\n")
		if err := cmd.ParseFlags([]string{"--config", file}); err != nil {
			t.Fatal(err)
		}
		if err := cmd.PreRunE(cmd, nil); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := cmd.Flags().Lookup("use-rslora").Value.String(); got != want {
			t.Errorf("use_rslora: %s gives %s", text, got)
		}
		if got := cmd.Flags().Lookup("label-column").Value.String(); got != strings.Trim(text, `"`) {
			t.Errorf("label_column: %s gives %s", text, got)
		}
	}
	maybe := clitest.Write(t, filepath.Join(dir, "run.yaml"), "use_rslora: maybe\n")
	clitest.Run(t, finetune.Command, "seq-cls", "--config", maybe).Refused(t, cli.Usage, "use_rslora", `"maybe"`)
	var adapters []string
	for _, lines := range []string{
		`target_modules: "query, value"` + "\n" + `modules_to_save: "pooler , classifier"`,
		"target_modules: [query, ' value']\nmodules_to_save: ['pooler ', classifier]",
		"target_modules: query,value\nmodules_to_save: [pooler, classifier]",
	} {
		out := filepath.Join(t.TempDir(), "out")
		file := clitest.Write(t, filepath.Join(dir, "run.yaml"), lines+"\n")
		clitest.OK(t, finetune.Command, smallArgs(t, "--config", file, "--output-dir", out)...)
		adapters = append(adapters, clitest.Read(t, filepath.Join(out, "adapter_config.json"))+
			clitest.Read(t, filepath.Join(out, "adapter_model.safetensors")))
	}
	if adapters[0] != adapters[2] || adapters[1] != adapters[2] {
		t.Error("blanks around names give another adapter")
	}
	// A regular expression may have commas.
	out := filepath.Join(t.TempDir(), "out")
	clitest.OK(t, finetune.Command, smallArgs(t, "--target-modules", `.*\.0\..*que\w{1,2}`, "--output-dir", out)...)
	if config := clitest.Read(t, filepath.Join(out, "adapter_config.json")); !strings.Contains(config, `que\\w{1,2}"`) {
		t.Errorf("adapter_config.json is %s", config)
	}
}
