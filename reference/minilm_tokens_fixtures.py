#!/usr/bin/env python3
"""Writes testdata/minilm_tokens/: ten PEFT steps of the embedded MiniLM on the tags of restaurant8k's words, and the
entities that transformers' pipeline finds with it.

usage: python reference/minilm_tokens_fixtures.py --model DIR --data DIR

--model is the directory of all-MiniLM-L6-v2, --data the folder with restaurant8k's train.json and test.json. Dropout is
0; the float16 weights are widened to float32. Words are runs of letters and digits, and every other character alone;
the first token of each word has its label. The head begins with weights large enough for tokens of a word to disagree,
which shows the effect of the pipeline's strategies.
"""
import argparse
import copy
import json
import os
import pathlib
import re
import shutil

from fixture import deviation, flat, hyperparameters, save_adapter, starts, trainable_line, train, versions

import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

import seqcls

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "minilm_tokens"
SEED = 88
RUN = dict(steps=10, batch=8, accumulate=1, lr=1e-3, decay=0.01, schedule="linear", warmup=2, max_norm=1.0,
           smoothing=0.0, r=2, alpha=4,
           targets=["query", "value"], modules_to_save=None)
IGNORE = -100
TEXTS = [
    "", " ", "Hi", "A table for Łukasz Wąchała-Śmigielski tomorrow, please!",
    "No reservation under O'Donoghue; try McCullough-Featherstonehaugh.",
    "Zwei Personen um 19:30 Uhr, Straßburg", "12345678901234567890 guests", "ünïcödé naïveté café résumé",
    "東京 で 8時 に 会いましょう", "a😀b 👨‍👩‍👧 at 7",
    "  two   blanks\tand a tab\n", "e-mail me: someone.unusual@restaurants-and-bars.example",
    "unbelievably antidisestablishmentarianism",
    "[SEP] spelled out [MASK] tokens", "Half past seven p.m. on the twenty-first, for 3-4 people",
    "x" * 120 + " after a long word", "don't can't o'clock",
]
WORDS = [["Anna", "van", "der", "Woodsen-Kowalczyk"], ["", "at", "\u200b", "7:30pm", "half past"], ["tablefor2"], [], [
    "McDonald's", "on", "22/11/2026", ".",
],
         "Booking for Katarzyna Wojciechowska and Bartholomew Featherstonehaugh on Wednesday lunchtime".split(),
         ["tablecloths", "café", "", "Überraschungsmenü", "\u200b", "12345678", "unreservedly", "."]]


def read(path, count, offset):
    """Returns rows of words and tags, evenly spaced, from those with at least one label."""
    rows = [r for r in json.loads(path.read_text(encoding="utf-8")) if r.get("labels")]
    out = []
    for r in rows[offset::max(1, len(rows) // count)][:count]:
        text = r["userInput"]["text"]
        spans = [(s["valueSpan"].get("startIndex", 0), s["valueSpan"]["endIndex"], s["slot"]) for s in r["labels"]]
        words, tags = [], []
        for m in re.finditer(r"\w+|[^\w\s]", text):
            slot = next(((b, n) for b, e, n in spans if m.start() < e and b < m.end()), None)
            words.append(m.group())
            tags.append("O" if slot is None else ("B-" if m.start() <= slot[0] else "I-") + slot[1])
        out.append({"tokens": words, "tags": tags})
    return out


def encode(tokenizer, rows, names):
    """Returns ids and a label for each token: its word's label for the first token, otherwise none."""
    ids, labels = [], []
    for r in rows:
        e = tokenizer(r["tokens"], is_split_into_words=True)
        words = e.word_ids()
        ids.append(e["input_ids"])
        labels.append([
            names.index(r["tags"][w]) if w is not None and (i == 0 or words[i - 1] != w) else IGNORE for i,
            w in enumerate(words)
        ])
    return ids, labels


def targets_and_loss(ids, labels):
    """Returns the functions that train needs."""
    def targets(lo, hi):
        return sum(l != IGNORE for row in labels[lo:hi] for l in row)

    def loss(model, lo, hi):
        batch = seqcls.pad(ids[lo:hi])
        longest = batch["input_ids"].shape[1]
        wanted = torch.tensor([row + [IGNORE] * (longest - len(row)) for row in labels[lo:hi]])
        return F.cross_entropy(
            model(**batch).logits.flatten(0, 1), wanted.flatten(), reduction="sum", ignore_index=IGNORE,
        )

    return targets, loss


def logits_of(model, ids):
    """Returns the logits of all tokens, one after another."""
    model.eval()
    with torch.no_grad():
        return torch.cat([
            model(input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long)).logits[0]
            for row in ids
        ])


def load_base(directory, names):
    return AutoModelForTokenClassification.from_pretrained(
        directory, dtype=torch.float32, id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)},
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0)


def entities(result):
    """Returns [type or tag, score, start, end(, index)] of each result."""
    return [
        [e.get("entity_group", e.get("entity")), round(float(e["score"]), 7), e["start"], e["end"],
         *([e["index"]] if "index" in e else [])]
        for e in result
    ]


def run_pipeline(model, tokenizer, texts):
    out = {"texts": texts, "words": WORDS, "strategies": {}}
    for strategy in ("none", "simple", "first", "average", "max"):
        pipe = pipeline(
            "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy=strategy, device="cpu",
        )
        out["strategies"][strategy] = {
            "texts": [entities(pipe(t)) if t.strip() else [] for t in texts],
            "words": [entities(pipe(w, is_split_into_words=True)[0]) if w else [] for w in WORDS]}
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    a = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    directory, files = a.model.resolve(), a.data.resolve()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    os.chdir(OUT)

    rows, test = read(files / "train.json", RUN["steps"] * RUN["batch"], 3), read(files / "test.json", 48, 5)
    names = sorted({t for r in rows + test for t in r["tags"]})
    for name, part in (("train.jsonl", rows), ("test.jsonl", test)):
        pathlib.Path(name).write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in part), encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    ids, labels = encode(tokenizer, rows, names)
    test_ids, test_labels = encode(tokenizer, test, names)

    model = get_peft_model(
        load_base(directory, names),
        LoraConfig(r=RUN["r"], lora_alpha=RUN["alpha"], target_modules=RUN["targets"], task_type=TaskType.TOKEN_CLS),
    )
    for name, p in model.named_parameters():
        if "lora_B" in name:  # so that every factor has a gradient from the first step on
            torch.nn.init.normal_(p, std=0.02)
        if "modules_to_save" in name:
            torch.nn.init.normal_(p, std=0.15)
    model.peft_config["default"].base_model_name_or_path = "all-MiniLM-L6-v2"
    save_adapter(model, "adapter_init")
    labels_file = json.dumps({"problem_type": "token_classification", "labels": names}, indent=1) + "\n"
    # PEFT does not save label names; the Go program saves them in the adapter's folder.
    pathlib.Path("adapter_init/labels.json").write_text(labels_file)
    utterances = json.loads((files / "test.json").read_text(encoding="utf-8"))
    texts = TEXTS + [" ".join(r["userInput"]["text"].split()) for r in utterances[7::90]][:40]
    merged = PeftModel.from_pretrained(load_base(directory, names), "adapter_init").merge_and_unload()
    pathlib.Path("pipeline.json").write_text(
        json.dumps(run_pipeline(merged, tokenizer, texts), ensure_ascii=False, separators=(",", ":")) + "\n",
        encoding="utf-8",
    )

    double = copy.deepcopy(model).double()
    expected = {"init.logits": logits_of(model, ids[:RUN["batch"]])}
    log, grads = train(RUN, model, *targets_and_loss(ids, labels))
    log64, _ = train(RUN, double, *targets_and_loss(ids, labels))
    expected |= {f"grad.{k}": v for k, v in grads.items() if ".layer.5." in k or "classifier" in k}
    save_adapter(model, "adapter_final")
    expected["final.logits"] = logits_of(model, test_ids)
    source = {"source": "reference/minilm_tokens_fixtures.py"}
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors", metadata=source)
    save_file({"ids": flat(ids), "starts": starts(ids), "labels": flat(labels), "test_ids": flat(test_ids),
               "test_starts": starts(test_ids),
               "test_labels": flat(test_labels)}, "batches.safetensors", metadata=source)
    drift = deviation(model, double, log, log64)
    case = {"name": "minilm_tokens", "seed": SEED, "num_labels": len(names), "problem_type": "token_classification",
            **hyperparameters(RUN),
            "trainable_line": trainable_line(model), "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    print([round(x["loss"], 4) for x in log], [round(x["grad_norm"], 3) for x in log], drift)


if __name__ == "__main__":
    main()
