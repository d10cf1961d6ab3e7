"""Extractive question answering with transformers and PEFT: files of questions, windows, the task for train_peft.py."""
import json
import pathlib

import torch
import torch.nn.functional as F
from transformers import AutoModelForQuestionAnswering

import seqcls
import squad_fixture


def read_questions(path):
    """Returns the questions of a SQuAD file or of JSON Lines, in its order, as dicts: id, question, context, answers
    (text[], answer_start[])."""
    content = pathlib.Path(path).read_text(encoding="utf-8-sig")
    if pathlib.Path(path).suffix == ".jsonl":
        return [json.loads(line) for line in content.split("\n") if line.strip()]
    out = []
    for article in json.loads(content)["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                answers = {k: [x[k] for x in qa.get("answers", [])] for k in ("text", "answer_start")}
                out.append({
                    "id": qa["id"], "question": qa["question"], "context": paragraph["context"], "answers": answers,
                })
    return out


class Windows:
    """Returns the windows of all questions: ids, types, offsets in the context (None elsewhere) and the question's
    index."""

    def __init__(self, tokenizer, questions, max_length, stride):
        encoded = tokenizer([q["question"].lstrip() for q in questions], [q["context"] for q in questions],
                            truncation="only_second",
                            max_length=max_length, stride=stride, return_overflowing_tokens=True,
                            return_offsets_mapping=True,
                            return_token_type_ids=True)
        self.ids, self.types, self.question = encoded["input_ids"], encoded["token_type_ids"], encoded[
            "overflow_to_sample_mapping"
        ]
        self.offsets = [[o if s == 1 else None for o, s in zip(offsets, encoded.sequence_ids(i))]
                        for i, offsets in enumerate(encoded["offset_mapping"])]


def target(offsets, answers):
    """Returns the first and last token of the first answer, or 0, 0 (the first token) if the window does not hold all
    of it."""
    inside = [i for i, o in enumerate(offsets) if o is not None]
    if not answers["text"] or not inside:
        return 0, 0
    start = answers["answer_start"][0]
    end = start + len(answers["text"][0])
    if offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return 0, 0
    first = max(i for i in inside if offsets[i][0] <= start)
    last = min(i for i in inside if offsets[i][1] >= end)
    return first, last


def best_answer(context, windows, n_best, longest):
    """Returns the text with the largest sum of logits among pairs of the n_best starts and ends of each window, of at
    most longest tokens, and that sum."""
    best, text = None, ""
    for offsets, (start, end) in windows:
        ends = end.argsort(stable=True).flip(0)[:n_best].tolist()
        for s in start.argsort(stable=True).flip(0)[:n_best].tolist():
            for e in ends:
                if offsets[s] is None or offsets[e] is None or not 0 <= e - s < longest:
                    continue
                value = (start[s] + end[e]).item()
                if best is None or value > best:
                    best, text = value, context[offsets[s][0]:offsets[e][1]]
    return text, best


class QuestionAnswering:
    """Loss: mean of the losses of start and end over windows, each a cross entropy over the real tokens. Score:
    SQuAD's.

    PEFT's own task type drops the token types, which these models need, so no task type is used."""
    lora = {"task_type": None}
    head = ["qa_outputs"]

    @staticmethod
    def flags(p):
        p.add_argument("--doc-stride", type=int, default=128, help="tokens that windows of one context share")
        p.add_argument("--max-answer-length", type=int, default=30)
        p.add_argument("--n-best-size", type=int, default=20)

    def __init__(self, a, tokenizer, names):
        train = read_questions(a.train_file)[:a.max_train_samples]
        self.test = read_questions(a.test_file) if a.test_file else []
        self.n_best, self.longest = a.n_best_size, a.max_answer_length
        self.windows = Windows(tokenizer, train, a.max_length, a.doc_stride)
        self.spans = [target(o, train[q]["answers"]) for o, q in zip(self.windows.offsets, self.windows.question)]
        self.lengths = self.tokens = [len(i) for i in self.windows.ids]
        self.test_windows = Windows(tokenizer, self.test, a.max_length, a.doc_stride) if self.test else None
        self.labels_file = None

    def base(self, a):
        return seqcls.load_base(a.model, None, a.dropout, kind=AutoModelForQuestionAnswering)

    def targets(self, rows):
        return 2 * len(rows)

    def loss(self, model, rows, _):
        batch = seqcls.pad([self.windows.ids[i] for i in rows], [self.windows.types[i] for i in rows])
        out, padding = model(**batch), batch["attention_mask"] == 0
        spans = torch.tensor([self.spans[i] for i in rows])
        return sum(F.cross_entropy(logits.masked_fill(padding, -torch.inf), spans[:, k], reduction="sum")
                   for k, logits in enumerate((out.start_logits, out.end_logits)))

    def evaluate(self, model):
        """Returns scores, and for each question its answer and the sum of its two logits."""
        w = self.test_windows
        logits = seqcls.predict_tokens(
            model, w.ids, w.types, lambda out: torch.stack([out.start_logits, out.end_logits], -1),
        )
        by_question = [[] for _ in self.test]
        for q, offsets, row in zip(w.question, w.offsets, logits):
            by_question[q].append((offsets, row.T))
        answers = [best_answer(q["context"], ws, self.n_best, self.longest) for q, ws in zip(self.test, by_question)]
        golds = [q["answers"]["text"] for q in self.test]
        exact, f1 = zip(
            *(squad_fixture.score_one(text, gold, 1 if all(golds) else 2) for (text, _), gold in zip(answers, golds))
        )
        return {"exact_match": 100 * sum(exact) / len(golds), "f1": 100 * sum(f1) / len(golds)}, \
            [{"id": q["id"], "answer": text, "logit": value} for q, (text, value) in zip(self.test, answers)]
