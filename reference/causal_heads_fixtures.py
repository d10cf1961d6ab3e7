#!/usr/bin/env python3
"""Writes testdata/causal_heads/<case>/: causal models with heads for sequences and tokens, and their results in
transformers + PEFT.

usage: python reference/causal_heads_fixtures.py [CASE ...]

The files are those of testdata/causal (README.md beside this script) without hidden states. There is one label for each
sequence, or one for each token.
"""
import copy
import json
import os
import pathlib
import random
import shutil
import sys
import warnings

from fixture import deviation, flat, hyperparameters, save_adapter, starts, trainable_line, train, versions

import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import save_file

import causallm
from causallm_fixtures import DEFAULT, GPT2, LLAMA, fill_adapter, write_base

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "causal_heads"
SEQUENCES, TOKENS = "SEQ_CLS", "TOKEN_CLS"
HEADS = {
    SEQUENCES: transformers.AutoModelForSequenceClassification, TOKENS: transformers.AutoModelForTokenClassification,
}

# Per case: family, task, config.json, and how it is trained. labels is the number of classes; head says whether the
# file has a head.
RUN = DEFAULT | dict(steps=6, batch=4, dtype=torch.bfloat16, labels=3, head=True, r=2, alpha=4, problem=None)
CASES = {
    "gpt2_seq_cls": ("gpt2", SEQUENCES, dict(n_embd=16, n_head=2, n_inner=24, pad_token_id=0), dict(
        note="two rows end in the pad token, which counts as padding: the token before it is read, as transformers "
        "does it")),
    "gpt2_seq_cls_fresh": ("gpt2", SEQUENCES, dict(n_embd=16, n_head=2, n_inner=24, pad_token_id=None), dict(
        prefix=False, head=False, targets=["c_attn", "c_proj"], labels=5, batch=1, accumulate=3,
        note="no pad_token_id: batches of one row; the file has no head")),
    "gpt2_regression": (
        "gpt2", SEQUENCES, dict(n_embd=16, n_head=2, n_inner=24, pad_token_id=95),
        dict(labels=1, problem="regression", lr=5e-3, note="one output, mean squared error"),
    ),
    "gpt2_token_cls": (
        "gpt2", TOKENS, dict(n_embd=16, n_head=2, n_inner=24),
        dict(labels=4, note="the head is called classifier; some tokens have no label"),
    ),
    "llama_seq_cls": (
        "llama", SEQUENCES, dict(pad_token_id=95),
        dict(targets=["q_proj", "v_proj", "down_proj"], decay=0.01, note="weight decay"),
    ),
    "llama_token_cls": (
        "llama", TOKENS, dict(),
        dict(
            labels=4, accumulate=2, batch=2,
            note="the head is called score; some tokens have no label; accumulation over 2 batches",
        ),
    ),
    "mistral_seq_cls": (
        "mistral", SEQUENCES, dict(pad_token_id=95, sliding_window=4), dict(labels=2, note="sliding_window 4"),
    ),
    "qwen2_seq_cls": ("qwen2", SEQUENCES, dict(pad_token_id=95, tie_word_embeddings=True), dict(
        labels=4, problem="multi_label_classification", note="binary cross entropy; the mean is over rows × classes")),
}


def load_base(task, c, base):
    model = HEADS[task].from_pretrained(base, dtype=torch.float32, num_labels=c["labels"])
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def rows_of(family, task, config, c, rng):
    """Returns rows of ids and their labels: for a sequence a class, a number or 0/1 for each class; for each token a
    class or none."""
    pad, ids, labels = config.get("pad_token_id"), [], []
    words = [t for t in range(config["vocab_size"]) if t != pad]
    for i in range(c["batch"] * c["accumulate"] * c["steps"]):
        row = [rng.choice(words) for _ in range(1 if i == 0 else rng.randint(2, 12))]
        if family == "gpt2" and pad == 0 and i in (1, 6):  # the end token of a text, which GPT-2 also pads with
            row[-1] = pad
        ids.append(row)
        if task == TOKENS:
            labels += [rng.randrange(c["labels"]) if rng.random() < 0.7 else causallm.IGNORE for _ in row]
        elif c["problem"] == "regression":
            labels.append([round(rng.uniform(-2, 3), 2)])
        elif c["problem"]:
            labels.append([float(rng.random() < 0.4) for _ in range(c["labels"])])
        else:
            labels.append(rng.randrange(c["labels"]))
    return ids, torch.tensor(labels)


def logits_of(model, task, ids):
    """Returns one row for each sequence, or for each real token."""
    pad = model.config.pad_token_id
    batch = causallm.pad(ids, 0 if pad is None else pad)
    logits = model(**batch).logits
    return causallm.real_rows(batch, logits) if task == TOKENS else logits


class Rows:
    """Returns rows in the form that fixture.train needs."""

    def __init__(self, task, c, ids, labels):
        self.task, self.c, self.ids, self.labels, self.offsets = task, c, ids, labels, starts(ids).tolist()

    def wanted(self, lo, hi):
        return self.labels[self.offsets[lo]:self.offsets[hi]] if self.task == TOKENS else self.labels[lo:hi]

    def targets(self, lo, hi):
        wanted = self.wanted(lo, hi)
        return wanted.numel() if self.c["problem"] else int((wanted != causallm.IGNORE).sum())

    def loss(self, model, lo, hi):
        logits, wanted = logits_of(model, self.task, self.ids[lo:hi]), self.wanted(lo, hi)
        if self.c["problem"] == "regression":
            return F.mse_loss(logits, wanted.to(logits.dtype), reduction="sum")
        if self.c["problem"]:
            return F.binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype), reduction="sum")
        return F.cross_entropy(logits, wanted, reduction="sum", ignore_index=causallm.IGNORE)


@torch.no_grad()
def observe(model, task, c, ids, name):
    model.eval()
    parts = [ids[i:i + c["batch"]] for i in range(0, c["observed"], c["batch"])]
    return {name: torch.cat([logits_of(model, task, p) for p in parts])}


def make(name, seed):
    family, task, config, run = CASES[name]
    c = RUN | dict(observed=4) | run
    config = (GPT2 if family == "gpt2" else LLAMA) | config | dict(num_labels=c["labels"])
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    torch.manual_seed(seed)
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    write_base(
        family, config, c, directory / "base", gen,
        HEADS[task]._model_mapping[type(transformers.AutoConfig.for_model(family))],
    )
    os.chdir(directory)  # so that the adapter's config says "base", not a path of this machine
    ids, labels = rows_of(family, task, config, c, rng)
    base = load_base(task, c, "base")
    pathlib.Path("print_base.txt").write_text(str(base) + "\n")
    model = get_peft_model(base, LoraConfig(r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"],
                                            lora_dropout=0.0,
                                            fan_in_fan_out=family == "gpt2", task_type=TaskType[task]))
    fill_adapter(model, gen)
    save_adapter(model, "adapter_init")
    pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    expected = observe(model, task, c, ids, "init.logits")
    if c["head"]:
        with model.disable_adapter():
            expected |= observe(model, task, c, ids, "base.logits")
    double = copy.deepcopy(model).double()
    rows = Rows(task, c, ids, labels)
    log, grads = train(c, model, rows.targets, rows.loss)
    log64, _ = train(c, double, rows.targets, rows.loss)
    save_adapter(model, "adapter_final")
    expected |= {f"grad.{k}": v for k, v in grads.items()} | observe(model, task, c, ids, "final.logits")
    again = PeftModel.from_pretrained(load_base(task, c, "base"), "adapter_final")
    torch.testing.assert_close(observe(again, task, c, ids, "x")["x"], expected["final.logits"])
    expected |= observe(again.merge_and_unload(), task, c, ids, "merged.logits")
    save_file(
        {k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors",
        metadata={"source": "reference/causal_heads_fixtures.py"},
    )
    save_file(
        {"ids": flat(ids), "labels": labels, "starts": starts(ids)}, "batches.safetensors",
        metadata={"source": "reference/causal_heads_fixtures.py"},
    )
    drift = deviation(model, double, log, log64)
    case = {
        "name": name, "note": c["note"], "seed": seed, "model_type": family, "task_type": task,
        "num_labels": c["labels"],
        "problem_type": c["problem"] or "single_label_classification", "head_in_base": c["head"],
        "base_dtype": str(c["dtype"]).split(".")[1],
        "observed_rows": c["observed"], **hyperparameters(c),
        "targeted": sorted(
            n.removeprefix("base_model.model.") for n, m in model.named_modules() if hasattr(m, "lora_A")
        ),
        "trainable_line": trainable_line(model), "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    print(f"{name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, norm "
          f"{log[0]['grad_norm']:.3f}, "
          f"float64: loss {drift['loss']:.1e} norm {drift['grad_norm']:.1e} adapter {drift['adapter']:.1e} "
          f"({drift['worst_tensor']})")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        make(name, 3000 + list(CASES).index(name))


if __name__ == "__main__":
    main()
