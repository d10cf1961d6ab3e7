"""Writes tokenize/testdata/words.json: the results of Hugging Face tokenizers for texts that are given as words.

    python reference/words_fixtures.py                 # writes the file
    python reference/words_fixtures.py --show CASE N   # prints one result

Each text of tokenizer_fixtures.py and bpe_fixtures.py is split at its blanks, including empty words, and encoded with
is_pretokenized=True, as with transformers' is_split_into_words: ids, types, offsets within each word, numbers of the
words. Every third text is truncated to a few tokens. The file has a hash of the results of each block of texts, as
cases.json. The cases are those of both scripts and two that take words as transformers' GPT-2 and RoBERTa tokenizers do
with add_prefix_space=True.
"""

import json
import os
import sys

import bpe_fixtures as bpe
import tokenizer_fixtures as base
import tokenizers

BLOCK = 128
LENGTHS = [4, 5, 8, 13]

# The tokenizer as it is loaded, and as it is used for words.
PREFIXED = [
    ("gpt2 prefixed", bpe.BYTES, {"pre_tokenizer": bpe.byte_level(), "post_processor": bpe.byte_level()},
     {"pre_tokenizer": bpe.byte_level(prefix=True), "post_processor": bpe.byte_level(prefix=True)}),
    ("roberta prefixed", bpe.BYTES, {
        "pre_tokenizer": bpe.byte_level(), "post_processor": bpe.ROBERTA | {"add_prefix_space": False},
    },
     {"pre_tokenizer": bpe.byte_level(prefix=True), "post_processor": bpe.ROBERTA}),
]


def run(tok, text, i):
    words = text.split(" ")
    if i % 3 == 2:
        tok.enable_truncation(LENGTHS[i // 3 % 4])
    e = tok.encode(words, is_pretokenized=True)
    tok.no_truncation()
    return e.ids, e.type_ids, e.offsets, e.word_ids


def cases():
    """Returns name, file, patch as loaded, patch as asked."""
    for name, file, patch in base.CASES + bpe.CASES:
        yield name, file, patch, patch
    yield from PREFIXED


def write():
    texts = bpe.read_strings()
    out = []
    for name, file, patch, asked in cases():
        tok = base.load(file, asked)
        if "added_tokens+" in patch:  # with the ids that the library gave them
            patch = patch | {
                "added_tokens+": [t | {"id": tok.token_to_id(t["content"])} for t in patch["added_tokens+"]]
            }
        case = {"name": name, "file": os.path.relpath(file, os.path.join(base.OUT, "..")), "patch": patch}
        case["words"] = base.hashes(len(texts), BLOCK, lambda i: run(tok, texts[i], i))
        out.append(case)
        print(name, flush=True)
    with open(os.path.join(base.OUT, "words.json"), "w", encoding="utf-8") as f:
        json.dump({"version": tokenizers.__version__, "cases": out}, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        text = bpe.read_strings()[int(sys.argv[3])]
        file, asked = next((f, a) for n, f, _, a in cases() if n == sys.argv[2])
        print(text.split(" "), run(base.load(file, asked), text, int(sys.argv[3])))
    else:
        write()
