#!/usr/bin/env python3
"""Writes testdata/adapters/: adapters of PEFT that say more than their pairs, and which layers PEFT adapts.

usage: python reference/adapter_fixtures.py

<case>/ holds an adapter for the base model of another fixture and the logits that PEFT gives with it. selection.json has
the layers that PEFT adapts with some configurations, with their rank and scale. README.md beside this script describes
the files.
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
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from fixture import save_adapter, versions

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = TESTDATA / "adapters"
IDS = [[1, 5, 9, 30, 7, 61], [2, 33], [90, 4, 4, 12]]
TIED, UNTIED, BIASES = "causal/llama_embed_tied/base", "causal/llama_embed/base", "causal/llama_bias/base"
GPT2, BERT = "causal/gpt2_c_attn/base", "bert/query_value/base"
LAYER = "model.layers.0.self_attn."

# base, settings of LoraConfig, and the weights of the base that the file has with other values: names in the file and,
# where they differ, in the model.
CASES = {
    "table_below_pair": (TIED, dict(target_modules=["q_proj", "embed_tokens"]),
                         {"model.embed_tokens.base_layer.weight": "model.embed_tokens.weight"}),
    "tables_tied": (TIED, dict(target_modules=["q_proj"]),
                    {"model.embed_tokens.weight": None, "lm_head.weight": None}),
    "head_tied": (TIED, dict(target_modules=["v_proj"]), {"lm_head.weight": None}),
    "head_below_pair": (TIED, dict(target_modules=["lm_head"]), {"lm_head.base_layer.weight": "lm_head.weight"}),
    "head_beside_copy": (TIED, dict(target_modules=["v_proj"], modules_to_save=["embed_tokens"]),
                         {"lm_head.weight": None}),
    "tables_untied": (UNTIED, dict(target_modules=["q_proj"]),
                      {"model.embed_tokens.weight": None, "lm_head.weight": None}),
    "linear_below_pair": (BIASES, dict(target_modules=["q_proj"]), {
        LAYER + "q_proj.base_layer.weight": LAYER + "q_proj.weight",
        LAYER + "q_proj.base_layer.bias": LAYER + "q_proj.bias", LAYER + "o_proj.weight": None,
        "model.norm.weight": None}),
    "gpt2_wte": (GPT2, dict(target_modules=["c_attn"], fan_in_fan_out=True), {
        "transformer.wte.weight": None,
        "transformer.h.0.attn.c_attn.base_layer.weight": "transformer.h.0.attn.c_attn.weight"}),
    "bert_words": (BERT, dict(target_modules=["query"], task_type="SEQ_CLS"),
                   {"bert.embeddings.word_embeddings.weight": None}),
    "patterns": (BIASES, dict(
        target_modules=["q_proj", "v_proj", "up_proj", "down_proj"], r=4, lora_alpha=6, use_rslora=True,
        rank_pattern={r"layers.1.*_proj": 2, "q_proj": 3}, alpha_pattern={r"(?!q)\w_proj": 9},
        exclude_modules=["1.mlp.down_proj"]), {}),
    "layers": (GPT2, dict(
        target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, layers_to_transform=[1], layers_pattern="h"), {}),
}

# Settings of LoraConfig for selection.json.
SELECTIONS = {
    TIED: [
        dict(target_modules=r".*\.(?!1\b)\d+\.self_attn\.q_proj"),
        dict(target_modules=r"model\.layers\.[01]\.(?:mlp|self_attn)\.(?P<kind>up|q)_proj"),
        dict(target_modules=r".*(?<!self_attn)\.(up|gate)_proj"),
        dict(target_modules=r".*\.(.)_proj(?<=\1_proj)"),
        dict(target_modules=r".*\.(?P<a>\w)\w*_proj(?!.)(?<=_proj)"),
        dict(target_modules=r"(?i).*\.Q_PROJ$"),
        dict(target_modules=r"\Amodel.*v_proj\Z"),
        dict(target_modules=r"model\.layers\.\d{,1}\.self_attn.k_proj"),
        dict(target_modules=r"q_proj|.*v_proj"),
        dict(target_modules=r".*[[a-z_]proj"),
        dict(target_modules=r".*\_proj", exclude_modules=r".*mlp.*|.*(?=\.v)..\_proj"),
        dict(target_modules="all-linear", exclude_modules=["q_proj", "model.layers.0.mlp.up_proj"]),
        dict(target_modules=["q_proj", "embed_tokens"], exclude_modules="model.*"),
        dict(target_modules=["q_proj", "v_proj"], layers_to_transform=1),
        dict(target_modules=["q_proj", "v_proj"], layers_to_transform=[0, 1, 7]),
        dict(target_modules=["q_proj", "model.layers.0.mlp.up_proj"], layers_to_transform=[1]),
        dict(target_modules=["q_proj", "embed_tokens"], layers_to_transform=[0]),
        dict(target_modules=["q_proj"], layers_to_transform=[0], layers_pattern="layers"),
        dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern=["h", "lay.*"]),
        dict(target_modules=["q_proj"], layers_to_transform=[1], layers_pattern=["h|layers"]),
        dict(target_modules=["q_proj", "v_proj", "embed_tokens"], r=4, lora_alpha=6,
             rank_pattern={"embed_tokens": 2, "0.self_attn.q_proj": 3, "q_proj": 1, "_proj": 7},
             alpha_pattern={"^model.layers.1.self_attn.v_proj": 5, "model.*v_proj": 2.5}),
        dict(target_modules=["q_proj", "k_proj"], r=4, lora_alpha=6, use_rslora=True,
             rank_pattern={r"(q|k)_proj(?<!k_proj)": 9}),
        dict(target_modules=["q_proj", "v_proj"],
             rank_pattern={r"(.)_proj.?(?<=v_proj)": 2, r".*(\w)_proj(?<=\3_proj)": 3}),
    ],
    GPT2: [
        dict(target_modules=["c_attn", "wte"], layers_to_transform=[0]),
        dict(target_modules=["c_proj"], layers_to_transform=[1], exclude_modules=["mlp.c_proj"]),
        dict(target_modules=["attn.c_proj"], layers_to_transform=[0, 1], layers_pattern=["h"]),
    ],
    BERT: [
        dict(target_modules=["query", "key", "dense"], exclude_modules=["pooler.dense", "output.dense"]),
        dict(target_modules=["query"], layers_to_transform=[1], layers_pattern="layer"),
        dict(target_modules=["dense"], layers_to_transform=[0]),
        dict(target_modules=r"bert\.encoder\.layer\.(?!0)\d+\..*(query|value)", task_type="SEQ_CLS"),
    ],
}


def open_base(base):
    kind = AutoModelForSequenceClassification if base == BERT else AutoModelForCausalLM
    model = kind.from_pretrained(TESTDATA / base, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


@torch.no_grad()
def logits(model):
    return torch.cat([model(input_ids=torch.tensor([ids])).logits.reshape(-1, model.config_logits) for ids in IDS])


def shake(model, seed):
    """Gives the trained tensors values of trained size."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.copy_(torch.randn(p.shape, generator=generator) * 0.3)


def make(name, seed):
    base, settings, replaced = CASES[name]
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    torch.manual_seed(seed)
    model = get_peft_model(open_base(base), LoraConfig(**dict(r=3, lora_alpha=5, task_type="CAUSAL_LM") | settings))
    shake(model, seed)
    save_adapter(model, directory)
    file = directory / "adapter_model.safetensors"
    tensors = load_file(file)
    weights = open_base(base).state_dict()
    generator = torch.Generator().manual_seed(seed + 1)
    noise = {}
    for key, source in replaced.items():
        source = source or key
        shared = "table" if name == "tables_tied" else source
        w = weights[source]
        if shared not in noise:
            noise[shared] = torch.randn(w.shape, generator=generator) * 0.2
        tensors["base_model.model." + key] = (w + noise[shared]).contiguous()
    save_file(tensors, file, {"format": "pt"})
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "base"
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")

    loaded = PeftModel.from_pretrained(open_base(base), directory).eval()
    plain = open_base(base)
    loaded.config_logits = plain.config_logits = plain.config.num_labels if base == BERT else plain.config.vocab_size
    got, without = logits(loaded), logits(plain)
    save_file({"logits": got}, directory / "expected.safetensors")
    (directory / "case.json").write_text(json.dumps(
        {"base": base, "ids": IDS, "replaced": ["base_model.model." + k for k in replaced], "versions": versions()},
        indent=1) + "\n")
    print(f"{name}: the adapter changes the logits by {(got - without).abs().max():.2f}")


def selection():
    cases = []
    for base, list_of_settings in SELECTIONS.items():
        for settings in list_of_settings:
            try:
                model = get_peft_model(open_base(base), LoraConfig(**settings))
            except ValueError as error:
                print(f"PEFT refuses {settings}: {str(error)[:90]}")
                cases.append({"base": base, "config": settings, "layers": None})
                continue
            layers = {}
            for path, module in model.base_model.model.named_modules():
                if hasattr(module, "lora_A"):
                    layers[path] = [module.r["default"], module.scaling["default"]]
            cases.append({"base": base, "config": settings, "layers": layers})
    (ROOT / "selection.json").write_text(json.dumps({"versions": versions(), "cases": cases}, indent=1) + "\n")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    ROOT.mkdir(exist_ok=True)
    for i, name in enumerate(CASES):
        make(name, 7000 + 10 * i)
    selection()


if __name__ == "__main__":
    main()
