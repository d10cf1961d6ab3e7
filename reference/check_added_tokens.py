#!/usr/bin/env python3
"""Opens an adapter that `finetune --add-tokens` has made with PEFT, and a model that `adapter merge` has made of it.

usage: python reference/check_added_tokens.py BASE ADAPTER MERGED TOKEN ...

The base model is resized with resize_token_embeddings, as PEFT's users do. Prints the ids of each token's text and the
largest difference between the logits of both; exits with 1 if a token is cut into pieces or the logits differ.
"""
import json
import pathlib
import sys

import peft
import torch
import transformers


def main():
    base, adapter, merged, *tokens = sys.argv[1:]
    config = json.loads((pathlib.Path(adapter) / "adapter_config.json").read_text())
    causal = config["task_type"] == "CAUSAL_LM"
    kind = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForSequenceClassification
    options = {}
    if not causal:
        labels = json.loads((pathlib.Path(adapter) / "labels.json").read_text())
        options["num_labels"] = len(labels["labels"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(adapter)
    other = transformers.AutoTokenizer.from_pretrained(merged)
    model = kind.from_pretrained(base, dtype=torch.float32, **options)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer))
    model = peft.PeftModel.from_pretrained(model, adapter).eval()
    whole = kind.from_pretrained(merged, dtype=torch.float32).eval()
    failed = False
    for token in tokens:
        text = f"a {token} b {tokens[0]}"
        ids = tokenizer(text, return_tensors="pt").input_ids
        own = tokenizer.convert_tokens_to_ids(token)
        with torch.no_grad():
            want, got = model(ids).logits, whole(ids).logits
        worst = ((want - got).abs().max() / want.abs().max()).item()
        bad = want.shape != got.shape or not worst < 2e-5 or own not in ids[0].tolist() or \
            other(text).input_ids != ids[0].tolist()
        failed = failed or bad
        print(f"{token!r} is {own}, the text {ids[0].tolist()}; logits {list(want.shape)} differ by {worst:.1e}",
              "FAILED" if bad else "")
    sys.exit(failed)


if __name__ == "__main__":
    main()
