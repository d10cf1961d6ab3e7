#!/usr/bin/env python3
"""Writes testdata/bert/<case>/: small random BERT checkpoints and the results of transformers + PEFT for them.

usage: python reference/bert_fixtures.py [CASE ...]

Each case holds a base checkpoint, an adapter before and after twelve AdamW steps, the rows it was trained on and
intermediate values. README.md beside this script describes the files. Every case is also trained in float64; the script
prints the largest deviation, so that a case in which rounding alone comes near the tests' tolerances is noticed.
"""
import copy
import json
import math
import os
import pathlib
import random
import shutil
import sys

import torch
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer

import seqcls
from fixture import (
    deviation, flat, hyperparameters, observe, save_adapter, seqcls_rows, starts, trainable_line, train, versions,
)

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "bert"
WORDS = ("the a is was not very good bad great poor film book card bank time day new old fast slow we they it you "
         "can will lost find send pay money late never always again "
         "un ##s ##ed ##ing ##ly ##er ##able . , ! ? ' -").split()

# Defaults of a case; each case overrides some.
DEFAULT = dict(
    steps=12, hidden=32, layers=2, heads=4, intermediate=64, act="gelu", eps=1e-12, vocab=96, positions=40, types=2,
    labels=3, label_names=None,
    problem="single_label_classification", prefix=True, dtype=torch.float32, legacy_names=False, other_heads=False,
    shard=None,
    targets=["query", "value"], r=4, alpha=8, modules_to_save=None, random_adapter=True, pairs=False, raw_ids=False,
    batch=6, accumulate=1, lr=3e-3, decay=0.0, schedule="linear", warmup=3, max_norm=1.0, smoothing=0.0, note="")

CASES = {
    "query_value": dict(
        label_names=["negative", "positive", "mixed"],
        note="bert. prefix, head in the checkpoint, class names in id2label",
    ),
    "dense": dict(hidden=24, heads=3, intermediate=40, layers=3, act="gelu_new", eps=1e-5, labels=5, prefix=False,
                  raw_ids=True, positions=32,
                  targets=["query", "key", "value", "dense"], r=3, alpha=6, random_adapter=False, decay=0.01,
                  schedule="cosine", lr=5e-3,
                  note="BertModel without prefix and head; B = 0 at the start as PEFT makes it; sequences of length 1 "
                  "and of the full 32 positions"),
    "all_linear": dict(hidden=16, heads=2, intermediate=32, layers=1, act="relu", labels=2, dtype=torch.float16,
                       targets="all-linear", r=2, alpha=3,
                       accumulate=2, batch=4, lr=2e-3, warmup=0, schedule="constant", max_norm=0.5,
                       note="F16 file; accumulation over 2 batches"),
    "word_embeddings": dict(hidden=40, heads=4, intermediate=56, dtype=torch.bfloat16,
                            targets=["word_embeddings", "query"], r=4, alpha=2,
                            labels=2, smoothing=0.1, decay=0.01, lr=1e-3,
                            note="BF16 file; LoRA on the word table; label smoothing 0.1"),
    "all_embeddings": dict(hidden=20, heads=2, intermediate=48, prefix=False, legacy_names=True, other_heads=True,
                           pairs=True, max_norm=2.0,
                           targets=["word_embeddings", "token_type_embeddings", "position_embeddings", "value"], r=2,
                           alpha=5, eps=1e-5,
                           note="LayerNorm.gamma/beta, tensors of other heads and position_ids in the file; text "
                           "pairs; a [PAD] token inside two texts: "
                                "PEFT passes the table's padding_idx on, so lora_embedding_A gets no gradient in "
                                "column 0"),
    "regex": dict(hidden=36, heads=4, intermediate=32, layers=3, shard="60kB", act="gelu_pytorch_tanh",
                  lr=4e-3, warmup=2, decay=0.1,
                  targets=r".*\.layer\.[12]\.attention\.self\.(query|key)|bert\.encoder\.layer\.0\.intermediate\.dense",
                  r=5, alpha=4,
                  note="sharded with an index; targets are a regular expression"),
    "save_pooler": dict(hidden=28, heads=2, intermediate=36, prefix=False, targets=["key", "attention.output.dense"],
                        modules_to_save=["pooler"], r=1,
                        alpha=2, labels=4, pairs=True, schedule="cosine", warmup=0,
                        note="the pooler trains in full beside the head; text pairs"),
    "regression": dict(hidden=48, heads=2, intermediate=40, layers=1, labels=1, problem="regression",
                       eps=2e-2, act="gelu_new", targets=["value", "output.dense"],
                       r=3, alpha=9, max_norm=5.0,
                       note="one output, mean squared error; eps 0.02, large enough to show"),
    "multi_label": dict(hidden=32, heads=4, intermediate=48, labels=4, problem="multi_label_classification",
                        targets=["key", "value"], r=2, alpha=4,
                        decay=0.01, max_norm=0.3, note="binary cross entropy; the mean is over rows × classes"),
}


def fill(model, gen):
    """Gives every tensor the scale of a trained model, so that a wrong activation, eps or bias shows."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if "LayerNorm.weight" in name:
            p.data = 1 + 0.3 * noise
        elif name.endswith("bias"):
            p.data = 0.3 * noise
        elif "embeddings" in name:
            p.data = 0.7 * noise
        else:
            p.data = noise * 1.2 / math.sqrt(p.shape[1])


def fill_adapter(model, gen):
    """Replaces the zero factors (and PEFT's N(0, 1) of embeddings), so that every tensor has a gradient from the first
    step."""
    for name, p in model.named_parameters():
        if "lora_embedding_A" in name:
            p.data = 0.5 * torch.randn(p.shape, generator=gen)
        elif "lora_embedding_B" in name or "lora_B" in name:
            p.data = 0.3 * torch.randn(p.shape, generator=gen)
        elif "modules_to_save" in name and "classifier" in name:
            p.data = torch.randn(p.shape, generator=gen) * (1 / math.sqrt(p.shape[-1]) if p.dim() > 1 else 0.3)


def vocabulary(size):
    letters = [c for c in "abcdefghijklmnopqrstuvwxyz" if c not in WORDS]
    pieces = (f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *pieces][:size]


def write_base(c, directory, gen):
    directory.mkdir(parents=True)
    options = {}
    if c["label_names"]:
        options = dict(
            id2label=dict(enumerate(c["label_names"])), label2id={n: i for i, n in enumerate(c["label_names"])},
        )
    elif c["prefix"]:
        options = dict(num_labels=c["labels"])
    if c["prefix"] and c["problem"] != "single_label_classification":
        options["problem_type"] = c["problem"]
    config = BertConfig(
        vocab_size=c["vocab"], hidden_size=c["hidden"], num_hidden_layers=c["layers"], num_attention_heads=c["heads"],
        intermediate_size=c["intermediate"], hidden_act=c["act"], layer_norm_eps=c["eps"], max_position_embeddings=c[
            "positions"
        ],
        type_vocab_size=c["types"], hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **options)
    model = (BertForSequenceClassification if c["prefix"] else BertModel)(config)
    fill(model, gen)
    model.to(c["dtype"]).save_pretrained(directory, **({"max_shard_size": c["shard"]} if c["shard"] else {}))
    file = directory / "model.safetensors"
    if c["legacy_names"] or c["other_heads"]:
        tensors = load_file(file)
        if c["legacy_names"]:
            tensors = {
                k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v for k,
                v in tensors.items()
            }
        if c["other_heads"]:
            tensors["embeddings.position_ids"] = torch.arange(c["positions"]).unsqueeze(0)
            tensors["cls.predictions.bias"] = torch.zeros(c["vocab"])
            tensors["cls.predictions.transform.dense.weight"] = torch.randn(4, 4, generator=gen)
            tensors["cls.seq_relationship.weight"] = torch.randn(2, c["hidden"], generator=gen)
        save_file(tensors, file, metadata={"format": "pt"})
    (directory / "vocab.txt").write_text("".join(f"{w}\n" for w in vocabulary(c["vocab"])))
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": True, "tokenizer_class": "BertTokenizer"}, indent=2) + "\n"
    )


def rows_of(c, rng):
    """Returns texts (or raw ids) with labels, in the order of training."""
    rows = []
    for i in range(c["batch"] * c["accumulate"] * c["steps"]):
        words = lambda n: " ".join(rng.choice(WORDS[:42]) for _ in range(n))
        row = {"text": words(rng.randint(1, 14))}
        if c["pairs"]:
            row["text_pair"] = words(rng.randint(1, 10))
            if i in (1, 9):
                row["text"] += " [PAD] " + words(2)
        if c["problem"] == "regression":
            row["label"] = round(rng.uniform(-2, 3), 2)
        elif c["problem"] == "multi_label_classification":
            row["label"] = [f"LABEL_{k}" for k in range(c["labels"]) if rng.random() < 0.4]
        else:
            label = rng.randrange(c["labels"])
            row["label"] = c["label_names"][label] if c["label_names"] else label
        if c["raw_ids"]:
            length = (1, c["positions"], 2)[i] if i < 3 else rng.randint(1, 20)
            row = {
                "ids": [rng.randrange(1, c["vocab"]) for _ in range(length)],
                "types": [rng.randrange(2) for _ in range(length)], "label": row["label"],
            }
        rows.append(row)
    return rows


def encode(c, base, rows):
    if c["raw_ids"]:
        return [r["ids"] for r in rows], [r["types"] for r in rows]
    tokenizer = BertTokenizer.from_pretrained(base)
    return seqcls.encode(tokenizer, [(r["text"], r.get("text_pair"), None) for r in rows], c["positions"])


def targets_of(c, rows):
    if c["problem"] == "regression":
        return torch.tensor([[r["label"]] for r in rows])
    if c["problem"] == "multi_label_classification":
        return torch.tensor([[float(f"LABEL_{k}" in r["label"]) for k in range(c["labels"])] for r in rows])
    return torch.tensor([c["label_names"].index(r["label"]) if c["label_names"] else r["label"] for r in rows])


def make(name, seed):
    c = DEFAULT | CASES[name]
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    torch.manual_seed(seed)
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    write_base(c, directory / "base", gen)
    os.chdir(directory)  # so that the adapter's config says "base", not a path of this machine
    rows = rows_of(c, rng)
    ids, types = encode(c, "base", rows)
    labels = targets_of(c, rows)
    if not c["raw_ids"]:
        pathlib.Path("train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    base = seqcls.load_base("base", c["labels"], problem_type=c["problem"])
    print_base = str(base)
    model = get_peft_model(base, LoraConfig(r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"],
                                            lora_dropout=0.0,
                                            task_type=TaskType.SEQ_CLS, modules_to_save=c["modules_to_save"]))
    if c["random_adapter"]:
        fill_adapter(model, gen)
    save_adapter(model, "adapter_init")
    pathlib.Path("print_base.txt").write_text(print_base + "\n")
    pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    size = c["batch"]
    first = ids[:size], types[:size]
    expected = observe(model, *first, "init.")
    with model.disable_adapter():
        without = observe(model, *first, "base.")
    if not c["prefix"]:
        del without["base.logits"]  # of a random head that is stored nowhere
    expected |= without
    double = copy.deepcopy(model).double()
    rows_of_run = seqcls_rows(c, ids, types, labels)
    log, grads = train(c, model, *rows_of_run)
    log64, _ = train(c, double, *rows_of_run)
    save_adapter(model, "adapter_final")
    expected |= {f"grad.{k}": v for k, v in grads.items()}
    expected["final.logits"] = observe(model, *first, "")["logits"]
    again = PeftModel.from_pretrained(seqcls.load_base("base", c["labels"]), "adapter_final")
    torch.testing.assert_close(observe(again, *first, "")["logits"], expected["final.logits"])
    expected["merged.logits"] = observe(again.merge_and_unload(), *first, "")["logits"]
    expected = {k: v.contiguous().clone() for k, v in expected.items()}
    save_file(expected, "expected.safetensors", metadata={"source": "reference/bert_fixtures.py"})
    save_file({"ids": flat(ids), "types": flat(types), "starts": starts(ids), "labels": labels},
              "batches.safetensors", metadata={"source": "reference/bert_fixtures.py"})
    drift = deviation(model, double, log, log64)
    case = {
        "name": name, "note": c["note"], "seed": seed, "num_labels": c["labels"], "problem_type": c["problem"],
        "head_in_base": c["prefix"],
        "base_dtype": str(c["dtype"]).split(".")[1], **hyperparameters(c),
        "targeted": sorted(
            n.removeprefix("base_model.model.") for n, m in model.named_modules() if hasattr(m, "lora_A")
        ),
        "trainable_line": trainable_line(model), "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    clipped = sum(x["grad_norm"] > c["max_norm"] for x in log)
    print(f"{name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, clipped "
          f"{clipped}/{c['steps']}, norm {log[0]['grad_norm']:.3f}, "
          f"float64: loss {drift['loss']:.1e} norm {drift['grad_norm']:.1e} adapter {drift['adapter']:.1e} "
          f"({drift['worst_tensor']})")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in sys.argv[1:] or CASES:
        make(name, 1000 + list(CASES).index(name))


if __name__ == "__main__":
    main()
