"""Token classification with transformers and PEFT: files of tagged words, and the task for train_peft.py."""
import json
import pathlib
import unicodedata

import torch
import torch.nn.functional as F
from peft import TaskType
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from transformers import AutoModelForTokenClassification

import seqcls


def split_words(text):
    """Returns words of raw text as (from, to) code points: runs of letters, digits and marks; every other visible
    character is a word."""
    spans, start = [], None
    for i, c in enumerate(text + " "):
        kind = unicodedata.category(c)
        if kind[0] in "LNM":
            start = i if start is None else start
            continue
        if start is not None:
            spans.append((start, i))
            start = None
        if kind[0] in "PS":
            spans.append((i, i + 1))
    return spans


def span_tags(words, spans):
    """Returns IOB2 tags of words; a span (from, to, name) includes every word that it touches. Of spans that share
    words, the one that begins first is used, then the longer one, then the first by name; the others are left out."""
    placed = []
    for start, end, name in spans:
        touched = [i for i, (a, b) in enumerate(words) if a < end and b > start]
        if touched:
            placed.append((touched[0], -touched[-1], name))
    tags, free = ["O"] * len(words), 0
    for first, last, name in sorted(placed):
        if first >= free:
            free = 1 - last
            tags[first:free] = ["B-" + name] + ["I-" + name] * (free - first - 1)
    return tags


def read_sentences(path, tokens="tokens", tags="tags"):
    """Returns sentences as (text or list of words, code points of the words or None, tags).

    .conll: word, tab or spaces, tag; blank lines between sentences. .jsonl: lists of words and tags. .json:
    restaurant8k's texts with character spans, cut into words by split_words.
    """
    path = pathlib.Path(path)
    content = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".jsonl":
        records = [json.loads(line) for line in content.split("\n") if line.strip()]
        return [(r[tokens], None, r[tags]) for r in records]
    if path.suffix == ".json":
        out = []
        for record in json.loads(content):
            text, labels = record["userInput"]["text"], record.get("labels", [])
            words = split_words(text)
            spans = [(x["valueSpan"].get("startIndex", 0), x["valueSpan"]["endIndex"], x["slot"]) for x in labels]
            out.append((text, words, span_tags(words, spans)))
        return out
    sentences, rows = [], []
    for line in content.split("\n") + [""]:
        if line.strip():
            rows.append((line.split("\t") if "\t" in line else line.split(" ")))
        elif rows:
            sentences.append(([r[0] for r in rows], None, [r[-1].strip() for r in rows]))
            rows = []
    return sentences


def encode(tokenizer, sentence, max_length, all_tokens=False):
    """Returns the ids of a sentence and the word of each token: for the first token of a word, or for all with
    all_tokens; otherwise None."""
    text, words, _ = sentence
    encoded = tokenizer(text, is_split_into_words=words is None, truncation=True, max_length=max_length,
                        return_offsets_mapping=True)
    if words is None:
        word_of = encoded.word_ids()
    else:
        at = {c: n for n, (a, b) in enumerate(words) for c in range(a, b)}
        word_of = [at.get(a) if b > a else None for a, b in encoded["offset_mapping"]]
    if not all_tokens:
        seen = set()
        word_of = [w if w is not None and not (w in seen or seen.add(w)) else None for w in word_of]
    return encoded["input_ids"], word_of


class TokenCls:
    """Loss: mean over the tokens that have a label. Score: seqeval's, with one tag for each word, that of its first
    token.

    Words without a token (signs that the tokenizer drops, words beyond max_length) do not count in any score."""
    lora = {"task_type": TaskType.TOKEN_CLS}
    head = []

    @staticmethod
    def flags(p):
        p.add_argument("--tokens-column", default="tokens")
        p.add_argument("--tags-column", default="tags")
        p.add_argument(
            "--label-all-tokens", action="store_true",
            help="learn the tag of each token of a word, not of the first only",
        )

    def __init__(self, a, tokenizer, names):
        train = read_sentences(a.train_file, a.tokens_column, a.tags_column)[:a.max_train_samples]
        self.test = read_sentences(a.test_file, a.tokens_column, a.tags_column) if a.test_file else []
        self.names = names or sorted({tag for _, _, tags in train for tag in tags})
        index = {n: i for i, n in enumerate(self.names)}
        self.ids, self.labels = [], []
        for sentence in train:
            ids, word_of = encode(tokenizer, sentence, a.max_length, a.label_all_tokens)
            self.ids.append(ids)
            self.labels.append([-100 if w is None else index[sentence[2][w]] for w in word_of])
        self.lengths = self.tokens = [len(i) for i in self.ids]
        self.counts = [sum(x >= 0 for x in row) for row in self.labels]
        self.test_encoded = [encode(tokenizer, s, a.max_length) for s in self.test]
        self.labels_file = {"problem_type": "token_classification", "labels": self.names}

    def base(self, a):
        return seqcls.load_base(a.model, len(self.names), a.dropout, kind=AutoModelForTokenClassification)

    def targets(self, rows):
        return sum(self.counts[i] for i in rows)

    def loss(self, model, rows, smoothing):
        batch = seqcls.pad([self.ids[i] for i in rows])
        labels = torch.full(batch["input_ids"].shape, -100)
        for n, i in enumerate(rows):
            labels[n, :len(self.labels[i])] = torch.tensor(self.labels[i])
        logits = model(**batch).logits
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum", label_smoothing=smoothing)

    def evaluate(self, model):
        """Returns scores, and for each sentence the tag of each word and its probability (null if the word has no
        token)."""
        logits = seqcls.predict_tokens(model, [ids for ids, _ in self.test_encoded])
        want, got, rows, total, count = [], [], [], 0.0, 0
        for (_, word_of), row, (_, _, tags) in zip(self.test_encoded, logits, self.test):
            by_word = [None] * len(tags)
            for w, values in zip(word_of, row):
                if w is not None:
                    by_word[w] = values
                    if tags[w] in self.names:
                        total += F.cross_entropy(values, torch.tensor(self.names.index(tags[w]))).item()
                        count += 1
            predicted = [None if v is None else self.names[int(v.argmax())] for v in by_word]
            want.append([t for t, p in zip(tags, predicted) if p is not None])
            got.append([p for p in predicted if p is not None])
            rows.append({
                "tags": predicted, "scores": [None if v is None else v.softmax(0).max().item() for v in by_word],
            })
        scores = {"precision": precision_score(want, got), "recall": recall_score(want, got), "f1": f1_score(want, got),
                  "accuracy": accuracy_score(want, got), "loss": total / count}
        return {k: float(v) for k, v in scores.items()}, rows
