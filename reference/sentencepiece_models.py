"""Trains the small SentencePiece models of tokenize/testdata/sentencepiece, unless their files exist.

The texts are sentences of Tatoeba in English and Swedish (CC BY 2.0 FR) and of XQuAD in Chinese and German (CC BY-SA
4.0), which the models only count, and those of tokenizer_fixtures.py, which have all scripts. A model's table of
replacements is stored once for all of them: the file NAME.model.gz lacks it, and full() appends it, as protocol buffers
allow.
"""

import bz2
import gzip
import io
import json
import os

import sentencepiece
import unigram_fixtures as unigram
from sentencepiece import sentencepiece_model_pb2

OUT = os.path.join(unigram.OUT, "sentencepiece")
DATA = os.path.join(os.environ["SPALORA_SHARED"], "data")

CONTROL = {"unk_id": 0, "bos_id": 1, "eos_id": 2}
T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
# name: table (of unigram_fixtures.py, or "" without one), size, options of the trainer
MODELS = {
    "t5": ("nmt_nfkc", 1200, T5),
    "fairseq": ("nmt_nfkc", 1200, CONTROL),
    "albert": ("nfkc_cf", 700, {
        "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]"],
        "user_defined_symbols": ["[MASK]", "(", ")", "\"", "-", ".", "\u2013", "\u00a3", "\u20ac"],
    }),
    "source": ("nmt_nfkc", 600, {"unk_id": 0, "bos_id": -1, "eos_id": 1}),
    "target": ("nmt_nfkc", 500, {
        "unk_id": 0, "bos_id": -1, "eos_id": 1, "user_defined_symbols": ["<br>", "\u25cb\u25cb", "<brand>"],
    }),
    "bytes": ("", 700, CONTROL | {"byte_fallback": True, "user_defined_symbols": ["<br>", "\n", "  "]}),
    "bpe": ("nmt_nfkc", 800, CONTROL | {"model_type": "bpe"}),
    "llama": ("", 900, CONTROL | {"model_type": "bpe", "byte_fallback": True, "split_digits": True,
                                 "user_defined_symbols": ["<br>", "<|x|>"], "allow_whitespace_only_pieces": True,
                                 "remove_extra_whitespaces": False}),
    "suffix": ("rules", 500, CONTROL | {"treat_whitespace_as_suffix": True, "add_dummy_prefix": False}),
}


def texts():
    """Returns the sentences to train on."""
    out = []
    with open(os.path.join(DATA, "tatoeba-en-sv", "train.tsv"), encoding="utf-8") as f:
        out += [side for line in list(f)[:3000] for side in line.rstrip("\n").split("\t")[:2]]
    for language in ("de", "zh"):
        with open(os.path.join(DATA, "xquad", f"xquad.{language}.json"), encoding="utf-8") as f:
            doc = json.load(f)
        out += [p["context"][:200] for a in doc["data"][:6] for p in a["paragraphs"]]
    return out + unigram.common_texts(unigram.bpe.read_strings())[::20]


def file(name):
    return os.path.join(OUT, name + ".model.gz")


def train():
    os.makedirs(OUT, exist_ok=True)
    sentences = None
    for name, (table, size, options) in MODELS.items():
        if os.path.exists(file(name)):
            continue
        sentences = sentences or texts()
        if table == "rules":
            options = options | {"normalization_rule_name": "identity"}
        else:
            options = options | {"normalization_rule_name": table or "identity"}
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_writer=out, vocab_size=size, character_coverage=0.98,
            num_threads=1, minloglevel=2, hard_vocab_limit=False, **options)
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(out.getvalue())
        proto.normalizer_spec.precompiled_charsmap = b""
        with open(file(name), "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as f:
                f.write(proto.SerializeToString())


def full(name):
    """Returns the content of a model's file with its table of replacements."""
    with gzip.open(file(name)) as f:
        content = f.read()
    table = MODELS[name][0]
    if table:
        proto = sentencepiece_model_pb2.ModelProto()
        with open(unigram.charsmap_file(table), "rb") as f:
            proto.normalizer_spec.precompiled_charsmap = bz2.decompress(f.read())
        content += proto.SerializePartialToString()
    return content


if __name__ == "__main__":
    train()
