#!/usr/bin/env python3
"""Writes testdata/generate/settings.json: what transformers' generate does with each setting of generation_config.json.

usage: python reference/generation_settings_fixture.py

keys lists the settings that GenerationConfig knows. Each case is a generation_config.json beside one of the checkpoints
in testdata/causal, with the tokens that generate, called without any options, appends to prompts. key is the setting
that the case is about; without it the tokens are others. Greedy choices are clear: the two largest scores of each step
differ by more than rounding. Settings of sampling have values that leave one token, so that nothing is random; the
tokens are the same for several seeds and in float64.
"""
import json
import pathlib
import random
import shutil
import sys
import tempfile
import warnings

import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerFast
from transformers.generation.configuration_utils import METADATA_FIELDS

from fixture import versions
from generate_fixture import DATA, MARGIN, ROOT, one_line_lists

CHECKPOINTS = ("llama_gqa", "gpt2_c_attn")
TOKENS = 12  # new tokens, where the file does not say otherwise
LENGTHS = {"forced_bos_token_id": (1, 1, 1), "encoder_no_repeat_ngram_size": (5, 7, 9)}  # of the prompts; else 1, 4, 7
END_OF_TEXT = "<|endoftext|>"


def character_tokenizer(size):
    """Returns the tokenizer that the tests write: token 0 ends a text, the others are the characters of ASCII."""
    vocab = {END_OF_TEXT: 0} | {chr(31 + i): i for i in range(1, size)}
    plain = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=[]))
    plain.decoder = tokenizers.decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token=END_OF_TEXT)


class Checkpoint:
    """A checkpoint of testdata/causal with changing generation_config.json."""

    def __init__(self, name, scratch):
        self.name, self.dir = f"causal/{name}/base", pathlib.Path(scratch) / name
        shutil.copytree(DATA / "causal" / name / "base", self.dir)
        self.vocab = json.loads((self.dir / "config.json").read_text())["vocab_size"]
        self.tokenizer = character_tokenizer(self.vocab)
        self.models = {
            t: AutoModelForCausalLM.from_pretrained(self.dir, dtype=t).eval() for t in (torch.float32, torch.float64)}

    def load(self, file, dtype):
        """Returns the model with the settings that it has when it is loaded beside the file."""
        (self.dir / "generation_config.json").write_text(json.dumps(file))
        self.models[dtype].generation_config = GenerationConfig.from_pretrained(self.dir)
        return self.models[dtype]

    def generate(self, file, prompt, seed=0, dtype=torch.float32):
        """Returns the new tokens of each sequence and the smallest margin of a choice, 1 if no step leaves one."""
        torch.manual_seed(seed)
        ids = torch.tensor([prompt])
        with torch.no_grad():
            out = self.load(file, dtype).generate(
                ids, attention_mask=torch.ones_like(ids), tokenizer=self.tokenizer, return_dict_in_generate=True,
                output_scores=True)
        margin = 1.0
        for scores in (s[0] for s in out.scores):
            left = scores[torch.isfinite(scores)]
            if len(left) > 1 and left.abs().max() > 0:
                best = left.topk(2).values
                margin = min(margin, ((best[0] - best[1]) / left.abs().max()).item())
        return [row[len(prompt):].tolist() for row in out.sequences], margin


def settings(greedy, prompt):
    """Returns a file for each setting, by its key, made for a prompt that is continued with the tokens greedy."""
    one = {"do_sample": True, "typical_p": 0.01}  # leaves the most typical token
    return {
        "max_new_tokens": {"max_new_tokens": 5},
        "max_length": {"max_new_tokens": None, "max_length": len(prompt) + 4},
        "min_new_tokens": {"eos_token_id": greedy[1], "min_new_tokens": 6},
        "min_length": {"eos_token_id": greedy[1], "min_length": len(prompt) + 6},
        "max_time": {"max_time": 1e-9},
        "stop_strings": {"stop_strings": [chr(31 + greedy[2]) + chr(31 + greedy[3]), "nowhere"]},
        "sequence_bias": {"sequence_bias": [[[greedy[0]], -9.0], [[greedy[1], greedy[2]], -9.0], [[7, 8, 9], 3.5]]},
        "encoder_repetition_penalty": {"encoder_repetition_penalty": 4.0},
        "repetition_penalty": {"repetition_penalty": 1.9},
        "no_repeat_ngram_size": {"no_repeat_ngram_size": 1},
        "encoder_no_repeat_ngram_size": {"encoder_no_repeat_ngram_size": 1},
        "bad_words_ids": {"bad_words_ids": [[greedy[0]], [greedy[1], greedy[2]]]},
        "forced_bos_token_id": {"forced_bos_token_id": (greedy[0] + 11) % 90 + 1, "begin_suppress_tokens": [greedy[0]]},
        "forced_eos_token_id": {"forced_eos_token_id": [(greedy[TOKENS - 1] + 5) % 90 + 1, 95]},
        "exponential_decay_length_penalty": {
            "eos_token_id": (greedy[3] + 9) % 90 + 1, "exponential_decay_length_penalty": [2, 4.0]},
        "suppress_tokens": {"suppress_tokens": [greedy[0], greedy[4], 4000]},
        "begin_suppress_tokens": {"begin_suppress_tokens": [greedy[0]]},
        "eos_token_id": {"eos_token_id": [greedy[4], 95]},
        "do_sample": one,
        "temperature": {"do_sample": True, "temperature": 1e-5},
        "top_h": {"do_sample": True, "top_h": 1e-3},
        "top_k": {"do_sample": True, "top_k": 1},
        "top_p": {"do_sample": True, "top_p": 1e-4},
        "min_p": {"do_sample": True, "min_p": 1.0},
        "typical_p": one,
        "epsilon_cutoff": {"do_sample": True, "epsilon_cutoff": 0.999},
        "eta_cutoff": {"do_sample": True, "top_k": 2, "eta_cutoff": 0.999999},
        "num_return_sequences": one | {"num_return_sequences": 2},
    }


def beam_settings(greedy, prompt):
    """Returns a file for each setting of beam search, as settings does."""
    search = {"num_beams": 3, "eos_token_id": list(range(0, 96, 4))}
    return {
        "num_beams": {"num_beams": 4},
        "length_penalty": search | {"length_penalty": -2.0},
        "early_stopping": search | {"early_stopping": True, "length_penalty": 2.0},
    }


def case(c, key, plain, rng):
    """Returns a case of the fixture: for prompts of several lengths, each with its own values in the file."""
    rows = []
    for length in LENGTHS.get(key, (1, 4, 7)):
        for _ in range(300):
            prompt = [rng.randrange(1, c.vocab) for _ in range(length)]
            (greedy,), margin = c.generate(plain, prompt)
            if len(set(greedy)) < 4 or 0 in greedy or margin < MARGIN:
                continue
            made = (settings(greedy, prompt) | beam_settings(greedy, prompt))[key]
            file = {k: v for k, v in (plain | made).items() if v is not None}
            without = {k: v for k, v in file.items() if k != key}
            tokens, margin = c.generate(file, prompt)
            sampled = file.get("do_sample", False)
            if sampled and key != "temperature" and margin < 1:
                continue
            same = all(c.generate(file, prompt, s)[0] == tokens for s in (1, 2)) and \
                c.generate(file, prompt, dtype=torch.float64)[0] == tokens
            searched = "num_beams" in file  # one beam's margin says nothing about the order of all of them
            if (sampled or searched or margin >= MARGIN) and same and (sampled or c.generate(without, prompt)[0] != tokens):
                break
        else:
            sys.exit(f"{c.name}: no prompt of {length} tokens for {key}")
        rows.append({"key": key, "checkpoint": c.name, "file": file, "prompt": prompt, "tokens": tokens})
    return rows


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    cases, plain = [], {"max_new_tokens": TOKENS, "eos_token_id": 0}
    with tempfile.TemporaryDirectory() as scratch:
        checkpoints = [(name, Checkpoint(name, scratch)) for name in CHECKPOINTS]
        for keys, rng in ((settings, random.Random(12)), (beam_settings, random.Random(13))):
            for name, c in checkpoints:
                for key in keys([1] * TOKENS, [1]):
                    cases += case(c, key, plain, rng)
                    print(name, key, cases[-1]["tokens"], file=sys.stderr)
    keys = sorted(set(GenerationConfig().to_dict()) | set(METADATA_FIELDS))
    text = one_line_lists({"cases": cases, "versions": versions()})
    text = text.replace('{"versions"', '{"keys": ' + json.dumps(keys) + ',\n"versions"', 1)
    (ROOT / "settings.json").write_text(text)


if __name__ == "__main__":
    main()
