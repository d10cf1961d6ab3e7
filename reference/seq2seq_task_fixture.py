#!/usr/bin/env python3
"""Writes testdata/seq2seq_task/: a run of PEFT on texts with ByT5's tokenizer, and what the model writes then.

usage: python reference/seq2seq_task_fixture.py

rows.jsonl: sources with targets. expected.json: settings, the mean loss of each of ten steps without and with label
smoothing (transformers' LabelSmoother), the loss of all rows before and after training, and the tokens that the trained
model writes for the sources with beams. The base is testdata/seq2seq/byt5/base and its adapter_init.
"""
import json
import pathlib

from fixture import train, versions

import torch
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, ByT5Tokenizer, DataCollatorForSeq2Seq
from transformers.trainer_pt_utils import LabelSmoother

DATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = DATA / "seq2seq_task"
PREFIX = "till svenska: "
ROWS = [
    ("A cat.", "En katt."), ("It rains again today.", "Det regnar igen i dag."),
    ("Two tickets, please!", "Två biljetter, tack!"), ("!", "Ingenting."), ("naïve Žižek", "naiv"),
    ("日本語", "japanska"), ("The bus is late, as it was yesterday.", "Bussen är sen."),
    ("Yes", "Ja"), ("I would like to know where the station is.", "Jag skulle vilja veta var stationen ligger, tack."),
    ("👍🏽 ok", "bra")]
BATCH, STEPS, TARGET = 2, 10, 24
SETTINGS = dict(batch=BATCH, accumulate=1, steps=STEPS, lr=3e-3, decay=0.0, schedule="linear", warmup=0, max_norm=1.0)


def load():
    torch.manual_seed(0)
    base = AutoModelForSeq2SeqLM.from_pretrained(DATA / "seq2seq/byt5/base", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, DATA / "seq2seq/byt5/adapter_init", is_trainable=True)
    model.train()
    return model


def main():
    tokenizer = ByT5Tokenizer()
    features = []
    for source, target in ROWS:
        x = tokenizer(PREFIX + source, max_length=1024, truncation=True)
        x["labels"] = tokenizer(text_target=target, max_length=TARGET, truncation=True)["input_ids"]
        features.append(x)
    order = [features[i % len(ROWS)] for i in range(BATCH * STEPS)]
    count = lambda rows: sum(len(f["labels"]) for f in rows)

    def run(smoothing):
        model = load()
        collate = DataCollatorForSeq2Seq(tokenizer, model=model)
        smoother = LabelSmoother(epsilon=smoothing)

        def loss(model, lo, hi):
            b = collate([dict(f) for f in order[lo:hi]])
            if smoothing:
                return smoother(model(**b), b["labels"]) * count(order[lo:hi])
            return model(**b).loss * count(order[lo:hi])

        log, _ = train(SETTINGS, model, lambda lo, hi: count(order[lo:hi]), loss)
        return model, [x["loss"] for x in log]

    def evaluate(model):
        model.eval()
        collate = DataCollatorForSeq2Seq(tokenizer, model=model)
        with torch.no_grad():
            b = collate([dict(f) for f in features])
            return model(**b).loss.item()

    before = evaluate(load())
    model, losses = run(0.0)
    after = evaluate(model)
    model.eval()
    written = {}
    for name, options in {
            "greedy": dict(no_repeat_ngram_size=1),
            "beams": dict(num_beams=4, length_penalty=0.6, no_repeat_ngram_size=2)}.items():
        lists = []
        for f in features:
            out = model.generate(
                input_ids=torch.tensor([f["input_ids"]]), attention_mask=torch.tensor([f["attention_mask"]]),
                max_new_tokens=12, do_sample=False, **options)[0].tolist()
            lists.append(out[1:])
        written[name] = lists
    ROOT.mkdir(exist_ok=True)
    with open(ROOT / "rows.jsonl", "w", encoding="utf-8") as f:
        for source, target in ROWS:
            f.write(json.dumps({"source": source, "target": target}, ensure_ascii=False) + "\n")
    expected = {
        "source_prefix": PREFIX, "max_target_length": TARGET, "batch_size": BATCH, "max_steps": STEPS,
        "learning_rate": SETTINGS["lr"], "losses": losses, "smoothing": 0.1, "smoothed_losses": run(0.1)[1],
        "loss_before": before, "loss_after": after, "written": written, "versions": versions()}
    (ROOT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(losses, before, after, written["greedy"][:3], written["beams"][:3])


main()
