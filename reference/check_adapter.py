#!/usr/bin/env python3
"""Opens what the Go program wrote with PEFT (or transformers alone) and compares logits.

usage: python reference/check_adapter.py BASE_DIR ADAPTER_DIR INPUT [--logits FILE] [--output FILE] [options]
       python reference/check_adapter.py --merged DIR INPUT [--logits FILE] [--output FILE] [options]
       python reference/check_adapter.py --causal BASE_DIR ADAPTER_DIR --logits FILE [--tolerance X]
       python reference/check_adapter.py --causal --merged DIR --logits FILE [--tolerance X]

INPUT is a CSV, TSV or JSON Lines file with a text column. Without --output the logits go to standard output, one JSON
object a row. --logits is the output of `predict seq-cls --logits`; the exit code is 1 if the largest difference is
above --tolerance times the largest logit, if a row's label is not that of its largest logit, or if rows are missing.

With --causal the model predicts the next token, and --logits is the output of `predict causal-lm --logits`: in each line the ids of a text
and the logits after each of them.
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

import causallm
import seqcls


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("paths", nargs="+", metavar="PATH")
    p.add_argument("--merged", action="store_true", help="the first path is a merged checkpoint, no adapter follows")
    p.add_argument("--causal", action="store_true", help="a model that predicts the next token")
    p.add_argument("--logits", type=pathlib.Path)
    p.add_argument("--output", type=pathlib.Path)
    p.add_argument("--text-column", default="text")
    p.add_argument("--text-pair-column", default="text_pair")
    p.add_argument("--max-length", type=int, default=512)
    p.add_argument("--tolerance", type=float, default=1e-4)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    if len(a.paths) != 3 - a.merged - a.causal:
        p.error("expected " + ("DIR" if a.merged else "BASE_DIR ADAPTER_DIR") + ("" if a.causal else " INPUT"))
    if a.causal and not a.logits:
        p.error("--causal wants --logits")
    return a


def open_merged(directory, kind=transformers.AutoModelForSequenceClassification):
    """The model, with nothing missing or left over."""
    model, info = kind.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[kind]:
            sys.exit(f"{directory}: {kind}: {sorted(info[kind])}")
    return model


def open_adapter(base, adapter):
    """The base model with the adapter, which has just the tensors that PEFT wants; copies of base tables may be left out."""
    model = PeftModel.from_pretrained(base, adapter)
    stored = set(load_file(adapter / "adapter_model.safetensors"))
    expected = {n for n in get_peft_model_state_dict(model) if n in stored or not n.endswith(".base_layer.weight")}
    if stored != expected:  # PEFT only warns
        sys.exit(f"{adapter}: tensors PEFT misses: {sorted(expected - stored)}; tensors it does not know: {sorted(stored - expected)}")
    return model


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


def check_causal(a):
    """True if the logits after each id of each text agree."""
    directory = a.paths[0]
    if a.merged:
        model = open_merged(directory, transformers.AutoModelForCausalLM)
    else:
        model = open_adapter(causallm.load_base(directory), pathlib.Path(a.paths[1]))
    rows = [json.loads(line) for line in a.logits.read_text(encoding="utf-8").splitlines() if line.strip()]
    difference = largest = tokens = same = 0
    for row in rows:
        logits, ours = causallm.observe(model, [row["ids"]], "", hidden=False)["logits"], torch.tensor(row["logits"], dtype=torch.float32)
        difference, largest = max(difference, (ours - logits).abs().max().item()), max(largest, logits.abs().max().item())
        tokens, same = tokens + len(logits), same + int((ours.argmax(1) == logits.argmax(1)).sum())
    print(f"texts {len(rows)}, tokens {tokens}, max |difference| / max |logit| {difference / largest:.3e}, same next token {same / tokens:.4%}")
    return difference <= a.tolerance * largest


def main():
    a = parse()
    torch.set_num_threads(a.threads)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if a.causal:
        sys.exit(0 if check_causal(a) else 1)
    directory = a.paths[0]
    if a.merged:
        model = open_merged(directory)
        labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    else:
        adapter = pathlib.Path(a.paths[1])
        labels = seqcls.read_labels(adapter / "labels.json")
        model = open_adapter(seqcls.load_base(directory, len(labels)), adapter)
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
