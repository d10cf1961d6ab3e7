#!/usr/bin/env python3
"""Generates targets with transformers and PEFT as `predict seq2seq-lm` and `predict translation` do.

usage: python reference/generate_seq2seq.py --model DIR [--adapter D] --input F.jsonl --output F.jsonl [options]

Flags have the meaning of the Go commands' flags of the same name. A line of the output has `text` and `tokens`: the
generated ids, the end token included. --float64 shows which rows depend on rounding (compare_runs.py --tokens).
"""
import argparse
import json

import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import seq2seq


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--adapter")
    p.add_argument("--input", required=True)
    p.add_argument("--output", required=True)
    p.add_argument("--batch-size", type=int, default=16)
    p.add_argument("--max-source-length", type=int, default=1024)
    p.add_argument("--source-prefix", default="")
    p.add_argument("--num-beams", type=int, default=1)
    p.add_argument("--length-penalty", type=float, default=1.0)
    p.add_argument("--no-repeat-ngram-size", type=int, default=0)
    p.add_argument("--max-new-tokens", type=int, default=128)
    p.add_argument("--float64", action="store_true")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    transformers.logging.set_verbosity_error()
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    model = AutoModelForSeq2SeqLM.from_pretrained(a.model, dtype=torch.float32)
    if a.adapter:
        model = PeftModel.from_pretrained(model, a.adapter)
    if a.float64:
        model.double()
    sources = tokenizer([a.source_prefix + s for s, _ in seq2seq.read_pairs(a.input)], truncation=True,
                        max_length=a.max_source_length)["input_ids"]
    out = seq2seq.generate(
        model, sources, a.batch_size, do_sample=False, num_beams=a.num_beams, length_penalty=a.length_penalty,
        no_repeat_ngram_size=a.no_repeat_ngram_size, max_new_tokens=a.max_new_tokens)
    with open(a.output, "w", encoding="utf-8") as file:
        for ids in out:
            text = tokenizer.decode(ids, skip_special_tokens=True)
            file.write(json.dumps({"text": text, "tokens": ids}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
