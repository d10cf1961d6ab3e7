"""Sequence classification with transformers and PEFT: code that train_peft.py, check_adapter.py and the fixtures
share."""
import csv
import json
import pathlib

import torch
import torch.nn.functional as F
from peft import TaskType
from transformers import AutoModelForSequenceClassification


def read_rows(path, text="text", label="label", pair="text_pair", delimiter=None):
    """Returns rows of a CSV, TSV (header line) or JSON Lines file as (text, pair or None, label or None)."""
    path = pathlib.Path(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.suffix in (".jsonl", ".json"):
            records = [json.loads(line) for line in file if line.strip()]
        else:
            records = list(csv.DictReader(file, delimiter=delimiter or ("\t" if path.suffix == ".tsv" else ",")))
    return [(r[text], r.get(pair), r.get(label)) for r in records]


def read_labels(path):
    """Returns label names in index order, from a list, {"labels": [...]} or {"0": name, ...}."""
    value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    if isinstance(value, dict):
        value = value.get("labels") or value.get("id2label") or value
    if isinstance(value, dict):
        value = [value[str(i)] for i in range(len(value))]
    return value


def load_base(directory, num_labels=None, dropout=None, problem_type=None, kind=AutoModelForSequenceClassification):
    """Returns the base model with the head of kind, in float32. dropout overrides the checkpoint's three dropout
    probabilities."""
    options = {}
    if num_labels is not None:
        options["num_labels"] = num_labels
    if dropout is not None:
        options.update(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, classifier_dropout=dropout)
    if problem_type:
        options["problem_type"] = problem_type
    return kind.from_pretrained(directory, dtype=torch.float32, **options)


def pad(sequences, types=None):
    """Returns sequences of ids (and token types) as one padded batch with its attention mask."""
    longest = max(map(len, sequences))

    def filled(rows):
        return torch.tensor([list(r) + [0] * (longest - len(r)) for r in rows])

    batch = {"input_ids": filled(sequences), "attention_mask": filled([[1] * len(s) for s in sequences])}
    if types is not None:
        batch["token_type_ids"] = filled(types)
    return batch


def encode(tokenizer, rows, max_length):
    """Returns ids and token types of every row, with special tokens added and pairs truncated longest first."""
    texts = [r[0] for r in rows]
    pairs = [r[1] for r in rows] if rows and rows[0][1] is not None else None
    encoded = tokenizer(
        texts, pairs, truncation=True, max_length=max_length, return_token_type_ids=True, return_attention_mask=False,
    )
    return encoded["input_ids"], encoded["token_type_ids"]


def in_batches(ids, batch_size=32):
    """Returns row numbers in batches of similar length."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    return [order[s:s + batch_size] for s in range(0, len(order), batch_size)]


@torch.no_grad()
def predict(model, ids, types):
    """Returns the logits of all rows, in the rows' order; rows of similar length share a batch."""
    model.eval()
    out = [None] * len(ids)
    for batch in in_batches(ids):
        logits = model(**pad([ids[i] for i in batch], [types[i] for i in batch])).logits
        for i, row in zip(batch, logits):
            out[i] = row
    return torch.stack(out)


@torch.no_grad()
def predict_tokens(model, ids, types=None, logits=lambda out: out.logits):
    """Returns the logits of the tokens of each row, in the rows' order, without padding."""
    model.eval()
    out = [None] * len(ids)
    for batch in in_batches(ids):
        padded = pad([ids[i] for i in batch], types and [types[i] for i in batch])
        for i, row in zip(batch, logits(model(**padded))):
            out[i] = row[:len(ids[i])]
    return out


class SeqCls:
    """Loss: cross entropy, mean over rows. Score: accuracy."""
    lora = {"task_type": TaskType.SEQ_CLS}
    head = []

    @staticmethod
    def flags(p):
        p.add_argument("--text-column", default="text")
        p.add_argument("--text-pair-column", default="text_pair")
        p.add_argument("--label-column", default="label")

    def __init__(self, a, tokenizer, names):
        columns = (a.text_column, a.label_column, a.text_pair_column)
        rows = read_rows(a.train_file, *columns)[:a.max_train_samples]
        self.names = names or sorted({r[2] for r in rows})
        self.ids, self.types = encode(tokenizer, rows, a.max_length)
        self.labels = torch.tensor([self.names.index(r[2]) for r in rows])
        self.lengths = self.tokens = [len(i) for i in self.ids]
        self.test = read_rows(a.test_file, *columns) if a.test_file else []
        self.test_encoded = encode(tokenizer, self.test, a.max_length) if self.test else ([], [])
        self.labels_file = {"problem_type": "single_label_classification", "labels": self.names}

    def base(self, a):
        return load_base(a.model, len(self.names), a.dropout)

    def targets(self, rows):
        return len(rows)

    def loss(self, model, rows, smoothing):
        logits = model(**pad([self.ids[i] for i in rows], [self.types[i] for i in rows])).logits
        return F.cross_entropy(logits, self.labels[rows], reduction="sum", label_smoothing=smoothing)

    def evaluate(self, model):
        """Returns scores, and for each row its label and logits."""
        logits = predict(model, *self.test_encoded)
        gold = torch.tensor([self.names.index(r[2]) for r in self.test])
        accuracy = (logits.argmax(1) == gold).float().mean().item()
        return {"accuracy": accuracy, "loss": F.cross_entropy(logits, gold).item()}, \
            [{"label": self.names[int(row.argmax())], "logits": row.tolist()} for row in logits]
