#!/usr/bin/env python3
"""Writes testdata/published/<model>.json: vectors of published checkpoints that the repository does not hold.

usage: python reference/published_fixture.py DIR

DIR is the folder of sapiens-roberta-vh, a RoBERTa trained on antibody sequences (PyPI package sapiens 1.0.5, MIT, as a
Hugging Face checkpoint). The vectors are the means of the last hidden states, as sentence-transformers makes them of a
checkpoint without modules.json.
"""
import json
import os
import pathlib
import sys

import torch
import transformers
from transformers import AutoModel, AutoTokenizer

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "published"
TEXTS = [
    "QVQLVQSGAEVKKPGASVKVSCKASGYTFTSYYMHWVRQAPGQGLEWMGIINPSGGSTSYAQKFQGRVTMTRDTSTSTVYMELSSLRSEDTAVYYCARWGGDGFYAMDYWGQGTLVTVSS",
    "EVQLLESGGGLVQ",
    "EVQLVESGG<mask>LVQPGGSLRLSCAASGFTFS X",
]


def main():
    folder = sys.argv[1]
    torch.set_num_threads(1)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in TEXTS:
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**inputs).last_hidden_state[0]
        rows.append({"text": text, "ids": inputs["input_ids"][0].tolist(), "vector": hidden.mean(0).tolist()})
    OUT.mkdir(parents=True, exist_ok=True)
    name = os.path.basename(os.path.normpath(folder))
    with open(OUT / f"{name}.json", "w", encoding="utf-8") as f:
        json.dump({"transformers": transformers.__version__, "torch": torch.__version__, "rows": rows}, f, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main()
