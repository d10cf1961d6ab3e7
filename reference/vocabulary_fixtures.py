#!/usr/bin/env python3
"""Writes testdata/vocabulary/<case>/: adapters whose vocabulary is not that of the base model, trained for ten steps.

usage: python reference/vocabulary_fixtures.py [CASE ...]

The format is that of testdata/lora. README.md beside this script describes the files.
"""
import pathlib
import sys
import warnings

import lora_fixtures
import torch
import transformers
from lora_fixtures import BERT, DEFAULT, GPT2, UNTIED

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "vocabulary"
TIED = "causal/llama_embed_tied"
KNOWN = 96  # tokens of the base models
NEW = list(range(KNOWN, KNOWN + 5))
BOTH = ["embed_tokens", "lm_head"]

# base, number of tokens, whether the file has the tables (save_embedding_layers), targets, settings of LoraConfig
CASES = {
    "gpt2_rows": (GPT2, 101, True, ["c_attn"], {}),
    "gpt2_pair": (GPT2, 101, True, ["c_attn", "wte"], {}),
    "gpt2_tokens": (GPT2, 101, False, ["c_attn"], dict(trainable_token_indices={"wte": NEW})),
    "llama_tied_saved": (TIED, 101, True, ["q_proj", "v_proj"], dict(modules_to_save=BOTH)),
    "llama_tied_table": (TIED, 101, True, ["q_proj"], dict(modules_to_save=["embed_tokens"])),
    "llama_tied_tokens": (TIED, 101, True, ["q_proj"], dict(trainable_token_indices=[3, 97, 98])),
    "llama_tied_pair": (TIED, 101, True, ["q_proj", "embed_tokens"], dict(use_dora=True)),
    "llama_tied_ensure": (TIED, 101, True, ["q_proj"], dict(modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "llama_saved": (UNTIED, 101, True, ["q_proj", "v_proj"], dict(modules_to_save=BOTH)),
    "llama_pairs": (UNTIED, 101, True, ["q_proj", *BOTH], {}),
    "llama_tokens": (UNTIED, 101, False, ["q_proj"], dict(trainable_token_indices={n: NEW for n in BOTH})),
    "llama_fewer": (UNTIED, 83, True, ["q_proj"], dict(modules_to_save=["embed_tokens"])),
    "llama_equal": (UNTIED, 96, True, ["q_proj"], dict(modules_to_save=BOTH)),
    "bert_rows": (BERT, 101, True, ["query"], {}),
    "bert_pair": (BERT, 101, True, ["value", "word_embeddings"], {}),
    "bert_tokens": (BERT, 101, False, ["query"], dict(trainable_token_indices=[5, *NEW])),
}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        base, vocabulary, tables, targets, options = CASES[name]
        options = dict(options)
        c = DEFAULT | dict(targets=targets, modules_to_save=options.pop("modules_to_save", None))
        seed = 9000 + list(CASES).index(name)
        lora_fixtures.make(ROOT / name, base, c, options, seed, vocabulary, tables)


if __name__ == "__main__":
    main()
