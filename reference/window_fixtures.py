"""Writes tokenize/testdata/windows.json: how Hugging Face tokenizers cuts long texts into overlapping windows.

    python reference/window_fixtures.py                # writes the fixture
    python reference/window_fixtures.py --show CASE N  # prints one result

Pair n is made of the texts of tokenizer_fixtures.py: a question of one text, cut to 24 characters, and a context of
several; every seventh is a text without a pair. The file has, for each tokenizer, one hash of all windows of each block
of pairs (see tokenizer_fixtures.py), with truncation only_second (only_first without a pair) from the right.
"""

import base64
import hashlib
import json
import os
import sys

import bpe_fixtures
import tokenizer_fixtures as base
import tokenizers

PAIRS, BLOCK = 3072, 16
LENGTHS = [12, 16, 24, 32, 48, 64, 128, 384]
STRIDES = [0, 1, 3, 5, 7, 2, 4, 6]  # below 8: the library refuses a stride that no text would leave room for
CASES = [c for c in base.CASES if c[0] in ("minilm", "cased")]
# a template with the pair before the text; if a single text is cut, the library loses its types that are not 0
ODD = base.ODD_TEMPLATE | {"single": [{"Sequence": {"id": "A", "type_id": 0}}, base.ODD_TEMPLATE["single"][1]]}
CASES += [(n, f, p | {"post_processor": ODD}) for n, f, p in base.CASES if n == "minilm odd"]
CASES += [c for c in bpe_fixtures.CASES if c[0] in ("gpt2", "roberta", "llama2", "gpt2 added")]


def pair(strings, i):
    """Returns question and context of pair i; the question is None for a single text."""
    question = strings[i * 3 % len(strings)][:24]
    context = " ".join(strings[(i * 5 + k) % len(strings)] for k in range(1 + i % 4))
    return (None if i % 7 == 0 else question), context


def settings(i):
    """Returns length and stride of pair i."""
    return LENGTHS[i % len(LENGTHS)], STRIDES[i // len(LENGTHS) % len(STRIDES)]


def windows(tok, strings, i):
    """Returns all windows of pair i, or None if the library refuses to cut it."""
    question, context = pair(strings, i)
    length, stride = settings(i)
    if tok.num_special_tokens_to_add(question is not None) > length:
        return None
    try:
        tok.enable_truncation(length, stride=stride, strategy="only_first" if question is None else "only_second")
        e = tok.encode(context) if question is None else tok.encode(question, context)
    except BaseException as err:  # the library panics on a stride that fills the room
        assert "runcat" in str(err) or "stride" in str(err), (i, err)
        return None
    finally:
        tok.no_truncation()
    return [e, *e.overflowing]


def flat(e):
    """Returns the data of a window to hash: the input of pack, with the sequences after the words."""
    return e.ids, e.type_ids, e.offsets, [*e.word_ids, *e.sequence_ids]


def digest(tok, strings, i):
    out = windows(tok, strings, i)
    return b"error" if out is None else b"".join(base.pack(flat(e)) for e in out)


def write():
    strings = bpe_fixtures.read_strings()
    doc = {"version": tokenizers.__version__, "cases": []}
    for name, file, patch in CASES:
        tok = base.load(file, patch)
        if "added_tokens+" in patch:  # with the ids that the library gave them
            patch = patch | {
                "added_tokens+": [t | {"id": tok.token_to_id(t["content"])} for t in patch["added_tokens+"]]
            }
        results = [digest(tok, strings, i) for i in range(PAIRS)]
        cut = [len(windows(tok, strings, i) or []) for i in range(PAIRS)]
        print(
            f"{name}: {sum(n == 0 for n in cut)} refused, {sum(n > 1 for n in cut)} cut, at most {max(cut)} windows",
            flush=True,
        )
        case = {"name": name, "file": os.path.relpath(file, os.path.join(base.OUT, "..")), "patch": patch}
        case["windows"] = hashes(results)
        doc["cases"].append(case)
    with open(os.path.join(base.OUT, "windows.json"), "w", encoding="utf-8") as f:
        json.dump(doc, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def hashes(results):
    blocks = (b"".join(results[i : i + BLOCK]) for i in range(0, len(results), BLOCK))
    return base64.b64encode(b"".join(hashlib.sha256(b).digest()[:4] for b in blocks)).decode()


def show(case, number):
    strings = bpe_fixtures.read_strings()
    file, patch = next((f, p) for n, f, p in CASES if n == case)
    print(ascii(pair(strings, number)), settings(number))
    for e in windows(base.load(file, patch), strings, number) or ["refused"]:
        print(e if isinstance(e, str) else flat(e))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        show(sys.argv[2], int(sys.argv[3]))
    else:
        write()
