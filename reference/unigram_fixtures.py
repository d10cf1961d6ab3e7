"""Writes the Unigram fixtures of tokenize/: the results of Hugging Face tokenizers for many texts.

    python reference/unigram_fixtures.py                     # writes tokenize/testdata/unigram_*
    python reference/unigram_fixtures.py --show CASE KIND N  # prints one result

It works like bpe_fixtures.py and with its texts, for SentencePiece's Unigram models and for the parts that real
XLM-RoBERTa, RoBERTa, DistilBERT and ELECTRA tokenizers have around their models. Two small models are trained here
unless their files exist: unigram_xlmr.json is the file that transformers saves for a sentencepiece.bpe.model of
XLM-RoBERTa, unigram_bytes.json has tokens for bytes and does not normalise. A normalizer's "@NAME" refers to the
precompiled_charsmap in unigram_NAME.bin.bz2: SentencePiece's own rules nmt_nfkc and nfkc_cf, and "rules", which are
made here for cases that those do not reach (RULES).
"""

import base64
import bz2
import collections
import io
import json
import os
import random
import struct
import sys
import tempfile

import bpe_fixtures as bpe
import sentencepiece
import tokenizer_fixtures as base
import tokenizers
import transformers
import words_fixtures
from bpe_fixtures import LLAMA2, NFKC, PREPEND, TEMPLATE, decoders, metaspace, replace, rewrite, strip, words
from sentencepiece import sentencepiece_model_pb2
from tokenizer_fixtures import SPLIT, added
from tokenizers import Tokenizer

OUT = base.OUT
XLMR, BYTES = (os.path.join(OUT, f"unigram_{name}.json") for name in ("xlmr", "bytes"))
BLOCK = 32  # texts of one hash

# Replacements: letters that vanish or grow, a pair of characters, a key that begins with another key, a line break of
# two characters, one of two bytes that joins the next character (U+0600).
RULES = {
    "a": "X", "b": "", "e\u0301": "\u00c9", "o": "\u00f6\u00f6", "oo": "u", "\r\n": "/", "\r": "|", "\u0600": "P",
    "\u20ac": "EUR", "\u0301": "", "\U0001f600": ":)",
}


def precompiled(name):
    return {"type": "Precompiled", "precompiled_charsmap": "@" + name}


def sentencepiece_model(texts, size, **options):
    """Trains a Unigram model and returns the content of its file."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=out, vocab_size=size, character_coverage=1.0, num_threads=1,
        minloglevel=2, **options)
    return out.getvalue()


def charsmap_of(model):
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model)
    return proto.normalizer_spec.precompiled_charsmap


def charsmap_file(name):
    return os.path.join(OUT, f"unigram_{name}.bin.bz2")


def filled(doc):
    """Returns the JSON value doc with the tables that it names."""
    if isinstance(doc, list):
        return [filled(v) for v in doc]
    if not isinstance(doc, dict):
        return doc
    doc = {k: filled(v) for k, v in doc.items()}
    name = doc.get("precompiled_charsmap", "")
    if name.startswith("@"):
        with open(charsmap_file(name[1:]), "rb") as f:
            doc["precompiled_charsmap"] = base64.b64encode(bz2.decompress(f.read())).decode()
    return doc


NMT = {"type": "Nmt"}
# most of SentencePiece's models
SPM = rewrite(precompiled("nmt_nfkc"), strip(False, True), replace(" {2,}", "\u2581", "Regex"))
ALBERT = rewrite(
    replace("``", '"'), replace("''", '"'), {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
    precompiled("nmt_nfkc"), replace(" {2,}", " ", "Regex"))

PIPELINES = [
    ("nmt_nfkc", precompiled("nmt_nfkc"), None),
    ("nfkc_cf", precompiled("nfkc_cf"), metaspace("always", True)),
    ("rules", precompiled("rules"), SPLIT),
    ("nmt", NMT, SPLIT),
    ("spm", SPM, metaspace("first", False)),
    ("albert", ALBERT, metaspace("always", True)),
    ("nmt then rules", rewrite(NMT, precompiled("rules"), precompiled("nfkc_cf")), None),
]

OLD_METASPACE = {"type": "Metaspace", "replacement": "\u2581", "str_rep": "\u2581", "add_prefix_space": True}
NO_PREFIX = {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": False, "prepend_scheme": "never"}
PAIR_TYPES = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
    ],
    "pair": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 1}},
        {"SpecialToken": {"id": "</s>", "type_id": 1}},
    ],
    "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<s>", 0), ("</s>", 2))},
}
FALLBACK = decoders(
    replace("\u2581", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
)

# name, file, fields of tokenizer.json to replace ("model" only in part), whether every code point and words are tried
CASES = [
    ("xlm-roberta", XLMR, {}, True),
    # as XLM-RoBERTa's file was published, and with tokens of every flag
    (
        "xlm-roberta old", XLMR,
        {
            "normalizer": rewrite(precompiled("nmt_nfkc"), replace(" {2,}", " ", "Regex")),
            "pre_tokenizer": words(SPLIT, OLD_METASPACE), "decoder": OLD_METASPACE, "added_tokens+": bpe.ADDED,
        },
        False,
    ),
    (
        "whole texts", XLMR,
        {"normalizer": SPM, "pre_tokenizer": metaspace("first", False), "post_processor": PAIR_TYPES}, False,
    ),
    (
        "albert", XLMR,
        {"normalizer": ALBERT, "pre_tokenizer": metaspace("always", True), "post_processor": PAIR_TYPES}, False,
    ),
    (
        "ties", XLMR,
        {
            "normalizer": rewrite(NMT, NFKC), "pre_tokenizer": metaspace("never", False),
            "model": {"scores": "rounded"}, "decoder": NO_PREFIX,
        },
        False,
    ),
    (
        "likely", XLMR,
        {
            "normalizer": None, "pre_tokenizer": words(SPLIT, NO_PREFIX), "model": {"scores": "positive"},
            "post_processor": None, "decoder": None,
        },
        False,
    ),
    ("bytes", BYTES, {}, True),
    (
        "some bytes", BYTES,
        {
            "normalizer": rewrite(precompiled("nfkc_cf"), PREPEND, replace(" ", "\u2581")),
            "model": {"drop": ["<0xE3>", "<0xC3>", "<0xF0>"]},
        },
        False,
    ),
    ("no bytes", BYTES, {"model": {"byte_fallback": False}, "normalizer": None, "pre_tokenizer": OLD_METASPACE}, False),
]


def patched(file, patch):
    """Returns the JSON of a tokenizer file with the fields of patch replaced."""
    patch = dict(patch)
    model = dict(patch.pop("model", {}))
    scores, drop = model.pop("scores", None), model.pop("drop", [])
    doc = base.patched(file, patch | {"model": model})
    vocab = doc["model"]["vocab"]
    for pair in vocab:
        if pair[0] in drop:
            pair[0] = "dropped " + pair[0]
        if scores == "rounded":
            pair[1] = float(round(pair[1]))
        if scores == "positive":
            pair[1] = pair[1] + 20
    return filled(doc)


def load(file, patch):
    tok = Tokenizer.from_str(json.dumps(patched(file, patch)))
    tok.no_padding()
    tok.no_truncation()
    return tok


def common_texts(strings):
    """Returns the texts without rare characters, which would all become pieces."""
    count = collections.Counter(c for s in strings for c in s)
    keep = {c for c, _ in count.most_common(500)} - {"\0"}
    texts = ("".join(c for c in s if c in keep) for s in strings)
    return [s for s in texts if s.strip()]


def save(file, doc):
    with open(file, "w", encoding="utf-8") as f:
        json.dump(doc, f, ensure_ascii=False, separators=(",", ":"))


def train_xlmr(texts):
    if os.path.exists(XLMR):
        return
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "sentencepiece.bpe.model"), "wb") as f:
            f.write(sentencepiece_model(texts, 2400, normalization_rule_name="nmt_nfkc", unk_id=0, bos_id=1, eos_id=2))
        tok = transformers.XLMRobertaTokenizer.from_pretrained(folder)
        tok.save_pretrained(folder)
        with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as f:
            doc = json.load(f)
    assert doc["normalizer"] == filled(precompiled("nmt_nfkc"))
    doc["normalizer"] = precompiled("nmt_nfkc")
    save(XLMR, doc)


def train_bytes(texts):
    if os.path.exists(BYTES):
        return
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(sentencepiece_model(texts[::2], 1300, normalization_rule_name="identity", byte_fallback=True))
    vocab = [(p.piece, p.score) for p in proto.pieces]
    tok = Tokenizer(tokenizers.models.Unigram(vocab, unk_id=0, byte_fallback=True))
    tok.add_special_tokens(["<unk>", "<s>", "</s>"])
    doc = json.loads(tok.to_str())
    doc["normalizer"], doc["post_processor"], doc["decoder"] = LLAMA2, TEMPLATE, FALLBACK
    save(BYTES, doc)


def make_charsmaps(texts):
    for name in ("nmt_nfkc", "nfkc_cf", "rules"):
        options = {"normalization_rule_name": name}
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
            if name == "rules":
                f.write(
                    "".join(
                        "{}\t{}\n".format(*(" ".join(f"{ord(c):X}" for c in s) for s in rule)) for rule in RULES.items()
                    )
                )
                f.flush()
                options = {"normalization_rule_tsv": f.name}
            table = charsmap_of(sentencepiece_model(texts[:1000], 600, hard_vocab_limit=False, **options))
        with open(charsmap_file(name), "wb") as f:
            f.write(bz2.compress(table))


def read_scores():
    """Returns numbers in the spellings of JSON, and the scores that the library's reader makes of them."""
    rng = random.Random(7)
    out = [
        "0", "-0", "-0.0", "-1", "5e-324", "2.5e-324", "1e-400", "0e999999999999", "1e308", "1.7976931348623157e308",
        "-4.9406564584124654e-324", "1e-2147483649",
    ]
    out += [
        "18446744073709551615", "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890",
        "0.1844674407370955161599", "18446744073709551615.9e-3",
    ]
    out += [
        "1844674407370955161.50", "18446744073709551610.5", "1E+2", "1.5E-07",
        "0.00000000000000000000000000000000000000000000001234567890123456789",
    ]
    out += [repr(-rng.random() * 16) for _ in range(100)]
    out += [repr(struct.unpack("<f", struct.pack("<f", -rng.random() * 16))[0]) for _ in range(300)]
    out += [repr(rng.uniform(1, 10) * 10.0 ** rng.randrange(-320, 308)) for _ in range(100)]
    doc = json.dumps({
        "version": "1.0", "added_tokens": [],
        "model": {"type": "Unigram", "unk_id": 0, "vocab": [], "byte_fallback": False},
    })
    vocab = ", ".join(f'["{i}", {n}]' for i, n in enumerate(out))
    tok = Tokenizer.from_str(doc.replace('"vocab": []', f'"vocab": [{vocab}]'))
    return [[n, repr(score)] for n, (_, score) in zip(out, json.loads(tok.to_str())["model"]["vocab"], strict=True)]


def write():
    strings = bpe.read_strings()
    texts = common_texts(strings)
    make_charsmaps(texts)
    train_xlmr(texts)
    train_bytes(texts)
    doc = {"version": tokenizers.__version__, "scores": read_scores()}
    doc["pipelines"] = [run_pipeline(strings, *p) for p in PIPELINES]
    doc["cases"] = [run_case(strings, *c) for c in CASES]
    with open(os.path.join(OUT, "unigram_cases.json"), "w", encoding="utf-8") as f:
        json.dump(doc, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def run_pipeline(strings, name, normalizer, pre):
    """Returns an entry of "pipelines"."""
    return bpe.run_pipeline(strings, name, filled(normalizer), pre) | {"normalizer": normalizer}


def run_case(strings, name, file, patch, points):
    """Returns an entry of "cases". A text holds eight code points."""
    tok = load(file, patch)
    if "added_tokens+" in patch:  # with the ids that the library gave them
        patch = patch | {"added_tokens+": [t | {"id": tok.token_to_id(t["content"])} for t in patch["added_tokens+"]]}
    out = {"name": name, "file": os.path.relpath(file, os.path.join(OUT, "..")), "patch": patch}
    if points:
        out["points"] = base.hashes(base.LAST // 8, 1024, lambda i: base.encode(tok, point_texts(i)))
    if points or name == "whole texts":
        out["words"] = base.hashes(len(strings), words_fixtures.BLOCK, lambda i: words_fixtures.run(tok, strings[i], i))
    tried, out["ids"] = base.kinds(tok, strings, BLOCK)
    for kind, (n, size, result) in tried.items():
        out[kind] = base.hashes(n, size, result)
    print(name, flush=True)
    return out


def point_texts(i):
    return "".join(map(base.point_text, bpe.block(i)))


def show(case, kind, number):
    strings = bpe.read_strings()
    for name, normalizer, pre in PIPELINES:
        if name == case:
            text = point_texts(number) if kind == "points" else strings[number]
            print(ascii(text), base.run_pipeline(*base.parts(filled(normalizer), pre), text))
            return
    file, patch = next((f, p) for n, f, p, _ in CASES if n == case)
    tok = load(file, patch)
    if kind == "points":
        print(ascii(point_texts(number)), base.encode(tok, point_texts(number)))
    else:
        print(ascii(strings[number]), base.kinds(tok, strings, BLOCK)[0][kind][2](number))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        show(sys.argv[2], sys.argv[3], int(sys.argv[4], 0))
    else:
        write()
