#!/usr/bin/env python3
"""Writes testdata/crf/expected.json: what PEFT makes of testdata/crf/adapter, which has the transitions of a CRF.

usage: python reference/crf_adapter_fixture.py

The adapter was trained by `finetune token-cls --crf --crf-constrain` on testdata/bert/save_pooler/base. PEFT opens it
with PeftModel.from_pretrained and with the settings of all-linear; its logits must be those of the adapter without the
transitions. The file records PEFT's warnings, which tensors of the CRF are left when PEFT saves the adapter again, and
for each sentence the tags of the best path and their marginal probabilities, over PEFT's logits at the first tokens of
words: Viterbi's and autograd's in float64.
"""
import json
import pathlib
import shutil
import tempfile
import warnings

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

import crf_fixtures

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIR = ROOT / "testdata" / "crf"
BASE = ROOT / "testdata" / "bert" / "save_pooler" / "base"
TENSOR = "base_model.model.crf.TransitionScores"
FORBIDDEN = -1000  # scores at or below stand for forbidden transitions
SENTENCES = [
    ["we", "found", "old", "bank"], ["money", "to", "bank", "to", "pay"], ["lost"], ["the", "film", "was", "great"],
    ["new", "card", "they", "send", "old", "film", "bank", "it", "was", "late"],
]


def open_base(labels):
    return transformers.AutoModelForTokenClassification.from_pretrained(BASE, num_labels=labels, dtype=torch.float32)


def open_adapter(directory, labels):
    """Returns the model and PEFT's warnings about the adapter."""
    base = open_base(labels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base, directory).eval()
    return model, [str(w.message) for w in caught if "crf" in str(w.message).lower() or "key" in str(w.message)]


def emissions(model, tokenizer, words):
    """Returns the logits at the first tokens of the words."""
    batch = tokenizer([words], is_split_into_words=True, return_tensors="pt")
    of = batch.word_ids(0)
    first = [of.index(i) for i in range(len(words))]
    with torch.no_grad():
        return model(**batch).logits[0, first]


def main():
    torch.set_num_threads(1)
    names = json.loads((DIR / "adapter" / "labels.json").read_text())["labels"]
    tensors = load_file(DIR / "adapter" / "adapter_model.safetensors")
    scores = tensors[TENSOR].double()
    scores = scores.masked_fill(scores <= FORBIDDEN, -1e30)
    tokenizer = transformers.AutoTokenizer.from_pretrained(BASE)
    model, said = open_adapter(DIR / "adapter", len(names))
    with tempfile.TemporaryDirectory() as temporary:
        bare = pathlib.Path(temporary) / "bare"
        shutil.copytree(DIR / "adapter", bare)
        config = json.loads((bare / "adapter_config.json").read_text())
        config["modules_to_save"].remove("crf")
        (bare / "adapter_config.json").write_text(json.dumps(config))
        rest = {k: v for k, v in tensors.items() if k != TENSOR}
        save_file(rest, bare / "adapter_model.safetensors", metadata={"format": "pt"})
        without, _ = open_adapter(bare, len(names))
        again = pathlib.Path(temporary) / "again"
        model.save_pretrained(again)
        kept = [k for k in load_file(again / "adapter_model.safetensors") if "crf" in k]
        listed = "crf" in json.loads((again / "adapter_config.json").read_text())["modules_to_save"]
    everything = LoraConfig(task_type="TOKEN_CLS", r=2, target_modules="all-linear", modules_to_save=["classifier", "crf"])
    get_peft_model(open_base(len(names)), everything)  # a module that the model lacks is no error
    rows = []
    for words in SENTENCES:
        x = emissions(model, tokenizer, words)
        assert torch.equal(x, emissions(without, tokenizer, words)), "the transitions change PEFT's logits"
        e = x.double().requires_grad_()
        crf_fixtures.log_sum(e, scores).backward()  # its gradient is the marginals
        path = crf_fixtures.viterbi(e, scores)
        rows.append({
            "words": words, "tags": [names[y] for y in path], "scores": [e.grad[i, y].item() for i, y in enumerate(path)],
            "logits": x.tolist(),
        })
    out = {"warnings": said, "kept_when_saved_again": kept, "listed_when_saved_again": listed, "sentences": rows}
    (DIR / "expected.json").write_text(json.dumps(out, indent=1) + "\n")
    print(f"warnings {said}, kept {kept}, listed {listed}; {sum(len(s) for s in SENTENCES)} words")


if __name__ == "__main__":
    main()
