"""Writes internal/kernel/testdata/adamw.json: 100 steps of torch.optim.AdamW with several settings.

The gradients follow a formula that the Go test repeats (see gradient), so the file holds only parameters and moments
after some of the steps. float32 values are written as the shortest decimal that reads back as the same number.

    python reference/adamw_fixture.py        # torch 2.15.0
"""

import json
import pathlib

import torch

ELEMENTS = 37
STEPS = 100
KEPT = (1, 2, 10, 100)
CASES = [
    {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01},
    {"lr": 2e-5, "beta1": 0.9, "beta2": 0.98, "eps": 1e-6, "weight_decay": 0.0},
    {"lr": 3e-2, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1},
    {"lr": 3e-3, "beta1": 0.0, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.3},
]


def hashed(n):
    """Returns a 32-bit hash of n."""
    h = n * 2654435761 % 2**32
    h ^= h >> 15
    h = h * 2246822519 % 2**32
    h ^= h >> 13
    return h


def gradient(step, i):
    """Returns the gradient of element i at a step: in [-1, 1) times 2^-(i mod 12), but 0 for every fifth element at odd
    steps."""
    if i % 5 == 4 and step % 2 == 1:
        return 0.0
    return ((hashed(step * 1000 + i) >> 8) - 2**23) * 2.0**-23 * 2.0 ** -(i % 12)


def run(case):
    p = torch.tensor(
        [(hashed(i) >> 8) * 2.0**-23 - 1 for i in range(ELEMENTS)], dtype=torch.float32, requires_grad=True,
    )
    optimizer = torch.optim.AdamW(
        [p], lr=case["lr"], betas=(case["beta1"], case["beta2"]), eps=case["eps"], weight_decay=case["weight_decay"],
        foreach=False, fused=False,
    )
    kept = []
    for step in range(1, STEPS + 1):
        p.grad = torch.tensor([gradient(step, i) for i in range(ELEMENTS)], dtype=torch.float32)
        optimizer.step()
        if step in KEPT:
            state = optimizer.state[p]
            kept.append({
                "step": step, "p": p.tolist(), "m": state["exp_avg"].tolist(), "v": state["exp_avg_sq"].tolist(),
            })
    return {**case, "kept": kept}


def shortest(value):
    """Returns value, a float32 as a Python float, with no more digits than it needs."""
    if isinstance(value, list):
        return [shortest(v) for v in value]
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if torch.tensor(float(text), dtype=torch.float32).item() == value:
            return float(text)
    return value


if __name__ == "__main__":
    torch.set_num_threads(1)
    cases = [run(case) for case in CASES]
    for case in cases:
        for kept in case["kept"]:
            for name in ("p", "m", "v"):
                kept[name] = shortest(kept[name])
    out = pathlib.Path(__file__).parent.parent / "internal/kernel/testdata/adamw.json"
    out.parent.mkdir(exist_ok=True)
    fixture = {"torch": torch.__version__.split("+")[0], "elements": ELEMENTS, "cases": cases}
    out.write_text(json.dumps(fixture, separators=(",", ":")).replace('{"step"', '\n{"step"') + "\n")
