"""Multiple choice with transformers and PEFT: files of choices, and the task for train_peft.py."""
import csv
import json
import pathlib

import torch
import torch.nn.functional as F
from transformers import AutoModelForMultipleChoice

import seqcls


def read_choices(path):
    """Returns rows as (context, endings, label), from CODAH's .tsv without a header or from JSON Lines with
    startphrase, ending0 …, label."""
    path = pathlib.Path(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".tsv":
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
            return [(r[1], r[2:-1], int(r[-1])) for r in rows]
        records = [json.loads(line) for line in file if line.strip()]
    return [
        (r["startphrase"], [r[f"ending{i}"] for i in range(sum(k.startswith("ending") for k in r))], r["label"])
        for r in records
    ]


class MultipleChoice:
    """Loss: cross entropy over the scores of a row's choices, mean over rows. PEFT has no task type for this."""
    lora = {"task_type": None}
    head = ["classifier"]

    @staticmethod
    def flags(p):
        pass

    def __init__(self, a, tokenizer, names):
        self.train = self.encode(tokenizer, read_choices(a.train_file)[:a.max_train_samples], a.max_length)
        self.test = self.encode(tokenizer, read_choices(a.test_file), a.max_length) if a.test_file else []
        self.lengths = [max(map(len, ids)) for ids, _, _ in self.train]
        self.tokens = [sum(map(len, ids)) for ids, _, _ in self.train]
        self.labels_file = None

    @staticmethod
    def encode(tokenizer, rows, max_length):
        """Returns for each row the ids and types of context and ending, one pair a choice, and the label."""
        return [
            (*seqcls.encode(tokenizer, [(context, e) for e in endings], max_length), label) for context, endings,
            label in rows
        ]

    def base(self, a):
        return seqcls.load_base(a.model, None, a.dropout, kind=AutoModelForMultipleChoice)

    def targets(self, rows):
        return len(rows)

    @staticmethod
    def scores(model, rows):
        """Returns one tensor of scores for each row."""
        batch = seqcls.pad([s for ids, _, _ in rows for s in ids], [s for _, types, _ in rows for s in types])
        # each choice as a row of one choice
        logits = model(**{k: v.unsqueeze(1) for k, v in batch.items()}).logits.flatten()
        return logits.split([len(ids) for ids, _, _ in rows])

    def loss(self, model, rows, smoothing):
        rows = [self.train[i] for i in rows]
        return sum(F.cross_entropy(s, torch.tensor(label), reduction="sum", label_smoothing=smoothing)
                   for s, (_, _, label) in zip(self.scores(model, rows), rows))

    @torch.no_grad()
    def evaluate(self, model, batch_size=8):
        """Returns accuracy and loss, and for each row its choice and the scores of all choices."""
        model.eval()
        scores = [
            s
            for start in range(0, len(self.test), batch_size)
            for s in self.scores(model, self.test[start:start + batch_size])
        ]
        gold = [torch.tensor(label) for _, _, label in self.test]
        return {"accuracy": sum(int(s.argmax() == g) for s, g in zip(scores, gold)) / len(gold),
                "loss": sum(F.cross_entropy(s, g).item() for s, g in zip(scores, gold)) / len(gold)}, \
            [{"choice": int(s.argmax()), "logits": s.tolist()} for s in scores]
