#!/usr/bin/env python3
"""Writes train/testdata/reference.json: results that the training loop must equal.

usage: python reference/schedule_fixture.py

schedules  learning rates of transformers' schedulers, step by step and three steps beyond the end
warmups    TrainingArguments.get_warmup_steps for a ratio
totals     Trainer.set_initial_training_values: number of steps for a number of batches, accumulation steps and epochs
clips      torch.nn.utils.clip_grad_norm_: norm and gradients after it
orders     shuffled rows for a seed and an epoch, with integers of any size: PCG-DXSM (O'Neill), Lemire's bounded
           numbers, Fisher and Yates
curves     logistic regression on fixed rows: loss, gradient norm before clipping and learning rate of every step,
           parameters at the end
"""
import json
import pathlib
import types

import torch
import torch.nn.functional as F
import transformers

SEED = 20261124
OUT = pathlib.Path(__file__).resolve().parent.parent / "train" / "testdata" / "reference.json"

torch.set_num_threads(1)
gen = torch.Generator().manual_seed(SEED)


def scheduler(kind, optimizer, warmup, total):
    name = {"constant": "constant_with_warmup"}.get(kind, kind)
    return transformers.get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)


def schedule(kind, warmup, total, peak):
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=peak)
    s = scheduler(kind, optimizer, warmup, total)
    rates = []
    for _ in range(total + 3):
        rates.append(s.get_last_lr()[0])
        optimizer.step()
        s.step()
    return {"kind": kind, "warmup": warmup, "total": total, "peak": peak, "rates": rates}


def warmup(total, ratio):
    return {
        "total": total, "ratio": ratio,
        "steps": transformers.TrainingArguments.get_warmup_steps(types.SimpleNamespace(warmup_steps=ratio), total),
    }


class Batches:
    """The part of a data loader that the count of steps uses."""

    def __init__(self, n):
        self.n, self.dataset = n, range(n)

    def __len__(self):
        return self.n


def total(batches, accumulate, epochs):
    class Stub:
        get_total_train_batch_size = staticmethod(lambda args: 1)
        get_sp_size = staticmethod(lambda: 1)
        num_examples = staticmethod(len)

    args = types.SimpleNamespace(max_steps=-1, gradient_accumulation_steps=accumulate, num_train_epochs=epochs)
    stub = Stub()
    stub.args = args
    steps = transformers.Trainer.set_initial_training_values(stub, args, Batches(batches))[-1]
    return {"batches": batches, "accumulate": accumulate, "epochs": epochs, "steps": steps}


def clip(sizes, std, limit):
    params = [torch.zeros(n, requires_grad=True) for n in sizes]
    for p in params:
        p.grad = torch.randn(p.shape, generator=gen) * std
    grads = [p.grad.tolist() for p in params]
    norm = torch.nn.utils.clip_grad_norm_(params, limit).item()
    return {"grads": grads, "limit": limit, "norm": norm, "clipped": [p.grad.tolist() for p in params]}


def pcg(high, low):
    """PCG-DXSM with the 128-bit multiplier and increment of Go's math/rand/v2."""
    mask64, mask128 = 2**64 - 1, 2**128 - 1
    state = high << 64 | low
    while True:
        multiplier = 2549297995355413924 << 64 | 4865540595714422341
        state = (state * multiplier + (6364136223846793005 << 64 | 1442695040888963407)) & mask128
        hi, lo = state >> 64, state & mask64
        hi ^= hi >> 32
        hi = hi * 0xDA942042E4DD58B5 & mask64
        hi ^= hi >> 48
        yield hi * (lo | 1) & mask64


def order(seed, epoch, rows):
    numbers, result = pcg(seed, epoch), list(range(rows))
    for i in range(rows - 1, 0, -1):
        n = i + 1
        product = next(numbers) * n
        while product % 2**64 < 2**64 % n:
            product = next(numbers) * n
        j = product >> 64
        result[i], result[j] = result[j], result[i]
    return {"seed": seed, "epoch": epoch, "rows": result}


def curve(kind, steps, batch, accumulate, lr, decay, decay_bias, limit, warm, betas):
    rows, width, classes = steps * batch * accumulate, 5, 3
    x = torch.randn(rows, width, generator=gen)
    y = torch.randint(classes, (rows,), generator=gen)
    y[torch.randperm(rows, generator=gen)[: rows // 6]] = -100
    w = (torch.randn(classes, width, generator=gen) * 0.4).requires_grad_()
    b = (torch.randn(classes, generator=gen) * 0.2).requires_grad_()
    start = {"w": w.flatten().tolist(), "b": b.tolist()}
    groups = [{"params": [w], "weight_decay": decay}, {"params": [b], "weight_decay": decay if decay_bias else 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=betas, eps=1e-8)
    s = scheduler(kind, optimizer, warm, steps)
    log = []
    for step in range(steps):
        part = slice(step * batch * accumulate, (step + 1) * batch * accumulate)
        loss = F.cross_entropy(F.linear(x[part], w, b), y[part])  # the mean over the targets of the whole step
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([w, b], limit) if limit else torch.nn.utils.get_total_norm([
            w.grad, b.grad,
        ])
        log.append({"loss": loss.item(), "grad_norm": norm.item(), "learning_rate": s.get_last_lr()[0]})
        optimizer.step()
        s.step()
        optimizer.zero_grad()
    return {
        "schedule": kind, "steps": steps, "batch": batch, "accumulate": accumulate, "lr": lr, "decay": decay,
        "decay_bias": decay_bias,
        "limit": limit, "warmup": warm, "beta1": betas[0], "beta2": betas[1], "x": x.flatten().tolist(),
        "y": y.tolist(), "start": start,
        "log": log, "end": {"w": w.flatten().tolist(), "b": b.tolist()}}


result = {
    "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "seed": SEED},
    "schedules": [schedule(kind, w, t, peak) for kind in ("linear", "cosine", "constant") for w, t, peak in
                  (
                      (0, 10, 5e-5), (3, 17, 1e-3), (10, 10, 3e-3), (25, 12, 1.0), (1, 1, 0.1), (0, 1, 2e-5),
                      (7, 101, 3e-4),
                  )],
    "warmups": [warmup(t, r) for t in (1, 10, 33, 101, 1000) for r in (0.0, 0.03, 0.1, 0.5, 0.999)],
    "totals": [total(b, a, e) for b in (1, 7, 8, 100) for a in (1, 3, 8) for e in (0.01, 0.3, 1, 1.1, 2.5, 3.0)],
    "clips": [
        clip(*c)
        for c in (
            ((5, 12), 1.0, 1.0), ((5, 12), 0.01, 1.0), ((40,), 3.0, 0.1), ((3, 1, 2), 0.0, 1.0), ((6, 6), 1e-4, 1e-4),
            ((9,), 1e12, 2.0),
        )
    ],
    "orders": [order(s, e, n) for s in (0, 42, 2**64 - 1) for e in (0, 1, 5) for n in (1, 2, 10, 37)],
    "curves": [
        curve("linear", 12, 4, 1, 3e-2, 0.0, True, 1.0, 0, (0.9, 0.999)),
        curve("cosine", 15, 3, 2, 5e-2, 0.1, True, 0.3, 4, (0.9, 0.999)),
        curve("constant", 10, 6, 1, 1e-1, 0.2, False, 0.0, 3, (0.8, 0.95))],
}
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps(result, separators=(",", ":")) + "\n")
print(OUT, OUT.stat().st_size)
