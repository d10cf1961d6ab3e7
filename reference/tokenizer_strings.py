"""Makes the texts of tokenizer_fixtures.py, of many scripts, kinds and lengths."""

import random
import unicodedata

SCRIPTS = {
    "latin": [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)],
    "greek": [(0x370, 0x3FF), (0x1F00, 0x1FFF)],
    "cyrillic": [(0x400, 0x52F)],
    "armenian": [(0x531, 0x58A)],
    "hebrew": [(0x591, 0x5F4)],
    "arabic": [(0x600, 0x6FF), (0xFB50, 0xFDFF)],
    "syriac": [(0x700, 0x74F)],
    "devanagari": [(0x900, 0x97F)],
    "bengali": [(0x980, 0x9FF)],
    "gurmukhi": [(0xA00, 0xA7F)],
    "tamil": [(0xB80, 0xBFF)],
    "telugu": [(0xC00, 0xC7F)],
    "sinhala": [(0xD80, 0xDFF)],
    "thai": [(0xE01, 0xE5B)],
    "tibetan": [(0xF00, 0xFDA)],
    "myanmar": [(0x1000, 0x109F)],
    "georgian": [(0x10A0, 0x10FF), (0x1C90, 0x1CBF)],
    "ethiopic": [(0x1200, 0x137F)],
    "cherokee": [(0x13A0, 0x13FD), (0xAB70, 0xABBF)],
    "khmer": [(0x1780, 0x17FF)],
    "mongolian": [(0x1800, 0x18AF)],
    "kana": [(0x3041, 0x30FF), (0xFF66, 0xFF9F)],
    "hangul": [(0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3131, 0x318E)],
    "han": [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2F800, 0x2FA1F)],
    "astral": [(0x10000, 0x1FFFF)],
    "deseret": [(0x10400, 0x1044F)],
    "mathematical": [(0x1D400, 0x1D7FF)],
    "music": [(0x1D100, 0x1D1FF)],
    "fullwidth": [(0xFF01, 0xFF5E)],
    "symbols": [(0x2000, 0x2BFF)],
}
SPACES = list(" \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2007\u200a\u2028\u2029\u202f\u205f\u3000")
HIDDEN = list("\0\x01\x08\x0b\x7f\x80\x9f\xad\u061c\u180e\u200b\u200c\u200d\u200e\u202e\u2060\u2064\ufeff\ufff9\ufffd")
HIDDEN += list("\U000e0001\U000e0041\U000f0000\U0010ffff\ue000\u0378\ufdd0\uffff\U0001f3fb")
TAGS = [
    "[SEP]", "[CLS]", "[PAD]", "[UNK]", "[MASK]", "[sep]", "[ SEP ]", "[SEP", "SEP]", "##ing", "[unused1]", "[[SEP]]",
]
ADDED = [
    "qolo", "<left>", "<right>", "<both>", "<LOW>", "<low>", "Caf\u00e9 Noir", "cafe noir", "CAFE\u0301 NOIR", "Word",
    "word",
]
ADDED += [
    "\u6f22\u5b57", "\u6f22", "<left><both>", "<left> <both>", " pad", "qolos", "unqolo", "swords", "<both><both>",
]
EMOJI = [
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3",
    "\u2764\ufe0f",
]
EMOJI += [
    "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U0001f600", "\U0001fae8", "\u263a", "\U0001f9d1\u200d\U0001f4bb",
]
CODE = [
    "if (x != null) { return a->b[i++] + 0xFF; }", "def f(*args, **kw): # comment",
    "SELECT * FROM t WHERE a<>'b' AND c>=1.5e-3;",
]
CODE += [
    "https://www.example.org/a/b.html?q=1&r=%20#top", "mailto:First.Last+tag@sub.example.co.uk",
    "C:\\Users\\x\\file.txt", "$100,000.00 (50%)",
]
CODE += [
    "don't can't I'm we've they're he's", "a.b.c...d!?!? -- e--f --", "2024-02-30T25:61:00Z",
    "`~!@#$%^&*()_+-={}[]|\\:\";'<>?,./", "x\u00b2+y\u00b3=\u00bd\u00b5m",
]


def make_strings(vocab, n=10240, seed=20240601):
    """Returns n texts; some are made of words of vocab."""
    rng = random.Random(seed)
    words = sorted(w for w in vocab if w.isascii() and w.isalpha())
    tails = sorted(w[2:] for w in vocab if w.startswith("##"))
    marks = [chr(c) for c in range(0x20000) if unicodedata.combining(chr(c))]
    marks += [chr(c) for c in range(0x20000) if unicodedata.category(chr(c)) in ("Mn", "Mc")][::7]
    composed = [chr(c) for c in range(0x30000) if unicodedata.decomposition(chr(c))]

    def scripted(name, n):
        return "".join(chr(rng.randint(*rng.choice(SCRIPTS[name]))) for _ in range(n))

    def cased(w):
        return rng.choice([w, w, w, w.capitalize(), w.upper()])

    def sentence():
        out = ""
        for _ in range(rng.randint(1, 12)):
            out += cased(rng.choice(words)) + rng.choice(["", "", "", ",", ".", "'s", "-", "!"]) + " "
        return out.rstrip() if rng.random() < 0.8 else out

    def glued():
        return rng.choice(words) + "".join(rng.choice(tails) for _ in range(rng.randint(1, 6)))

    def accented():
        w = "".join(
            rng.choice("aeiounscyzAEIOUNSCYZ") + rng.choice(marks[:80] + [""] * 60) for _ in range(rng.randint(2, 12))
        )
        return unicodedata.normalize(rng.choice(["NFC", "NFD"]), w)

    def stacked():
        base = rng.choice(["a", "e", "I", "\u03b1", "\u1100", "\uac00", "\u0f40", rng.choice(composed), ""])
        return base + "".join(rng.choice(marks) for _ in range(rng.randint(1, 8)))

    def jamo():
        return "".join(
            chr(rng.choice([rng.randint(0x1100, 0x1112), rng.randint(0x1161, 0x1175), rng.randint(0x11A7, 0x11C2)]))
            for _ in range(6)
        )

    def anything():
        c = rng.randrange(0x30000 if rng.random() < 0.9 else 0x110000)
        return " " if 0xD800 <= c <= 0xDFFF else chr(c)

    def long():
        n = rng.choice([99, 100, 101, 150, rng.randint(90, 300)])
        return rng.choice(["a", "x", "ab", "\u00e9", "e\u0301", "\u3042", "\u0928", "3"]) * n

    def mixed():
        return "".join(
            rng.choice(makers)() + rng.choice(["", "", " ", rng.choice(SPACES)]) for _ in range(rng.randint(2, 4))
        )

    makers = [
        sentence,
        glued,
        accented,
        stacked,
        jamo,
        lambda: scripted(rng.choice(list(SCRIPTS)), rng.randint(1, 10)),
        lambda: " ".join(scripted(rng.choice(list(SCRIPTS)), rng.randint(1, 5)) for _ in range(3)),
        lambda: "".join(anything() for _ in range(rng.randint(1, 12))),
        lambda: rng.choice(EMOJI),
        lambda: rng.choice(CODE),
        lambda: rng.choice(TAGS),
        lambda: rng.choice(ADDED),
        lambda: cased(rng.choice(words)) + rng.choice(HIDDEN) + rng.choice(words),
        lambda: rng.choice(SPACES) + rng.choice(words) + "".join(rng.choices(SPACES, k=3)),
        lambda: "".join(rng.choice(HIDDEN + SPACES + marks[:40]) for _ in range(5)),
        lambda: "".join(rng.choice(composed) for _ in range(4)),
        lambda: "".join(rng.choice(TAGS + ADDED + [" ", "a", ".", "\u00e9"]) for _ in range(5)),
    ]
    out = ["", " ", "\n\t ", "a", "\0", "\u0301", "\u0345\u0334", "[SEP]", " [SEP] "] + CODE + EMOJI + TAGS + ADDED
    while len(out) < n:
        p = rng.random()
        out.append(sentence() if p < 0.1 else long() if p < 0.115 else mixed() if p < 0.35 else rng.choice(makers)())
    return out
