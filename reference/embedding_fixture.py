#!/usr/bin/env python3
"""Writes testdata/embedding/<case>/: ten PEFT steps (FEATURE_EXTRACTION) of the embedded MiniLM on pairs of texts.

usage: python reference/embedding_fixture.py --model DIR --data DIR

--model is the directory of all-MiniLM-L6-v2, --data the folder with banking77's test.csv. Pooling and losses are
implemented here as sentence-transformers defines them (mean or first token; CosineSimilarityLoss,
MultipleNegativesRankingLoss). Dropout is 0.
"""
import argparse
import copy
import json
import os
import pathlib
import random
import shutil

from fixture import deviation, flat, hyperparameters, save_adapter, starts, train, versions

import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

import seqcls

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "embedding"
RUN = dict(
    steps=10, lr=3e-3, decay=0.01, schedule="linear", warmup=2, max_norm=1.0, smoothing=0.0, r=1, alpha=4,
    targets=["query", "value"], modules_to_save=None,
)
CASES = {
    "cosine": RUN | dict(loss="cosine", pooling="mean", scale=20.0, max_score=5.0, batch=6, accumulate=1),
    # Two batches to a step: the negatives of a text are those of its own batch.
    "multiple_negatives": RUN | dict(
        loss="multiple_negatives", pooling="cls", scale=20.0, max_score=1.0, batch=5, accumulate=2,
    ),
}


def pairs(c, file):
    """Returns questions paired with one of the same intent and, if there are scores, also with one of another
    intent."""
    rows, rng, by_intent = seqcls.read_rows(file, "text", "category"), random.Random(11), {}
    for text, _, intent in rows:
        by_intent.setdefault(intent, []).append(text)
    intents, out = sorted(by_intent), []
    for i in range(c["batch"] * c["accumulate"] * c["steps"]):
        a, b = intents[i * 7 % len(intents)], intents[(i * 7 + 1) % len(intents)]
        if c["loss"] == "cosine" and i % 2:
            out.append({
                "sentence1": by_intent[a][i % 40], "sentence2": by_intent[b][i % 40],
                "score": round(rng.uniform(0, 2), 1),
            })
        elif c["loss"] == "cosine":
            out.append({
                "sentence1": by_intent[a][i % 40], "sentence2": by_intent[a][i % 40 - 1],
                "score": round(rng.uniform(3, 5), 1),
            })
        else:
            out.append({"anchor": by_intent[a][i % 40], "positive": by_intent[a][i % 40 - 1]})
    return out


def vectors(c, model, ids):
    batch = seqcls.pad(ids, [[0] * len(row) for row in ids])
    hidden = model(**batch).last_hidden_state
    if c["pooling"] == "cls":
        return hidden[:, 0]
    mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)


def make(name, a):
    c = CASES[name]
    directory = OUT / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.chdir(directory)
    torch.manual_seed(5)
    rows = pairs(c, a.data / "test.csv")
    pathlib.Path("train.jsonl").write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8",
    )
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    ids = [tokenizer(text)["input_ids"] for r in rows for text in list(r.values())[:2]]
    scores = [r.get("score", 0) / c["max_score"] for r in rows]
    load = lambda: AutoModel.from_pretrained(
        a.model, dtype=torch.float32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )
    model = get_peft_model(
        load(),
        LoraConfig(r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"], task_type=TaskType.FEATURE_EXTRACTION),
    )
    for key, p in model.named_parameters():
        if "lora_B" in key:  # so that every factor has a gradient from the first step on
            torch.nn.init.normal_(p, std=0.02)
    model.peft_config["default"].base_model_name_or_path = "all-MiniLM-L6-v2"
    save_adapter(model, "adapter_init")

    def loss(model, lo, hi):
        u = F.normalize(vectors(c, model, ids[2 * lo:2 * hi]), dim=-1)
        if c["loss"] == "cosine":
            return F.mse_loss((u[::2] * u[1::2]).sum(-1), torch.tensor(scores[lo:hi], dtype=u.dtype), reduction="sum")
        return F.cross_entropy(u[::2] @ u[1::2].T * c["scale"], torch.arange(hi - lo), reduction="sum")

    first = ids[:8]
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        expected = {"init.vectors": vectors(c, model.eval(), first)}
        with model.disable_adapter():
            expected["base.vectors"] = vectors(c, model, first)
    log, grads = train(c, model, lambda lo, hi: hi - lo, loss)
    log64, _ = train(c, double, lambda lo, hi: hi - lo, loss)
    expected |= {f"grad.{k}": v for k, v in grads.items() if ".layer.0." in k or ".layer.5." in k}
    save_adapter(model, "adapter_final")
    with torch.no_grad():
        expected["final.vectors"] = vectors(c, PeftModel.from_pretrained(load(), "adapter_final").eval(), first)
    source = {"source": "reference/embedding_fixture.py"}
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors", metadata=source)
    save_file({"ids": flat(ids), "starts": starts(ids)}, "batches.safetensors", metadata=source)
    drift = deviation(model, double, log, log64)
    case = {"name": name, "loss": c["loss"], "pooling": c["pooling"], "scale": c["scale"], "max_score": c["max_score"],
            **hyperparameters(c),
            "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    print(name, [round(x["loss"], 4) for x in log], [round(x["grad_norm"], 3) for x in log], drift)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    a = parser.parse_args()
    a.model, a.data = a.model.resolve(), a.data.resolve()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in CASES:
        make(name, a)


if __name__ == "__main__":
    main()
