"""Sequence classification with transformers and PEFT: what train_peft.py, check_adapter.py and the fixtures share."""
import csv
import json
import pathlib

import torch
from transformers import AutoModelForSequenceClassification


def read_rows(path, text="text", label="label", pair="text_pair", delimiter=None):
    """Rows of a CSV, TSV (header line) or JSON Lines file as (text, pair or None, label or None)."""
    path = pathlib.Path(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.suffix in (".jsonl", ".json"):
            records = [json.loads(line) for line in file if line.strip()]
        else:
            records = list(csv.DictReader(file, delimiter=delimiter or ("\t" if path.suffix == ".tsv" else ",")))
    return [(r[text], r.get(pair), r.get(label)) for r in records]


def read_labels(path):
    """Label names in index order, from a list, {"labels": [...]} or {"0": name, ...}."""
    value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    if isinstance(value, dict):
        value = value.get("labels") or value.get("id2label") or value
    if isinstance(value, dict):
        value = [value[str(i)] for i in range(len(value))]
    return value


def load_base(directory, num_labels=None, dropout=None, problem_type=None):
    """The base model in float32. dropout overrides the three dropout probabilities of the checkpoint."""
    options = {}
    if num_labels is not None:
        options["num_labels"] = num_labels
    if dropout is not None:
        options.update(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, classifier_dropout=dropout)
    if problem_type:
        options["problem_type"] = problem_type
    return AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32, **options)


def pad(sequences, types=None):
    """Sequences of ids (and token types) as one padded batch with its attention mask."""
    longest = max(map(len, sequences))

    def filled(rows):
        return torch.tensor([list(r) + [0] * (longest - len(r)) for r in rows])

    batch = {"input_ids": filled(sequences), "attention_mask": filled([[1] * len(s) for s in sequences])}
    if types is not None:
        batch["token_type_ids"] = filled(types)
    return batch


def encode(tokenizer, rows, max_length):
    """Ids and token types of every row, special tokens added, pairs truncated longest first."""
    texts = [r[0] for r in rows]
    pairs = [r[1] for r in rows] if rows and rows[0][1] is not None else None
    encoded = tokenizer(texts, pairs, truncation=True, max_length=max_length, return_token_type_ids=True, return_attention_mask=False)
    return encoded["input_ids"], encoded["token_type_ids"]


@torch.no_grad()
def predict(model, ids, types, batch_size=32):
    """Logits of all rows, in the rows' order; rows of like length share a batch."""
    model.eval()
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out = [None] * len(ids)
    for start in range(0, len(order), batch_size):
        chunk = order[start:start + batch_size]
        logits = model(**pad([ids[i] for i in chunk], [types[i] for i in chunk])).logits
        for i, row in zip(chunk, logits):
            out[i] = row
    return torch.stack(out)
