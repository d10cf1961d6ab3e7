#!/usr/bin/env python3
"""Writes testdata/minilm/: ten PEFT steps of the embedded MiniLM checkpoint on banking77, and predictions after them.
With --dora it writes testdata/minilm_dora/, the same with DoRA and rsLoRA of a lower rank.

usage: python reference/minilm_fixtures.py --model DIR --data DIR [--dora]

--model is the directory of all-MiniLM-L6-v2 (config.json, model.safetensors, tokenizer.json), --data the folder with
banking77's train.csv and test.csv. Dropout is 0; the float16 weights are widened to float32.
"""
import argparse
import copy
import json
import os
import pathlib
import shutil

import torch
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import save_file
from transformers import AutoTokenizer

import seqcls
from fixture import (
    deviation, flat, hyperparameters, observe, save_adapter, seqcls_rows, starts, trainable_line, train, versions,
)

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
SEED = 77
RUN = dict(problem="single_label_classification", labels=77, steps=10, batch=8, accumulate=1, lr=3e-3,
           decay=0.01, schedule="linear", warmup=2,
           max_norm=1.0, smoothing=0.0, r=8, alpha=16, targets=["query", "value"], modules_to_save=None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--dora", action="store_true")
    a = parser.parse_args()
    name, options = "minilm", {}
    if a.dora:
        name, options = "minilm_dora", dict(use_dora=True, use_rslora=True)
        RUN.update(r=2, alpha=3)
    out = TESTDATA / name
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    directory, train_file, test_file = a.model.resolve(), a.data.resolve() / "train.csv", a.data.resolve() / "test.csv"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    os.chdir(out)

    rows = seqcls.read_rows(train_file, "text", "category")
    names = sorted({r[2] for r in rows})
    rows = rows[::125][:RUN["steps"] * RUN["batch"]]  # the file is sorted by class: every 125th row meets all classes
    test = seqcls.read_rows(test_file, "text", "category")[::48][:64]
    for file, part in (("train.jsonl", rows), ("test.jsonl", test)):
        pathlib.Path(file).write_text(
            "".join(json.dumps({"text": r[0], "label": r[2]}, ensure_ascii=False) + "\n" for r in part),
            encoding="utf-8",
        )
    tokenizer = AutoTokenizer.from_pretrained(directory)
    ids, types = seqcls.encode(tokenizer, rows, 512)
    test_ids, test_types = seqcls.encode(tokenizer, test, 512)
    labels = torch.tensor([names.index(r[2]) for r in rows])

    base = seqcls.load_base(directory, len(names), dropout=0.0)
    model = (
        get_peft_model(
            base,
            LoraConfig(r=RUN["r"], lora_alpha=RUN["alpha"], target_modules=RUN["targets"], task_type=TaskType.SEQ_CLS,
                       **options),
        )
    )
    for parameter, p in model.named_parameters():
        if "lora_B" in parameter:  # so that every factor has a gradient from the first step on
            torch.nn.init.normal_(p, std=0.02)
    model.peft_config["default"].base_model_name_or_path = "all-MiniLM-L6-v2"
    save_adapter(model, "adapter_init")
    # PEFT does not save label names; the Go program saves them in the adapter's folder.
    pathlib.Path("adapter_init/labels.json").write_text(json.dumps(names, indent=1) + "\n")
    double = copy.deepcopy(model).double()
    expected = observe(model, ids[:1], types[:1], "init.")
    expected["init.logits"] = observe(model, ids[:RUN["batch"]], types[:RUN["batch"]], "")["logits"]
    rows_of_run = seqcls_rows(RUN, ids, types, labels)
    log, grads = train(RUN, model, *rows_of_run)
    log64, _ = train(RUN, double, *rows_of_run)
    expected |= {f"grad.{k}": v for k, v in grads.items() if ".layer.0." in k or ".layer.5." in k or k.endswith("bias")}
    save_adapter(model, "adapter_final")
    expected["final.logits"] = seqcls.predict(model, test_ids, test_types)
    again = PeftModel.from_pretrained(seqcls.load_base(directory, len(names), dropout=0.0), "adapter_final")
    expected["merged.logits"] = seqcls.predict(again.merge_and_unload(), test_ids, test_types)
    source = {"source": "reference/minilm_fixtures.py"}
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors", metadata=source)
    save_file({"ids": flat(ids), "types": flat(types), "starts": starts(ids), "labels": labels, "test_ids": flat(
        test_ids
    ),
               "test_types": flat(test_types), "test_starts": starts(test_ids)}, "batches.safetensors", metadata=source)
    drift = deviation(model, double, log, log64)
    case = {"name": name, **options, "seed": SEED, "num_labels": len(names), "problem_type": RUN["problem"], **hyperparameters(
        RUN
    ),
            "trainable_line": trainable_line(model), "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    print([round(x["loss"], 4) for x in log], [round(x["grad_norm"], 3) for x in log], drift)


if __name__ == "__main__":
    main()
