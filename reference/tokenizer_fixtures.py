"""Writes the fixtures of tokenize/: the results of Hugging Face tokenizers for many texts.

    python reference/tokenizer_fixtures.py                     # writes tokenize/testdata
    python reference/tokenizer_fixtures.py --show CASE KIND N  # prints one result

strings.json.gz holds the texts; cases.json holds, for each case, one hash (the first four bytes of SHA-256) of the
results of each block of texts. If a test finds another hash, it names the case, the kind of text and its number for
--show. cased.json is a small cased tokenizer, which is trained here on the texts if the file does not exist: training
breaks ties by chance.
"""

import base64
import gzip
import hashlib
import json
import os
import random
import struct
import sys

import tokenizers
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizer_strings import make_strings

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "tokenize", "testdata")
MINILM = os.path.join(HERE, "..", "embedded", "minilm", "tokenizer.json")
CASED = os.path.join(OUT, "cased.json")
LAST = 0x30000  # code points below are tested one by one
BLOCK = 256  # code points of one hash
STRINGS = 32  # strings of one hash
LENGTHS = [3, 4, 5, 8, 13, 16, 32, 64]  # max lengths of the truncated pairs

BERT = {"type": "BertPreTokenizer"}
SPLIT = {"type": "WhitespaceSplit"}


def bert(clean=True, chinese=True, strip=None, lower=True):
    return {
        "type": "BertNormalizer",
        "clean_text": clean,
        "handle_chinese_chars": chinese,
        "strip_accents": strip,
        "lowercase": lower,
    }


def chain(*types):
    return {"type": "Sequence", "normalizers": [{"type": t} for t in types]}


PIPELINES = [
    ("bert", bert(), BERT),
    ("bert cased", bert(lower=False), BERT),
    ("bert accents only", bert(strip=True, lower=False), BERT),
    ("bert lower only", bert(strip=False), BERT),
    ("bert raw", bert(clean=False, chinese=False), BERT),
    ("lowercase", {"type": "Lowercase"}, SPLIT),
    ("nfd strip lower", chain("NFD", "StripAccents", "Lowercase"), {"type": "Whitespace"}),
    ("strip nfkd", chain("StripAccents", "NFKD"), {"type": "Punctuation", "behavior": "Isolated"}),
    ("nfc", {"type": "NFC"}, {"type": "Whitespace"}),
    ("nfkc", {"type": "NFKC"}, {"type": "Sequence", "pretokenizers": [SPLIT, {"type": "Punctuation"}]}),
    ("nfkd", {"type": "NFKD"}, None),
    ("lower nfc", chain("Lowercase", "NFC", "NFKD"), BERT),
    ("none", None, None),
]


def added(i, content, special=False, normalized=True, single=False, left=False, right=False):
    return {
        "id": i,
        "content": content,
        "single_word": single,
        "lstrip": left,
        "rstrip": right,
        "normalized": normalized,
        "special": special,
    }


ADDED = [
    added(30522, "qolo", single=True, normalized=False),
    added(30523, "<left>", left=True, normalized=False),
    added(30524, "<right>", right=True, normalized=False),
    added(30525, "<both>", left=True, right=True, special=True, normalized=False),
    added(30526, "Caf\u00e9 Noir"),
    added(30527, "<LOW>", special=True, normalized=True),
    added(30528, "Word", single=True),
    added(30529, "\u6f22\u5b57"),
    added(30530, "<left><both>", normalized=False),
    added(30531, " pad", left=True),
]

BERT_PROCESSING = {"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}
ODD_TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 3}}, {"SpecialToken": {"id": "end", "type_id": 2}}],
    "pair": [
        {"Sequence": {"id": "B", "type_id": 1}},
        {"SpecialToken": {"id": "end", "type_id": 5}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ],
    "special_tokens": {"end": {"id": "end", "ids": [102, 103], "tokens": ["[SEP]", "[MASK]"]}},
}

# name, file, fields of tokenizer.json to replace ("model" only in part)
CASES = [
    ("minilm", MINILM, {}),
    ("cased", CASED, {}),
    ("minilm raw", MINILM, {"normalizer": bert(clean=False, strip=False), "post_processor": None, "decoder": None}),
    (
        "minilm odd",
        MINILM,
        {
            "normalizer": chain("NFKC", "Lowercase"),
            "pre_tokenizer": SPLIT,
            "post_processor": ODD_TEMPLATE,
            "model": {"max_input_chars_per_word": 20},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        },
    ),
    ("minilm added", MINILM, {"added_tokens+": ADDED, "post_processor": BERT_PROCESSING}),
]


def patched(file, patch):
    """Returns the JSON of a tokenizer file with the fields of patch replaced."""
    with open(file, encoding="utf-8") as f:
        doc = json.load(f)
    for key, value in patch.items():
        if key == "model":
            doc["model"].update(value)
        elif key == "drop":
            for token in value:
                del doc["model"]["vocab"][token]
        elif key == "added_tokens+":
            doc["added_tokens"] += value
        else:
            doc[key] = value
    return doc


def load(file, patch):
    tok = Tokenizer.from_str(json.dumps(patched(file, patch)))
    tok.no_padding()
    tok.no_truncation()
    return tok


def parts(normalizer, pre):
    """Returns the library's normalizer and pre-tokenizer for two JSON values."""
    doc = {"version": "1.0", "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre}
    doc["model"] = {
        "type": "WordPiece",
        "unk_token": "u",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {"u": 0},
    }
    tok = Tokenizer.from_str(json.dumps(doc))
    return tok.normalizer, tok.pre_tokenizer


def characters(word):
    """Returns one token for each character: its code point, and its bytes in word."""
    out, at = [], 0
    for c in word:
        n = len(c.encode("utf-8"))
        out.append(tokenizers.Token(ord(c), c, (at, at + n)))
        at += n
    return out


def run_pipeline(normalizer, pre, text):
    """Returns the characters that a model would see: code points, offsets, words."""
    p = tokenizers.PreTokenizedString(text)
    if normalizer:
        p.normalize(normalizer.normalize)
    if pre:
        pre.pre_tokenize(p)
    p.tokenize(characters)
    e = p.to_encoding()
    return e.ids, e.type_ids, e.offsets, e.word_ids


def point_text(p):
    c = chr(p)
    return f"{c} a{c}b {c}{c}"


def pair_options(i):
    """Returns strategy, side, max length and special tokens of the i-th pair."""
    strategy = ["longest_first", "only_first", "only_second"][i % 3]
    return strategy, ["right", "left"][i // 3 % 2], LENGTHS[i // 6 % len(LENGTHS)], i // 48 % 4 != 0


def run_pair(tok, strings, i):
    strategy, side, n, special = pair_options(i)
    if special and tok.num_special_tokens_to_add(i % 7 != 0) > n:
        return None  # the library's count of what is left wraps around, so that it would not truncate at all
    tok.enable_truncation(n, strategy=strategy, direction=side)
    try:
        if i % 7 == 0:
            e = tok.encode(strings[i], add_special_tokens=special)
        else:
            e = tok.encode(strings[i], strings[-1 - i], add_special_tokens=special)
    except BaseException as err:  # the library panics on a length without room
        assert "runcat" in str(err) or "overflow" in str(err) or "stride" in str(err), (i, err)
        return None
    finally:
        tok.no_truncation()
    return e.ids, e.type_ids, e.offsets, []


def pack(result):
    """Returns the bytes of a result for hashing; the Go test packs the same bytes."""
    if result is None:
        return b"error"
    if isinstance(result, str):
        return result.encode("utf-8") + b"\0"
    ids, types, offsets, words = result
    flat = [len(ids), *ids, *types, *(x for o in offsets for x in o), *(-1 if w is None else w for w in words)]
    return struct.pack(f"<{len(flat)}i", *flat)


def digest(results):
    return hashlib.sha256(b"".join(map(pack, results))).digest()[:4]


def hashes(n, block, result):
    """Returns one digest for each block of n results, in base64."""
    out = b""
    for i in range(0, n, block):
        out += digest(result(k) for k in range(i, min(i + block, n)))
    return base64.b64encode(out).decode()


def points(result):
    """Does the same as hashes for every code point; surrogates count as empty texts."""
    return hashes(LAST, BLOCK, lambda p: result("" if 0xD800 <= p <= 0xDFFF else point_text(p)))


def encode(tok, text):
    e = tok.encode(text)
    return e.ids, e.type_ids, e.offsets, e.word_ids


def kinds(tok, strings, block=8):
    """Returns the tests of a tokenizer: name to (count, block, result)."""
    size = tok.get_vocab_size()
    rng = random.Random(5)
    noise = [[rng.randrange(size + 5) for _ in range(rng.randrange(12))] for _ in range(128)]
    return {
        "strings": (len(strings), block, lambda i: encode(tok, strings[i])),
        "pairs": (len(strings), block, lambda i: run_pair(tok, strings, i)),
        "decode": (len(strings), 32, lambda i: tok.decode(tok.encode(strings[i]).ids, skip_special_tokens=i % 2 == 0)),
        "noise": (len(noise), 32, lambda i: tok.decode(noise[i], skip_special_tokens=i % 2 == 0)),
    }, noise


def train_cased(strings):
    """Writes a small cased tokenizer that covers many scripts, unless the file exists."""
    if os.path.exists(CASED):
        return
    tok = Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=False)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=2500, special_tokens=special, limit_alphabet=900, show_progress=False
    )
    tok.train_from_iterator(strings, trainer)
    doc = json.loads(tok.to_str())
    vocab = special + sorted(t for t in doc["model"]["vocab"] if t not in special)
    doc["model"]["vocab"] = {t: i for i, t in enumerate(vocab)}
    doc["post_processor"] = BERT_PROCESSING | {"sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    doc["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    with open(CASED, "w", encoding="utf-8") as f:
        json.dump(doc, f, ensure_ascii=False, separators=(",", ":"))


def write():
    os.makedirs(OUT, exist_ok=True)
    with open(MINILM, encoding="utf-8") as f:
        strings = make_strings(json.load(f)["model"]["vocab"])
    with open(os.path.join(OUT, "strings.json.gz"), "wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as f:
            f.write(json.dumps(strings, ensure_ascii=False, separators=(",", ":")).encode())
    train_cased(strings)
    doc = {"version": tokenizers.__version__, "pipelines": [], "cases": []}
    for name, normalizer, pre in PIPELINES:
        n, p = parts(normalizer, pre)
        doc["pipelines"].append(
            {
                "name": name,
                "normalizer": normalizer,
                "pre_tokenizer": pre,
                "points": points(lambda text: run_pipeline(n, p, text)),
                "strings": hashes(len(strings), STRINGS, lambda i: run_pipeline(n, p, strings[i])),
            }
        )
        print(name, flush=True)
    for name, file, patch in CASES:
        tok = load(file, patch)
        case = {"name": name, "file": os.path.relpath(file, os.path.join(OUT, "..")), "patch": patch}
        case["points"] = points(lambda text: encode(tok, text))
        tried, case["ids"] = kinds(tok, strings)
        for kind, (n, block, result) in tried.items():
            case[kind] = hashes(n, block, result)
        doc["cases"].append(case)
        print(name, flush=True)
    with open(os.path.join(OUT, "cases.json"), "w", encoding="utf-8") as f:
        json.dump(doc, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def show(case, kind, number):
    with gzip.open(os.path.join(OUT, "strings.json.gz")) as f:
        strings = json.loads(f.read())
    for name, normalizer, pre in PIPELINES:
        if name == case:
            text = point_text(number) if kind == "points" else strings[number]
            print(ascii(text), run_pipeline(*parts(normalizer, pre), text))
            return
    file, patch = next((f, p) for n, f, p in CASES if n == case)
    tok = load(file, patch)
    if kind == "points":
        print(ascii(point_text(number)), encode(tok, point_text(number)))
    else:
        print(ascii(strings[number]), kinds(tok, strings)[0][kind][2](number))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        show(sys.argv[2], sys.argv[3], int(sys.argv[4], 0))
    else:
        write()
