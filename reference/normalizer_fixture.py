#!/usr/bin/env python3
"""Writes tasks/metrics/normalize/testdata/texts.json.gz: texts with what Whisper's normalisers in transformers make of
them.

usage: python reference/normalizer_fixture.py

Each row is [text, english, basic]. The texts are numbers in words and figures with signs, currencies, multipliers and
endings in any order; sentences with contractions, titles, hesitations and British spellings; and words, marks and
characters of many scripts with white space of all kinds. The English normaliser reads the spelling table that the Go
package embeds.
"""
import gzip
import json
import pathlib
import random

from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tasks/metrics/normalize"
SPELLING = dict(line.split("\t") for line in (ROOT / "spelling.txt").read_text("utf-8").splitlines())
ONES = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen oh o zero""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ENDINGS = """ones twos sixes tens first second third fourth fifth eighth nineth ninth twelfth nineteenth zeroth twenties
twentieth ninetieth eighties hundreds hundredth thousands millionth billions""".split()
POWERS = "hundred thousand million billion trillion quadrillion septillion decillion".split()
SIGNS = """minus negative plus positive dollars dollar pounds euro cents cent percent per and double triple point and
point""".split()
FIGURES = """0 1 2 7 10 12 90 100 101 1960s 274th 32nd 3rd 1st 2s 1s 1 000 1,000 12,345,678 3.14 0.5 2.0 .5 1.2.3 $20
$3.50 €7 £1,000.25 ¢7 $0.07 $2 50% 7.% 1.5% 4x4 a1 b2b 2nd. 9th, 007 ٣٤ ९ 3½ m² 12:30 7-8 -5 +3 $0.5 £0.99""".split()
PHRASES = """won't can't let's ain't y'all wanna gotta gonna i'ma imma woulda coulda shoulda ma'am Mr. Mrs. St Dr Prof.
Capt Gov. Ald Gen Sen. Rep Pres. Rev Hon. Asst Assoc. Lt Col. Jr. Sr Esq. he'd been|she's been|they'd gone|it's gone|we'd
done|who's got|isn't don't you're it's he'd we'll 't|I've I'm mustn't've hmm mm mhm mmm uh um Uh, umm hmmm mmmm dog 's|a 'll
[noise] <laughs> (inaudible) [broken (half] () (a(b)c) <a]""".replace("\n", " ")
PHRASES = [w for part in PHRASES.split("|") for w in part.split(" ")] + [
    "he'd been", "she's been", "they'd gone", "it's gone", "we'd done", "who's got", "dog 's", "a  'll", "[two words]",
    "(not that)", "and a half", "two and a half", "two million and  a half", "dog and a half", "band and a half",
    "$2 and ¢7", "two dollars and seven cents", "two pounds ninety nine", "twenty cents", "per cent", "five per cent",
    "double oh seven", "triple two", "double dutch", "point taken", "ten point five", "point", "0 million", "zero hundred",
    "one point five million", "one point two three thousand", "minus", "minus one", "negative five", "plus 3", "a1s b1",
    "the 1 and the 1s", "é1 1é 1s.", "three point one four", "ninety-nine", "one oh one", "nineteen eighty four",
    "twenty twenty one", "$20 million", "$1 thousand", "0.25 billion", "0.3333 thousand", "1 st", "2 nd of", "3  s", "4 th",
    "5 sx", "6 sté",
]
PLAIN = """the a of and to in is was it for on are as with his they at be this have from or one had by but not what
colour flavours organise analyse centre travelled grey cheque aluminium jewellery Theatre programme""".split()
OTHER = """привет мир КАК дела Ёлка 你好 世界 今天天气 日本語 テスト ﾃｽﾄ 東京 안녕 세상 مرحبا بالعالم שָׁלוֹם नमस्ते दुनिया สวัสดี γειά σου
ΚΌΣΜΟΣ ΣΑΣ çok güzel İstanbul STRASSE straße Ångström naïve café ŒUVRE øre Ærø đak Łódź þorn Ð ﬁn ſoft K İİ ½ ²³ Ⅷ ४५६ ٣٤٥ 𝟘𝟙 🙂
👍🏽 € £ ¥ ∑ ≤ ™ © “x” ‘y’ « » „ … – — 、 。 「 」 ！ ？ ａｂｃ １２３ e\u0301a\u0308 x\u20dd""".split()
MARKS = list(".,;:!?'\"()[]{}<>-/\\@#$%^&*_+=|~`¢€£") + ["...", "--", ". ", ".5", "%%", "$$1"]
SPACES = [" "] * 30 + ["  ", "\t", "\u00a0", "\u3000", "\u2009", "\u200b", "\x1c", "\x85", "\u2028", "\n"]


def cased(rng, word):
    return rng.choice((word, word, word, word.capitalize(), word.upper()))


def numbers(rng):
    kinds = (ONES, ONES, TENS, POWERS, POWERS, ENDINGS, SIGNS, SIGNS, FIGURES, PLAIN)
    return [cased(rng, rng.choice(rng.choice(kinds))) for _ in range(rng.randrange(1, 9))]


def sentence(rng):
    kinds = (PLAIN, PLAIN, PHRASES, PHRASES, FIGURES, list(SPELLING), ONES, MARKS)
    return [cased(rng, rng.choice(rng.choice(kinds))) for _ in range(rng.randrange(1, 12))]


def anything(rng):
    kinds = (PLAIN, OTHER, OTHER, MARKS, FIGURES, PHRASES, TENS)
    return [cased(rng, rng.choice(rng.choice(kinds))) for _ in range(rng.randrange(1, 10))]


def joined(rng, words, loose):
    out = rng.choice(("", "", "", " "))
    for word in words:
        out += word + (rng.choice(SPACES) if rng.random() < loose else rng.choice(("", "-", ", ", ". ")))
    return out if rng.random() < 0.3 else out.strip()


def main():
    rng = random.Random(16)
    english, basic = EnglishTextNormalizer(SPELLING), BasicTextNormalizer()
    texts = ["", " ", "\n", "."] + PHRASES + FIGURES + list(SPELLING)[::40]
    for make, n, loose in ((numbers, 1600, 0.96), (sentence, 900, 0.9), (anything, 700, 0.8)):
        texts += [joined(rng, make(rng), loose) for _ in range(n)]
    rows = [[text, english(text), basic(text)] for text in dict.fromkeys(texts)]
    data = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
    (ROOT / "testdata").mkdir(exist_ok=True)
    with open(ROOT / "testdata/texts.json.gz", "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.write(data)
    print(len(rows), "texts")


main()
