"""Writes tasks/metrics/testdata/squad.json.gz: exact match and F1 of generated answers as the evaluation of SQuAD 1.1
and 2.0 defines them.

    python reference/squad_fixture.py [--official DIR]

The definition is implemented here a second time. With --official every case is also scored by three other programs, and
a difference is an error. DIR then holds compute_score.py (metrics/squad of the evaluate library 0.4.6: the official
script of version 1.1), compute_score_v2.py (metrics/squad_v2 of the same library: that of version 2.0) and
squad_metrics.py (src/transformers/data/metrics of transformers 4.57.1).
"""

import argparse
import collections
import contextlib
import gzip
import importlib.util
import io
import json
import pathlib
import random
import re
import string
import sys
import types
import unicodedata

rng = random.Random(20240611)
PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLE = re.compile(r"\b(a|an|the)\b")


def tokens(text):
    """Returns the words that count: lower case, without ASCII punctuation and articles."""
    return ARTICLE.sub(" ", text.lower().translate(PUNCTUATION)).split()


def f1_of(prediction, truth, version):
    p, t = tokens(prediction), tokens(truth)
    if version == 2 and not (p and t):
        return float(p == t)
    same = sum((collections.Counter(p) & collections.Counter(t)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(p), same / len(t)
    return 2 * precision * recall / (precision + recall)


def score_one(prediction, answers, version):
    if version == 2:
        answers = [a for a in answers if tokens(a)] or [""]
    exact = max(float(tokens(prediction) == tokens(a)) for a in answers)
    return exact, max(f1_of(prediction, a, version) for a in answers)


def best_threshold(case, scores):
    """Returns the share of right answers if "" is predicted where the probability of no answer is above a threshold,
    for the best threshold."""
    now = best = sum(1 for q in case["questions"] if not q["answers"])
    threshold = 0.0
    order = sorted(range(len(scores)), key=lambda i: case["questions"][i]["no_answer"])
    for i in order:
        q = case["questions"][i]
        now += scores[i] if q["answers"] else -1 if q["prediction"] else 0
        if now > best:
            best, threshold = now, q["no_answer"]
    return 100 * best / len(scores), threshold


def evaluate(case):
    version = case["version"]
    exact, f1 = zip(*(score_one(q["prediction"], q["answers"], version) for q in case["questions"]))
    rows = range(len(exact))
    out = {}
    for name, chosen in [
        ("", rows),
        ("HasAns_", [i for i in rows if case["questions"][i]["answers"]]),
        ("NoAns_", [i for i in rows if not case["questions"][i]["answers"]]),
    ]:
        if chosen and (version == 2 or not name):
            out[name + "exact"] = 100 * sum(exact[i] for i in chosen) / len(chosen)
            out[name + "f1"] = 100 * sum(f1[i] for i in chosen) / len(chosen)
            out[name + "total"] = len(chosen)
    if "no_answer" in case["questions"][0]:
        out["best_exact"], out["best_exact_thresh"] = best_threshold(case, exact)
        out["best_f1"], out["best_f1_thresh"] = best_threshold(case, f1)
    return out


# Words that the normalisation treats specially.
WORDS = (
    "the a an The AN A the_a athe anthem Theatre a-b the-end o'a cat dog sat house New York 1998 12 $5 5% 3.14 U.S. "
    "e.g. I'm «the» “a” the’s the\u0301 "
    "a\u0308 ａ ｔｈｅ the© the€ ¿a? a。 the、 İstanbul ΣΑΣ ΟΔΟΣ Σ ΑΣ. ΑΣ\u00adΒ ß ẞ ǅ Ⅷ "
    "ⅷ x² ½ ٣ ３ 日本 东京 中a the日 aé éa na\u00efve na\u0131ve 😀 the😀 a😀b \u200b "
    "the\u200d \u00ad - — … ! ?! ' \" ` ~ # ( ) [the] {a} <an> | \\ / @ & * + = ^ _ the. .the a. ʰ ªthe a\u0345 "
    "the\u0903"
).split()
SPACES = [" "] * 12 + [
    "  ", "\t", "\n", "\u00a0", "\u2003", "\u3000", "\x1c", "\x1f", "\x85", "\u2028", "\u200b", "\u180e", "\ufeff", "",
]
PLAIN = (
    "the a an cat dog sat on mat privacy policy we collect your data may share with third parties in of to and".split()
)


def text(n, words):
    return "".join(w + rng.choice(SPACES if words is WORDS else [" "]) for w in rng.choices(words, k=n))


def variant(answer):
    """Returns a prediction near an answer."""
    kind = rng.randrange(8)
    if kind == 0:
        return answer
    if kind == 1:
        return answer.upper()
    if kind == 2:
        return "the " + answer + "."
    if kind == 3:
        return answer[rng.randrange(len(answer) + 1) :]
    if kind == 4:
        return answer + " " + text(2, WORDS)
    if kind == 5:
        return " ".join(reversed(answer.split()))
    if kind == 6:
        return ""
    return text(rng.randrange(6), PLAIN)


def make_case():
    version = rng.choice([1, 2])
    probabilities = version == 2 and rng.random() < 0.7
    levels = rng.choice([[0.0, 0.25, 0.5, 1.0], [rng.random() for _ in range(12)]])  # with ties, without
    questions = []
    for _ in range(rng.choice([1, 1, 2, 3, 5, 8])):
        words = rng.choice([WORDS, PLAIN, PLAIN])
        answers = [text(rng.choice([1, 1, 2, 3, 6]), words) for _ in range(rng.choice([1, 1, 2, 3]))]
        if rng.random() < 0.1:
            answers[0] = rng.choice(["the", "A", "...", "an the", "?!"])  # nothing is left of these
        q = {"answers": answers, "prediction": variant(rng.choice(answers))}
        if version == 2 and rng.random() < 0.4:
            q["answers"] = []
            q["prediction"] = q["prediction"] if rng.random() < 0.5 else ""
        if probabilities:
            q["no_answer"] = rng.choice(levels)
        questions.append(q)
    if version == 2 and not probabilities and all(q["answers"] for q in questions):
        questions[0]["answers"] = []  # else nothing says that it is version 2
    return {"version": version, "questions": questions}


def normalised():
    """Returns single strings: every character with another lower case, and a sample of all characters."""
    every = [chr(c) for c in range(1, sys.maxunicode + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    changing = [c for c in every if c.lower() != c]
    out = ["".join(changing[i : i + 50]) for i in range(0, len(changing), 50)]
    out += ["".join("a%s the%s " % (c, c) for c in rng.sample(every, 20)) for _ in range(150)]
    out += [text(6, WORDS) for _ in range(150)]
    spaces = [c for c in every if c.isspace()]
    out.append("x".join(spaces))
    greek = "ΣσΑ.'·\u00ad\u0301ʰªⅧ 1日-\u200b"
    out += ["".join(rng.choices(greek, k=5)) for _ in range(200)]
    return [{"text": s, "words": tokens(s)} for s in out]


def load(path, parents=()):
    """Imports a file as a module; parents are stand-ins for packages that it imports names from."""
    for name, content in parents:
        sys.modules[name] = module = types.ModuleType(name)
        module.__path__ = []
        vars(module).update(content)
    spec = importlib.util.spec_from_file_location("official.data.metrics." + path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(cases, directory):
    parents = [
        ("official", {}), ("official.data", {}), ("official.data.metrics", {}), ("official.models", {}),
        ("official.models.bert", {"BasicTokenizer": None}),
    ]
    parents.append(("official.utils", {"logging": types.SimpleNamespace(get_logger=lambda name: None)}))
    hf = load(directory / "squad_metrics.py", parents)
    v1, v2 = load(directory / "compute_score.py"), load(directory / "compute_score_v2.py")
    for n, case in enumerate(cases):
        questions = [(str(i), q) for i, q in enumerate(case["questions"])]
        predictions = {i: q["prediction"] for i, q in questions}
        no_answer = {i: q.get("no_answer", 0.0) for i, q in questions}
        qas = [{"id": i, "answers": [{"text": a} for a in q["answers"]]} for i, q in questions]
        dataset = [{"paragraphs": [{"qas": qas}]}]
        if case["version"] == 1:
            got = v1.compute_score(dataset, predictions)
            results = [{"exact": got["exact_match"], "f1": got["f1"]}]
        else:
            examples = [types.SimpleNamespace(qas_id=q["id"], answers=q["answers"]) for q in qas]
            results = [hf.squad_evaluate(examples, predictions, no_answer)]
            dataset = [{"paragraphs": [{"qas": [{"id": i, "answers": {"text": q["answers"]}} for i, q in questions]}]}]
            has = v2.make_qid_to_has_ans(dataset)
            raw = v2.get_raw_scores(dataset, predictions)
            got = v2.make_eval_dict(*raw)
            for prefix, want in [("HasAns", True), ("NoAns", False)]:
                ids = [i for i in has if has[i] == want]
                if ids:
                    v2.merge_eval(got, v2.make_eval_dict(*raw, qid_list=ids), prefix)
            v2.find_all_best_thresh(got, predictions, *raw, no_answer, has)
            results.append(got)
        for got in results:
            for name, value in case["expected"].items():
                if name in got or case["version"] == 2:
                    assert abs(got[name] - value) < 1e-9, (n, name, got[name], value, case)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--official", type=pathlib.Path)
    directory = parser.parse_args().official
    cases = [make_case() for _ in range(1200)]
    for case in cases:
        case["expected"] = evaluate(case)
    if directory:
        with contextlib.redirect_stdout(io.StringIO()):
            check(cases, directory)
    path = pathlib.Path(__file__).parent.parent / "tasks/metrics/testdata/squad.json.gz"
    content = (
        json.dumps({"cases": cases, "normalised": normalised()}, ensure_ascii=False, separators=(",", ":")).encode()
    )
    path.write_bytes(gzip.compress(content, 9, mtime=0))
    print(len(cases), "cases,", path.stat().st_size, "bytes" + (", equal to the official scripts" if directory else ""))


if __name__ == "__main__":
    main()
