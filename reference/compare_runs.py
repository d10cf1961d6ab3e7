#!/usr/bin/env python3
"""Compares runs of `finetune` with runs of train_peft.py.

usage: python reference/compare_runs.py OURS PEFT [--predictions FILE]
       python reference/compare_runs.py --tokens OURS PEFT [--float64 FILE]
       python reference/compare_runs.py --seeds [--metric f1] --ours DIR… --peft DIR…

The first form compares two runs of the same rows step by step: losses, gradient norms, the tensors of the saved
adapters and, with --predictions, the predictions: labels, the tag of each word, or answers. --predictions is the output
of `predict` for the test file that train_peft.py got, with --logits if the command has that flag. The second form
compares generated tokens, row by row: the output of `predict` with that of generate_seq2seq.py; with --float64, its
output in float64, it says in how many of the other rows PEFT in float32 differs from itself, too. The third form
compares a test score (accuracy) of two groups of runs with Welch's t-test. It needs, besides requirements.txt: pip
install scipy==1.17.1
"""
import argparse
import json
import pathlib
import statistics

import scipy.stats
import torch
from safetensors.torch import load_file


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def compare_steps(ours, peft):
    a, b = ([r for r in lines(d / "metrics.jsonl") if "grad_norm" in r] for d in (ours, peft))
    if len(a) != len(b):
        print(f"{len(a)} and {len(b)} steps")
    for key in ("loss", "grad_norm", "learning_rate"):
        off = [abs(x[key] - y[key]) / max(abs(y[key]), 1e-30) for x, y in zip(a, b)]
        firsts = [n for n in (10, 50, 100, 200) if n < len(off)] + [len(off)]
        print(
            f"{key}: largest relative difference",
            ", ".join(f"{max(off[:n]):.1e} in the first {n} steps" for n in firsts),
        )


def compare_adapters(ours, peft):
    a, b = (load_file(d / "adapter_model.safetensors") for d in (ours, peft))
    if a.keys() != b.keys():
        print("tensors of one side only:", sorted(a.keys() ^ b.keys()))
    off = {k: ((a[k].double() - b[k].double()).norm() / b[k].double().norm()).item() for k in a.keys() & b.keys()}
    worst = sorted(off, key=off.get)[:-3:-1]
    print(f"adapter: {len(off)} tensors, relative Frobenius norm of the difference: worst "
          f"{', '.join(f'{off[k]:.1e} ({k})' for k in worst)}, median {statistics.median(off.values()):.1e}")


def outcomes(row):
    """Returns the predictions of a line, one or one for each word that has a token; and its logits, the probabilities
    of tags, or None.

    Logits of choices matter only relative to each other: the bias of their head has no gradient and drifts with the
    rounding."""
    if "tags" in row:
        return [t for t in row["tags"] if t is not None], [s for s in row["scores"] if s is not None]
    values = row.get("logits")
    if "choice" in row and values:
        values = [v - sum(values) / len(values) for v in values]
    return [next(row[k] for k in ("answer", "choice", "label") if k in row)], values


def compare_predictions(file, peft):
    a, b = lines(file), lines(peft / "predictions.jsonl")
    same = count = whole = 0
    ours, theirs = [], []
    for x, y in zip(a, b, strict=True):
        (x, xs), (y, ys) = outcomes(x), outcomes(y)
        same += sum(p == q for p, q in zip(x, y, strict=True))
        count, whole = count + len(y), whole + (x == y)
        if xs and ys:
            ours, theirs = ours + xs, theirs + ys
    words = "" if count == len(a) else f", {whole} of {len(a)} rows in all words"
    print(f"predictions: {same} of {count} the same ({same / count:.2%}){words}")
    if ours:
        x, y = (torch.tensor(v, dtype=torch.float64) for v in (ours, theirs))
        print(f"logits or probabilities: max |difference| / largest {(x - y).abs().max() / y.abs().max():.1e}")


def compare_tokens(ours, peft, double):
    a, b = ([row["tokens"] for row in lines(file)] for file in (ours, peft))
    off = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
    print(f"generated tokens: {len(a) - len(off)} of {len(a)} rows the same ({1 - len(off) / len(a):.2%}), "
          f"{len(set(map(tuple, b)))} different ones, {sum(map(len, b)) / len(b):.1f} tokens a row")
    for i in off[:10]:
        at = next((k for k, (x, y) in enumerate(zip(a[i], b[i])) if x != y), min(len(a[i]), len(b[i])))
        print(f"  row {i + 1}: {len(a[i])} and {len(b[i])} tokens, different from token {at + 1} on")
    if double:
        c = [row["tokens"] for row in lines(double)]
        unstable = [i for i, (x, y) in enumerate(zip(b, c, strict=True)) if x != y]
        print(f"PEFT in float32 differs from PEFT in float64 in {len(unstable)} rows, ours in "
              f"{sum(x != y for x, y in zip(a, c, strict=True))}; of the rows above, {len(set(off) & set(unstable))} are "
              f"among PEFT's")


def score(run, metric):
    r = json.loads((run / "results.json").read_text(encoding="utf-8"))
    scores = r["test"] if "test" in r else {k.removeprefix("test_"): v for k, v in r.items()}
    return scores[metric] / (100 if any(k.startswith("exact") for k in scores) else 1)  # SQuAD's are percentages


def compare_seeds(ours, peft, metric):
    groups = {"ours": [score(d, metric) for d in ours], "PEFT": [score(d, metric) for d in peft]}
    for name, v in groups.items():
        print(f"{name}: {len(v)} runs, mean {statistics.mean(v):.2%}, standard deviation {statistics.stdev(v):.2%}, "
              f"{min(v):.2%} to {max(v):.2%} ({', '.join(f'{x:.2%}' for x in v)})")
    t = scipy.stats.ttest_ind(*groups.values(), equal_var=False)
    low, high = t.confidence_interval()
    print(f"difference of the means {100 * (statistics.mean(groups['ours']) - statistics.mean(groups['PEFT'])):+.2f} "
          f"points, "
          f"95 % interval {100 * low:+.2f} to {100 * high:+.2f}, Welch's t {t.statistic:.2f}, p = {t.pvalue:.2f}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("runs", nargs="*", type=pathlib.Path, metavar="DIR")
    p.add_argument("--predictions", type=pathlib.Path)
    p.add_argument("--tokens", action="store_true")
    p.add_argument("--float64", type=pathlib.Path)
    p.add_argument("--seeds", action="store_true")
    p.add_argument("--metric", default="accuracy", help="accuracy, f1, exact_match …")
    p.add_argument("--ours", nargs="+", type=pathlib.Path)
    p.add_argument("--peft", nargs="+", type=pathlib.Path)
    a = p.parse_args()
    if a.seeds:
        if not a.ours or not a.peft or a.runs:
            p.error("--seeds needs --ours DIR… and --peft DIR…")
        compare_seeds(a.ours, a.peft, a.metric)
        return
    if len(a.runs) != 2:
        p.error("expected OURS PEFT")
    if a.tokens:
        compare_tokens(*a.runs, a.float64)
        return
    compare_steps(*a.runs)
    compare_adapters(*a.runs)
    if a.predictions:
        compare_predictions(a.predictions, a.runs[1])


if __name__ == "__main__":
    main()
