#!/usr/bin/env python3
"""Writes testdata/active/: adapters with DoRA, and the logits of PEFT with several active adapters and scales.

usage: python reference/active_fixtures.py

README.md beside this script describes the files.
"""
import json
import os
import pathlib
import shutil
import sys

if os.environ.get("PYTHONHASHSEED") != "0":  # PEFT writes target names in the order of a set
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from fixture import save_adapter, versions

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = TESTDATA / "active"
IDS = [[1, 5, 9, 30, 7, 61], [2, 33], [90, 4, 4, 12]]
BASES = {"bert": "bert/query_value/base", "llama": "causal/llama_embed_tied/base"}
DORA = {
    "bert": {"c": dict(r=3, lora_alpha=4, use_dora=True, target_modules=r".*\.(query|value)"),
             "d": dict(r=2, lora_alpha=5, use_dora=True, target_modules=r".*\.(key|value)")},
    "llama": {"f": dict(r=3, lora_alpha=4, use_dora=True, target_modules=["q_proj", "down_proj", "embed_tokens"]),
              "g": dict(r=2, lora_alpha=5, use_dora=True, target_modules=["q_proj", "v_proj", "embed_tokens"])},
}
# base, adapters in order, scales; adapters of testdata/combine have no DoRA
CASES = [("bert", "ab", [1, 1]), ("bert", "ab", [0.5, -2]), ("bert", "cd", [1, 1]), ("bert", "dc", [1, 0.5]),
         ("bert", "ac", [0.5, 2]), ("bert", "cb", [1, 1]), ("llama", "ab", [1, 1]), ("llama", "abc", [0.5, 1, -1]),
         ("llama", "fg", [1, 1]), ("llama", "gf", [0.5, 2]), ("llama", "bf", [1, 1]), ("llama", "fb", [1, 0])]


def open_base(group):
    kind = AutoModelForSequenceClassification if group == "bert" else AutoModelForCausalLM
    return kind.from_pretrained(TESTDATA / BASES[group], dtype=torch.float32, attn_implementation="eager").eval()


def directory(group, name):
    return (ROOT if name in DORA[group] else TESTDATA / "combine") / group / name


def make():
    for group, adapters in DORA.items():
        for i, (name, settings) in enumerate(adapters.items()):
            torch.manual_seed(i)
            model = get_peft_model(open_base(group), LoraConfig(**settings))
            generator = torch.Generator().manual_seed(9000 + i)
            with torch.no_grad():
                for path, p in model.named_parameters():
                    if "magnitude" in path:
                        p.mul_(1 + 0.2 * torch.randn(p.shape, generator=generator))
                    elif p.requires_grad:
                        p.copy_(torch.randn(p.shape, generator=generator) * 0.2)
            model.peft_config["default"].base_model_name_or_path = "base"
            save_adapter(model, directory(group, name))


@torch.no_grad()
def active(group, adapters, scales):
    model = PeftModel.from_pretrained(open_base(group), directory(group, adapters[0]), adapter_name=adapters[0])
    for name in adapters[1:]:
        model.load_adapter(directory(group, name), adapter_name=name)
    model.base_model.set_adapter(list(adapters))
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            for name, scale in zip(adapters, scales):
                layer.set_scale(name, scale)
    model.eval()
    return torch.cat([(y := model(input_ids=torch.tensor([ids])).logits).reshape(-1, y.shape[-1]) for ids in IDS])


def main():
    if ROOT.exists():
        shutil.rmtree(ROOT)
    make()
    cases, tensors = [], {}
    for i, (group, adapters, scales) in enumerate(CASES):
        tensors[f"{i}.logits"] = active(group, adapters, scales)
        cases.append({"base": BASES[group], "scales": scales, "adapters": [
            str(directory(group, name).relative_to(TESTDATA)) for name in adapters]})
    save_file(tensors, ROOT / "expected.safetensors")
    (ROOT / "cases.json").write_text(json.dumps(
        {"versions": versions(), "ids": IDS, "cases": cases}, indent=1) + "\n")


main()
