#!/usr/bin/env python3
"""Writes testdata/smollm2/: the results of transformers and PEFT for the real SmolLM2-135M-Instruct, in float32.

usage: python reference/smollm2_fixtures.py --model DIR [greedy] [logits] [train]

DIR is a Hugging Face directory of SmolLM2-135M-Instruct; docs/parity.md describes how to get one. Without names the
script makes all three parts.
"""
import argparse
import copy
import json
import os
import pathlib
import warnings

from fixture import deviation, flat, hyperparameters, save_adapter, starts, trainable_line, train, versions

import torch
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, GenerationConfig

import causallm

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "smollm2"
SOURCE = {"source": "reference/smollm2_fixtures.py"}
NEW_TOKENS = 64

LONG = (
    "The history of the lighthouse begins with fires on hilltops. Sailors who came home at night steered by them, and "
    "where the coast was flat, people built "
    "platforms of stone to lift the fire higher. The most famous tower of the ancient world stood on the island of "
    "Pharos, before the harbour of Alexandria. It was "
    "more than a hundred metres tall, and its light was seen from a great distance. For many centuries the fuel was "
    "wood, then coal, then oil. A keeper lived in the "
    "tower with his family, trimmed the wicks, cleaned the lamps and wound the clockwork that turned the lens. In the "
    "year 1822 a French engineer, Augustin-Jean "
    "Fresnel, built a lens out of many rings of glass, each of which bends the light towards the horizon. With such a "
    "lens a single lamp could be seen thirty "
    "kilometres away. Today most lights are electric and no keeper lives beside them. Satellites tell every ship where "
    "it is to within a few metres. And yet the towers "
    "are kept, because a light that does not depend on a receiver, a battery or a screen is a good thing to have when "
    "everything else fails. Questions about the text: "
    "Who built the lens, and in which year? Answer:")
PROMPTS = [
    {"name": "english", "text": "Once upon a time, in a small village by the sea, there lived"},
    {"name": "code", "text": "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n"},
    {
        "name": "mathematics",
        "messages": [{
            "role": "user",
            "content": "A farmer has 17 sheep and buys 25 more. Then he sells 9. How many sheep does he have? Explain "
            "step by step.",
        }],
    },
    {
        "name": "french",
        "messages": [
            {"role": "system", "content": "You answer in French."},
            {"role": "user", "content": "Quelle est la capitale de la France, et où se trouve-t-elle ?"},
        ],
    },
    {"name": "long", "text": LONG},
]

# The rows are from text.txt: the beginning of Shakespeare's Coriolanus, which is in the public domain.
RUN = dict(steps=10, batch=4, accumulate=1, lr=2e-3, decay=0.0, schedule="linear", warmup=2, max_norm=1.0,
           smoothing=0.0,
           r=2, alpha=4, targets=["q_proj", "v_proj"], modules_to_save=None, length=64)
# layers whose first gradients are kept
SAMPLES = ("base_model.model.model.layers.0.", "base_model.model.model.layers.29.")


def greedy(model, tokenizer):
    """Returns greedy tokens of five prompts, one by one."""
    cases = []
    for p in PROMPTS:
        text = p.get("text") or tokenizer.apply_chat_template(p["messages"], add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        config = (
            GenerationConfig(
                do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=2, output_scores=True,
                return_dict_in_generate=True,
            )
        )
        out = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), generation_config=config,
        )
        tokens = out.sequences[0, len(ids):].tolist()
        margin = min(((s[0].topk(2).values @ torch.tensor([1.0, -1.0])) / s[0].abs().max()).item() for s in out.scores)
        cases.append({"name": p["name"], **({"messages": p["messages"]} if "messages" in p else {}), "text": text,
                      "ids": ids, "tokens": tokens,
                      "answer": tokenizer.decode(tokens), "margin": round(margin, 7)})
        print(p["name"], len(ids), f"margin {margin:.2e}", repr(cases[-1]["answer"]))
    lines = ",\n".join("  " + json.dumps(c, ensure_ascii=False) for c in cases)
    (ROOT / "greedy.json").write_text(
        f'{{"max_new_tokens": {NEW_TOKENS}, "versions": {json.dumps(versions())}, "prompts": [\n{lines}\n]}}\n'
    )


def text_rows(tokenizer):
    """Returns the committed text as rows of 64 tokens, one after another."""
    ids = tokenizer((ROOT / "text.txt").read_text(), add_special_tokens=False)["input_ids"]
    count = RUN["steps"] * RUN["batch"]
    if len(ids) < count * RUN["length"]:
        raise SystemExit(f"text.txt has {len(ids)} tokens, {count * RUN['length']} are wanted")
    return [ids[i * RUN["length"]:(i + 1) * RUN["length"]] for i in range(count)]


def fingerprint(model, ids, prefix):
    """Returns the eight largest logits and their ids for every position of the first row, and every 192th logit."""
    logits = causallm.observe(model, ids[:1], "", hidden=False)["logits"]
    top = logits.topk(8, dim=1)
    return {
        f"{prefix}top": top.values, f"{prefix}top_ids": top.indices.to(torch.int32),
        f"{prefix}every192": logits[:, ::192].contiguous(), f"{prefix}largest": logits.abs().max()[None],
    }


def hidden(model, ids, prefix):
    """Returns the hidden states of the first row's last position, after each block."""
    states = causallm.observe(model, ids[:1], "")
    return {
        f"{prefix}hidden": torch.stack([states[f"hidden.{i}"][-1] for i in range(model.config.num_hidden_layers + 1)])
    }


def training(directory, ids, logits_only):
    """Ten steps of PEFT from an adapter whose B is not zero."""
    torch.manual_seed(9)
    gen = torch.Generator().manual_seed(9)
    base = causallm.load_base(directory)
    expected = fingerprint(base, ids, "base.") | hidden(base, ids, "base.")
    save_file(expected, ROOT / "base.safetensors", metadata=SOURCE)
    if logits_only:
        return
    model = get_peft_model(
        base,
        LoraConfig(
            r=RUN["r"], lora_alpha=RUN["alpha"], target_modules=RUN["targets"], lora_dropout=0.0,
            task_type=TaskType.CAUSAL_LM,
        ),
    )
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data = 0.02 * torch.randn(p.shape, generator=gen)
    model.peft_config["default"].base_model_name_or_path = "SmolLM2-135M-Instruct"
    save_adapter(model, str(ROOT / "adapter_init"))
    expected = fingerprint(model, ids, "init.")
    double = copy.deepcopy(model).double()
    rows = causallm.Rows(ids, ids)
    log, grads = train(RUN, model, rows.targets, rows.loss)
    for line, correct in zip(log, rows.correct):
        line["targets"], line["correct"] = RUN["batch"] * (RUN["length"] - 1), correct
    save_adapter(model, str(ROOT / "adapter_final"))
    expected |= fingerprint(model, ids, "final.")
    expected |= {f"grad.{k}": v for k, v in grads.items() if k.startswith(SAMPLES)}
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, ROOT / "expected.safetensors", metadata=SOURCE)
    save_file(
        {"ids": flat(ids), "labels": flat(ids), "starts": starts(ids)}, ROOT / "batches.safetensors", metadata=SOURCE,
    )
    log64, _ = train(RUN, double, rows.targets, rows.loss)
    drift = deviation(model, double, log, log64)
    case = {"name": "smollm2", "model_type": "llama", "observed_rows": 1, **hyperparameters(RUN),
            "fan_in_fan_out": False, "trainable_line": trainable_line(model),
            "float64_deviation": drift, "log": log, "log_float64": log64, "versions": versions()}
    (ROOT / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    print(f"loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, norm {log[0]['grad_norm']:.3f}, float64: {drift}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("parts", nargs="*", choices=["greedy", "logits", "train", []])
    a = p.parse_args()
    parts = a.parts or ["greedy", "train"]
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    ROOT.mkdir(exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    if "greedy" in parts:
        model = causallm.load_base(a.model).eval()
        model.generation_config = GenerationConfig()
        greedy(model, tokenizer)
    if "logits" in parts or "train" in parts:
        training(a.model, text_rows(tokenizer), "train" not in parts)


if __name__ == "__main__":
    main()
