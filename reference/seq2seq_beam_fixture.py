#!/usr/bin/env python3
"""Writes testdata/generate/seq2seq/: encoder-decoders, and the sequences and scores of transformers' greedy and beam
search.

usage: python reference/seq2seq_beam_fixture.py

<family>/: a small model that has learned random pairs for some steps, so that what it writes for other sources depends
on them, is not the same token again and again, and ends. beams.safetensors: 200 random sources of 1 to 18 tokens and
the end token, the tokens of greedy choice, and the tokens and the score of the best of 4 beams for every combination
of length_penalty and no_repeat_ngram_size. The first third of the sources has early_stopping false, the second true
and the last "never". The sources of a third are one batch, padded on the right.

cases.json has the options of each family, and cases for other settings with all sequences that are returned.

A source is dropped if float32 and float64 do not give the same tokens with all settings, or if two neighbours among
the best candidates of a step are nearer than 2e-5, or what CLEAR has for the family. `margins` are the smallest of
these distances that are left.
"""
import itertools
import json
import pathlib
import random
import shutil

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import GenerationConfig

import causallm
from beam_fixture import STOPPING
from fixture import versions
from seq2seq_fixtures import DEFAULT, FAMILIES, IGNORE, SIZES, batch_of, fill, load_base, store, untied

DATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = DATA / "generate" / "seq2seq"
SOURCES, POOL, LONGEST, TOKENS = 200, 160, 18, 16  # POOL: of each third, of which SOURCES / 3 are taken
CLEAR = {"t5_gated_untied": 2e-4}  # its logits are larger than others', and so is what rounding changes
COMBINATIONS = [
    {"length_penalty": p, "no_repeat_ngram_size": n} for p, n in itertools.product((0.6, 1.0, 2.0), (0, 2, 3))]
WIDE = dict(d_model=24)
GATED = WIDE | dict(feed_forward_proj="gated-gelu")
# Of each family: the class, what differs from SIZES, how it is saved, and the options of its generation_config.json.
# mbart's are the language of the target, which starts the decoder in the first mBART and follows the start in mBART-50.
MODELS = {
    "t5": ("t5", WIDE, {}, {}),
    "t5_gated_untied": ("t5", GATED, dict(head=True, edit=untied), {}),
    "mt5": ("mt5", GATED, dict(head=True, edit=untied), {}),
    "byt5": ("t5", GATED | dict(vocab_size=384, num_layers=3, num_decoder_layers=1), {}, {}),
    "bart": ("bart", WIDE, {}, dict(forced_bos_token_id=0, forced_eos_token_id=2)),
    "mbart": ("mbart", WIDE | dict(scale_embedding=True), {}, dict(
        decoder_start_token_id=7, forced_bos_token_id=9, forced_eos_token_id=2)),
    "marian": ("marian", WIDE | dict(scale_embedding=True, activation_function="swish"), {}, dict(
        forced_eos_token_id=0)),
    "pegasus": ("pegasus", WIDE, {}, {})}
PAIRS, STEPS, LEARNED = 48, 1000, 0.7  # LEARNED: the loss
FOUR = dict(num_beams=4, num_return_sequences=4)
OTHERS = {
    "two beams": dict(num_beams=2, num_return_sequences=2),
    "many beams": dict(num_beams=12, num_return_sequences=7, early_stopping=True),
    "no end tokens": dict(num_beams=3, num_return_sequences=3, eos_token_id=None),
    "no length penalty": FOUR | dict(length_penalty=0.0, early_stopping="never"),
    "repetition": FOUR | dict(repetition_penalty=1.7),
    "repetition, greedy": dict(repetition_penalty=1.7),
    "repetition below one": FOUR | dict(repetition_penalty=0.6),
    "min_length": FOUR | dict(min_length=9, eos_token_id=list(range(3, 50, 7))),
    "min_length, greedy": dict(min_length=9, eos_token_id=list(range(3, 50, 7))),
    "min_new_tokens": FOUR | dict(min_new_tokens=6, eos_token_id=list(range(3, 50, 7))),
    "max_length": FOUR | dict(max_length=8, max_new_tokens=None, forced_eos_token_id=5),
    "forced_bos": FOUR | dict(forced_bos_token_id=17),
    "forced_bos, greedy": dict(forced_bos_token_id=17),
    "forced_eos": FOUR | dict(forced_eos_token_id=33),
    "forced_eos, greedy": dict(forced_eos_token_id=33),
    "bad words": FOUR | dict(bad_words_ids=[[3], [30], [11, 12, 13], [0, 1], [40]]),
    "bad words, greedy": dict(bad_words_ids=[[3], [30], [11, 12, 13], [0, 1], [40]]),
    "bias": FOUR | dict(sequence_bias=[[[4], 2.5], [[5, 6], -1.5], [[8], 0.25]]),
    "suppressed": FOUR | dict(suppress_tokens=list(range(20, 36)), begin_suppress_tokens=[40, 41, 42]),
    "suppressed, forced_bos": FOUR | dict(begin_suppress_tokens=list(range(10, 40)), forced_bos_token_id=17),
    "decay": FOUR | dict(exponential_decay_length_penalty=[2, 1.4]),
    "tokens of the source": FOUR | dict(encoder_no_repeat_ngram_size=1),
    "n-grams of the source": FOUR | dict(encoder_no_repeat_ngram_size=2, encoder_repetition_penalty=2.5),
    "n-grams of the source, greedy": dict(encoder_no_repeat_ngram_size=2, encoder_repetition_penalty=2.5),
    "penalty of the source": FOUR | dict(encoder_repetition_penalty=1.6),
    "penalty of the source, greedy": dict(encoder_repetition_penalty=0.5),
    "n-grams, greedy": dict(no_repeat_ngram_size=2),
}


def teach(model, draw, start, first):
    """Trains a model on random pairs until it has learned most of them."""
    end, pad = model.config.eos_token_id, model.config.pad_token_id
    labels = [([] if first is None else [first]) + row for row in draw(PAIRS, 3, LONGEST)]
    batch, _ = batch_of(draw(PAIRS, 1, LONGEST), labels, pad)
    labels = batch.pop("labels")
    inputs = torch.cat((torch.full_like(labels[:, :1], start), labels[:, :-1].clamp(min=0)), 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 5e-3 * min(1, (step + 1) / 20)
        logits = model(**batch, decoder_input_ids=inputs).logits
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < LEARNED:
            return
    assert False, f"the loss is still {loss.item():.2f}"


def search(model, sources, options):
    """Returns for each source its sequences, each a list of new tokens, their scores, and the smallest distance of two
    neighbours among the best candidates of a step."""
    options = {"max_new_tokens": TOKENS} | options
    config = GenerationConfig(
        do_sample=False, pad_token_id=model.config.pad_token_id, output_scores=True, return_dict_in_generate=True,
        **{"decoder_start_token_id": model.config.decoder_start_token_id} | options)
    batch, n = causallm.pad(sources, model.config.pad_token_id), options.get("num_return_sequences", 1)
    margins = torch.full([len(sources)], torch.inf)

    def narrow(scores, count):
        best = scores.double().topk(count, -1)[0]
        gaps = torch.where(best[:, 1:].isfinite() & (best[:, 1:] > -1e8), best[:, :-1] - best[:, 1:], torch.inf)
        return gaps.min(-1)[0].float()

    continuations = type(model)._get_top_k_continuations

    def watched(self, accumulated_log_probs, beams_to_keep, **others):
        torch.minimum(margins, narrow(accumulated_log_probs, beams_to_keep + 1), out=margins)
        return continuations(
            self, accumulated_log_probs=accumulated_log_probs, beams_to_keep=beams_to_keep, **others)

    model._get_top_k_continuations = watched.__get__(model)
    with torch.no_grad():
        out = model.generate(**batch, generation_config=config)
    del model._get_top_k_continuations
    ends = options.get("eos_token_id") or []
    sequences = []
    for row in out.sequences[:, 1:].tolist():
        at = min((row.index(e) for e in ends if e in row), default=len(row) - 1)
        sequences.append(row[:at + 1])
    if options.get("num_beams", 1) > 1:
        scores = out.sequences_scores.tolist()
    else:
        scores = [0.0] * len(sequences)
        for step, values in enumerate(out.scores):
            going = torch.tensor([step < len(row) for row in sequences])
            margins = torch.where(going, torch.minimum(margins, narrow(values, 2)), margins)
    return [
        (sequences[i * n:(i + 1) * n], scores[i * n:(i + 1) * n], margins[i].item()) for i in range(len(sources))]


def clear(model, exact, sources, settings, wanted, least):
    """Returns the first sources that are clear in all settings, with what they give: for each setting a list over the
    sources."""
    results = [search(model, sources, s) for s in settings]
    same = [True] * len(sources)
    for s, found in zip(settings, results):
        for i, (a, b) in enumerate(zip(found, search(exact, sources, s))):
            same[i] = same[i] and a[0] == b[0] and a[2] >= least
    kept = [i for i, ok in enumerate(same) if ok][:wanted]
    assert len(kept) == wanted, f"only {len(kept)} of {len(sources)} sources are clear with {settings}"
    return [sources[i] for i in kept], [[found[i] for i in kept] for found in results], sum(same) / len(same)


def ragged(rows):
    """Returns rows as one tensor, and their lengths."""
    flat = torch.tensor([x for row in rows for x in row])
    small = torch.uint8 if int(flat.max()) < 256 else torch.int32
    return flat.to(small), torch.tensor([len(row) for row in rows], dtype=torch.uint8)


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    rng, families, cases = random.Random(11), {}, []
    for family, (kind, sizes, saved, own) in MODELS.items():
        torch.manual_seed(len(families))
        config_class, model_class = FAMILIES[kind]
        model = model_class(config_class(**SIZES[kind] | sizes))
        fill(model, torch.Generator().manual_seed(len(families)))
        end, pad = model.config.eos_token_id, model.config.pad_token_id
        words = [i for i in range(model.config.vocab_size) if i not in (pad, end)]

        def draw(count, shortest, longest):
            return [[rng.choice(words) for _ in range(rng.randint(shortest, longest))] + [end] for _ in range(count)]

        if saved.get("head"):
            model.lm_head.weight = torch.nn.Parameter(0.3 * torch.randn_like(model.lm_head.weight))
            model.config.tie_word_embeddings = False
        start = own.get("decoder_start_token_id", model.config.decoder_start_token_id)
        teach(model, draw, start, own.get("forced_bos_token_id"))
        shutil.rmtree(ROOT / family, ignore_errors=True)
        store(model, DEFAULT | saved | {"family": kind}, ROOT / family)
        model = load_base(ROOT / family).eval()
        exact = load_base(ROOT / family).eval().double()
        model.generation_config = exact.generation_config = GenerationConfig()
        own, least = own | {"eos_token_id": [end]}, CLEAR.get(family, 2e-5)
        sources, rows, scores, margins = [], [[] for _ in range(10)], torch.zeros(10, SOURCES), torch.zeros(10, SOURCES)
        for k, stopping in enumerate(STOPPING):
            first, last = SOURCES * k // 3, SOURCES * (k + 1) // 3
            settings = [own] + [own | {"num_beams": 4, "early_stopping": stopping} | c for c in COMBINATIONS]
            kept, results, share = clear(model, exact, draw(POOL, 1, LONGEST), settings, last - first, least)
            print(family, stopping, f"{share:.2f} clear")
            sources += kept
            for s, found in enumerate(results):
                rows[s] += [row for (row,), _, _ in found]
                scores[s, first:last] = torch.tensor([score for _, (score,), _ in found])
                margins[s, first:last] = torch.tensor([margin for _, _, margin in found])
        short = sum(len(row) < TOKENS for part in rows[1:] for row in part) / (9 * SOURCES)
        differ = sum(a != b for part in rows[1:] for a, b in zip(part, rows[0])) / (9 * SOURCES)
        several = len({tuple(row) for row in rows[0]}) / SOURCES
        print(family, f"{short:.2f} end early, {differ:.2f} differ from greedy, {several:.2f} of those are different")
        tensors = {"scores": scores, "margins": margins}
        tensors["sources"], tensors["source_lengths"] = ragged(sources)
        tensors["tokens"], tensors["lengths"] = ragged([row for part in rows for row in part])
        file = ROOT / family / "beams.safetensors"
        save_file(tensors, file, metadata={"source": "reference/seq2seq_beam_fixture.py"})
        file.chmod(0o644)
        families[family] = own
        for name, options in OTHERS.items():
            options = own | options
            same = "source" in name  # transformers takes the padding of a batch for tokens of the sources
            case = {"family": family, "name": name, "max_new_tokens": TOKENS, **options}
            kept, (found,), _ = clear(model, exact, draw(80, 9 if same else 1, 9 if same else 14), [options], 3, least)
            cases.append(case | {
                "sources": kept, "tokens": [s for s, _, _ in found],
                "scores": [[round(x, 6) for x in v] for _, v, _ in found]})
    lines = ",\n".join("  " + json.dumps(c) for c in cases)
    (ROOT / "cases.json").write_text(
        f'{{"versions": {json.dumps(versions())}, "combinations": {json.dumps(COMBINATIONS)},\n'
        f'"families": {json.dumps(families)},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
