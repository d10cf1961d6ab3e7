"""Writes tasks/metrics/testdata/cases.json.gz: the results of scikit-learn and SciPy for generated predictions,
ordinary ones and edge cases.

    pip install scikit-learn==1.9.1 scipy==1.17.1
    python reference/metrics_fixture.py

Numbers are rounded to float32 first, because the Go side gets float32.
"""

import gzip
import json
import pathlib
import sys
import warnings

import numpy as np
import scipy
import sklearn
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    mean_squared_error,
    precision_recall_fscore_support,
)

assert sklearn.__version__ == "1.9.1" and scipy.__version__ == "1.17.1", (sklearn.__version__, scipy.__version__)

IGNORE = -100
rng = np.random.default_rng(20240611)


def number(v):
    """Returns a float for JSON, or None for an undefined one."""
    v = float(v)
    return v if np.isfinite(v) else None


def classes_case(labels, predictions, k):
    y = np.asarray([l for l in labels if l != IGNORE])
    p = np.asarray([q for l, q in zip(labels, predictions) if l != IGNORE])
    precision, recall, f1, support = precision_recall_fscore_support(y, p, labels=range(k), zero_division=0)
    return {
        "k": k,
        "labels": [int(v) for v in labels],
        "predictions": [int(v) for v in predictions],
        "accuracy": number(accuracy_score(y, p)),
        "macro_f1": number(f1_score(y, p, average="macro", zero_division=0)),
        "matthews": number(matthews_corrcoef(y, p)),
        "precision": [number(v) for v in precision],
        "recall": [number(v) for v in recall],
        "f1": [number(v) for v in f1],
        "support": [int(v) for v in support],
        "confusion": confusion_matrix(y, p, labels=range(k)).ravel().tolist(),
    }


def classes_cases():
    yield classes_case([0], [0], 1)
    yield classes_case([0], [1], 2)
    yield classes_case([0, 0, 0], [0, 0, 0], 2)  # one class
    yield classes_case([0, 1, 0], [0, 0, 0], 2)  # constant prediction
    yield classes_case([1, 1, 1], [0, 1, 0], 2)  # constant target
    yield classes_case([0, 1], [1, 0], 2)  # all wrong
    yield classes_case([0, 1, IGNORE], [0, 1, 0], 2)
    yield classes_case([4, 4, 2], [4, 2, 2], 9)  # classes without rows
    for i in range(442):
        k = int(rng.choice([1, 2, 2, 3, 5, 10, 77]))
        n = int(rng.choice([1, 2, 3, 8, 30, 120]))
        used = int(rng.integers(1, k + 1))
        labels = rng.integers(0, used, n)
        noise = rng.random()
        predictions = np.where(rng.random(n) < noise, rng.integers(0, k, n), labels)
        if i % 7 == 0 and n > 1:
            labels[rng.integers(0, n - 1)] = IGNORE
        yield classes_case(labels, predictions, k)


def multilabel_case(targets, scores):
    y = np.asarray(targets)
    p = (np.asarray(scores) > 0.5).astype(int)
    return {
        "k": y.shape[1],
        "targets": y.ravel().tolist(),
        "scores": [float(v) for v in np.asarray(scores).ravel()],
        "subset": number(accuracy_score(y, p)),
        "micro_f1": number(f1_score(y, p, average="micro", zero_division=0)),
        "macro_f1": number(f1_score(y, p, average="macro", zero_division=0)),
        "f1": [number(v) for v in f1_score(y, p, average=None, zero_division=0)],
    }


def multilabel_cases():
    yield multilabel_case([[0, 0]], [[0.0, 0.25]])  # no yes anywhere
    yield multilabel_case([[1, 1]], [[0.75, 0.5]])  # the threshold itself is a no
    yield multilabel_case([[1, 0, 0], [1, 0, 0]], [[0.75, 0.0, 0.0], [0.75, 0.0, 0.0]])
    for _ in range(247):
        k = int(rng.choice([2, 3, 6, 12]))
        n = int(rng.choice([1, 2, 5, 20, 60]))
        targets = (rng.random((n, k)) < rng.random(k)).astype(int)
        scores = np.clip(targets * 0.6 + rng.random((n, k)) * rng.random(), 0, 1)
        yield multilabel_case(targets, np.round(scores * 64) / 64)


def regression_case(targets, predictions):
    t = np.asarray(targets, dtype=np.float32)
    p = np.asarray(predictions, dtype=np.float32)
    keep = ~np.isnan(t)
    x, y = t[keep].astype(np.float64), p[keep].astype(np.float64)
    pearson = pearsonr(x, y)[0] if len(x) > 1 else np.nan
    spearman = spearmanr(x, y)[0] if len(x) > 1 else np.nan
    return {
        "targets": [number(v) for v in t],
        "predictions": [number(v) for v in p],
        "mse": number(mean_squared_error(x, y)),
        "pearson": number(pearson),
        "spearman": number(spearman),
    }


def regression_cases():
    yield regression_case([1], [2])
    yield regression_case([1, 2], [2, 1])
    yield regression_case([3, 3, 3], [1, 2, 3])  # constant target
    yield regression_case([1, 2, 3], [5, 5, 5])  # constant prediction
    yield regression_case([3, 3], [3, 3])
    yield regression_case([1, np.nan, 3, 4], [1, 2, 2, 5])  # a missing target
    yield regression_case([1e6, 1e6 + 1, 1e6 + 2], [1e6, 1e6 + 2, 1e6 + 1])  # large mean
    yield regression_case([1e30, -1e30, 2e30], [1e-30, 2e-30, 3e-30])
    yield regression_case([0, 0, 0, 1], [0, 0, 0, 1])
    for i in range(341):
        n = int(rng.choice([2, 3, 10, 40, 100]))
        t = rng.normal(size=n) * 10.0 ** rng.integers(-3, 4) + rng.choice([0, 0, 100])
        p = t * rng.normal() + rng.normal(size=n) * rng.random() * np.std(t)
        if i % 3 == 0:  # ties
            t, p = np.round(t), np.round(p * 2) / 2
        if i % 11 == 0 and n > 3:
            t[rng.integers(0, n)] = np.nan
        yield regression_case(t, p)


def main():
    warnings.simplefilter("ignore")  # the edge cases are there on purpose
    root = pathlib.Path(__file__).resolve().parent.parent
    out = {
        "versions": {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__},
        "classes": list(classes_cases()),
        "multilabel": list(multilabel_cases()),
        "regression": list(regression_cases()),
    }
    path = root / "tasks" / "metrics" / "testdata" / "cases.json.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(out, separators=(",", ":"), allow_nan=False).encode()
    path.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
    print(
        f"{sum(len(v) for k, v in out.items() if k != 'versions')} cases, {path.stat().st_size} bytes", file=sys.stderr,
    )


main()
