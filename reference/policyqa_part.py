"""Writes embedded/policyqa/train.json and test.json: a part of PolicyQA that is small enough to compile in.

    python reference/policyqa_part.py DIR    # with PolicyQA's dev.json and test.json

The script takes whole paragraphs with all their questions: every 3rd paragraph of dev.json for training and every 12th
of test.json for testing. It leaves out keys other than SQuAD's. The two files share no website. Each line has one
paragraph.
"""

import json
import pathlib
import sys

to = pathlib.Path(__file__).parent.parent / "embedded/policyqa"
for source, name, step in [("dev.json", "train.json", 3), ("test.json", "test.json", 12)]:
    articles, n, questions = [], 0, 0
    for article in json.loads((pathlib.Path(sys.argv[1]) / source).read_text("utf-8"))["data"]:
        lines = []
        for paragraph in article["paragraphs"]:
            if n % step == 0:
                qas = [{key: q[key] for key in ("id", "question", "answers")} for q in paragraph["qas"]]
                questions += len(qas)
                lines.append(json.dumps({"context": paragraph["context"], "qas": qas}, ensure_ascii=False))
            n += 1
        if lines:
            articles.append('{"title": %s, "paragraphs": [\n%s\n]}' % (json.dumps(article["title"]), ",\n".join(lines)))
    (to / name).write_text('{"version": "1.1", "data": [\n%s\n]}\n' % ",\n".join(articles), "utf-8")
    print(name, len(articles), "articles,", questions, "questions,", (to / name).stat().st_size, "bytes")
