#!/usr/bin/env python3
"""Writes testdata/generate/seq2seq_settings.json: what transformers' generate does with settings in the files of
encoder-decoders.

usage: python reference/seq2seq_settings_fixture.py

Each case is a checkpoint of testdata/seq2seq with a generation_config.json (null: none) and keys that its config.json
has besides, with the tokens that generate, called without any options on the loaded model, returns for a source. Without
the keys in "about" the tokens are others. All tokens are the same in float64.
"""
import json
import pathlib
import random
import shutil
import sys
import tempfile
import warnings

import torch
import transformers
from transformers import AutoModelForSeq2SeqLM

from fixture import versions
from generate_fixture import DATA, ROOT, one_line_lists

# Keys of config.json that make generation_config.json, if that is missing; a summariser's, as older files have them.
LEGACY = {
    "num_beams": 3, "max_length": 9, "early_stopping": True, "length_penalty": 2.0, "no_repeat_ngram_size": 2,
    "forced_bos_token_id": 7, "forced_eos_token_id": 11, "bad_words_ids": [[8], [9, 10]], "decoder_start_token_id": 12,
    "task_specific_params": {"summarization": {"max_length": 4, "num_beams": 1, "prefix": "summarize: "}}}

# Name, generation_config.json, keys of config.json, and the keys that the case is about. END stands for a token that
# the model writes early, so that it acts as an end token.
END = "a token that is written early"
CASES = [
    ("start", {"max_length": 8, "decoder_start_token_id": 5}, {}, ["decoder_start_token_id"]),
    ("start of config.json", None, {"max_length": 8, "decoder_start_token_id": 6}, ["decoder_start_token_id"]),
    ("bos", {"max_length": 8, "bos_token_id": 9}, {}, ["bos_token_id"]),
    ("largest length", {"max_length": 6, "max_new_tokens": None, "decoder_start_token_id": 4}, {}, ["max_length"]),
    ("least length", {"max_length": 14, "min_length": 7, "eos_token_id": END, "decoder_start_token_id": 4}, {},
     ["min_length"]),
    ("first token", {"max_length": 8, "forced_bos_token_id": 13, "decoder_start_token_id": 4}, {},
     ["forced_bos_token_id"]),
    ("last token", {"max_length": 8, "forced_eos_token_id": 14, "decoder_start_token_id": 4}, {},
     ["forced_eos_token_id"]),
    ("everything in config.json", None, LEGACY, list(LEGACY)),
    ("config.json beside a file", {"max_length": 8, "decoder_start_token_id": 4}, LEGACY, []),
]


def generate(directory, file, extra, source, dtype):
    """Returns the tokens after the start token that a loaded checkpoint generates without options."""
    config = json.loads((directory / "original.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | extra))
    target = directory / "generation_config.json"
    target.unlink(missing_ok=True)
    if file is not None:
        target.write_text(json.dumps(file))
    model = AutoModelForSeq2SeqLM.from_pretrained(directory, dtype=dtype).eval()
    ids = torch.tensor([source])
    with torch.no_grad():
        return model.generate(ids, attention_mask=torch.ones_like(ids))[0, 1:].tolist()


def case(directory, checkpoint, config, made, rng):
    """Returns a case, for a source with which the keys that it is about matter."""
    name, file, extra, about = made
    less = lambda d: d and {k: v for k, v in d.items() if k not in about}
    for _ in range(100):
        source = [rng.randrange(4, config["vocab_size"] - 1) for _ in range(6)] + [config["eos_token_id"]]
        given, old = file, config["eos_token_id"]
        if file and "eos_token_id" in file:
            written = generate(directory, {"max_length": 8, "decoder_start_token_id": 4}, {}, source, torch.float32)
            given = file | {"eos_token_id": written[2]}
        elif file:
            given = {"eos_token_id": old} | file
        if given:
            given = {k: v for k, v in given.items() if v is not None}
        tokens = generate(directory, given, extra, source, torch.float32)
        if generate(directory, given, extra, source, torch.float64) != tokens:
            continue
        other = less(given), less(extra)
        if "max_length" in about:
            other = (given and other[0] | {"max_length": 9}, other[1] | ({} if given else {"max_length": 12}))
        if name.startswith("bos") or name == "start":
            other = other[0] | {"decoder_start_token_id": 15}, other[1]
        if about and generate(directory, *other, source, torch.float32) == tokens:
            continue
        return {"checkpoint": checkpoint, "name": name, "file": given, "config": extra, "source": source, "tokens": tokens}
    sys.exit(f"{checkpoint}: no source for {name}")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    cases, rng = [], random.Random(31)
    with tempfile.TemporaryDirectory() as scratch:
        for checkpoint in ("t5", "bart", "mbart", "marian"):
            directory = pathlib.Path(scratch) / checkpoint
            shutil.copytree(DATA / "seq2seq" / checkpoint / "base", directory)
            shutil.copy(directory / "config.json", directory / "original.json")
            config = json.loads((directory / "config.json").read_text())
            for made in CASES:
                cases.append(case(directory, checkpoint, config, made, rng))
                print(checkpoint, made[0], cases[-1]["tokens"], file=sys.stderr)
    (ROOT / "seq2seq_settings.json").write_text(one_line_lists({"cases": cases, "versions": versions()}))


if __name__ == "__main__":
    main()
