"""Writes tokenize/testdata/sentencepiece/cases.json: what transformers makes of SentencePiece models, and of no file.

    python reference/sentencepiece_fixtures.py                     # writes the fixture
    python reference/sentencepiece_fixtures.py --keep              # adds cases to it, keeps the others
    python reference/sentencepiece_fixtures.py --show CASE KIND N  # prints one result

A case is a directory with the models of sentencepiece_models.py, a model_type in config.json and settings, loaded with
AutoTokenizer. The texts are a quarter of those of bpe_fixtures.py and make_texts'. As in tokenizer_fixtures.py, a hash
is that of a block of results. Cases of tokenizers with offsets are also saved as tokenizer.json, with another
pre-tokenizer, and loaded again. If that changes anything, the case has the results as "saved".
"""

import gzip
import json
import os
import random
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"

import bpe_fixtures as bpe
import sentencepiece
import sentencepiece_models as models
import tokenizer_fixtures as base
import transformers
from sentencepiece import sentencepiece_model_pb2

OUT = os.path.join(models.OUT, "cases.json")
TEXTS = os.path.join(models.OUT, "texts.json.gz")
BLOCK = 32
PARTS = [
    " ", " ", " ", "  ", "   ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2581", "\u2581\u2581", "\u200b", "\0", "\x01",
    "\x7f", "\u0085", "\ufeff", "\ufffd", "</s>", "<s>", "<pad>", "<unk>", "<mask>", "[MASK]", "[CLS]", "[SEP]",
    "<extra_id_0>", "<extra_id_1>", "<extra_id_99>", "<extra_id_124>", "<extra_id_500>", "<mask_1>", "<mask_2>", "<unk_2>",
    "<unk_102>", "en_XX", "de_DE", "sl_SI", "eng_Latn", "fra_Latn", ">>fra<<", ">>swe<<", ">>", "<<", "<br>", "<brand>",
    "<0x0A>", "<0xE2>", "<|x|>", "\u25cb\u25cb", "\u25cb", "<x>", "Hello", "world", "hej", "inte", " the", " att", "Tom",
    "\u65e5\u672c", "\u4e00", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1f8\U0001f1ea", "\u00e9", "e\u0301",
    "\ufb01", "\u2460", "\u00df", "\u0130", "\u1e9f", "\u0e33", "\u0928\u092e", "\u0627\u0644", "...", "''", "``", "A",
    "a", "b", "o", "oo", "1234", "12,", "9,", "-", "(", ")", "\u20ac", "\u2013", "supercali" * 9, "z" * 50,
]


def make_texts():
    rng = random.Random(11)
    out = ["", " ", "  ", "\n", "\u2581", "\0", "\u200b", "</s>", " </s> ", "<extra_id_0>", ">>fra<<", ">>fra<< Hello", "a" * 3000,
           " " * 500, "\u1e9f" * 300, "word " * 400, "\u65e5" * 500]
    return out + ["".join(rng.choices(PARTS, k=rng.randrange(1, 14))) for _ in range(1200)]


# Models of sentencepiece_models.py; NAME- is the model without its table of replacements.
def content(name):
    if name.endswith("-"):
        with gzip.open(models.file(name[:-1])) as f:
            return f.read()
    return models.full(name)


SPIECE, BPE_MODEL, LLAMA = "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"
CODES = ["eng_Latn", "fra_Latn", "swe_Latn"]
NLLB = {"tokenizer_class": "NllbTokenizer", "additional_special_tokens": CODES}

# name, files, model_type, tokenizer_config.json
CASES = [
    ("t5", {SPIECE: "t5"}, "t5", {}),
    ("t5 settings", {SPIECE: "t5"}, "t5", {
        "tokenizer_class": "T5Tokenizer", "extra_ids": 20, "model_max_length": 512,
        "additional_special_tokens": [f"<extra_id_{i}>" for i in range(20)] + ["<x>"]}),
    ("mt5", {LLAMA: "t5"}, "mt5", {
        "tokenizer_class": "T5Tokenizer", "extra_ids": 0, "additional_special_tokens": None, "pad_token": "<pad>"}),
    ("t5 without table", {SPIECE: "t5-"}, "t5", {"extra_ids": 3}),
    ("xlm-roberta", {BPE_MODEL: "fairseq"}, "xlm-roberta", {}),
    ("xlm-roberta no prefix", {BPE_MODEL: "bytes"}, "xlm-roberta", {"add_prefix_space": False}),
    ("camembert", {BPE_MODEL: "fairseq"}, "camembert", {}),
    ("albert", {SPIECE: "albert"}, "albert", {}),
    ("albert cased", {SPIECE: "albert"}, "albert", {
        "do_lower_case": False, "keep_accents": True, "add_prefix_space": False}),
    ("mbart", {BPE_MODEL: "fairseq"}, "mbart", {}),
    ("mbart languages", {BPE_MODEL: "fairseq"}, "mbart", {
        "tokenizer_class": "MBartTokenizer", "src_lang": "de_DE", "tgt_lang": "fr_XX"}),
    ("mbart50", {BPE_MODEL: "fairseq"}, "mbart", {
        "tokenizer_class": "MBart50Tokenizer", "src_lang": "de_DE", "tgt_lang": "sl_SI"}),
    ("mbart50 without table", {BPE_MODEL: "bytes"}, "mbart", {
        "tokenizer_class": "MBart50Tokenizer", "language_codes": "ML50"}),
    ("pegasus", {SPIECE: "t5"}, "pegasus", {}),
    ("pegasus settings", {SPIECE: "t5"}, "pegasus", {
        "mask_token": "<mask_2>", "mask_token_sent": "<mask_1>", "offset": 103, "pad_token": "<pad>", "eos_token": "</s>",
        "unk_token": "<unk>", "full_tokenizer_file": None}),
    ("pegasus without table", {SPIECE: "t5-"}, "pegasus", {"offset": 5}),
    ("nllb", {BPE_MODEL: "bpe"}, "m2m_100", NLLB | {"tgt_lang": "swe_Latn"}),
    ("nllb legacy", {BPE_MODEL: "bpe"}, "m2m_100", NLLB | {"legacy_behaviour": True, "src_lang": "fra_Latn"}),
    ("llama", {LLAMA: "llama"}, "llama", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}),
    ("llama legacy", {LLAMA: "llama"}, "llama", {
        "tokenizer_class": "LlamaTokenizer", "add_eos_token": True, "legacy": True, "pad_token": "<unk>"}),
    ("llama no prefix", {LLAMA: "llama"}, "llama", {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False}),
    ("backend bpe", {LLAMA: "llama"}, "llama", {}),
    ("backend table", {LLAMA: "bpe"}, "llama", {"add_bos_token": True}),
    ("byt5", {}, "t5", {"tokenizer_class": "ByT5Tokenizer"}),
    ("byt5 settings", {}, "t5", {
        "tokenizer_class": "ByT5Tokenizer", "extra_ids": 125, "eos_token": {
            "__type": "AddedToken", "content": "</s>", "lstrip": False, "normalized": True, "rstrip": False,
            "single_word": False},
        "additional_special_tokens": ["<x>", "<extra_id_1>"]}),
    ("marian", {"source.spm": "source", "target.spm": "target"}, "marian", {"source_lang": "eng", "target_lang": "swe"}),
    ("marian bpe", {"source.spm": "bpe", "target.spm": "suffix"}, "marian", {"model_max_length": 64}),
    ("marian bytes", {"source.spm": "llama", "target.spm": "bytes"}, "marian", {"separate_vocabs": False}),
    ("marian suffix", {"source.spm": "suffix", "target.spm": "llama"}, "marian", {"extra_special_tokens": ["<x>"]}),
    ("backend unigram", {LLAMA: "bytes"}, "umt5", {}),
]


def vocabulary(files):
    """Returns the tokens of Marian's vocab.json: most of the pieces of both models, languages and padding."""
    out = {"</s>": None, "<unk>": None}
    for name in files.values():
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(content(name))
        out |= {p.piece: None for i, p in enumerate(proto.pieces) if i % 9 != 8}
    return [*out, ">>fra<<", ">>swe<<", "\u1e9f", "<pad>"]


def load(files, model_type, config):
    with tempfile.TemporaryDirectory() as folder:
        if "source.spm" in files:
            with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as f:
                json.dump({t: i for i, t in enumerate(vocabulary(files))}, f)
        for name, model in files.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content(model))
        return load_folder(folder, model_type, config)


def load_folder(folder, model_type, config):
    for name, doc in (("config.json", {"model_type": model_type}), ("tokenizer_config.json", config)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(doc, f)
    return transformers.AutoTokenizer.from_pretrained(folder)


def save_and_load(tok, model_type, config):
    """Returns the tokenizer that is read from the tokenizer.json of tok with other words."""
    with tempfile.TemporaryDirectory() as folder:
        doc = json.loads(tok.backend_tokenizer.to_str())
        doc["pre_tokenizer"] = base.SPLIT
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump(doc, f)
        return load_folder(folder, model_type, config)


def encode(tok, text, pair=None, target=False):
    """Returns ids, the mask of special tokens, offsets (both not for tokenizers written in Python) and no words."""
    args = {"text_target" if target else "text": text, "return_special_tokens_mask": tok.is_fast,
            "return_offsets_mapping": tok.is_fast}
    if pair is not None:
        args["text_pair"] = pair
    e = tok(**args)
    return e["input_ids"], e.get("special_tokens_mask", []), e.get("offset_mapping", []), []


def kinds(tok, texts):
    """Returns the tests of a tokenizer: name to (count, result)."""
    size = len(tok)
    rng = random.Random(3)
    noise = [[rng.randrange(size) for _ in range(rng.randrange(12))] for _ in range(128)]
    return {
        "strings": (len(texts), lambda i: encode(tok, texts[i])),
        "targets": (len(texts) // 4, lambda i: encode(tok, texts[4 * i], target=True)),
        "pairs": (len(texts) // 8, lambda i: encode(tok, texts[8 * i], texts[-1 - i])),
        "decode": (len(texts) // 2, lambda i: tok.decode(tok(texts[2 * i])["input_ids"], skip_special_tokens=i % 2 == 0)),
        "noise": (len(noise), lambda i: tok.decode(noise[i], skip_special_tokens=i % 2 == 0)),
    }, noise


def run(tok, texts):
    tried, noise = kinds(tok, texts)
    return {kind: base.hashes(n, BLOCK, result) for kind, (n, result) in tried.items()} | {"ids": noise}


def read_texts():
    return bpe.read_strings()[::4] + make_texts()


def write():
    models.train()
    texts = read_texts()
    kept = {}
    if "--keep" in sys.argv:  # cases that are there already
        with open(OUT, encoding="utf-8") as f:
            kept = {c["name"]: c for c in json.load(f)["cases"]}
    with open(TEXTS, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as f:
        f.write(json.dumps(make_texts(), ensure_ascii=False, separators=(",", ":")).encode())
    doc = {"versions": [transformers.__version__, sentencepiece.__version__], "cases": []}
    for name, files, model_type, config in CASES:
        if name in kept:
            doc["cases"].append(kept[name])
            continue
        tok = load(files, model_type, config)
        case = {"name": name, "files": files, "model_type": model_type, "config": config, "class": type(tok).__name__,
                "size": len(tok)}
        if "source.spm" in files:
            case["vocab"] = vocabulary(files)
        case |= run(tok, texts)
        if tok.is_fast and case["class"] not in ("TokenizersBackend", "LlamaTokenizer"):
            again = save_and_load(tok, model_type, config)
            if run(again, texts[::16]) != run(tok, texts[::16]):
                case["saved"] = run(again, texts)
                print(name, "differs as tokenizer.json", flush=True)
        doc["cases"].append(case)
        print(name, case["class"], flush=True)
    with open(OUT, "w", encoding="utf-8") as f:
        json.dump(doc, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def show(name, kind, number):
    texts = read_texts()
    tok = load(*next(c[1:] for c in CASES if c[0] == name))
    print(ascii(texts[number]), kinds(tok, texts)[0][kind][1](number))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        show(sys.argv[2], sys.argv[3], int(sys.argv[4], 0))
    else:
        write()
