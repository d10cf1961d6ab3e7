"""Writes the BPE fixtures of tokenize/: the results of Hugging Face tokenizers for many texts.

    python reference/bpe_fixtures.py                     # writes tokenize/testdata/bpe_*
    python reference/bpe_fixtures.py --show CASE KIND N  # prints one result

It works like tokenizer_fixtures.py, for the parts that language models use. The texts are those of that script and
2,048 more (bpe_strings.json.gz). Three small models are trained here unless their files exist, since training breaks
ties by chance: bpe_bytes.json (byte-level, with the words of Llama 3), bpe_marks.json (in SentencePiece's manner:
blanks as U+2581, bytes for unknown characters), bpe_affixes.json (with a prefix inside words and a suffix at their
end).
"""

import gzip
import json
import os
import random
import sys

import tokenizers
import tokenizer_fixtures as base
from tokenizer_fixtures import added, chain
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

OUT = base.OUT
BYTES, MARKS, AFFIXES = (os.path.join(OUT, f"bpe_{name}.json") for name in ("bytes", "marks", "affixes"))
BLOCK = 32  # texts of one hash

GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
R50K = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
R50K_NEW = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
LLAMA3 = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|""" \
    r"""\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
CL100K = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"""
)
QWEN2 = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|""" \
    r"""\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def byte_level(prefix=False, trim=True, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim, "use_regex": regex}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def words(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def metaspace(scheme, cut, mark="\u2581"):
    return {"type": "Metaspace", "replacement": mark, "prepend_scheme": scheme, "split": cut}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


def rewrite(*parts):
    return {"type": "Sequence", "normalizers": list(parts)}


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def strip(left, right):
    return {"type": "Strip", "strip_left": left, "strip_right": right}


PREPEND = {"type": "Prepend", "prepend": "\u2581"}
LLAMA2 = rewrite(PREPEND, replace(" ", "\u2581"))
NFC, NFKC, NFD, LOWER = ({"type": t} for t in ("NFC", "NFKC", "NFD", "Lowercase"))
PUNCT = {"type": "Punctuation", "behavior": "Contiguous"}

PIPELINES = [
    ("gpt2", None, byte_level()),
    ("gpt2 prefix", None, byte_level(prefix=True)),
    ("gpt2 words", None, split(GPT2)),
    ("r50k words", None, split(R50K)),
    ("new r50k words", None, split(R50K_NEW)),
    ("llama3 words", None, split(LLAMA3)),
    ("cl100k words", None, split(CL100K)),
    ("qwen2", NFC, words(split(QWEN2), byte_level(regex=False))),
    ("llama3 prefix", None, words(split(LLAMA3), byte_level(prefix=True, regex=False))),
    ("smollm2", None, words(digits(True), byte_level())),
    ("falcon", None, words(PUNCT, byte_level(), digits(False), split("[0-9][0-9][0-9]"))),
    ("metaspace", None, metaspace("always", True)),
    ("metaspace first", None, metaspace("first", False)),
    ("metaspace never", None, metaspace("never", True, "_")),
    ("metaspace of words", None, words(split(r"[\r\n]", "MergedWithPrevious"), metaspace("always", True))),
    ("metaspace first of words", None, words(split(r"\p{N}+"), metaspace("first", True), byte_level(prefix=True))),
    ("llama2", LLAMA2, None),
    (
        "strip", rewrite(strip(True, True), PREPEND, replace(" ", "\u2581")),
        split("\u2581", "MergedWithNext", kind="String"),
    ),
    ("strip left", rewrite(strip(True, False), NFKC), None),
    ("strip right", rewrite(NFD, strip(False, True)), digits(True)),
    (
        "replace", rewrite(replace(r"\s+", " ", "Regex"), LOWER, replace("a", "xyz"), replace("e", "")),
        {"type": "WhitespaceSplit"},
    ),
    ("replace marks", rewrite(NFD, replace(r"[^\p{L}\p{N}\s]", "\u00e9\u4e2d", "Regex"), NFC), byte_level()),
]
PIPELINES += [
    (f"{behavior} {pattern} {invert}", None, split(pattern, behavior, invert, kind))
    for behavior in BEHAVIORS
    for invert in (False, True)
    for kind, pattern in (("Regex", r"\s"), ("String", "an"))
]
PIPELINES += [
    (f"regex {p}", None, split(p))
    for p in (
        r" ?\p{L}+", r"\p{N}{1,3}", r"\d+", r"\w+", r"\W", r"[^\s\p{L}]", r"(?:an|a)e?", " {2,}", r".",
        r"[A-Za-z\u00b5\u00c0-\u00d6]+", r"[\]\-\\.]|\D{5}",
    )
]

TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "<s>", "type_id": 1}},
        {"Sequence": {"id": "B", "type_id": 1}},
    ],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
}
BEGIN = json.loads(json.dumps(TEMPLATE).replace('"<s>"', '"<|begin|>"'))
ROBERTA = {
    "type": "RobertaProcessing", "sep": ["<|endoftext|>", 0], "cls": ["<|begin|>", 1], "trim_offsets": True,
    "add_prefix_space": True,
}


def both(*parts):
    return {"type": "Sequence", "processors": list(parts)}


def decoders(*parts):
    return {"type": "Sequence", "decoders": list(parts)}


FALLBACK, FUSE = {"type": "ByteFallback"}, {"type": "Fuse"}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
LLAMA2_DECODER = decoders(replace("\u2581", " "), FALLBACK, FUSE, STRIP)


ADDED = [  # their ids come from the vocabulary
    added(0, "qolo", single=True, normalized=False),
    added(0, "<left>", left=True, normalized=False),
    added(0, "<right>", right=True, normalized=False),
    added(0, "<both>", left=True, right=True, special=True, normalized=False),
    added(0, "Caf\u00e9 Noir"),
    added(0, " pad", left=True),
    added(0, "word", single=True, special=True),
    added(0, "\u6f22\u5b57"),
]


# name, file, fields of tokenizer.json to replace ("model" only in part)
CASES = [
    ("gpt2", BYTES, {"pre_tokenizer": byte_level(), "post_processor": byte_level()}),
    ("roberta", BYTES, {"pre_tokenizer": byte_level(prefix=True), "post_processor": ROBERTA}),
    ("llama3", BYTES, {"model": {"ignore_merges": True}, "post_processor": both(byte_level(), BEGIN)}),
    (
        "qwen2", BYTES,
        {
            "normalizer": NFC, "pre_tokenizer": words(split(QWEN2), byte_level(regex=False)),
            "post_processor": byte_level(trim=False),
        },
    ),
    ("smollm2", BYTES, {"pre_tokenizer": words(digits(True), byte_level()), "post_processor": None}),
    (
        "gpt2 added", BYTES,
        {"pre_tokenizer": byte_level(), "post_processor": both(byte_level(prefix=True), BEGIN), "added_tokens+": ADDED},
    ),
    ("llama2", MARKS, {}),
    ("llama2 added", MARKS, {"added_tokens+": ADDED}),
    ("mistral", MARKS, {"normalizer": None, "pre_tokenizer": metaspace("first", False), "post_processor": None}),
    (
        "unknown fused", MARKS,
        {
            "model": {"byte_fallback": False}, "normalizer": None, "pre_tokenizer": metaspace("always", True),
            "decoder": metaspace("always", True),
        },
    ),
    (
        "unknown", MARKS,
        {
            "model": {"byte_fallback": False, "fuse_unk": False}, "normalizer": LOWER,
            "pre_tokenizer": metaspace("never", True), "decoder": metaspace("never", True),
        },
    ),
    (
        "no unknown", MARKS,
        {
            "model": {"byte_fallback": False, "unk_token": None}, "pre_tokenizer": split("\u2581", kind="String"),
            "decoder": decoders(FUSE, replace("\u2581", "_")),
        },
    ),
    (
        "some bytes", MARKS,
        {
            "drop": ["<0xE3>", "<0xC3>", "<0xF0>"],
            "decoder": decoders(FALLBACK, {"type": "Strip", "content": "\u2581", "start": 2, "stop": 0}),
        },
    ),
    ("affixes", AFFIXES, {}),
]


def make_strings(n=2048, seed=20261125):
    """Returns texts that the patterns of language models treat differently, and spelled-out tokens."""
    rng = random.Random(seed)
    parts = [
        "'s", "'S", "'\u017f", "'ll", "'LL", "'lL", "'re", "'RE", "'Ve", "'m", "'T", "'d", "'x", "''s", "\u2019s",
        "don't", "I'M",
    ]
    parts += [
        " ", "  ", "    ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "\u00a0", "\u3000", "\u2003\n", "\v", "\x85",
        "\u2028",
    ]
    parts += [
        "1", "12", "123", "1234", "3.14", "\u0661\u0662\u0663\u0664", "\u00bd\u00b2", "\u2167", "\u4e00\u4e8c",
        "\U0001d7d8\U0001d7d9", "\u3007", "\U00011de0", "\U00016ff4",
    ]
    parts += [
        "word", "Hello", " the", " of", "\u00e9t\u00e9", "e\u0301", "stra\u00dfe", "\u043c\u0438\u0440",
        "\u0939\u093f\u0928\u094d\u0926\u0940", "\u65e5\u672c\u8a9e", "\u0e44\u0e17\u0e22", "\ud55c\uad6d",
    ]
    parts += [
        "!", "...", "?!", "->", "//", "{}", "(", ")", "_", "__", "\u2581", "\u2581\u2581", "\u0120", "\u0120a",
        "\u010a", "\u20ac", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u200b", "\u0301", "\ufffd",
    ]
    parts += [
        "<s>", "</s>", "<unk>", "<|endoftext|>", "<|begin|>", "<0x0A>", "<0xE2>", "<pad>", "word", "<left>", "<right>",
        "<both>", " pad", "</w>", "##",
    ]
    out = ["", "'", "\n", " ", "'\u017f", "a\n \n b", "x\r\n\r\n", "\u0120", "\u2581", " \u2581 ", "\0"]
    while len(out) < n:
        out.append("".join(rng.choice(parts) + rng.choice(["", "", " "]) for _ in range(rng.randint(1, 12))))
    return out


def train(file, model, trainer, texts, finish, **stations):
    """Trains and writes a small tokenizer, unless the file exists; finish completes its JSON."""
    if os.path.exists(file):
        return
    tok = Tokenizer(model)
    for name, station in stations.items():
        setattr(tok, name, station)
    tok.train_from_iterator(texts, trainer)
    doc = json.loads(tok.to_str())
    # the older spelling; bpe_marks.json has the newer
    doc["model"]["merges"] = [" ".join(m) for m in doc["model"]["merges"]]
    finish(doc)
    with open(file, "w", encoding="utf-8") as f:
        json.dump(doc, f, ensure_ascii=False, separators=(",", ":"))


def train_all(texts):
    def pairs(doc):
        doc["model"]["merges"] = [m.split(" ") for m in doc["model"]["merges"]]

    def finish_bytes(doc):
        doc["post_processor"], doc["decoder"] = byte_level(), byte_level()

    def finish_marks(doc):
        pairs(doc)
        doc["added_tokens"] = doc["added_tokens"][:3]
        doc["normalizer"], doc["pre_tokenizer"], doc["post_processor"], doc["decoder"] = (
            LLAMA2, None, TEMPLATE, LLAMA2_DECODER
        )

    def finish_affixes(doc):
        doc["decoder"] = {"type": "BPEDecoder", "suffix": "</w>"}

    quiet = {"show_progress": False}
    words = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False),
    ])
    trainer = trainers.BpeTrainer(
        vocab_size=2400, special_tokens=["<|endoftext|>", "<|begin|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **quiet)
    train(BYTES, models.BPE(), trainer, texts, finish_bytes, pre_tokenizer=words)
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=special, limit_alphabet=200, **quiet)
    model = models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    train(MARKS, model, trainer, texts, finish_marks, pre_tokenizer=pre_tokenizers.Metaspace(split=False))
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["[UNK]"], limit_alphabet=100, continuing_subword_prefix="##",
        end_of_word_suffix="</w>", **quiet)
    model = models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>")
    train(
        AFFIXES, model, trainer, texts, finish_affixes, pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        normalizer=normalizers.Lowercase(),
    )


def read_strings():
    out = []
    for name in ("strings", "bpe_strings"):
        with gzip.open(os.path.join(OUT, name + ".json.gz")) as f:
            out += json.loads(f.read())
    return out


def write():
    with open(os.path.join(OUT, "bpe_strings.json.gz"), "wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as f:
            f.write(json.dumps(make_strings(), ensure_ascii=False, separators=(",", ":")).encode())
    strings = read_strings()
    train_all(strings)
    doc = {"version": tokenizers.__version__}
    doc["pipelines"] = [run_pipeline(strings, *p) for p in PIPELINES]
    doc["cases"] = [run_case(strings, *c) for c in CASES]
    with open(os.path.join(OUT, "bpe_cases.json"), "w", encoding="utf-8") as f:
        json.dump(doc, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def run_pipeline(strings, name, normalizer, pre):
    """Returns an entry of "pipelines". A text holds eight code points."""
    n, p = base.parts(normalizer, pre)
    out = {"name": name, "normalizer": normalizer, "pre_tokenizer": pre}
    out["points"] = base.hashes(
        base.LAST // 8, 1024, lambda i: base.run_pipeline(n, p, "".join(map(base.point_text, block(i)))),
    )
    out["strings"] = base.hashes(len(strings), 4 * BLOCK, lambda i: base.run_pipeline(n, p, strings[i]))
    print(name, flush=True)
    return out


def run_case(strings, name, file, patch):
    """Returns an entry of "cases"."""
    tok = base.load(file, patch)
    if "added_tokens+" in patch:  # with the ids that the library gave them
        patch = patch | {"added_tokens+": [t | {"id": tok.token_to_id(t["content"])} for t in patch["added_tokens+"]]}
    out = {"name": name, "file": os.path.relpath(file, os.path.join(OUT, "..")), "patch": patch}
    out["points"] = base.points(lambda text: base.encode(tok, text))
    tried, out["ids"] = base.kinds(tok, strings, BLOCK)
    for kind, (n, size, result) in tried.items():
        out[kind] = base.hashes(n, size, result)
    print(name, flush=True)
    return out


def block(i):
    return [c for c in range(8 * i, 8 * i + 8) if not 0xD800 <= c <= 0xDFFF]


def show(case, kind, number):
    strings = read_strings()
    for name, normalizer, pre in PIPELINES:
        if name == case:
            text = "".join(map(base.point_text, block(number))) if kind == "points" else strings[number]
            print(ascii(text), base.run_pipeline(*base.parts(normalizer, pre), text))
            return
    file, patch = next((f, p) for n, f, p in CASES if n == case)
    tok = base.load(file, patch)
    if kind == "points":
        print(ascii(base.point_text(number)), base.encode(tok, base.point_text(number)))
    else:
        print(ascii(strings[number]), base.kinds(tok, strings, BLOCK)[0][kind][2](number))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        show(sys.argv[2], sys.argv[3], int(sys.argv[4], 0))
    else:
        write()
