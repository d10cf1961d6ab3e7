#!/usr/bin/env python3
"""Writes the rows of a CSV file in a random but fixed order, for runs that two programs take with --no-shuffle.

usage: python reference/shuffle_rows.py INPUT OUTPUT [SEED]
"""
import csv
import random
import sys


def main():
    source, target, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with open(source, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    random.Random(seed).shuffle(rows)
    with open(target, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()
