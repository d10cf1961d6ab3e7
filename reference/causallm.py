"""Causal language models with transformers and PEFT: code that the scripts for them share."""
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

IGNORE = -100  # a label that does not count


def load_base(directory):
    """Returns the base model in float32 with dropout 0."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def pad(sequences, value=0):
    """Returns sequences of ids as one batch padded on the right, with its attention mask."""
    longest = max(map(len, sequences))

    def filled(rows, value):
        return torch.tensor([list(r) + [value] * (longest - len(r)) for r in rows])

    return {"input_ids": filled(sequences, value), "attention_mask": filled([[1] * len(s) for s in sequences], 0)}


def real_rows(batch, values):
    """Returns values[row, position, …] of the real tokens, one row after another."""
    return values[batch["attention_mask"].bool()]


def next_labels(labels):
    """Returns labels as transformers needs them: at their token. Shifted by one, they are what each token must predict;
    the last token predicts nothing."""
    return torch.tensor([x for row in labels for x in [*row[1:], IGNORE]])


class Rows:
    """Returns rows of ids with labels in the form that fixture.train needs: targets and loss. correct counts the right
    predictions of each call of loss."""

    def __init__(self, ids, labels):
        self.ids, self.labels, self.correct = ids, labels, []

    def targets(self, lo, hi):
        return int((next_labels(self.labels[lo:hi]) != IGNORE).sum())

    def loss(self, model, lo, hi):
        batch = pad(self.ids[lo:hi])
        logits, wanted = real_rows(batch, model(**batch).logits), next_labels(self.labels[lo:hi])
        self.correct.append(int((logits.argmax(1) == wanted).sum()))
        return F.cross_entropy(logits, wanted, reduction="sum", ignore_index=IGNORE)


@torch.no_grad()
def observe(model, ids, prefix, hidden=True):
    """Returns hidden states (0 is the embeddings' output, the last one follows the final norm) and logits of real
    tokens, one row after another."""
    batch = pad(ids)
    model.eval()
    out = model(**batch, output_hidden_states=True)
    parts = {f"{prefix}hidden.{i}": real_rows(batch, h) for i, h in enumerate(out.hidden_states)} if hidden else {}
    return parts | {f"{prefix}logits": real_rows(batch, out.logits)}
