#!/usr/bin/env python3
"""Writes testdata/generate/timestamps.json: results of transformers' WhisperTimeStampLogitsProcessor.

usage: python reference/timestamps_fixture.py

Each case has the logits of 24 tokens, the new tokens before them and what the processor leaves of the logits (null: −∞).
Half of the sequences follow the rule, the others are random. Cases in which the decision between text and timestamps
hangs on rounding are left out.
"""
import json
import pathlib
import random
import types

import torch
from transformers.generation.logits_process import WhisperTimeStampLogitsProcessor

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "generate" / "timestamps.json"
V, END, BEGIN, PREFIX = 24, 12, 16, 3


def main():
    random.seed(1)
    torch.manual_seed(1)
    cases = []
    while len(cases) < 120:
        number = len(cases)
        config = types.SimpleNamespace(no_timestamps_token_id=BEGIN - 1, eos_token_id=END, bos_token_id=END)
        most = (None, 0, 2, 50)[number % 4]
        if most is not None:
            config.max_initial_timestamp_index = most
        processor = WhisperTimeStampLogitsProcessor(config, begin_index=PREFIX)
        tokens = []
        lower = torch.tensor([0.0] * BEGIN + [float(number % 5)] * (V - BEGIN))
        logits = lambda: torch.round((torch.randn(V) * (1 + number % 3) - lower) * 64) / 64
        for _ in range(number % 9):
            if number % 2:
                tokens.append(random.choice([random.randrange(END), random.randrange(BEGIN, V)]))
                continue
            row = processor(torch.tensor([[0] * PREFIX + tokens]), logits()[None])[0]
            left = [i for i in range(V) if row[i] > -float("inf") and i != END]
            if not left:
                break
            tokens.append(random.choice(left))
        before = logits()
        after = processor(torch.tensor([[0] * PREFIX + tokens]), before[None])[0]
        undecided = WhisperTimeStampLogitsProcessor(config, begin_index=PREFIX, _detect_timestamp_from_logprob=False)
        kept = undecided(torch.tensor([[0] * PREFIX + tokens]), before[None])[0]
        if abs(kept[BEGIN:].logsumexp(0) - kept[:BEGIN].max()) < 1e-3:
            continue
        cases.append({
            "max_initial": -1 if most is None else most, "tokens": tokens, "logits": before.tolist(),
            "want": [None if x == -float("inf") else x for x in after.tolist()]})
    OUT.write_text(json.dumps({"end": END, "begin": BEGIN, "cases": cases}, separators=(",", ":")) + "\n")
    print(len(cases), "cases,", sum(not any(x is not None for x in c["want"][:BEGIN]) for c in cases), "of timestamps only")


main()
