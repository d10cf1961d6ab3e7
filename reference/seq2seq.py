"""Encoder-decoders with transformers and PEFT: files of pairs, batches, the task for train_peft.py, and generation."""
import json

import torch
import torch.nn.functional as F
from peft import TaskType
from transformers import AutoConfig, AutoModelForSeq2SeqLM

import causallm

IGNORE = causallm.IGNORE


def read_pairs(path):
    """Returns the rows of a JSON Lines file as (source, references)."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return [(r["source"], r["target"] if isinstance(r["target"], list) else [r["target"]]) for r in rows]


def encode(tokenizer, pairs, max_source_length, max_target_length):
    """Returns the ids of sources and their labels."""
    sources = tokenizer([s for s, _ in pairs], truncation=True, max_length=max_source_length)["input_ids"]
    labels = tokenizer(text_target=[t for _, t in pairs], truncation=True, max_length=max_target_length)["input_ids"]
    return list(zip(sources, labels))


def pad(model, rows):
    """Returns a padded batch, its labels padded with -100, as DataCollatorForSeq2Seq makes it."""
    batch = causallm.pad([ids for ids, _ in rows], model.config.pad_token_id)
    longest = max(len(labels) for _, labels in rows)
    batch["labels"] = torch.tensor([labels + [IGNORE] * (longest - len(labels)) for _, labels in rows])
    return batch


def loss_sum(model, rows, smoothing=0.0):
    """Returns the loss, summed over the target tokens of rows, and their number."""
    batch = pad(model, rows)
    logits = model(**batch).logits
    loss = F.cross_entropy(
        logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORE, reduction="sum", label_smoothing=smoothing)
    return loss, sum(len(labels) for _, labels in rows)


@torch.no_grad()
def generate(model, sources, batch_size=16, **options):
    """Returns the generated ids of each source, without the start token and padding, the end token included. Sources of
    similar length share a batch."""
    model.eval()
    end, pad_id, out = model.config.eos_token_id, model.config.pad_token_id, [None] * len(sources)
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    for s in range(0, len(order), batch_size):
        batch = causallm.pad([sources[i] for i in order[s:s + batch_size]], pad_id)
        for i, row in zip(order[s:s + batch_size], model.generate(**batch, **options).tolist()):
            row = row[1:]
            out[i] = row[:row.index(end) + 1] if end in row else row
    return out


class Seq2SeqLM:
    """Loss: cross entropy of the target's tokens, its end token included, mean over tokens."""
    lora = {"task_type": TaskType.SEQ_2_SEQ_LM}
    head = []

    @staticmethod
    def flags(p):
        p.add_argument("--max-source-length", type=int, default=1024)
        p.add_argument("--max-target-length", type=int, default=128)
        p.add_argument("--source-prefix", default="")

    def __init__(self, a, tokenizer, names):
        def read(path):
            rows = [(a.source_prefix + source, targets[0]) for source, targets in read_pairs(path)]
            return encode(tokenizer, rows, a.max_source_length, a.max_target_length)

        self.train = read(a.train_file)[:a.max_train_samples]
        self.test = read(a.test_file) if a.test_file else []
        self.lengths = self.tokens = [len(source) + len(target) for source, target in self.train]
        self.labels_file = None

    def base(self, a):
        config = AutoConfig.from_pretrained(a.model)
        for name in ("dropout_rate", "dropout", "attention_dropout", "activation_dropout"):
            if a.dropout is not None and hasattr(config, name):
                setattr(config, name, a.dropout)
        return AutoModelForSeq2SeqLM.from_pretrained(a.model, config=config, dtype=torch.float32)

    def targets(self, rows):
        return sum(len(self.train[i][1]) for i in rows)

    def loss(self, model, rows, smoothing):
        return loss_sum(model, [self.train[i] for i in rows], smoothing)[0]

    @torch.no_grad()
    def evaluate(self, model, batch_size=16):
        """Returns the mean loss of the target tokens, and for each row its summed loss."""
        model.eval()
        sums = [loss_sum(model, [row])[0].item() for row in self.test]
        return {"loss": sum(sums) / sum(len(target) for _, target in self.test)}, [{"loss": s} for s in sums]
