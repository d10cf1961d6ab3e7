#!/usr/bin/env python3
"""Writes transcribe/testdata/small and small.json, and published.json: transcripts of transformers' generate.

usage: python reference/transcribe_fixture.py [WHISPER_TINY_EN JFK_WAV]

small is a random Whisper with the tokenizer of transcribe/testdata/multilingual and windows of one second. Its sounds
are made by sound(), from integers, which the Go test repeats. Only cases are taken for which float32 and float64 give
the same tokens. published.json has transcripts of the real tiny.en (default: ../shared beside the repository) for
jfk.wav alone and repeated with pauses.
"""
import json
import logging
import pathlib
import sys

import numpy as np
import soundfile
import torch
import transformers
from transformers import (GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration,
                          WhisperTokenizer)

from fixture import versions

HERE = pathlib.Path(__file__).resolve().parent.parent
OUT = HERE / "transcribe" / "testdata"
TOKENIZER, SMALL = OUT / "multilingual", OUT / "small"
SHARED = HERE.parent / "shared"
ENGLISH = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / "models" / "whisper-tiny.en"
JFK = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else SHARED / "data" / "jfk" / "jfk.wav"
RATE = 16000


def sound(seed, length):
    """Returns length samples: every 800 of them a square wave with a loudness and a period of its own."""
    out = np.zeros(length, np.float32)
    state = seed
    for first in range(0, length, 800):
        state = (state * 1664525 + 1013904223) % 2**32
        period, loudness = 3 + (state >> 16) % 61, (state >> 24) % 9
        n = np.arange(first, min(first + 800, length))
        out[n] = np.where(n // period % 2 == 0, 1, -1) * loudness / 16
    return out


def make_small():
    torch.manual_seed(7)
    generation = json.loads((TOKENIZER / "generation_config.json").read_text())
    config = WhisperConfig(
        vocab_size=479, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=80, max_source_positions=50,
        max_target_positions=80, init_std=0.25, pad_token_id=generation["pad_token_id"],
        bos_token_id=generation["bos_token_id"], eos_token_id=generation["eos_token_id"],
        decoder_start_token_id=generation["decoder_start_token_id"], tie_word_embeddings=True)
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():  # longer texts, in which timestamps and ends occur
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.normal_(std=0.1)
        model.model.decoder.embed_tokens.weight[generation["eos_token_id"]] *= 0.6
        model.model.decoder.embed_positions.weight.mul_(3)
        model.model.encoder.conv1.weight.mul_(1.5)
    model.generation_config = GenerationConfig.from_pretrained(TOKENIZER)
    model.save_pretrained(SMALL)
    WhisperFeatureExtractor(feature_size=80, chunk_length=1).save_pretrained(SMALL)
    for name in ("generation_config.json",):
        (SMALL / name).unlink(missing_ok=True)  # the tokenizer's directory has it
    config = json.loads((SMALL / "config.json").read_text())
    return model


def features(extractor, samples):
    """Returns features as the documentation says: a padded window, or the whole of a longer recording."""
    if len(samples) <= extractor.n_samples:
        return extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features
    return extractor(samples, sampling_rate=RATE, return_tensors="pt", truncation=False, padding="longest",
                     return_attention_mask=True).input_features


def transcribe(model, extractor, samples, **options):
    """Returns the tokens and the segments."""
    generation = GenerationConfig.from_dict(model.generation_config.to_dict())
    dtype = next(model.parameters()).dtype
    out = model.generate(features(extractor, samples).to(dtype), generation_config=generation, return_segments=True,
                         **options)
    ids = out["sequences"][0].tolist()
    segments = [{"start": float(s["start"]), "end": float(s["end"]), "tokens": s["tokens"].tolist()}
                for s in out["segments"][0]]
    assert ids == [t for s in segments for t in s["tokens"]], (ids, segments)
    return {"tokens": ids, "segments": segments}


KINDS = [
    {}, {"return_timestamps": True}, {"language": "german", "task": "translate", "return_timestamps": True},
    {"num_beams": 3}, {"num_beams": 3, "return_timestamps": True}, {"language": "ja"},
    {"return_timestamps": True, "condition_on_prev_tokens": True},
    {"return_timestamps": True, "temperature": [0.0], "logprob_threshold": -2.5, "no_speech_threshold": 0.0008},
    {"return_timestamps": True, "max_new_tokens": 12, "num_beams": 2},
]


def small():
    model = make_small()
    exact = WhisperForConditionalGeneration.from_pretrained(SMALL, dtype=torch.float64).eval()
    model.generation_config = GenerationConfig.from_pretrained(TOKENIZER)
    exact.generation_config = GenerationConfig.from_pretrained(TOKENIZER)
    extractor = WhisperFeatureExtractor.from_pretrained(SMALL)
    cases, left_out = [], 0
    for seed in range(1, 55):
        options = KINDS[seed % len(KINDS)]
        length = [6000, 16000, 40000, 70000][seed // len(KINDS) % 4] + seed * 37
        if length > extractor.n_samples:
            options = options | {"return_timestamps": True}
        samples = sound(seed, length)
        try:
            got = transcribe(model, extractor, samples, **options)
            want = transcribe(exact, extractor, samples, **options)
        except RuntimeError as err:  # a window without segments only
            print(seed, options, err)
            continue
        if got["tokens"] != want["tokens"]:
            left_out += 1
            continue
        cases.append({"seed": seed, "length": length, "options": options} | got)
    lengths = [int(torch.tensor(n) * 0.01 / 0.02) for n in range(1, 3001)]
    result = {"versions": versions(), "cases": cases,
              "ends": {n: k for n, k in enumerate(lengths, 1) if k != n // 2}}  # of windows of n frames without timestamps
    (OUT / "small.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(len(cases), "cases,", left_out, "left out;", len(result["ends"]), "ends;",
          sum(len(c["segments"]) for c in cases), "segments")
    for c in cases[:12]:
        print(c["seed"], c["length"], c["options"], [(s["start"], s["end"], len(s["tokens"])) for s in c["segments"]])


LONG = [["clip", 1], ["pause", 3], ["clip", 1], ["pause", 35], ["clip", 1], ["pause", 1], ["clip", 1]]
FALLBACK = {"temperature": [0.0], "compression_ratio_threshold": 1.35, "logprob_threshold": -1.0,
            "no_speech_threshold": 0.6}


def published():
    model = WhisperForConditionalGeneration.from_pretrained(ENGLISH, dtype=torch.float32).eval()
    extractor = WhisperFeatureExtractor.from_pretrained(ENGLISH)
    tokenizer = WhisperTokenizer.from_pretrained(ENGLISH)
    clip, rate = soundfile.read(JFK, dtype="float32")
    assert rate == RATE
    pieces = {"clip": lambda n: np.tile(clip, n), "pause": lambda n: np.zeros(n * RATE, np.float32)}
    long = np.concatenate([pieces[kind](n) for kind, n in LONG])
    cases = []
    for name, samples, options in (
            ("short", clip, {}), ("short", clip, {"num_beams": 5}), ("short", clip, {"return_timestamps": True}),
            ("short", clip, {"return_timestamps": True, "num_beams": 5}),
            ("long", long, {"return_timestamps": True}), ("long", long, {"return_timestamps": True} | FALLBACK),
            ("long", long, {"return_timestamps": True, "condition_on_prev_tokens": True} | FALLBACK),
            ("long", long, {"return_timestamps": True, "num_beams": 5} | FALLBACK)):
        got = transcribe(model, extractor, samples, **options)
        got["text"] = tokenizer.decode(got["tokens"], skip_special_tokens=True)
        cases.append({"sound": name, "options": options} | got)
        print(name, options, [(s["start"], s["end"]) for s in got["segments"]], got["text"])
    (OUT / "published.json").write_text(json.dumps(
        {"versions": versions(), "long": LONG, "cases": cases}, separators=(",", ":")) + "\n")


torch.set_num_threads(1)
logging.getLogger("transformers").setLevel(logging.ERROR)
transformers.utils.logging.set_verbosity_error()
with torch.no_grad():
    small()
    published()
