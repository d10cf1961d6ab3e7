#!/usr/bin/env python3
"""Writes the rows of a data file in a random but fixed order, for runs of two programs with --no-shuffle.

usage: python reference/shuffle_rows.py INPUT OUTPUT [SEED] [--head N] [--keep N]

INPUT is a .csv file with a header, a .conll file (sentences between blank lines), a .tsv or .jsonl file (one row a
line, no header), or a .json file in SQuAD's format, whose questions become JSON Lines. --head takes the first N rows
before shuffling, --keep the first N after it.
"""
import argparse
import csv
import json
import pathlib
import random

import questions


def main():
    p = argparse.ArgumentParser()
    p.add_argument("source", type=pathlib.Path)
    p.add_argument("target", type=pathlib.Path)
    p.add_argument("seed", type=int, nargs="?", default=1)
    p.add_argument("--head", type=int)
    p.add_argument("--keep", type=int)
    a = p.parse_args()
    header = []
    if a.source.suffix == ".csv":
        with open(a.source, encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
    elif a.source.suffix == ".json":
        rows = [json.dumps(q, ensure_ascii=False) for q in questions.read_questions(a.source)]
    else:
        lines = a.source.read_text(encoding="utf-8").split("\n")
        rows, blank = [[]], a.source.suffix == ".conll"
        for line in lines:
            if line.strip():
                rows.append([line]) if not blank else rows[-1].append(line)
            elif rows[-1]:
                rows.append([])
        rows = ["\n".join(r) + "\n" * blank for r in rows if r]
    rows = rows[:a.head]
    random.Random(a.seed).shuffle(rows)
    rows = rows[:a.keep]
    with open(a.target, "w", encoding="utf-8", newline="") as file:
        if header:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])
        else:
            file.writelines(row + "\n" for row in rows)


if __name__ == "__main__":
    main()
