#!/usr/bin/env python3
"""Writes testdata/combine/: adapters of PEFT and what add_weighted_adapter makes of them.

usage: python reference/combine_fixtures.py

README.md beside this script describes the files.
"""
import json
import os
import pathlib
import shutil
import sys
import warnings

if os.environ.get("PYTHONHASHSEED") != "0":  # PEFT writes target names in the order of a set
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from fixture import save_adapter, versions

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = TESTDATA / "combine"
IDS = [[1, 5, 9, 30, 7, 61], [2, 33], [90, 4, 4, 12]]

LM = dict(task_type="CAUSAL_LM")
GROUPS = {
    "llama": ("causal/llama_embed_tied/base", {
        "a": dict(LM, r=4, lora_alpha=6, target_modules=["q_proj", "embed_tokens"]),
        "b": dict(LM, r=4, lora_alpha=3, target_modules=["q_proj", "v_proj"], lora_dropout=0.1),
        "c": dict(LM, r=2, lora_alpha=3, use_rslora=True, target_modules=["q_proj", "v_proj"],
                  alpha_pattern={"v_proj": 5}),
        "d": dict(LM, r=4, lora_alpha=5, rank_pattern={"v_proj": 2}, target_modules=["q_proj", "v_proj"]),
        "e": dict(LM, r=4, lora_alpha=7, target_modules=["q_proj", "v_proj", "embed_tokens"]),
    }),
    "gpt2": ("causal/gpt2_c_attn/base", {
        "a": dict(LM, r=3, lora_alpha=4, target_modules=["c_attn"], fan_in_fan_out=True),
        "b": dict(LM, r=3, lora_alpha=3, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True),
        "c": dict(LM, r=3, lora_alpha=5, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True),
    }),
    "bert": ("bert/query_value/base", {
        "a": dict(r=3, lora_alpha=4, target_modules=r".*\.(query|value)"),
        "b": dict(r=3, lora_alpha=9, target_modules=r".*layer\.1.*(query|key)"),
    }),
}

# group, adapters, weights, arguments of add_weighted_adapter
CASES = [
    ("llama", "ab", [0.7, 0.3], dict(combination_type="cat")),
    ("llama", "abc", [0.5, -1.25, 2], dict(combination_type="cat")),
    ("llama", "dc", [1, 1], dict(combination_type="cat")),
    ("llama", "ab", [1, -0.5], dict(combination_type="linear")),
    ("llama", "bae", [0.4, 0, -0.6], dict(combination_type="linear")),
    ("llama", "ad", [1, -0.6], dict(combination_type="linear")),
    ("llama", "a", [0.5], dict(combination_type="cat")),
    ("llama", "abe", [0.7, -0.3, 1], dict(combination_type="ties", density=0.4)),
    ("llama", "bea", [1, 1, 1], dict(combination_type="ties", density=0.8, majority_sign_method="frequency")),
    ("llama", "ab", [0.7, -0.3], dict(combination_type="dare_linear", density=0.5)),
    ("llama", "ab", [0.7, 0.6], dict(combination_type="dare_ties", density=0.6)),
    ("llama", "ba", [0.7, -0.6], dict(combination_type="dare_ties", density=1.0, majority_sign_method="frequency")),
    ("llama", "ab", [0.7, -0.3], dict(combination_type="magnitude_prune", density=0.3)),
    ("llama", "abc", [0.7, -0.3, 1], dict(combination_type="svd")),
    ("llama", "ac", [1, 1], dict(combination_type="svd", svd_rank=5)),
    ("llama", "abc", [1, 1, 0.5], dict(combination_type="svd", svd_rank=3, svd_full_matrices=False)),
    ("llama", "ac", [0.7, -0.3], dict(combination_type="svd", svd_rank=3, svd_clamp=0.9)),
    ("llama", "abe", [0.7, 0.3, -1], dict(combination_type="ties_svd", density=0.4, svd_rank=6)),
    ("llama", "abc", [1, 0.3, 1], dict(combination_type="ties_svd", density=0.7, majority_sign_method="frequency")),
    ("llama", "ac", [0.7, -0.3], dict(combination_type="dare_linear_svd", density=0.5)),
    ("llama", "ac", [0.7, 0.3], dict(combination_type="dare_ties_svd", density=0.5, svd_rank=4)),
    ("llama", "abe", [0.7, 0.3, 0.2], dict(combination_type="magnitude_prune_svd", density=0.5, svd_rank=4)),
    ("gpt2", "ab", [0.7, 0.3], dict(combination_type="cat")),
    ("gpt2", "bca", [0.7, -0.3, 1], dict(combination_type="linear")),
    ("gpt2", "bc", [0.7, -0.3], dict(combination_type="svd", svd_rank=4)),
    ("gpt2", "bc", [0.7, 0.8], dict(combination_type="ties_svd", density=0.5)),
    ("bert", "ab", [0.7, 0.3], dict(combination_type="cat")),
    ("bert", "ba", [0.7, -0.3], dict(combination_type="svd")),
]


def open_base(base):
    kind = AutoModelForSequenceClassification if "bert/" in base else AutoModelForCausalLM
    return kind.from_pretrained(TESTDATA / base, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def logits(model):
    return torch.cat([(y := model(input_ids=torch.tensor([ids])).logits).reshape(-1, y.shape[-1]) for ids in IDS])


def make_adapters(group):
    base, adapters = GROUPS[group]
    for i, (name, settings) in enumerate(adapters.items()):
        torch.manual_seed(i)
        model = get_peft_model(open_base(base), LoraConfig(**settings))
        generator = torch.Generator().manual_seed(8000 + i)
        with torch.no_grad():
            for p in model.parameters():
                if p.requires_grad:
                    p.copy_(torch.randn(p.shape, generator=generator) * 0.3)
        directory = ROOT / group / name
        model.peft_config["default"].base_model_name_or_path = "base"
        save_adapter(model, directory)


def pair(layer, name):
    if name in layer.lora_A:
        return layer.lora_A[name].weight.data, layer.lora_B[name].weight.data
    if name in layer.lora_embedding_A:
        return layer.lora_embedding_A[name].data, layer.lora_embedding_B[name].data
    return None


def combine(group, adapters, weights, options):
    """Returns the tensors of the combined adapter, the logits with it, and the masks that PEFT draws."""
    base, _ = GROUPS[group]
    model = PeftModel.from_pretrained(open_base(base), ROOT / group / adapters[0], adapter_name=adapters[0])
    for name in adapters[1:]:
        model.load_adapter(ROOT / group / name, adapter_name=name)
    drawn, bernoulli = [], torch.bernoulli
    torch.bernoulli = lambda p: drawn.append(bernoulli(p)) or drawn[-1]
    torch.manual_seed(3)
    model.add_weighted_adapter(list(adapters), weights, "new", **options)
    torch.bernoulli = bernoulli
    model.set_adapter("new")
    model.eval()  # the new dropout layers are in training mode
    tensors = {"logits": logits(model)}
    config = model.peft_config["new"]
    kind, i = options["combination_type"], 0
    for path, layer in model.base_model.model.named_modules():
        if not hasattr(layer, "lora_A") or (p := pair(layer, "new")) is None:
            continue
        tensors[path + ".A"], tensors[path + ".B"] = p
        for part in ["BA"] if kind.endswith("svd") else ["A", "B"]:
            for a, name in enumerate(adapters):
                if drawn and pair(layer, name):
                    mask, i = drawn[i], i + 1
                    if part == "BA" and "embed" in path:  # PEFT draws for the transposed correction of a table
                        mask = mask.T
                    tensors[f"{path}.mask.{part}.{a}"] = mask.to(torch.uint8).contiguous()
    assert i == len(drawn)
    targets = config.target_modules
    return tensors, {"r": config.r, "lora_alpha": config.lora_alpha, "lora_dropout": config.lora_dropout,
                     "target_modules": targets if isinstance(targets, str) else sorted(targets)}


def merged():
    """Returns the weights that change when three adapters are merged one after another."""
    base, _ = GROUPS["llama"]
    model = PeftModel.from_pretrained(open_base(base), ROOT / "llama" / "b", adapter_name="b")
    for name in "cd":
        model.load_adapter(ROOT / "llama" / name, adapter_name=name)
    state = model.merge_and_unload(adapter_names=["b", "c", "d"]).state_dict()
    return {f"merged.{name}": t for name, t in state.items() if "q_proj" in name or "v_proj" in name}


def rslora():
    """PEFT leaves use_rslora of the first adapter, so that the scale of the result is √r instead of 1."""
    base, _ = GROUPS["llama"]
    model = PeftModel.from_pretrained(open_base(base), ROOT / "llama" / "c", adapter_name="c")
    model.load_adapter(ROOT / "llama" / "b", adapter_name="b")
    model.add_weighted_adapter(["c", "b"], [1, 1], "new", combination_type="cat")
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    print(f"use_rslora first: the scale of the result is {layer.scaling['new']:.4f}, r = {layer.r['new']}")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir()
    cases, everything = [], {}
    for group in GROUPS:
        make_adapters(group)
    for i, (group, adapters, weights, options) in enumerate(CASES):
        tensors, config = combine(group, adapters, weights, options)
        if "svd_clamp" in options:
            plain, _ = combine(group, adapters, weights, options | {"svd_clamp": None})
            tensors |= {f"unclamped.{name}": t for name, t in plain.items() if name != "logits"}
        everything |= {f"{i}.{name}": t.contiguous().clone() for name, t in tensors.items()}
        cases.append({"group": group, "base": GROUPS[group][0], "adapters": list(adapters), "weights": weights,
                      "options": options, "config": config})
    everything |= {name: t.contiguous().clone() for name, t in merged().items()}
    save_file(everything, ROOT / "expected.safetensors")
    (ROOT / "cases.json").write_text(json.dumps({"versions": versions(), "ids": IDS, "cases": cases}, indent=1) + "\n")
    rslora()


if __name__ == "__main__":
    main()
