#!/usr/bin/env python3
"""Writes testdata/question/: ten PEFT steps of the embedded MiniLM on windows of PolicyQA, and answers after them.

usage: python reference/minilm_qa_fixtures.py --model DIR

--model is the directory of all-MiniLM-L6-v2; the questions are those in embedded/policyqa, every ninth without its
answers, so that its windows have the first token as target. Dropout is 0; the float16 weights are widened to float32.
There is no task type, because PEFT's wrapper for QUESTION_ANS drops the token types. The loss is over real tokens:
padding is masked in the logits.
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
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

import questions
import seqcls
from fixture import deviation, flat, hyperparameters, save_adapter, starts, trainable_line, train, versions

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "testdata" / "question"
SEED = 57
LENGTH, STRIDE, N_BEST, LONGEST = 64, 16, 20, 30
RUN = dict(steps=10, batch=8, accumulate=1, lr=1e-3, decay=0.01, schedule="linear", warmup=2, max_norm=1.0,
           smoothing=0.0, r=2, alpha=8,
           targets=["query", "value"], modules_to_save=["qa_outputs"])


def rows(file, step, count):
    """Returns every step-th question of a file of PolicyQA, every ninth of them without answers."""
    out = questions.read_questions(ROOT / "embedded" / "policyqa" / file)[::step][:count]
    for q in out[8::9]:
        q["answers"] = {"text": [], "answer_start": []}
    return out


def write(name, list_):
    keys = ("id", "question", "context", "answers")
    pathlib.Path(name).write_text(
        "".join(json.dumps({k: q[k] for k in keys}, ensure_ascii=False) + "\n" for q in list_), encoding="utf-8",
    )


@torch.no_grad()
def predict(model, windows, count):
    """Returns the start and end logits of the tokens of the first windows, one window after another."""
    model.eval()
    out = []
    for ids, types in zip(windows.ids[:count], windows.types[:count]):
        logits = model(**seqcls.pad([ids], [types]))
        out.append(torch.stack([logits.start_logits[0], logits.end_logits[0]], -1))
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=pathlib.Path)
    directory = parser.parse_args().model.resolve()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    learned, test = rows("train.json", 31, 32), rows("test.json", 17, 12)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    os.chdir(OUT)
    write("train.jsonl", learned)
    write("test.jsonl", test)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    windows, test_windows = (questions.Windows(tokenizer, q, LENGTH, STRIDE) for q in (learned, test))
    spans = torch.tensor([
        questions.target(o, learned[q]["answers"]) for o, q in zip(windows.offsets, windows.question)
    ])
    assert len(windows.ids) >= RUN["steps"] * RUN["batch"], len(windows.ids)

    load = lambda: seqcls.load_base(directory, None, 0.0, kind=AutoModelForQuestionAnswering)
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
    expected = {"init.logits": torch.cat(predict(model, windows, RUN["batch"]))}

    def loss(m, lo, hi):
        batch = seqcls.pad(windows.ids[lo:hi], windows.types[lo:hi])
        out, padding = m(**batch), batch["attention_mask"] == 0
        return sum(F.cross_entropy(logits.masked_fill(padding, -torch.inf), spans[lo:hi, k], reduction="sum")
                   for k, logits in enumerate((out.start_logits, out.end_logits)))

    targets = lambda lo, hi: 2 * (hi - lo)
    log, _ = train(RUN, model, targets, loss)
    log64, _ = train(RUN, double, targets, loss)
    save_adapter(model, "adapter_final")
    again = PeftModel.from_pretrained(load(), "adapter_final").merge_and_unload()
    logits = predict(again, test_windows, len(test_windows.ids))
    expected["final.logits"] = torch.cat(logits)
    source = {"source": "reference/minilm_qa_fixtures.py"}
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors", metadata=source)
    save_file(
        {
            "ids": flat(windows.ids), "types": flat(windows.types), "starts": starts(windows.ids),
            "labels": spans.flatten(),
        },
        "batches.safetensors", metadata=source,
    )
    answers = []
    for i, q in enumerate(test):
        of = [(o, l.T) for o, l, k in zip(test_windows.offsets, logits, test_windows.question) if k == i]
        answers.append(questions.best_answer(q["context"], of, N_BEST, LONGEST)[0])
    symmetric = ["model.qa_outputs.bias"]
    drift = deviation(model, double, log, log64, symmetric)
    case = {"name": "question", "seed": SEED, "max_length": LENGTH, "doc_stride": STRIDE, **hyperparameters(RUN),
            "symmetric": symmetric,
            "trainable_line": trainable_line(model), "answers": answers, "float64_deviation": drift, "log": log,
            "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print([round(x["loss"], 4) for x in log], [round(x["grad_norm"], 3) for x in log], drift)
    print(
        len(windows.ids), "windows,", (spans.sum(1) > 0).sum().item(), "with the answer;",
        sum(len(i) for i in windows.ids), "tokens;", answers,
    )


if __name__ == "__main__":
    main()
