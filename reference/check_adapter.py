#!/usr/bin/env python3
"""Opens what the Go program wrote with PEFT (or transformers alone) and compares logits.

usage: python reference/check_adapter.py BASE_DIR ADAPTER_DIR INPUT [--logits FILE] [--output FILE] [options]
       python reference/check_adapter.py --merged DIR INPUT [--logits FILE] [--output FILE] [options]

INPUT is a CSV, TSV or JSON Lines file with a text column. Without --output the logits go to standard output, one JSON
object a row. --logits is the output of `predict seq-cls --logits`; the exit code is 1 if the largest difference is
above --tolerance times the largest logit, if a row's label is not that of its largest logit, or if rows are missing.
"""
import argparse
import json
import pathlib
import sys

import torch
import transformers
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoTokenizer

import seqcls


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("paths", nargs="+", metavar="PATH")
    p.add_argument("--merged", action="store_true", help="the first path is a merged checkpoint, no adapter follows")
    p.add_argument("--logits", type=pathlib.Path)
    p.add_argument("--output", type=pathlib.Path)
    p.add_argument("--text-column", default="text")
    p.add_argument("--text-pair-column", default="text_pair")
    p.add_argument("--max-length", type=int, default=512)
    p.add_argument("--tolerance", type=float, default=1e-4)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    if len(a.paths) != (2 if a.merged else 3):
        p.error("expected DIR INPUT after --merged" if a.merged else "expected BASE_DIR ADAPTER_DIR INPUT")
    return a


def open_merged(directory):
    """The model with nothing missing or left over, and its class names from config.json."""
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[kind]:
            sys.exit(f"{directory}: {kind}: {sorted(info[kind])}")
    return model, [model.config.id2label[i] for i in range(model.config.num_labels)]


def open_adapter(base_dir, adapter):
    labels = seqcls.read_labels(adapter / "labels.json")
    base = seqcls.load_base(base_dir, len(labels))
    model = PeftModel.from_pretrained(base, adapter)
    stored, expected = set(load_file(adapter / "adapter_model.safetensors")), set(get_peft_model_state_dict(model))
    if stored != expected:  # PEFT only warns
        sys.exit(f"{adapter}: tensors PEFT misses: {sorted(expected - stored)}; tensors it does not know: {sorted(stored - expected)}")
    return model, labels


def compare(a, logits, labels):
    """True if the given file agrees."""
    rows = [json.loads(line) for line in a.logits.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(rows) != len(logits):
        print(f"{a.logits}: {len(rows)} rows, expected {len(logits)}")
        return False
    ours = torch.tensor([r["logits"] for r in rows], dtype=torch.float32).reshape(logits.shape)
    relative = ((ours - logits).abs().max() / logits.abs().max()).item()
    agreement = (ours.argmax(1) == logits.argmax(1)).float().mean().item()
    wrong = 0
    if logits.shape[1] > 1 and all(isinstance(r.get("label"), str) for r in rows):
        wrong = sum(r["label"] != labels[int(o.argmax())] for r, o in zip(rows, ours))
    print(f"rows {len(rows)}, max |difference| / max |logit| {relative:.3e}, same class {agreement:.4%}, labels that are not the largest logit's: {wrong}")
    return relative <= a.tolerance and wrong == 0


def main():
    a = parse()
    torch.set_num_threads(a.threads)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    directory = a.paths[0]
    model, labels = open_merged(directory) if a.merged else open_adapter(directory, pathlib.Path(a.paths[1]))
    tokenizer = AutoTokenizer.from_pretrained(directory)
    rows = seqcls.read_rows(a.paths[-1], a.text_column, "", a.text_pair_column)
    logits = seqcls.predict(model, *seqcls.encode(tokenizer, rows, a.max_length))
    lines = (json.dumps({"label": labels[int(r.argmax())], "logits": r.tolist()}, ensure_ascii=False) for r in logits)
    if a.output:
        a.output.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    elif not a.logits:
        print("\n".join(lines))
    if a.logits and not compare(a, logits, labels):
        sys.exit(1)


if __name__ == "__main__":
    main()
