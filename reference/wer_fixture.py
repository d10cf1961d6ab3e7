#!/usr/bin/env python3
"""Writes tasks/metrics/testdata/wer.json.gz: word and character error rates by jiwer.

usage: python reference/wer_fixture.py

rows: [prediction, reference, WER, CER]. corpora: [first row, number of rows, WER, CER] of rows together. Rates are from
0 to 1 as jiwer has them. Texts are empty, equal, changed, or strange to one another, with white space of all kinds.
"""
import gzip
import json
import pathlib
import random

import jiwer

OUT = pathlib.Path(__file__).resolve().parent.parent / "tasks/metrics/testdata/wer.json.gz"
WORDS = "the a of four three seven and so my fellow ask not what your country can do 日本 東京 naïve café e\u0301 🙂 x , .".split()
SPACES = [" "] * 20 + ["  ", "\t", "\t ", "\n", "\u00a0", "\u3000\u3000", " \u2028", "\x1c\x1c"]


def text(rng):
    words = [rng.choice(WORDS) for _ in range(rng.choice((0, 0, 1, 2, 3, 5, 8, 13, 21)))]
    return rng.choice(("", "", " ", "\t")) + "".join(w + rng.choice(SPACES) for w in words)


def changed(rng, reference):
    if rng.random() < 0.25:
        return text(rng)
    parts = reference.split(" ")
    for _ in range(rng.randrange(0, 5)):
        i = rng.randrange(len(parts))
        parts[i : i + 1] = rng.choice(([], [rng.choice(WORDS)], [parts[i], rng.choice(WORDS)])) if len(parts) > 1 else parts
    return " ".join(parts)


def main():
    rng = random.Random(16)
    rows = [("", ""), ("a b", ""), ("", "a b"), (" ", "\t")]
    for _ in range(700):
        reference = text(rng)
        rows.append((changed(rng, reference), reference))
    corpora = [(0, 2), (1, 3), (0, len(rows))]
    corpora += [(rng.randrange(len(rows) - 10), rng.randrange(1, 11)) for _ in range(60)]

    def rates(part):
        predictions, references = [p for p, _ in part], [r for _, r in part]
        return [jiwer.wer(references, predictions), jiwer.cer(references, predictions)]

    data = {
        "rows": [[p, r, *rates([(p, r)])] for p, r in rows],
        "corpora": [[first, n, *rates(rows[first : first + n])] for first, n in corpora],
    }
    with open(OUT, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.write(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
    print(len(rows), "rows,", sum(r[2] > 1 for r in data["rows"]), "beyond 100 %")


main()
