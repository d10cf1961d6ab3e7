#!/usr/bin/env python3
"""Opens encoder-decoders that the tests merged with adapters of their word tables, and compares logits.

usage: SPALORA_MERGED=DIR go test -count=1 ./tasks/seq2seq -run TestMergeOfTables
       python reference/check_merged.py DIR [--tolerance X]

DIR holds a directory for each model: what a merge writes, and case.json with ids of sequences, which are both sources
and inputs of the decoder, and the logits of base and adapter. The script exits with 1 if a difference is above
--tolerance times the largest logit.
"""
import argparse
import json
import pathlib
import sys

import torch
import transformers
from transformers import AutoModelForSeq2SeqLM


@torch.no_grad()
def difference(directory):
    case = json.loads((directory / "case.json").read_text())
    model = AutoModelForSeq2SeqLM.from_pretrained(directory, dtype=torch.float32).eval()
    parts = []
    for lo, hi in zip(case["starts"], case["starts"][1:]):
        ids = torch.tensor([case["ids"][lo:hi]])
        parts.append(model(input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=ids).logits.reshape(-1))
    want = torch.tensor(case["logits"])
    return ((torch.cat(parts) - want).abs().max() / want.abs().max()).item()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("directory", type=pathlib.Path)
    p.add_argument("--tolerance", type=float, default=2e-5)
    a = p.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    found = {d.parent.name: difference(d.parent) for d in sorted(a.directory.glob("*/case.json"))}
    for name, d in found.items():
        print(name, f"{d:.1e}")
    sys.exit(not found or any(not d <= a.tolerance for d in found.values()))


if __name__ == "__main__":
    main()
