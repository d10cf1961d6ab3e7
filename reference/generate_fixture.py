#!/usr/bin/env python3
"""Writes testdata/generate/: the output of transformers' generate for the checkpoints in testdata/causal, and of its
logits processors.

usage: python reference/generate_fixture.py

greedy.json: greedy tokens of several prompts for a GPT-2 and a LLaMA checkpoint, one by one and as one batch padded on
the left (which must agree), with and without repetition_penalty, with and without an end token. margin is the smallest
distance of the largest logit from the second, relative to the largest absolute logit of the step; it is larger than
rounding could reverse. processors.json and processors.safetensors: logits before, and log-probabilities after
transformers' processors for sampling; scores after those that act without sampling, too.
"""
import json
import pathlib
import random
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import GenerationConfig

import causallm
from fixture import versions

DATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = DATA / "generate"
CHECKPOINTS = ("gpt2_c_attn", "gpt2_old", "llama_gqa", "mistral_window", "qwen2_window", "qwen3", "rope_llama3")
TOKENS = 20  # new tokens for each prompt
MARGIN = 3e-4

# The values of temperature, top_k …; a repetition penalty sees the ids of processors.safetensors.
SAMPLING = {
    "none": {}, "temperature_low": dict(temperature=0.3), "temperature_high": dict(temperature=1.7),
    "top_k": dict(top_k=5), "top_k_all": dict(top_k=1000), "top_k_one": dict(top_k=1),
    "top_p": dict(top_p=0.8), "top_p_small": dict(top_p=0.01), "min_p": dict(min_p=0.1), "min_p_high": dict(min_p=0.9),
    "repetition": dict(repetition_penalty=1.8), "repetition_below_one": dict(repetition_penalty=0.7),
    "temperature_top_p": dict(temperature=0.6, top_p=0.9), "top_k_top_p": dict(top_k=12, top_p=0.7),
    "top_k_min_p": dict(top_k=20, min_p=0.08),
    "top_p_min_p": dict(top_p=0.95, min_p=0.05),
    "all": dict(repetition_penalty=1.3, temperature=0.8, top_k=25, top_p=0.9, min_p=0.03),
    "top_h": dict(top_h=0.5), "top_h_small": dict(top_h=0.01), "top_h_large": dict(top_h=0.97),
    "typical_p": dict(typical_p=0.8), "typical_p_small": dict(typical_p=0.05), "typical_p_large": dict(typical_p=0.995),
    "epsilon": dict(epsilon_cutoff=0.02), "epsilon_high": dict(epsilon_cutoff=0.9),
    "eta": dict(eta_cutoff=0.02), "eta_high": dict(eta_cutoff=0.9),
    "top_h_top_k": dict(top_h=0.7, top_k=6), "top_p_typical_p": dict(top_p=0.9, typical_p=0.7),
    "top_k_epsilon": dict(top_k=15, epsilon_cutoff=0.05), "min_p_eta": dict(min_p=0.02, eta_cutoff=0.1),
    "suppressed_typical_p": dict(suppress_tokens=[1, 5, 9, 30], typical_p=0.6),
    "renormalize": dict(renormalize_logits=True, no_repeat_ngram_size=1, temperature=0.5),
    "suppressed_top_h": dict(bad_words_ids=[[2], [4], [40]], top_h=0.6),
    "all_of_them": dict(
        repetition_penalty=1.2, temperature=1.4, top_h=0.95, top_k=30, top_p=0.97, min_p=0.01, typical_p=0.9,
        epsilon_cutoff=0.01, eta_cutoff=0.05)}

# Settings that also act without sampling. prompt is the number of ids that are the prompt's, length the number of all.
PROMPT, LENGTH, EOS = 5, 9, [7, 20]
PROCESSORS = {
    "encoder_repetition": dict(encoder_repetition_penalty=1.7),
    "encoder_repetition_below_one": dict(encoder_repetition_penalty=0.6),
    "both_repetitions": dict(encoder_repetition_penalty=1.7, repetition_penalty=1.4),
    "no_repeat_1": dict(no_repeat_ngram_size=1), "no_repeat_2": dict(no_repeat_ngram_size=2),
    "no_repeat_3": dict(no_repeat_ngram_size=3), "no_repeat_10": dict(no_repeat_ngram_size=10),
    "encoder_no_repeat_1": dict(encoder_no_repeat_ngram_size=1),
    "encoder_no_repeat_2": dict(encoder_no_repeat_ngram_size=2),
    "encoder_no_repeat_6": dict(encoder_no_repeat_ngram_size=6),
    "bad_words": dict(bad_words_ids=[[3], [7], [11, 12, 13], [0, 1]]),
    "bias": dict(sequence_bias=[[[4], 2.5], [[5, 6], -1.5], [[0], 0.25]]),
    "min_length": dict(min_length=10), "min_length_reached": dict(min_length=9),
    "min_new_tokens": dict(min_new_tokens=5), "min_new_tokens_reached": dict(min_new_tokens=4),
    "forced_bos": dict(forced_bos_token_id=17, prompt=1, length=1), "forced_bos_later": dict(forced_bos_token_id=17),
    "forced_eos": dict(forced_eos_token_id=[7, 31], max_length=10),
    "forced_eos_one": dict(forced_eos_token_id=7, max_length=10),
    "forced_eos_earlier": dict(forced_eos_token_id=7, max_length=11),
    "invalid": dict(remove_invalid_values=True, invalid=True),
    "invalid_after_min_length": dict(remove_invalid_values=True, invalid=True, min_new_tokens=8),
    "decay": dict(exponential_decay_length_penalty=[1, 1.3]),
    "decay_below_one": dict(exponential_decay_length_penalty=[2, 0.5]),
    "decay_later": dict(exponential_decay_length_penalty=[4, 1.3]),
    "decay_of_forbidden": dict(exponential_decay_length_penalty=[1, 1.3], min_new_tokens=9),
    "suppress": dict(suppress_tokens=[2, 3, 47]), "suppress_unknown": dict(suppress_tokens=[-1, 48, 4000, 5]),
    "begin_suppress": dict(begin_suppress_tokens=[1, 2], length=5),
    "begin_suppress_later": dict(begin_suppress_tokens=[1, 2]),
    "begin_suppress_forced": dict(begin_suppress_tokens=[17, 18], forced_bos_token_id=17, prompt=1, length=1),
    "begin_suppress_after_forced": dict(begin_suppress_tokens=[17, 18], forced_bos_token_id=17, prompt=1, length=2),
    "all_in_order": dict(
        sequence_bias=[[[4], 2.5], [[8], -2.0]], encoder_repetition_penalty=1.5, repetition_penalty=1.3,
        no_repeat_ngram_size=2, bad_words_ids=[[3], [9, 10]], min_new_tokens=3, remove_invalid_values=True,
        exponential_decay_length_penalty=[1, 1.2], suppress_tokens=[30]),
}


def generate(model, prompts, **options):
    """Returns the new tokens of each prompt, with the prompts padded on the left, and the smallest margin of a
    choice."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    eos = options.pop("eos_token_id", None)
    config = GenerationConfig(
        do_sample=False, max_new_tokens=TOKENS, pad_token_id=0, eos_token_id=eos, output_scores=True,
        return_dict_in_generate=True, **options
    )
    with torch.no_grad():
        out = model.generate(ids, attention_mask=mask, generation_config=config)
    tokens, margin = [], 1.0
    for i, row in enumerate(out.sequences[:, longest:].tolist()):
        if eos is not None and eos in row:
            row = row[:row.index(eos) + 1]
        for scores in out.scores[:len(row)]:
            best = scores[i].topk(2).values
            margin = min(margin, ((best[0] - best[1]) / scores[i].abs().max()).item())
        tokens.append(row)
    return tokens, margin


def clear_prompt(model, length, rng, **options):
    """Returns a prompt whose choices are all clear, its continuation, and the margin; the best of some prompts if no
    continuation is varied."""
    found = []
    while len(found) < 4:
        prompt = [rng.randrange(model.config.vocab_size) for _ in range(length)]
        (tokens,), margin = generate(model, [prompt], **options)
        if margin >= MARGIN:
            found.append((len(set(tokens)), prompt, tokens, margin))
    return max(found)[1:]


def greedy_case(checkpoint, model, prompts, tokens, margin, **options):
    """Returns a case of the fixture; the batch of all prompts must give the same tokens as the single prompts."""
    if generate(model, prompts, **options)[0] != tokens:
        sys.exit(f"{checkpoint}: the batch gives other tokens than its prompts one by one")
    return {
        "checkpoint": f"causal/{checkpoint}/base", "max_new_tokens": TOKENS, **options, "margin": round(margin, 6),
        "prompts": prompts, "tokens": tokens,
    }


def greedy():
    rng, cases = random.Random(3), []
    for checkpoint in CHECKPOINTS:
        model = causallm.load_base(DATA / "causal" / checkpoint / "base").eval()
        model.generation_config = GenerationConfig()
        room = model.config.max_position_embeddings - TOKENS
        for options in ({}, {"repetition_penalty": 1.3}):
            prompts, tokens, margins = zip(*(clear_prompt(model, n, rng, **options) for n in (1, 3, 7, room)))
            cases.append(greedy_case(checkpoint, model, list(prompts), list(tokens), min(margins), **options))
        # An end token that the second prompt reaches, and perhaps others.
        eos = tokens[1][5]
        ended = [t[:t.index(eos) + 1] if eos in t else t for t in tokens]
        cases.append(greedy_case(checkpoint, model, list(prompts), ended, min(margins), eos_token_id=eos, **options))
    (ROOT / "greedy.json").write_text(one_line_lists({"cases": cases, "versions": versions()}))


def one_line_lists(value):
    """Returns JSON with an object's keys on separate lines, but lists of numbers on one line."""
    lines = ",\n".join("  " + json.dumps(c) for c in value["cases"])
    return '{"versions": ' + json.dumps(value["versions"]) + ', "cases": [\n' + lines + "\n]}\n"


def chain(model, ids, options, **sampling):
    """Returns transformers' processors for settings and the ids so far."""
    prompt = options.pop("prompt", PROMPT)
    config = GenerationConfig(**(sampling | options))
    config._eos_token_tensor = torch.tensor(EOS)
    return model._get_logits_processor(
        generation_config=config, input_ids_seq_length=prompt, encoder_input_ids=ids[:, :prompt], device="cpu",
        model_kwargs={})


def processors():
    gen = torch.Generator().manual_seed(4)
    logits = torch.randn(4, 48, generator=gen) * torch.tensor([1.0, 3.0, 6.0, 2.0])[:, None]
    ids = torch.randint(0, 48, (4, LENGTH), generator=gen)
    ids[:, 3] = ids[:, 0]  # a token twice: the penalty counts once
    ids[:, 4] = logits.argmax(1)
    model = causallm.load_base(DATA / "causal" / "gpt2_c_attn" / "base")
    invalid = logits.clone()
    invalid[:, 3], invalid[:, 7], invalid[:, 40] = float("nan"), float("inf"), -float("inf")
    # Histories that repeat themselves: the last tokens stand after the same ones before.
    again = ids.clone()
    again[:, 7:] = again[:, 1:3]
    tensors, cases = {"logits": logits, "ids": ids, "logits_invalid": invalid, "ids_again": again}, []
    for name, options in SAMPLING.items():
        applied = chain(model, ids, dict(options), do_sample=True, top_k=0, top_p=1.0, temperature=1.0)
        tensors[name] = applied(ids, logits.clone()).log_softmax(1)
        cases.append({
            "name": name, **options, "processors": [type(p).__name__ for p in applied],
            "left": torch.isfinite(tensors[name]).sum(1).tolist(),
        })
    for name, options in PROCESSORS.items():
        options = dict(options)
        read = again[:, :options.pop("length", LENGTH)]
        scores = invalid if options.pop("invalid", False) else logits
        applied = chain(model, read, dict(options))
        if name.startswith("bias") or name == "all_in_order":  # of groups that the histories have
            options["sequence_bias"] += [[again[0, -2:].tolist() + [6], 1.75], [again[1, -1:].tolist() + [8], -3.0]]
            applied = chain(model, read, dict(options))
        tensors[name] = applied(read, scores.clone())
        changed = not torch.equal(tensors[name], scores)
        cases.append({
            "name": name, **PROCESSORS[name], **options, "processors": [type(p).__name__ for p in applied],
            "changed": changed,
        })
    save_file(
        {k: v.contiguous() for k, v in tensors.items()}, ROOT / "processors.safetensors",
        metadata={"source": "reference/generate_fixture.py"},
    )
    (ROOT / "processors.json").write_text(one_line_lists({"cases": cases, "versions": versions()}))


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    ROOT.mkdir(exist_ok=True)
    processors()
    greedy()


if __name__ == "__main__":
    main()
