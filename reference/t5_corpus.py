#!/usr/bin/env python3
"""Writes the sources of the embedded T5: its training pairs, its tokenizer, its configuration, and the embedded data of
the two tasks that adapt it.

usage: python reference/t5_corpus.py --tatoeba DIR --e2e DIR --output DIR

The English–Swedish pairs of Tatoeba (CC BY 2.0 FR) are divided by the number of English words: the base model learns
those with at most 6, the adapter the longer ones. The tables of the E2E data set (CC BY-SA 4.0) are divided by their
place in devset.csv: the adapter learns every third table with its sentences; the base model sees the sentences of the
others, without the tables. Nothing is taken from a test file but the test rows.

    OUTPUT/t5         config.json, tokenizer.json, tokenizer_config.json, AUTHORS.txt
    OUTPUT/pretrain.jsonl, heldout.jsonl      what the base model learns, and the short pairs of Tatoeba's dev part
    OUTPUT/tatoeba    train.tsv, test.tsv     the pairs with more words, with their attribution
    OUTPUT/e2e        train.jsonl, test.jsonl the tables with their sentences
    OUTPUT/dev        tatoeba.tsv, e2e.jsonl  rows to choose settings by, which are in no other file

docs/embedded-t5.md has the command that trains the model.
"""
import argparse
import csv
import io
import json
import pathlib
import random
import re

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

SEED = 15
SHORT = 6  # English words of the longest pairs that the base model sees
VOCABULARY, SENTINELS = 4096, 32
TEST_TABLES = 3  # every third table of the test file is a test row
CONFIG = {
    "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": VOCABULARY, "d_model": 128,
    "d_kv": 32, "d_ff": 512, "num_layers": 3, "num_decoder_layers": 3, "num_heads": 4,
    "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6, "initializer_factor": 1.0, "feed_forward_proj": "relu", "is_encoder_decoder": True,
    "tie_word_embeddings": True, "use_cache": True, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
}
TRANSLATE, RESTORE = "Swedish: ", "restore: "


def lines(path):
    """Returns the header and the rows of a file of Tatoeba: English, Swedish, attribution."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return rows[0], rows[1:]


def words(text):
    return len(text.split())


def tables(path):
    """Returns the sentences of each table of a file of E2E, in the order of the file."""
    out = {}
    for table, sentence in list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))[1:]:
        out.setdefault(table, []).append(" ".join(sentence.split()))
    return list(out.items())


def written(table):
    """Writes name[Blue Spice], familyFriendly[no] as name: Blue Spice, family friendly: no."""
    cells = re.findall(r"\s*([^,\[\]]+)\[(.*?)\]", table)
    names = [re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower() for name, _ in cells]
    return ", ".join(f"{name}: {value}" for name, (_, value) in zip(names, cells))


def spans(text, rng):
    """Replaces about a quarter of the words, one span in eight words, by sentinels: T5's span corruption."""
    w = text.split()
    count = max(1, round(len(w) / 8))
    length = max(1, round(len(w) / 4 / count))
    starts = sorted(rng.sample(range(0, len(w), length + 1), min(count, len(range(0, len(w), length + 1)))))
    source, target, at = [], [], 0
    for i, start in enumerate(starts):
        source += w[at:start] + [f"<extra_id_{i}>"]
        target += [f"<extra_id_{i}>"] + w[start:start + length]
        at = start + length
    return " ".join(source + w[at:]), " ".join(target + [f"<extra_id_{len(starts)}>"])


def restore(text, rng):
    """Leaves out words, each with a probability that is drawn for the text; the target is the whole text."""
    p = rng.uniform(0.2, 0.6)
    kept = [w for w in text.split() if rng.random() >= p]
    return RESTORE + " ".join(kept or text.split()[:1]), text


def jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")


def tsv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(r) + "\n" for r in [header] + rows), encoding="utf-8")


def pieces(texts):
    """Trains SentencePiece's Unigram model and returns its pieces with their scores."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, model_type="unigram", vocab_size=VOCABULARY - SENTINELS,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>",
        normalization_rule_name="identity", character_coverage=1.0, num_threads=1, minloglevel=2, shrinking_factor=0.9,
        required_chars="abcdefghijklmnopqrstuvwxyzåäöéABCDEFGHIJKLMNOPQRSTUVWXYZÅÄÖÉ0123456789.,;:!?'\"()-–£$%&/|",
    )
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [(sp.id_to_piece(i), sp.get_score(i)) for i in range(sp.get_piece_size())]


def tokenizer(texts):
    """Returns the tokenizer as transformers' T5Tokenizer makes it of pieces: sentinels last, the first one at the end."""
    sentinels = [f"<extra_id_{i}>" for i in range(SENTINELS)]
    vocabulary = pieces(texts) + [(s, 0.0) for s in reversed(sentinels)]
    tok = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")])
    tok.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tok.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ["<pad>", "</s>", "<unk>"] + sentinels])
    return tok


def main():
    parser = argparse.ArgumentParser()
    for name in ("tatoeba", "e2e", "output"):
        parser.add_argument("--" + name, required=True, type=pathlib.Path)
    a = parser.parse_args()
    rng = random.Random(SEED)
    header, train = lines(a.tatoeba / "train.tsv")
    short = [r for r in train if words(r[0]) <= SHORT]
    long = [r for r in train if words(r[0]) > SHORT]
    sides = {name: lines(a.tatoeba / f"{name}.tsv")[1] for name in ("dev", "test")}
    tsv(a.output / "tatoeba/train.tsv", header, long)
    tsv(a.output / "tatoeba/test.tsv", header, [r for r in sides["test"] if words(r[0]) > SHORT])
    tsv(a.output / "dev/tatoeba.tsv", header, [r for r in sides["dev"] if words(r[0]) > SHORT])

    dev, test = tables(a.e2e / "devset.csv"), tables(a.e2e / "testset_w_refs.csv")
    rows = lambda part: [{"source": written(t), "target": s} for t, sentences in part for s in sentences]
    grouped = lambda part: [{"source": written(t), "targets": sentences} for t, sentences in part]
    learned = dev[::3]
    seen = sorted({s for i, (_, sentences) in enumerate(dev) if i % 3 for s in sentences} -
                  {s for _, sentences in learned for s in sentences})
    jsonl(a.output / "e2e/train.jsonl", rows(learned))
    jsonl(a.output / "e2e/test.jsonl", grouped(test[::TEST_TABLES]))
    jsonl(a.output / "dev/e2e.jsonl", grouped(test[1::4 * TEST_TABLES]))

    english = sorted({r[0] for r in short})
    pretrain = [(TRANSLATE + en, sv) for en, sv, _ in short]
    for text in rng.sample(english, 8000):
        pretrain.append((spans if rng.random() < 0.5 else restore)(text, rng))
    for text in rng.sample(seen, 2000):
        pretrain.append((spans if rng.random() < 0.3 else restore)(text, rng))
    rng.shuffle(pretrain)
    jsonl(a.output / "pretrain.jsonl", [{"source": s, "target": t} for s, t in pretrain])
    jsonl(a.output / "heldout.jsonl", [
        {"source": TRANSLATE + en, "target": sv} for en, sv, _ in sides["dev"] if words(en) <= SHORT])

    texts = [x for en, sv, _ in train for x in (en, sv)] + [s for _, sentences in dev for s in sentences]
    texts += [written(t) for t, _ in learned] + [TRANSLATE + RESTORE] * 100
    tok = tokenizer(texts)
    t5 = a.output / "t5"
    t5.mkdir(parents=True, exist_ok=True)
    tok.save(str(t5 / "tokenizer.json"))
    settings = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
                "extra_ids": SENTINELS, "model_max_length": 512, "clean_up_tokenization_spaces": False}
    (t5 / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (t5 / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    authors = sorted({x for r in short for x in re.findall(r"\(([^()]*)\)", r[2])}, key=str.lower)
    (t5 / "AUTHORS.txt").write_text(", ".join(authors) + "\n", encoding="utf-8")
    count = lambda texts: sum(len(tok.encode(t).ids) for t in texts)
    print(len(short), "short pairs,", len(long), "longer,", len(pretrain), "rows to train on:",
          count(s for s, _ in pretrain), "tokens of sources,", count(t for _, t in pretrain), "of targets;",
          len(authors), "authors")


if __name__ == "__main__":
    main()
