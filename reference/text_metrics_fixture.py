#!/usr/bin/env python3
"""Writes tasks/metrics/testdata/texts.json.gz: scores of generated texts by rouge_score and sacreBLEU.

usage: python reference/text_metrics_fixture.py

cases: a prediction and its references, with the F-measures of ROUGE-1, 2, L and Lsum (with and without stemming), BLEU
with each tokenizer, chrF and chrF++, all times 100. corpora: rows of cases with the scores of sacreBLEU for all of them
together, its counts and its signatures. words: words with the stems of NLTK. tokens: texts with the words that each
tokenizer of sacreBLEU makes of them. categories: the ranges of characters that the package regex takes for numbers,
punctuation and symbols. Texts are made of words, numbers, marks and characters of many scripts, HTML entities and white
space of all kinds; some are empty.
"""
import gzip
import json
import pathlib
import random

import nltk
import regex
import sacrebleu
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

OUT = pathlib.Path(__file__).resolve().parent.parent / "tasks/metrics/testdata/texts.json.gz"
CASES, ROWS = 1200, 8
TOKENIZERS = ("13a", "intl", "zh", "char", "none")
TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
ENGLISH = """the a of and to in is was it for on are as with his they at be this have from or one had by but not what all
were when we there can an your which their said if do will each about how up out them then she many some so these would
other into has more her two like him see time could no make than first been its who now people my made over did down
only way find use may water long little very after words called just where most know running happily nationalization
conflated relational hopefulness troubled skies dying generously agreed feeding falling hissing controlling
communication stories flies died tried enjoyment technological logical archaeologies""".split()
OTHER = """привет мир как дела это хорошо день ночь город 你好 世界 今天天气 很好 我们 中文 日本語 テスト 東京 こんにちは
안녕 세상 한국어 مرحبا بالعالم كيف حالك שלום עולם नमस्ते दुनिया हिन्दी สวัสดี ชาวโลก γειά σου κόσμε çok güzel İstanbul
straße Ångström naïve café İİ K2 ſoft ﬁn ½ ²³ Ⅷ ४५६ ٣٤٥ 𝟘𝟙 🙂 👍🏽 🇸🇪 € £ ¥ ∑ ≤ → ™ © “ ” ‘ ’ « » „ … – — ‐ 、 。 「 」 ！ ？ ，
； ﹏ ‽ ⁂ ࿐ ፨ 𐬹 ₿""".split()
LATER = "\u1b4e\u1b7f\u2427\u20c1\U00010d6e\U00010ed0\U0001cc00\U0001fae9\U0001ccf3\u2b96\u2ffc\u31ef\U0001f8b2"
MARKS = list(".,;:!?'\"()[]{}<>-/\\@#$%^&*_+=|~`") + ["...", "--", "&quot;", "&amp;", "&lt;", "&gt;", "&apos;", "<skipped>"]
SPACES = [" "] * 40 + ["  ", "\t", "\u00a0", "\u3000", "\u2009", "\u200b", "\x1c", "\x85", "\u2028", "\r", "\x0b"]
NUMBERS = ["1", "42", "3.14", "1,000", "1,000.50", "2024", "7-8", "50%", "$5", "1.", ",5", "10:30", "3-D", "-1"]


def piece(rng):
    kind = rng.random()
    if kind < 0.55:
        word = rng.choice(ENGLISH)
        return rng.choice((word, word, word, word.capitalize(), word.upper()))
    if kind < 0.72:
        return rng.choice(OTHER)
    if kind < 0.82:
        return rng.choice(NUMBERS)
    if kind < 0.97:
        return rng.choice(MARKS)
    return rng.choice(LATER + "\u212a\u0130")


def text(rng, most, line_feeds=False):
    if rng.random() < 0.04:
        return rng.choice(("", "", " ", "\u3000", "..."))
    out = ""
    for _ in range(rng.randrange(1, most)):
        out += piece(rng)
        if rng.random() < 0.75:
            out += rng.choice(SPACES)
        if line_feeds and rng.random() < 0.2:
            out += rng.choice(("\n", "\n", "-\n", "\n\n"))
    return out


def changed(rng, words, most, line_feeds):
    """Returns a text that has much in common with another one."""
    if rng.random() < 0.08:
        return text(rng, most, line_feeds)
    parts = regex.split(r"(\s+)", words)
    for _ in range(rng.randrange(0, 5)):
        i = rng.randrange(len(parts))
        action = rng.randrange(4)
        if action == 0:
            parts.insert(i, rng.choice(("", " ")) + piece(rng) + " ")
        elif action == 1 and len(parts) > 1:
            parts.pop(i)
        elif action == 2:
            parts[i] = piece(rng)
        else:
            j = rng.randrange(len(parts))
            parts[i], parts[j] = parts[j], parts[i]
    whole = "".join(parts)
    if line_feeds and rng.random() < 0.7:  # where the order of lines matters, rougeL and rougeLsum differ
        lines = whole.split("\n")
        rng.shuffle(lines)
        whole = "\n".join(lines)
    return whole


def word(rng):
    stem = "".join(
        rng.choice(("b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "w", "x", "y", "z", "tr", "st", "ll"))
        * rng.randrange(2) + rng.choice(("a", "e", "i", "o", "u", "y", "ee", "ou")) for _ in range(rng.randrange(1, 4)))
    stem += rng.choice(("", "b", "l", "s", "t", "z", "ll", "ss", "tt", "at", "bl", "iz", "n", "w", "y", "7"))
    ends = (
        "s es ies sses ed eed ied ing y ly ational tional enci anci izer bli alli entli eli ousli ization ation ator "
        "alism iveness fulness ousness aliti iviti biliti fulli logi logies icate ative alize iciti ical ful ness al ance "
        "ence er ic able ible ant ement ment ent sion tion ion ou ism ate iti ous ive ize e l ings edly fully").split()
    return stem + "".join(rng.choice(ends) for _ in range(rng.randrange(0, 3)))


def ranges(pattern):
    found = []
    match = regex.compile(pattern).match
    for c in range(0x110000):
        if not 0xD800 <= c <= 0xDFFF and match(chr(c)):
            if found and found[-1][1] == c - 1:
                found[-1][1] = c
            else:
                found.append([c, c])
    return found


def percent(x):
    return round(100 * x, 7)


def main():
    rng = random.Random(5)
    lowered = [c for c in range(128, 0x110000) if any("a" <= x <= "z" for x in chr(c).lower())]
    assert lowered == [0x130, 0x212A], lowered
    scorers = [RougeScorer(TYPES, use_stemmer=s) for s in (True, False)]
    bleus = [BLEU(tokenize=t) for t in TOKENIZERS]
    chrfs = [CHRF(), CHRF(word_order=2)]
    cases = []
    for n in range(CASES):
        line_feeds, most = n % 3 == 0, rng.choice((6, 14, 14, 30))
        prediction = text(rng, most, line_feeds)
        references = [changed(rng, prediction, most, line_feeds) for _ in range(rng.choice((1, 1, 2, 3)))]
        rouge = [s.score_multi(references, prediction) for s in scorers]
        single = [[r] for r in references]
        cases.append({
            "prediction": prediction, "references": references,
            "rouge": [percent(r[t].fmeasure) for r in rouge for t in TYPES],
            "parts": [percent(x) for r in rouge for t in TYPES for x in r[t][:2]] if n < 300 else [],
            "bleu": [round(b.corpus_score([prediction], single).score, 7) for b in bleus],
            "chrf": [round(c.corpus_score([prediction], single).score, 7) for c in chrfs],
        })
    corpora = []
    for first in range(0, CASES, ROWS):
        rows = cases[first:first + ROWS]
        most = max(len(r["references"]) for r in rows)
        streams = [[r["references"][k] if k < len(r["references"]) else None for r in rows] for k in range(most)]
        predictions = [r["prediction"] for r in rows]
        found = [b.corpus_score(predictions, streams) for b in bleus]
        corpora.append({
            "first": first, "bleu": [round(f.score, 7) for f in found],
            "precisions": [[round(p, 7) for p in f.precisions] for f in found],
            "penalties": [round(f.bp, 7) for f in found], "lengths": [[f.sys_len, f.ref_len] for f in found],
            "chrf": [round(c.corpus_score(predictions, streams).score, 7) for c in chrfs],
            "signatures": [str(m.get_signature()) for m in bleus + chrfs],
        })
    stemmer = PorterStemmer()
    words = sorted({word(rng) for _ in range(4000)} | set(ENGLISH) | set(stemmer.pool))
    tokens = []
    for case in cases[:150]:
        made = [b.tokenizer(case["prediction"].rstrip()).split() for b in bleus]
        tokens.append({"text": case["prediction"], "words": made})
    content = {
        "versions": {
            "rouge_score": "0.1.2", "nltk": nltk.__version__, "sacrebleu": sacrebleu.__version__,
            "regex": regex.__version__},
        "rows": ROWS, "cases": cases, "corpora": corpora, "words": [[w, stemmer.stem(w)] for w in words], "tokens": tokens,
        "categories": {c: ranges(rf"\p{{{c}}}") for c in "NPS"},
    }
    raw = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    with open(OUT, "wb") as f:
        with gzip.GzipFile(fileobj=f, mode="wb", compresslevel=9, mtime=0, filename="") as z:
            z.write(raw)
    print(len(cases), "cases,", len(corpora), "corpora,", len(words), "words,", OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
