"""Exact match and F1 of answers as SQuAD defines them (Rajpurkar et al., 2016 and 2018)."""
import collections
import re
import string

ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize(text):
    """Lower case, without punctuation, without articles, words joined by one space."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", text).split())


def exact(answer, gold):
    return float(normalize(answer) == normalize(gold))


def f1(answer, gold):
    """Harmonic mean of precision and recall of the words; with no words on one side 1 if there are none on the other."""
    a, b = normalize(answer).split(), normalize(gold).split()
    if not a or not b:
        return float(a == b)
    same = sum((collections.Counter(a) & collections.Counter(b)).values())
    return 2 * same / (len(a) + len(b)) if same else 0.0


def score(answers, golds):
    """Means in percent over questions of the best score of each answer against its right ones; [] is [""]: no answer."""
    pairs = [(a, g or [""]) for a, g in zip(answers, golds, strict=True)]
    return {"exact_match": 100 * sum(max(exact(a, x) for x in g) for a, g in pairs) / len(pairs),
            "f1": 100 * sum(max(f1(a, x) for x in g) for a, g in pairs) / len(pairs)}
