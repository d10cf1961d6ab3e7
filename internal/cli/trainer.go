package cli

import (
	"strings"

	"github.com/spf13/pflag"
)

// trainerOption says what to do about an option that only Hugging Face's Trainer and its example scripts have.
type trainerOption struct {
	flags string // flags that do the same here, separated by blanks; "": none
	note  string // what they do differently, or why there are none
}

const (
	oneMachine = "everything runs on one machine"
	onCPU      = "everything is computed in float32 on the CPU"
	localOnly  = "nothing is uploaded"
	figures    = "metrics.jsonl and results.json in the output directory have all figures"
	byTokens   = "texts are evaluated in batches by their number of tokens, which changes no result"
	fixedOptim = "the optimiser is AdamW"
)

// trainer holds the options of transformers' TrainingArguments, of versions 4 and 5, and of its example scripts that
// are no flags of ours or other names of them (aliases).
var trainer = map[string]trainerOption{
	"evaluation-strategy":                {"eval-steps", "0 evaluates after each epoch"},
	"eval-strategy":                      {"eval-steps", "0 evaluates after each epoch"},
	"do-eval":                            {"eval-file validation-split", "either evaluates"},
	"do-train":                           {"", "finetune always trains"},
	"do-predict":                         {"test-file", ""},
	"save-strategy":                      {"save-steps save-minutes", "the adapter itself is always saved at the end"},
	"logging-steps":                      {"", "every step is written to metrics.jsonl"},
	"logging-strategy":                   {"", "every step is written to metrics.jsonl"},
	"logging-dir":                        {"output-dir", "has metrics.jsonl"},
	"logging-first-step":                 {"", "every step is written to metrics.jsonl"},
	"logging-nan-inf-filter":             {"", "a loss that is not finite ends the run"},
	"log-level":                          {"quiet log-format", ""},
	"log-level-replica":                  {"", oneMachine},
	"log-on-each-node":                   {"", oneMachine},
	"disable-tqdm":                       {"quiet", ""},
	"report-to":                          {"", figures},
	"run-name":                           {"output-dir", "names the run"},
	"project":                            {"", figures},
	"per-device-eval-batch-size":         {"", byTokens},
	"per-gpu-train-batch-size":           {"batch-size", ""},
	"per-gpu-eval-batch-size":            {"", byTokens},
	"eval-batch-size":                    {"", byTokens},
	"auto-find-batch-size":               {"batch-size tokens-per-batch", ""},
	"eval-accumulation-steps":            {"", "predictions are never kept on a device"},
	"eval-delay":                         {"eval-steps", ""},
	"eval-on-start":                      {"eval-steps", ""},
	"eval-do-concat-batches":             {"", figures},
	"eval-use-gather-object":             {"", oneMachine},
	"prediction-loss-only":               {"", figures},
	"batch-eval-metrics":                 {"", figures},
	"include-for-metrics":                {"", figures},
	"include-inputs-for-metrics":         {"", figures},
	"include-num-input-tokens-seen":      {"", figures},
	"include-tokens-per-second":          {"", figures},
	"load-best-model-at-end":             {"metric-for-best-model", "with an evaluation, the best adapter is saved"},
	"greater-is-better":                  {"metric-for-best-model", "knows which way a metric is better"},
	"save-only-model":                    {"save-steps keep-checkpoints", "the adapter is saved by itself"},
	"save-safetensors":                   {"", "every file of weights is safetensors"},
	"save-on-each-node":                  {"", oneMachine},
	"enable-jit-checkpoint":              {"save-minutes", "a run that is stopped by a signal can be resumed"},
	"ignore-data-skip":                   {"resume-from-checkpoint", "continues with the next row"},
	"optim":                              {"optimizer", "adamw or lora-fa"},
	"optim-args":                         {"adam-beta1 adam-beta2 adam-epsilon", ""},
	"optim-target-modules":               {"target-modules", ""},
	"adafactor":                          {"", fixedOptim},
	"lr-scheduler-kwargs":                {"lr-scheduler-type warmup-steps", ""},
	"label-names":                        {"label-column", ""},
	"length-column-name":                 {"", "lengths are counted here"},
	"train-sampling-strategy":            {"group-by-length no-shuffle", ""},
	"remove-unused-columns":              {"", "columns that no option names are not read"},
	"data-seed":                          {"seed", ""},
	"full-determinism":                   {"seed", "a run with the same seed gives the same bytes"},
	"activation-checkpointing":           {"gradient-checkpointing", ""},
	"gradient-checkpointing":             {"", "only finetune causal-lm has it"},
	"gradient-checkpointing-kwargs":      {"gradient-checkpointing", ""},
	"max-eval-samples":                   {"eval-file", "give a shorter file"},
	"max-predict-samples":                {"test-file", "give a shorter file"},
	"preprocessing-num-workers":          {"threads", ""},
	"dataloader-num-workers":             {"threads", ""},
	"dataloader-drop-last":               {"", "the last batch of an epoch is always used"},
	"pad-to-max-length":                  {"", "batches have no padding"},
	"neftune-noise-alpha":                {"dropout lora-dropout", "NEFTune's noise is not supported"},
	"peft-config":                        {"lora-r lora-alpha target-modules", ""},
	"use-peft":                           {"", "finetune trains an adapter unless it is told otherwise"},
	"dataset-name":                       {"train-file", ""},
	"dataset-text-field":                 {"text-column", ""},
	"packing":                            {"block-size", ""},
	"completion-only-loss":               {"train-on-prompt", "turns the loss of prompts on; it is off by default"},
	"assistant-only-loss":                {"train-on-prompt", "turns the loss of prompts on; it is off by default"},
	"bf16":                               {"compute-dtype", "bf16"},
	"fp16":                               {"", onCPU},
	"bf16-full-eval":                     {"", onCPU},
	"fp16-full-eval":                     {"", onCPU},
	"tf32":                               {"", onCPU},
	"use-cpu":                            {"", onCPU},
	"no-cuda":                            {"", onCPU},
	"use-mps-device":                     {"", onCPU},
	"torch-compile":                      {"", onCPU},
	"torch-empty-cache-steps":            {"", onCPU},
	"use-liger-kernel":                   {"", onCPU},
	"load-in-4bit":                       {"model", "takes quantised GGUF files"},
	"load-in-8bit":                       {"model", "takes quantised GGUF files"},
	"dataloader-pin-memory":              {"", onCPU},
	"dataloader-persistent-workers":      {"", onCPU},
	"dataloader-prefetch-factor":         {"", onCPU},
	"skip-memory-metrics":                {"", figures},
	"push-to-hub":                        {"", localOnly},
	"hub-token":                          {"", localOnly},
	"hub-model-id":                       {"", localOnly},
	"hub-strategy":                       {"", localOnly},
	"hub-private-repo":                   {"", localOnly},
	"hub-always-push":                    {"", localOnly},
	"hub-revision":                       {"", localOnly},
	"local-rank":                         {"", oneMachine},
	"fsdp":                               {"", oneMachine},
	"fsdp-config":                        {"", oneMachine},
	"deepspeed":                          {"", oneMachine},
	"accelerator-config":                 {"", oneMachine},
	"parallelism-config":                 {"", oneMachine},
	"average-tokens-across-devices":      {"", oneMachine},
	"ddp-backend":                        {"", oneMachine},
	"ddp-timeout":                        {"", oneMachine},
	"ddp-find-unused-parameters":         {"", oneMachine},
	"activation-checkpointing-kwargs":    {"gradient-checkpointing", ""},
	"torch-compile-backend":              {"", onCPU},
	"torch-compile-mode":                 {"", onCPU},
	"liger-kernel-config":                {"", onCPU},
	"use-cache":                          {"", "generating always keeps keys and values"},
	"trackio-space-id":                   {"", figures},
	"trackio-bucket-id":                  {"", figures},
	"trackio-static-space-id":            {"", figures},
	"dataloader-multiprocessing-context": {"", oneMachine},
	"dataloader-in-order":                {"", oneMachine},
	"ddp-bucket-cap-mb":                  {"", oneMachine},
	"ddp-broadcast-buffers":              {"", oneMachine},
	"ddp-static-graph":                   {"", oneMachine},
	"debug":                              {"", oneMachine},

	"restore-callback-states-from-checkpoint": {"resume-from-checkpoint", "restores the whole state of a run"},
}

// TrainerOptions returns the options of Trainer that messages explain, each with the flags that do the same here.
func TrainerOptions() map[string][]string {
	list := make(map[string][]string, len(trainer))
	for name, o := range trainer {
		list[name] = strings.Fields(o.flags)
	}
	return list
}

// trainerHint returns what to do in place of an option of Trainer, with the flags of fs, or "" for other names.
func trainerHint(fs *pflag.FlagSet, name string) string {
	o, ok := trainer[strings.ReplaceAll(name, "_", "-")]
	if !ok {
		return ""
	}
	var flags []string
	for _, f := range strings.Fields(o.flags) {
		if fs.Lookup(f) != nil {
			flags = append(flags, "--"+f)
		}
	}
	switch hint := "; it is an option of Hugging Face's Trainer: "; {
	case len(flags) == 0 && o.note == "":
		return hint + "leave it out, this task has nothing like it"
	case len(flags) == 0:
		return hint + "leave it out, " + o.note
	case o.note == "":
		return hint + "use " + strings.Join(flags, " or ")
	default:
		return hint + "use " + strings.Join(flags, " or ") + " (" + o.note + ")"
	}
}
