#!/usr/bin/env python3
"""Writes testdata/choice/: ten PEFT steps of the embedded MiniLM on questions of CODAH with two to four choices, and
scores after them.

usage: python reference/choice_fixtures.py --model DIR

--model is the directory of all-MiniLM-L6-v2; the questions are those in embedded/codah. Dropout is 0; the float16
weights are widened to float32. transformers' model takes only questions with equal numbers of choices, so each question
is a separate batch; where the questions of a batch of the run have equal numbers, the script checks that the whole
batch gives the same results. Texts are pairs as in run_swag, truncated longest first.
"""
import argparse
import copy
import json
import os
import pathlib
import shutil

import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForMultipleChoice, AutoTokenizer

import choices
import seqcls
from fixture import deviation, flat, hyperparameters, save_adapter, starts, trainable_line, train, versions

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "testdata" / "choice"
SEED = 31
LENGTH = 28
RUN = dict(steps=10, batch=4, accumulate=1, lr=1e-3, decay=0.01, schedule="linear", warmup=2, max_norm=1.0,
           smoothing=0.0, r=2, alpha=8,
           targets=["query", "value"], modules_to_save=["classifier"])


def questions(file, step, count):
    """Returns every step-th row of a file of CODAH as (id, context, question, choices, label), with four, three or two
    choices."""
    rows = []
    for i, (prompt, endings, label) in enumerate(
        choices.read_choices(ROOT / "embedded" / "codah" / file)[::step][:count]
    ):
        keep = 4 if i < RUN["batch"] else 4 - i % 3
        wrong = [e for k, e in enumerate(endings) if k != label][:keep - 1]
        place = label % keep
        context, _, question = prompt.rpartition(". ")
        context, question = (context + ".", question) if context else (prompt, "")
        rows.append((f"{file}-{i * step}", context, question, wrong[:place] + [endings[label]] + wrong[place:], place))
    return rows


def write(name, rows):
    keys = ("id", "context", "question", "choices", "label")
    pathlib.Path(name).write_text(
        "".join(json.dumps(dict(zip(keys, r)), ensure_ascii=False) + "\n" for r in rows), encoding="utf-8",
    )


def encode(tokenizer, rows):
    """Returns for each row the ids and types of its choices."""
    return [
        seqcls.encode(tokenizer, [(c, (q + " " + e) if q else e) for e in endings], LENGTH) for _, c, q, endings,
        _ in rows
    ]


def scores(model, item):
    """Returns the logits of one question's choices, as a batch of one question."""
    return model(**{k: v.unsqueeze(0) for k, v in seqcls.pad(*item).items()}).logits[0]


@torch.no_grad()
def predict(model, items):
    model.eval()
    return torch.cat([scores(model, item) for item in items])


@torch.no_grad()
def check_batch(model, items):
    """Checks that all choices of a batch at once, as in transformers' own examples, give the same results."""
    model.eval()
    k = len(items[0][0])
    batch = seqcls.pad([s for ids, _ in items for s in ids], [s for _, types in items for s in types])
    logits = model(**{n: v.view(len(items), k, -1) for n, v in batch.items()}).logits
    assert torch.allclose(logits.flatten(), predict(model, items), atol=1e-6), (logits, predict(model, items))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=pathlib.Path)
    directory = parser.parse_args().model.resolve()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    rows, test = questions("train.tsv", 41, RUN["steps"] * RUN["batch"]), questions("test.tsv", 23, 24)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    os.chdir(OUT)
    write("train.jsonl", rows)
    write("test.jsonl", test)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    items, test_items = encode(tokenizer, rows), encode(tokenizer, test)
    labels = [r[-1] for r in rows]

    load = lambda: seqcls.load_base(directory, None, 0.0, kind=AutoModelForMultipleChoice)
    model = get_peft_model(
        load(),
        LoraConfig(
            r=RUN["r"], lora_alpha=RUN["alpha"], target_modules=RUN["targets"], modules_to_save=RUN["modules_to_save"],
        ),
    )
    for name, p in model.named_parameters():
        if "lora_B" in name:  # so that every factor has a gradient from the first step on
            torch.nn.init.normal_(p, std=0.02)
    model.peft_config["default"].base_model_name_or_path = "all-MiniLM-L6-v2"
    save_adapter(model, "adapter_init")
    double = copy.deepcopy(model).double()
    check_batch(model, items[:RUN["batch"]])
    expected = {"init.logits": predict(model, items[:RUN["batch"]])}

    def loss(m, lo, hi):
        return sum(
            F.cross_entropy(scores(m, items[i])[None], torch.tensor([labels[i]]), reduction="sum")
            for i in range(lo, hi)
        )

    log, grads = train(RUN, model, lambda lo, hi: hi - lo, loss)
    log64, _ = train(RUN, double, lambda lo, hi: hi - lo, loss)
    expected |= {
        f"grad.{k}": v for k,
        v in grads.items() if ".layer.0." in k or ".layer.5." in k or k.endswith("classifier.weight")
    }
    save_adapter(model, "adapter_final")
    expected["final.logits"] = predict(model, test_items)
    again = PeftModel.from_pretrained(load(), "adapter_final").merge_and_unload()
    expected["merged.logits"] = predict(again, test_items)
    source = {"source": "reference/choice_fixtures.py"}
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors", metadata=source)
    sequences = lambda list_, part: [s for item in list_ for s in item[part]]
    save_file({"ids": flat(sequences(items, 0)), "types": flat(sequences(items, 1)), "starts": starts(
        sequences(items, 0)
    ),
               "groups": starts([item[0] for item in items]),
               "labels": torch.tensor(labels)}, "batches.safetensors", metadata=source)
    symmetric = ["model.classifier.bias"]
    drift = deviation(model, double, log, log64, symmetric)
    right = [
        s.argmax().item() == r[-1] for s, r in zip(expected["final.logits"].split([len(r[3]) for r in test]), test)
    ]
    case = {"name": "choice", "seed": SEED, "max_length": LENGTH, **hyperparameters(RUN), "symmetric": symmetric,
            "trainable_line": trainable_line(model),
            "test_accuracy": sum(right) / len(right), "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    print([round(x["loss"], 4) for x in log], [round(x["grad_norm"], 3) for x in log], drift)
    print(
        "cut:", sum(len(s) == LENGTH for s in sequences(items, 0)), "of", len(sequences(items, 0)), "accuracy",
        case["test_accuracy"],
    )


if __name__ == "__main__":
    main()
