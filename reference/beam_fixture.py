#!/usr/bin/env python3
"""Writes testdata/generate/beams.json and beams.safetensors: sequences and scores of transformers' beam search for two
checkpoints in testdata/causal.

usage: python reference/beam_fixture.py

beams.safetensors: for each checkpoint 200 random prompts, the tokens of greedy choice, and the tokens and the score of
the best of 4 beams for every combination of length_penalty and no_repeat_ngram_size, with the values of early_stopping
in turn. Prompts of one length are searched in one batch. beams.json lists the combinations, and has cases for other
settings with all sequences that are returned. Only prompts are taken for which float32 and float64 give the same tokens
with all settings.
"""
import collections
import itertools
import json
import pathlib
import random

import torch
import transformers
from safetensors.torch import save_file
from transformers import GenerationConfig

import causallm
from fixture import versions

DATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = DATA / "generate"
CHECKPOINTS = {"gpt2_c_attn": 1, "llama_gqa": 2}  # with the number of end tokens
LENGTHS, EACH, POOL = (1, 3, 6, 12), 50, 90  # of prompts; how many of each length, out of how many
TOKENS, NONE = 12, 255
STOPPING = (False, True, "never")  # prompt i has STOPPING[i % 3]
COMBINATIONS = [
    {"length_penalty": p, "no_repeat_ngram_size": n} for p, n in itertools.product((0.6, 1.0, 2.0), (2, 3))]
OTHERS = {
    "two beams": dict(num_beams=2, num_return_sequences=2),
    "all beams": dict(num_beams=5, num_return_sequences=5),
    "many beams": dict(num_beams=20, num_return_sequences=12, early_stopping=True),
    "no end tokens": dict(num_beams=3, num_return_sequences=3, eos_token_id=None),
    "three end tokens": dict(num_beams=3, num_return_sequences=3, eos_token_id=[9, 54, 56, 9]),
    "many end tokens": dict(num_beams=4, num_return_sequences=4, eos_token_id=list(range(0, 96, 5))),
    "many end tokens, full": dict(
        num_beams=4, num_return_sequences=4, eos_token_id=list(range(0, 96, 5)), early_stopping=True),
    "many end tokens, never": dict(
        num_beams=4, num_return_sequences=4, eos_token_id=list(range(0, 96, 5)), early_stopping="never"),
    "no length penalty": dict(num_beams=4, length_penalty=0.0, early_stopping="never"),
    "short ones": dict(num_beams=4, num_return_sequences=2, length_penalty=-1.5),
    "short ones, never": dict(num_beams=4, num_return_sequences=2, length_penalty=-0.5, early_stopping="never"),
    "repetition": dict(num_beams=4, num_return_sequences=4, repetition_penalty=1.7),
    "repetition below one": dict(num_beams=4, num_return_sequences=4, repetition_penalty=0.6),
    "min_length": dict(num_beams=4, num_return_sequences=4, min_length=10, eos_token_id=list(range(0, 96, 7))),
    "min_new_tokens": dict(num_beams=4, num_return_sequences=4, min_new_tokens=6, eos_token_id=list(range(0, 96, 7))),
    "forced_bos": dict(num_beams=4, num_return_sequences=4, forced_bos_token_id=17),
    "forced_eos": dict(num_beams=4, num_return_sequences=4, forced_eos_token_id=33),
    "forced_eos that ends": dict(
        num_beams=4, num_return_sequences=4, forced_eos_token_id=[9], eos_token_id=[9, 54]),
    "bad words": dict(num_beams=4, num_return_sequences=4, bad_words_ids=[[3], [70], [11, 12, 13], [0, 1], [40]]),
    "bias": dict(num_beams=4, num_return_sequences=4, sequence_bias=[[[4], 2.5], [[5, 6], -1.5], [[0], 0.25]]),
    "suppressed": dict(
        num_beams=4, num_return_sequences=4, suppress_tokens=list(range(40)), begin_suppress_tokens=[50, 51, 52]),
    "decay": dict(num_beams=4, num_return_sequences=4, exponential_decay_length_penalty=[2, 1.4]),
    "n-grams of the prompt": dict(num_beams=4, encoder_no_repeat_ngram_size=1, encoder_repetition_penalty=1.4),
    "few tokens": dict(num_beams=6, num_return_sequences=6, max_new_tokens=1),
    "max_length": dict(num_beams=4, num_return_sequences=4, max_length=14, max_new_tokens=None),
}


def search(model, prompts, options):
    """Returns for each prompt of one length its sequences, each a list of new tokens, and their scores."""
    options = {"max_new_tokens": TOKENS} | options
    config = GenerationConfig(
        do_sample=False, pad_token_id=0, output_scores=True, return_dict_in_generate=True, **options)
    ids = torch.tensor(prompts)
    with torch.no_grad():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    ends, n = options.get("eos_token_id") or [], options.get("num_return_sequences", 1)
    sequences = []
    for row in out.sequences[:, ids.shape[1]:].tolist():
        at = min((row.index(e) for e in ends if e in row), default=len(row) - 1)
        sequences.append(row[:at + 1])
    scores = out.sequences_scores.tolist() if options.get("num_beams", 1) > 1 else [0.0] * len(sequences)
    return [(sequences[i:i + n], scores[i:i + n]) for i in range(0, len(sequences), n)]


def clear(model, exact, prompts, settings, wanted):
    """Returns the first prompts for which the model and its float64 twin agree on all tokens in all settings, with what
    they give: for each setting a list over the prompts."""
    results = [search(model, prompts, s) for s in settings]
    same = [True] * len(prompts)
    for s, found in zip(settings, results):
        for i, (a, b) in enumerate(zip(found, search(exact, prompts, s))):
            same[i] = same[i] and a[0] == b[0]
    kept = [i for i, ok in enumerate(same) if ok][:wanted]
    assert len(kept) == wanted, f"only {len(kept)} of {len(prompts)} prompts are clear"
    return [prompts[i] for i in kept], [[found[i] for i in kept] for found in results], sum(same) / len(same)


def likely(model, prompts, count):
    """Returns the tokens that most sequences have, without end tokens, after their third one."""
    found = collections.Counter()
    for (row,), _ in search(model, prompts, {"num_beams": 4, "no_repeat_ngram_size": 2}):
        found.update(set(row[3:]))
    return [t for t, _ in found.most_common(count)]


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tensors, cases, rng = {}, [], random.Random(7)
    for checkpoint, count in CHECKPOINTS.items():
        model = causallm.load_base(DATA / "causal" / checkpoint / "base").eval()
        exact = causallm.load_base(DATA / "causal" / checkpoint / "base").eval().double()
        model.generation_config = exact.generation_config = GenerationConfig()

        def draw(count, length):
            return [[rng.randrange(model.config.vocab_size) for _ in range(length)] for _ in range(count)]

        ends = likely(model, draw(200, 4), count)
        settings = [{"eos_token_id": ends}] + [
            {"num_beams": 4, "eos_token_id": ends, "early_stopping": e} | c for c in COMBINATIONS for e in STOPPING]
        tokens = torch.full((1 + len(COMBINATIONS), EACH * len(LENGTHS), TOKENS), NONE, dtype=torch.uint8)
        scores = torch.zeros(tokens.shape[:2])
        for k, length in enumerate(LENGTHS):
            prompts, results, share = clear(model, exact, draw(POOL, length), settings, EACH)
            print(checkpoint, length, f"{share:.2f} clear")
            tensors[f"{checkpoint}.prompts.{length}"] = torch.tensor(prompts, dtype=torch.uint8)
            for s, found in enumerate(results):
                for i, ((row,), (score,)) in enumerate(found, k * EACH):
                    if s == 0 or (s - 1) % len(STOPPING) == i % len(STOPPING):
                        c = (s + len(STOPPING) - 1) // len(STOPPING)
                        tokens[c, i, :len(row)] = torch.tensor(row, dtype=torch.uint8)
                        scores[c, i] = score
        short = (tokens[1:, :, -1] == NONE).float().mean().item()
        differ = (tokens[1:] != tokens[:1]).any(2).float().mean().item()
        print(checkpoint, f"{short:.2f} of the sequences end early, {differ:.2f} differ from greedy choice")
        tensors[f"{checkpoint}.ends"] = torch.tensor(ends, dtype=torch.uint8)
        tensors[f"{checkpoint}.tokens"], tensors[f"{checkpoint}.scores"] = tokens, scores
        for name, options in OTHERS.items():
            options = {"eos_token_id": ends} | options
            prompts, sequences, values = [], [], []
            for length in (1, 4):
                p, (found,), _ = clear(model, exact, draw(30, length), [options], 2)
                prompts += p
                sequences += [s for s, _ in found]
                values += [[round(x, 6) for x in v] for _, v in found]
            cases.append({
                "checkpoint": checkpoint, "name": name, "max_new_tokens": TOKENS, **options, "prompts": prompts,
                "tokens": sequences, "scores": values})
    save_file(
        {k: v.contiguous() for k, v in tensors.items()}, ROOT / "beams.safetensors",
        metadata={"source": "reference/beam_fixture.py"})
    (ROOT / "beams.safetensors").chmod(0o644)
    lines = ",\n".join("  " + json.dumps(c) for c in cases)
    combinations = json.dumps(COMBINATIONS)
    (ROOT / "beams.json").write_text(
        f'{{"versions": {json.dumps(versions())}, "combinations": {combinations},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
