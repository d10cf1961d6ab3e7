"""Writes tasks/qa/testdata: how transformers' examples for questions cut contexts, label windows and choose answers.

    python reference/qa_fixtures.py

labels.json: for several lengths and strides, hashes of the windows of the embedded PolicyQA training questions, cut by
the embedded MiniLM's tokenizer: ids, types and the tokens at which the answer begins and ends, or 0 and 0 if a window
does not hold it. The rule is that of run_qa.py, except that a search ends at the last token of the context (run_qa.py
itself continues into the tokens after it).

answers.json: the output of postprocess_qa_predictions of transformers' examples (utils_qa.py), reimplemented here, for
logits that a linear congruential generator draws; the test draws the same numbers. Logits are multiples of 1/64, so
that scores tie; among equal logits the later token comes first.
"""

import hashlib
import json
import os
import struct

import numpy as np
import transformers

import questions

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "tasks", "qa", "testdata")
EMBEDDED = os.path.join(HERE, "..", "embedded")
SETTINGS = [(384, 128), (128, 32), (64, 24), (48, 0), (40, 7)]
BLOCK = 16  # questions of one hash
CASES = 600


def labels():
    tokenizer = transformers.AutoTokenizer.from_pretrained(os.path.join(EMBEDDED, "minilm"))
    rows = questions.read_questions(os.path.join(EMBEDDED, "policyqa", "train.json"))
    out = []
    for length, stride in SETTINGS:
        count = inside = 0
        digests = []
        for lo in range(0, len(rows), BLOCK):
            h, block = hashlib.sha256(), rows[lo : lo + BLOCK]
            cut = questions.Windows(tokenizer, block, length, stride)
            for ids, types, offsets, n in zip(cut.ids, cut.types, cut.offsets, cut.question):
                span = questions.target(offsets, block[n]["answers"])
                flat = [len(ids), *ids, *types, *span]
                h.update(struct.pack(f"<{len(flat)}i", *flat))
                count += 1
                inside += span != (0, 0)
            digests.append(h.hexdigest()[:8])
        print(f"length {length}, stride {stride}: {count} windows, {inside} with the answer")
        out.append({
            "length": length, "stride": stride, "windows": count, "answered": inside, "hashes": "".join(digests),
        })
    return {"questions": len(rows), "settings": out}


class Draws:
    """Returns numbers that the test also draws."""

    def __init__(self, seed):
        self.x = seed

    def below(self, n):
        self.x = (self.x * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.x >> 33) % n

    def logit(self):
        return np.float32((self.below(1024) - 512) / 64)


def case(number):
    """Returns settings, context and windows (offsets or None, start and end logits of each token) of a case."""
    d = Draws(number)
    settings = {
        "n_best_size": [20, 3, 1, 7][number % 4],
        "max_answer_length": [30, 4, 1][number // 4 % 3],
        "null": number // 12 % 2 == 1,
        "threshold": [0.0, 1.5, -2.0][number // 24 % 3],
    }
    words = 2 + d.below(30)
    lengths = [1 + d.below(5) for _ in range(words)]
    at, spans, context = 0, [], ""
    for n in lengths:
        spans.append((at, at + n))
        context += "\u00e9\U0001f600xyz"[:n] + " "
        at += n + 1
    out = []
    lo = 0
    while True:
        hi = min(words, lo + 3 + d.below(20))
        offsets = [None] * (2 + d.below(4)) + spans[lo:hi] + [None]
        if number % 50 == 49:
            offsets = [None] * len(offsets)
        out.append((offsets, [(d.logit(), d.logit()) for _ in offsets]))
        if hi == words:
            return settings, context, out
        lo += 1 + d.below(hi - lo)


def best(logits, n):
    return np.argsort(np.array(logits), kind="stable")[-1 : -n - 1 : -1].tolist()


def answer(settings, context, windows):
    """postprocess_qa_predictions for one question."""
    n, longest, null_answers = settings["n_best_size"], settings["max_answer_length"], settings["null"]
    null, found = None, []
    for offsets, logits in windows:
        starts, ends = [s for s, _ in logits], [e for _, e in logits]
        score = starts[0] + ends[0]
        if null is None or null["score"] > score:
            null = {"offsets": None, "score": score, "start": starts[0], "end": ends[0]}
        for i in best(starts, n):
            for k in best(ends, n):
                if offsets[i] is None or offsets[k] is None or k < i or k - i + 1 > longest:
                    continue
                found.append({
                    "offsets": (offsets[i][0], offsets[k][1]), "score": starts[i] + ends[k], "start": starts[i],
                    "end": ends[k],
                })
    if null_answers:
        found.append(null)
    kept = sorted(found, key=lambda a: a["score"], reverse=True)[:n]
    if null_answers and not any(a["offsets"] is None for a in kept):
        kept.append(null)
    for a in kept:
        a["text"] = context[slice(*a["offsets"])] if a["offsets"] else ""
    fake = len(kept) == 0 or (len(kept) == 1 and kept[0]["text"] == "")
    if fake:
        kept.insert(
            0, {"offsets": None, "text": "empty", "score": np.float32(0), "start": np.float32(0), "end": np.float32(0)},
        )
    scores = np.array([a["score"] for a in kept])
    exp = np.exp(scores - scores.max())
    for a, p in zip(kept, exp / exp.sum()):
        a["probability"] = float(p)
    chosen, diff = kept[0], 0.0
    if null_answers:
        chosen = next(a for a in kept if a["text"] != "")
        diff = null["score"] - chosen["start"] - chosen["end"]
        if diff > settings["threshold"]:
            chosen = null
    if fake:  # this project predicts no answer then, and keeps no answer that is not there
        kept, chosen = kept[1:], {"offsets": None}
        for a in kept:
            a["probability"] = 1.0
    place = lambda a: list(a["offsets"] or (-1, -1))
    return [
        place(chosen), float(diff),
        [[*place(a), float(a["start"]), float(a["end"]), round(a["probability"], 7)] for a in kept[:4]], len(kept),
    ]


def main():
    os.makedirs(OUT, exist_ok=True)
    cases = [answer(*case(i)) for i in range(CASES)]
    print(f"{CASES} cases: {sum(c[0][0] < 0 for c in cases)} without an answer")
    for name, doc in (("labels", labels()), ("answers", cases)):
        with open(os.path.join(OUT, name + ".json"), "w", encoding="utf-8") as f:
            json.dump(doc, f, separators=(",", ":"))
            f.write("\n")


if __name__ == "__main__":
    main()
