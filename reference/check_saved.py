#!/usr/bin/env python3
"""Opens adapters that the tests saved with PEFT and compares logits, attached and merged.

usage: SPALORA_ADAPTERS=DIR go test -count=1 ./lora -run 'SaveLaws|Seq2SeqSaved'
       python reference/check_saved.py DIR [--tolerance X] [--verbose]

DIR holds a directory for each adapter: the files that Set.Save writes, and case.json with the base model (below
testdata), the task, ids of sequences and our logits. Each file must have exactly the tensors that PEFT expects, and
PEFT must save the same tensors and settings again. The script prints the largest difference of each option over all
architectures and exits with 1 if one is above --tolerance times the largest logit.
"""
import argparse
import collections
import json
import os
import pathlib
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"  # the base model that the adapters name is nowhere

import torch
import transformers
from safetensors.torch import load_file

import causallm
import encoders
from check_adapter import open_adapter

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
LABELS = 3  # of the classifiers
FAMILIES = ("bert", "roberta", "distilbert", "electra", "gpt2", "llama_tied", "llama_biased", "seq2seq_t5_gated_untied",
    "seq2seq_t5_tied_unscaled", "seq2seq_t5_saved", "seq2seq_t5", "seq2seq_mt5", "seq2seq_byt5", "seq2seq_bart_embed",
    "seq2seq_bart", "seq2seq_mbart", "seq2seq_marian", "seq2seq_pegasus", "speech_whisper_128", "speech_whisper_dora",
    "speech_whisper_saved", "speech_whisper")
CAUSAL, SEQ2SEQ, SPEECH = "causal_lm", "seq2seq_lm", "speech"


def open_base(case):
    directory = TESTDATA / case["base"]
    if case["task"] == SPEECH:
        return transformers.AutoModelForSpeechSeq2Seq.from_pretrained(directory, dtype=torch.float32)
    if case["task"] == SEQ2SEQ:
        return transformers.AutoModelForSeq2SeqLM.from_pretrained(directory, dtype=torch.float32)
    return causallm.load_base(directory) if case["task"] == CAUSAL else encoders.load_base(case["task"], directory, LABELS)


@torch.no_grad()
def logits(case, model):
    """Returns the logits of the sequences, one after another, without padding."""
    model.eval()
    ends = case["starts"]
    parts = []
    for lo, hi in zip(ends, ends[1:]):
        if case["task"] == SPEECH:
            bins = len(case["features"]) // ends[-1]
            inputs = dict(input_features=torch.tensor(case["features"][lo * bins:hi * bins]).view(1, hi - lo, bins).mT)
        else:
            ids = torch.tensor([case["ids"][lo:hi]])
            inputs = dict(input_ids=ids, attention_mask=torch.ones_like(ids))
        if case["task"] in (SEQ2SEQ, SPEECH):
            lo, hi = case["label_starts"][len(parts):len(parts) + 2]
            inputs["labels"] = torch.tensor([case["labels"][lo:hi]])
        parts.append(model(**inputs).logits.reshape(-1))
    return torch.cat(parts)


def difference(ours, want):
    return ((ours - want).abs().max() / want.abs().max()).item()


def saved_again(model, directory):
    """Returns what PEFT changes when it saves the adapter: names of tensors and of fields."""
    with tempfile.TemporaryDirectory() as to:
        model.save_pretrained(to)
        before, after = (load_file(pathlib.Path(d) / "adapter_model.safetensors") for d in (directory, to))
        wrong = [n for n in before if n not in after or not torch.equal(before[n], after[n])]
        wrong += [n for n in after if n not in before and not n.endswith(".base_layer.weight")]
        before, after = (json.loads((pathlib.Path(d) / "adapter_config.json").read_text()) for d in (directory, to))
        if before["target_modules"] == "all-linear":  # PEFT lists the names
            after["target_modules"] = "all-linear"
        # PEFT sets fan_in_fan_out to what the layer needs that it adapts last.
        fields = [k for k in before if k not in ("base_model_name_or_path", "fan_in_fan_out")]
        same = lambda a, b: set(a) == set(b) if isinstance(a, list) and isinstance(b, list) else a == b
        return wrong + [k for k in fields if not same(before[k], after.get(k))]


def check(directory):
    """Returns the differences from our logits, attached and merged (None: PEFT does not merge alike)."""
    case = json.loads((directory / "case.json").read_text())
    ours = torch.tensor(case["logits"])
    model = open_adapter(open_base(case), directory)
    changed = saved_again(model, directory)
    if changed:
        sys.exit(f"{directory.name}: PEFT saves other values of {changed}")
    attached = difference(ours, logits(case, model))
    merged = difference(ours, logits(case, model.merge_and_unload())) if case["merges"] else None
    return attached, merged


def main():
    p = argparse.ArgumentParser()
    p.add_argument("directory", type=pathlib.Path)
    p.add_argument("--tolerance", type=float, default=2e-5)
    p.add_argument("--verbose", action="store_true", help="print each adapter")
    a = p.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    worst = collections.defaultdict(lambda: [0, 0.0, None])
    for directory in sorted(d.parent for d in a.directory.glob("*/case.json")):
        family = next(f for f in FAMILIES if directory.name.startswith(f + "_"))
        attached, merged = check(directory)
        if a.verbose:
            print(directory.name, f"{attached:.1e}", "-" if merged is None else f"{merged:.1e}", flush=True)
        w = worst[directory.name.removeprefix(family + "_")]
        w[0], w[1] = w[0] + 1, max(w[1], attached)
        if merged is not None:
            w[2] = max(w[2] or 0.0, merged)
    if not worst:
        sys.exit(f"{a.directory} has no adapters; run the test first")
    print("| option | adapters | attached | merged by PEFT |\n|---|---|---|---|")
    for name, (count, attached, merged) in sorted(worst.items()):
        print(f"| {name} | {count} | {attached:.1e} | {'' if merged is None else f'{merged:.1e}'} |")
    sys.exit(any(max(w[1], w[2] or 0) > a.tolerance for w in worst.values()))


if __name__ == "__main__":
    main()
