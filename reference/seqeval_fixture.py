"""Writes tasks/metrics/testdata/seqeval.json.gz: seqeval's results for generated tags, ordinary ones and edge cases, in
its default mode and in its strict mode with each scheme that allows the tags.

    pip install seqeval==1.2.2
    python reference/seqeval_fixture.py

A sentence is written as its tags, separated by spaces. A mode is null if seqeval raises an error; a number is null if
it is not defined (the mean over no types).
"""

import gzip
import json
import math
import pathlib
import random
import sys
import warnings
from importlib.metadata import version

from seqeval.metrics import accuracy_score, classification_report
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE1, IOE2, Tokens, auto_detect

assert version("seqeval") == "1.2.2", version("seqeval")

SCHEMES = {"IOB1": IOB1, "IOB2": IOB2, "IOE1": IOE1, "IOE2": IOE2, "IOBES": IOBES, "BILOU": BILOU}
LETTERS = {"IOB1": "BI", "IOB2": "BI", "IOE1": "IE", "IOE2": "IE", "IOBES": "BIES", "BILOU": "BILU"}
ODD = [
    "B", "I", "E", "S", "O-X", "B-", "I--X", "B-a-b", "I-a-b", "B-a-", "X-PER", "PER", "_", ".", ".-X", "é-X", "BX",
    "o", "L-X", "U-X", "L", "NOUN", "-X", "ANY-X",
]
rng = random.Random(20260611)


def spell(entities, n, scheme):
    """Returns the tags of n words for entities (type, from, to), which are in order and do not overlap."""
    tags = ["O"] * n
    for k, (kind, a, b) in enumerate(entities):
        before = k > 0 and entities[k - 1][2] == a and entities[k - 1][0] == kind
        after = k + 1 < len(entities) and entities[k + 1][1] == b and entities[k + 1][0] == kind
        for i in range(a, b):
            first, last = i == a, i == b - 1
            letter = "I"
            if scheme in ("IOBES", "BILOU") and first and last:
                letter = "S" if scheme == "IOBES" else "U"
            elif first and (scheme in ("IOB2", "IOBES", "BILOU") or scheme == "IOB1" and before):
                letter = "B"
            elif last and (scheme in ("IOE2", "IOBES") or scheme == "IOE1" and after):
                letter = "E"
            elif last and scheme == "BILOU":
                letter = "L"
            tags[i] = f"{letter}-{kind}"
    return tags


def entities(n, kinds, density):
    out, i = [], 0
    while i < n:
        if rng.random() < density:
            length = min(rng.choice([1, 1, 2, 2, 3, 5]), n - i)
            out.append((rng.choice(kinds), i, i + length))
            i += length
        else:
            i += 1
    return out


def disturb(tags, alphabet, noise):
    return [rng.choice(alphabet) if rng.random() < noise else t for t in tags]


def generated():
    """Yields valid tags of each scheme with predictions that are partly wrong, then random tags."""
    for i in range(1300):
        scheme = rng.choice(list(SCHEMES))
        kinds = rng.choice([["X"], ["PER", "LOC"], ["PER", "LOC", "ORG", "a-b"]])
        alphabet = ["O"] + [f"{c}-{k}" for c in LETTERS[scheme] for k in kinds]
        noise = rng.choice([0, 0.05, 0.2, 0.5])
        if i % 8 == 0:
            alphabet += [rng.choice(ODD)] if i % 16 else ODD
            noise = max(noise, 0.2)
        want, got = [], []
        for _ in range(rng.choice([1, 1, 2, 4])):
            n = rng.choice([0, 1, 2, 3, 6, 12])
            tags = spell(entities(n, kinds, rng.random()), n, scheme)
            if i % 3 == 0:
                tags = [rng.choice(alphabet) for _ in range(n)]
            want.append(tags)
            got.append(disturb(tags, alphabet, noise) if i % 5 else [rng.choice(alphabet) for _ in range(n)])
        if any(want):
            yield want, got


def edges():
    yield [["O", "O"]], [["O", "O"]]  # no entity anywhere
    yield [["O", "O"]], [["B-X", "O"]]  # none in truth
    yield [["B-X", "I-X"]], [["O", "O"]]  # none predicted
    yield [["I-X", "I-X"]], [["B-X", "I-X"]]  # I first
    yield [["O", "I-X"]], [["O", "B-X"]]
    yield [["B-X", "I-Y"]], [["B-X", "I-X"]]
    yield [["B-X"], ["I-X"]], [["B-X"], ["I-X"]]  # the next sentence is another one
    yield [["_"], ["_", "B-X"]], [["B-X"], ["_", "_"]]  # where a begin is remembered from before
    yield [["O", "_", "B-X"]], [["_", "_", "O"]]
    yield [[]], [[]]
    yield [[], ["B-X"]], [[], ["B-X"]]
    for a in ["O", "B-X", "I-X", "E-X", "S-X", "L-X", "U-X", *ODD]:
        yield [[a]], [[rng.choice(["O", "B-X", "S-X", "U-X", a])]]
        yield [["B-X", a, "O"]], [["B-X", "I-X", "O"]]
    letters = ["O"] + [c + "-" + k for c in "BIES" for k in "XY"]
    for a in letters:  # every pair of letters and types
        yield [[a, b] for b in letters], [[b, a] for b in letters]
    letters = ["O"] + [c + "-" + k for c in "BILU" for k in "XY"]
    for a in letters:
        yield [[a, b] for b in letters], [[b, a] for b in letters]


def number(v):
    v = float(v)
    return v if math.isfinite(v) else None


def scores(want, got, **mode):
    report = classification_report(want, got, output_dict=True, zero_division=0, **mode)
    rows = {
        k: [number(v["precision"]), number(v["recall"]), number(v["f1-score"]), int(v["support"])] for k,
        v in report.items()
    }
    averages = [rows.pop(f"{k} avg") for k in ("micro", "macro", "weighted")]
    return {"types": rows, "averages": averages}


def attempt(f):
    try:
        return f()
    except (ValueError, KeyError, ZeroDivisionError):
        return None


def case(want, got):
    out = {
        "want": [" ".join(s) for s in want],
        "got": [" ".join(s) for s in got],
        "accuracy": attempt(lambda: accuracy_score(want, got)),
        "default": scores(want, got),
        "entities": [[k, a, b + 1] for k, a, b in get_entities(got[-1])],
        "scheme": attempt(lambda: auto_detect(want).__name__),
    }
    for name, scheme in SCHEMES.items():
        out[name] = attempt(lambda: scores(want, got, mode="strict", scheme=scheme))
        if out[name]:
            out[name]["entities"] = [[e.tag, e.start, e.end] for e in Tokens(got[-1], scheme).entities]
    return out


def main():
    warnings.simplefilter("ignore")  # the edge cases are there on purpose
    root = pathlib.Path(__file__).resolve().parent.parent
    cases = [case(*c) for c in [*edges(), *generated()]]
    path = root / "tasks" / "metrics" / "testdata" / "seqeval.json.gz"
    content = (
        json.dumps({"seqeval": version("seqeval"), "cases": cases}, separators=(",", ":"), allow_nan=False).encode()
    )
    path.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
    strict = sum(c[s] is not None for c in cases for s in SCHEMES)
    print(
        f"{len(cases)} cases, {strict} strict scores, {path.stat().st_size} bytes ({len(content)} unpacked)",
        file=sys.stderr,
    )


main()
