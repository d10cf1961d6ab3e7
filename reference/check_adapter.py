#!/usr/bin/env python3
"""Opens the output of the Go program with PEFT (or transformers alone) and compares logits.

usage: python reference/check_adapter.py BASE_DIR ADAPTER_DIR INPUT [--logits FILE] [--output FILE] [options]
       python reference/check_adapter.py --merged DIR INPUT [--logits FILE] [--output FILE] [options]
       python reference/check_adapter.py --causal BASE_DIR ADAPTER_DIR --logits FILE [--tolerance X]
       python reference/check_adapter.py --causal --merged DIR --logits FILE [--tolerance X]
       python reference/check_adapter.py --task TASK BASE_DIR ADAPTER_DIR --logits FILE [--tolerance X]
       python reference/check_adapter.py --task TASK --merged DIR --logits FILE [--tolerance X]

INPUT is a CSV, TSV or JSON Lines file with a text column. Without --output the logits go to standard output, one JSON
object a row. --logits is the output of `predict seq-cls --logits`; the exit code is 1 if the largest difference is
above --tolerance times the largest logit, if a row's label is not that of its largest logit, or if rows are missing.

With --causal the model predicts the next token, and --logits is the output of `predict causal-lm --logits`: each line
has the ids of a text and the logits after each of them.

With --task the model has the head of seq_cls, token_cls, question_answering, multiple_choice or feature_extraction, and
--logits has a line for each sequence: its ids, its token types if the model has them, and its logits (for
feature_extraction its hidden states), row after row.
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
import encoders
import seqcls


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("paths", nargs="+", metavar="PATH")
    p.add_argument("--merged", action="store_true", help="the first path is a merged checkpoint, no adapter follows")
    p.add_argument("--causal", action="store_true", help="a model that predicts the next token")
    p.add_argument("--task", choices=encoders.AUTO, help="a model with the head of this task, fed with ids")
    p.add_argument("--logits", type=pathlib.Path)
    p.add_argument("--output", type=pathlib.Path)
    p.add_argument("--text-column", default="text")
    p.add_argument("--text-pair-column", default="text_pair")
    p.add_argument("--max-length", type=int, default=512)
    p.add_argument("--tolerance", type=float, default=1e-4)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    ids = a.causal or a.task is not None
    if len(a.paths) != 3 - a.merged - ids:
        p.error("expected " + ("DIR" if a.merged else "BASE_DIR ADAPTER_DIR") + ("" if ids else " INPUT"))
    if ids and not a.logits:
        p.error("--causal and --task want --logits")
    return a


def open_merged(directory, kind=transformers.AutoModelForSequenceClassification):
    """Returns the model, in which nothing may be missing or left over."""
    model, info = kind.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[kind]:
            sys.exit(f"{directory}: {kind}: {sorted(info[kind])}")
    return model


def read_rows(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def open_adapter(base, adapter):
    """Returns the base model with the adapter, which must have exactly the tensors that PEFT expects; copies of base
    tables may be left out."""
    model = PeftModel.from_pretrained(base, adapter)
    stored = set(load_file(adapter / "adapter_model.safetensors"))
    expected = {n for n in get_peft_model_state_dict(model) if n in stored or not n.endswith(".base_layer.weight")}
    if stored != expected:  # PEFT only warns
        sys.exit(
            f"{adapter}: tensors PEFT misses: {sorted(expected - stored)}; tensors it does not know: "
            f"{sorted(stored - expected)}"
        )
    return model


def compare(a, logits, labels):
    """Reports whether the given file agrees."""
    rows = read_rows(a.logits)
    if len(rows) != len(logits):
        print(f"{a.logits}: {len(rows)} rows, expected {len(logits)}")
        return False
    ours = torch.tensor([r["logits"] for r in rows], dtype=torch.float32).reshape(logits.shape)
    relative = ((ours - logits).abs().max() / logits.abs().max()).item()
    agreement = (ours.argmax(1) == logits.argmax(1)).float().mean().item()
    wrong = 0
    if logits.shape[1] > 1 and all(isinstance(r.get("label"), str) for r in rows):
        wrong = sum(r["label"] != labels[int(o.argmax())] for r, o in zip(rows, ours))
    print(
        f"rows {len(rows)}, max |difference| / max |logit| {relative:.3e}, same class {agreement:.4%}, labels that are "
        f"not the largest logit's: {wrong}"
    )
    return relative <= a.tolerance and wrong == 0


def check_causal(a):
    """Reports whether the logits after each id of each text agree."""
    directory = a.paths[0]
    if a.merged:
        model = open_merged(directory, transformers.AutoModelForCausalLM)
    else:
        model = open_adapter(causallm.load_base(directory), pathlib.Path(a.paths[1]))
    rows = read_rows(a.logits)
    difference = largest = tokens = same = 0
    for row in rows:
        logits, ours = causallm.observe(model, [row["ids"]], "", hidden=False)["logits"], torch.tensor(
            row["logits"], dtype=torch.float32,
        )
        difference, largest = max(difference, (ours - logits).abs().max().item()), max(
            largest, logits.abs().max().item(),
        )
        tokens, same = tokens + len(logits), same + int((ours.argmax(1) == logits.argmax(1)).sum())
    print(
        f"texts {len(rows)}, tokens {tokens}, max |difference| / max |logit| {difference / largest:.3e}, same next "
        f"token {same / tokens:.4%}"
    )
    return difference <= a.tolerance * largest


def check_task(a):
    """Reports whether the output for each sequence agrees."""
    rows = read_rows(a.logits)
    if a.merged:
        model = open_merged(a.paths[0], encoders.auto_of(a.task, a.paths[0]))
    else:
        width = len(rows[0]["logits"][0])
        model = open_adapter(encoders.load_base(a.task, a.paths[0], width), pathlib.Path(a.paths[1]))
    want = torch.cat([encoders.observe_alone(a.task, model, r["ids"], r.get("types")) for r in rows])
    ours = torch.cat([torch.tensor(r["logits"], dtype=torch.float32) for r in rows])
    relative = ((ours - want).abs().max() / want.abs().max()).item()
    print(f"sequences {len(rows)}, rows {len(want)}, max |difference| / max |value| {relative:.3e}")
    return relative <= a.tolerance


def main():
    a = parse()
    torch.set_num_threads(a.threads)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if a.causal or a.task:
        sys.exit(0 if (check_causal if a.causal else check_task)(a) else 1)
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
