#!/usr/bin/env python3
"""Writes testdata/inits/<case>/: adapters whose starting values PEFT computes (init_lora_weights), trained for ten
steps.

usage: python reference/init_fixtures.py [CASE ...]

Base models and rows are those of other fixtures. README.md beside this script describes the files.
"""
import copy
import json
import os
import pathlib
import shutil
import sys
import warnings

import torch
import transformers
from peft import EvaConfig, LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, initialize_lora_eva_weights
from safetensors.torch import load_file, save_file

import causallm
import seqcls
from fixture import deviation, hyperparameters, save_adapter, seqcls_rows, train, versions

DATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = DATA / "inits"

# Defaults of a case; each case overrides some. eva holds the fields of EvaConfig, eva_batches the rows of the batches.
DEFAULT = dict(
    steps=10, targets=None, r=4, alpha=8, rslora=False, dora=False, rank_pattern={}, alpha_pattern={}, fan_in_fan_out=False,
    modules_to_save=None, batch=3, accumulate=1, lr=3e-3, decay=0.01, schedule="linear", warmup=2, max_norm=1.0,
    smoothing=0.0, labels=3, problem="single_label_classification", eva=None, eva_batches=None, convert=False, note="",
    config={})  # more fields of LoraConfig

BERT, GPT2, LLAMA, BIASES = "bert/query_value", "causal/gpt2_c_attn", "causal/llama_gqa", "causal/llama_bias"
CASES = {
    "bert_pissa": (BERT, "pissa", dict(targets=["query", "value", "dense"], convert=True, note="a trained head")),
    "gpt2_pissa": (GPT2, "pissa", dict(
        targets=["c_attn", "c_fc", "wte"], fan_in_fan_out=True, rank_pattern={"mlp.c_fc": 6},
        alpha_pattern={"h.0.attn.c_attn": 5}, convert=True,
        note="Conv1D; other ranks and scales for some layers; an embedding, which PiSSA does not change")),
    "llama_pissa": (LLAMA, "pissa", dict(
        targets=["q_proj", "v_proj", "down_proj"], r=3, alpha=5, rslora=True, convert=True, note="use_rslora")),
    "bert_olora": (BERT, "olora", dict(targets=["query", "key"], r=6, alpha=3, convert=True, note="r above alpha")),
    "llama_olora": (LLAMA, "olora", dict(targets=["q_proj", "k_proj", "up_proj"], convert=True, note="tall and wide")),
    "bert_gaussian": (BERT, "gaussian", dict(targets=["query", "value"])),
    "gpt2_orthogonal": (GPT2, "orthogonal", dict(fan_in_fan_out=True, alpha=4)),
    "llama_false": (LLAMA, False, dict(targets=["q_proj", "o_proj"], alpha=2)),
    "bert_eva": (BERT, "eva", dict(
        targets=["query", "key", "value", "dense"], eva=dict(), eva_batches=[[0, 6], [6, 7], [7, 16], [16, 30], [30, 48]],
        note="three layers of one input; a batch with too few tokens; the pooler, whose input is no token, is left out")),
    "gpt2_eva": (GPT2, "eva", dict(
        targets=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True, r=3, alpha=4,
        eva=dict(rho=1.7, tau=0.9, use_label_mask=False, adjust_scaling_factors=False, whiten=True),
        eva_batches=[[0, 9], [9, 20], [20, 30]], note="all fields of eva_config differ from the defaults")),
    "llama_eva": (LLAMA, "eva", dict(
        targets=["q_proj", "v_proj", "gate_proj", "down_proj"], rank_pattern={"down_proj": 6}, rslora=True,
        eva=dict(rho=1.5), eva_batches=[[0, 12], [12, 22], [22, 30]],
        note="labels mask tokens; a layer with a budget of its own; use_rslora")),
    "gpt2_pissa_dora": (GPT2, "pissa", dict(
        targets=["c_attn", "attn.c_proj"], fan_in_fan_out=True, dora=True, convert=True, note="use_dora")),
    "llama_eva_dora": (LLAMA, "eva", dict(
        targets=["q_proj", "o_proj", "up_proj"], dora=True, eva=dict(use_label_mask=False),
        eva_batches=[[0, 15], [15, 30]], note="use_dora")),
    "bert_olora_pairs": (BERT, "olora", dict(
        targets=["query", "attention.output.dense"], r=2, alpha=5, dora=True, rank_pattern={"query": 3},
        alpha_pattern={"0.attention.output.dense": 3}, modules_to_save=["LayerNorm"], convert=True,
        config=dict(trainable_token_indices=[5, 17, 3]), note="with all options that PEFT can convert")),
    "gpt2_pissa_pairs": (GPT2, "pissa", dict(
        targets=["attn.c_proj", "c_fc"], r=2, alpha=5, fan_in_fan_out=True, dora=True, rslora=True, modules_to_save=["ln_f"],
        convert=True, config=dict(bias="lora_only", trainable_token_indices=[40, 0]), note="use_rslora, so no patterns; bias, so PEFT cannot convert")),
    "llama_eva_pairs": (BIASES, "eva", dict(
        targets=["q_proj", "v_proj", "down_proj"], r=2, alpha=3, dora=True, rslora=True, rank_pattern={"down_proj": 3},
        alpha_pattern={"q_proj": 5}, modules_to_save=["norm"], eva=dict(use_label_mask=False),
        eva_batches=[[0, 15], [15, 30]], config=dict(bias="all"), note="all options but token rows, at which PEFT stops")),
    "bert_orthogonal_pairs": (BERT, "orthogonal", dict(
        targets=["value", "intermediate.dense"], r=2, alpha=5, dora=True, rslora=True, rank_pattern={"value": 4},
        alpha_pattern={"intermediate.dense": 3}, modules_to_save=["LayerNorm"],
        config=dict(bias="lora_only", trainable_token_indices=[5, 17]), note="all options")),
    "llama_false_bias": (BIASES, False, dict(
        targets=["k_proj", "gate_proj"], r=2, alpha=5, rslora=True, rank_pattern={"gate_proj": 3}, modules_to_save=["lm_head"],
        config=dict(lora_bias=True, bias="lora_only", trainable_token_indices=[1, 60]), note="lora_bias starts at random")),
}


def rows_of(base, c):
    """Returns the rows of a fixture: functions for train, and for observing the first batch and EVA's batches."""
    b = load_file(DATA / base / "batches.safetensors")
    ends = b["starts"].tolist()
    cut = lambda values: [values[lo:hi].tolist() for lo, hi in zip(ends, ends[1:])]
    ids = cut(b["ids"])
    if base == BERT:
        types = cut(b["types"])
        batch = lambda lo, hi: seqcls.pad(ids[lo:hi], types[lo:hi])
        return *seqcls_rows(c, ids, types, b["labels"]), batch, batch
    labels = cut(b["labels"])
    rows = causallm.Rows(ids, labels)

    def labelled(lo, hi):
        batch = causallm.pad(ids[lo:hi])
        return batch | {"labels": causallm.pad(labels[lo:hi], causallm.IGNORE)["input_ids"]}
    return rows.targets, rows.loss, lambda lo, hi: causallm.pad(ids[lo:hi]), labelled


def load_base(base):
    directory = DATA / base / "base"
    return seqcls.load_base(directory, 3) if base == BERT else causallm.load_base(directory)


@torch.no_grad()
def logits(model, batch):
    model.eval()
    out = model(**batch).logits
    return out[batch["attention_mask"].bool()] if out.dim() == 3 else out


def frozen(model):
    """Returns the changed weights of the base model by the name of the layer."""
    return {
        "base." + n.removeprefix("base_model.model."): m.base_layer.weight.detach().clone()
        for n, m in model.named_modules() if hasattr(m, "lora_A") and len(m.lora_A)
    }


def make(name, seed):
    base, init, options = CASES[name]
    c = DEFAULT | options
    torch.manual_seed(seed)
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.chdir(directory)
    targets, loss, batch, eva_batch = rows_of(base, c)
    first = batch(0, 4)
    expected = {"base.logits": logits(load_base(base), first)}
    config = LoraConfig(
        r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"], use_rslora=c["rslora"], init_lora_weights=init,
        use_dora=c["dora"], rank_pattern=c["rank_pattern"], alpha_pattern=c["alpha_pattern"], fan_in_fan_out=c["fan_in_fan_out"],
        exclude_modules=r".*pooler.*" if base == BERT else None, modules_to_save=c["modules_to_save"], **c["config"],
        task_type="SEQ_CLS" if base == BERT else "CAUSAL_LM", eva_config=EvaConfig(**c["eva"]) if c["eva"] is not None else None)
    model = get_peft_model(load_base(base), config)
    if c["eva"] is not None:
        initialize_lora_eva_weights(model, [eva_batch(*b) for b in c["eva_batches"]], show_progress_bar=False)
    before = copy.deepcopy(model.peft_config["default"].init_lora_weights)
    if c["convert"]:  # as PEFT's documentation asks for: the start is saved as plain LoRA
        model.peft_config["default"].init_lora_weights = True
    save_adapter(model, "adapter_init")
    model.peft_config["default"].init_lora_weights = before
    expected["init.logits"] = logits(model, first)
    if c["convert"]:
        expected |= frozen(model)
    double = copy.deepcopy(model).double()
    log, _ = train(c, model, targets, loss)
    log64, _ = train(c, double, targets, loss)
    expected["final.logits"] = logits(model, first)
    save_adapter(model, "adapter_final")
    again = PeftModel.from_pretrained(load_base(base), "adapter_final")
    torch.testing.assert_close(logits(again, first), expected["final.logits"], rtol=1e-4, atol=1e-4)
    if "wte" not in (c["targets"] or []):  # PEFT merges into the table that the head shares
        expected["merged.logits"] = logits(again.merge_and_unload(), first)
    if c["convert"] and "bias" not in c["config"]:  # PEFT cannot convert with trained biases
        initial = str(directory / "adapter_init")
        save_adapter(model, "adapter_converted", path_initial_model_for_weight_conversion=initial)
        # PEFT leaves out all tensors but A and B of linear layers
        if base != BERT and not c["dora"] and not c["config"] and "wte" not in (c["targets"] or []):
            converted = PeftModel.from_pretrained(load_base(base), "adapter_converted")
            torch.testing.assert_close(logits(converted, first), expected["final.logits"], rtol=1e-4, atol=1e-4)
    expected = {k: v.contiguous().clone() for k, v in expected.items()}
    save_file(expected, "expected.safetensors", metadata={"source": "reference/init_fixtures.py"})
    drift = deviation(model, double, log, log64, ["key.bias", "k_proj.lora_B.bias", "k_proj.base_layer.bias", "k_proj.bias"])
    config = json.loads(pathlib.Path("adapter_init/adapter_config.json").read_text())
    case = {
        "name": name, "note": c["note"], "seed": seed, "base": base, "num_labels": 3,
        "problem_type": c["problem"], **hyperparameters(c), "use_rslora": c["rslora"], "use_dora": c["dora"],
        "rank_pattern": c["rank_pattern"], "alpha_pattern": c["alpha_pattern"], "init_lora_weights": init,
        "config": c["config"],
        "exclude_modules": r".*pooler.*" if base == BERT else "", "eva_batches": c["eva_batches"],
        "target_modules": c["targets"] or sorted(config["target_modules"]),
        "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    print(f"{name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, ranks "
          f"{config['rank_pattern']}, float64: loss {drift['loss']:.1e} norm {drift['grad_norm']:.1e} "
          f"adapter {drift['adapter']:.1e} ({drift['worst_tensor']})")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        make(name, 7000 + list(CASES).index(name))


if __name__ == "__main__":
    main()
