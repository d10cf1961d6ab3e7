#!/usr/bin/env python3
"""Writes testdata/speech_task/: a run of PEFT on recordings with transcripts, and what the model writes then.

usage: python reference/speech_task_fixture.py

rows.jsonl and the WAV files that it names: recordings of square waves with transcripts. adapter_init and adapter_final:
the adapter before and after ten steps. expected.json: settings, the mean loss of each step and the norm of its
gradient, the loss of all rows before and after training, and the tokens that the trained model writes for the
recordings, greedy and with beams. The base is transcribe/testdata/small with the tokenizer of
transcribe/testdata/multilingual; transcripts are German.
"""
import json
import os
import pathlib
import shutil

import numpy as np
import soundfile
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GenerationConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

from fixture import save_adapter, train, versions

HERE = pathlib.Path(__file__).resolve().parent.parent
SMALL, TOKENIZER = HERE / "transcribe/testdata/small", HERE / "transcribe/testdata/multilingual"
ROOT = HERE / "testdata" / "speech_task"
RATE = 16000
ROWS = [(1, 16000, "Guten Tag."), (2, 12345, "eins zwei drei"), (3, 8000, ""), (4, 16000, "Es regnet heute wieder, ja."),
        (5, 4000, "Ü"), (6, 10000, "vier")]
BATCH, STEPS = 2, 10
SETTINGS = dict(batch=BATCH, accumulate=1, steps=STEPS, lr=3e-3, decay=0.0, schedule="linear", warmup=0, max_norm=1.0)


def sound(seed, length):
    """Returns length samples of 16 bits: every 800 of them a square wave with a loudness and a period of its own."""
    out = np.zeros(length, np.int16)
    state = seed
    for first in range(0, length, 800):
        state = (state * 1664525 + 1013904223) % 2**32
        period, loudness = 3 + (state >> 16) % 61, (state >> 24) % 9
        n = np.arange(first, min(first + 800, length))
        out[n] = np.where(n // period % 2 == 0, 1, -1) * loudness * 2048
    return out


def main():
    transformers.logging.set_verbosity_error()
    os.chdir(HERE)  # adapters note the base's path as it is given
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir()
    tokenizer = WhisperTokenizer.from_pretrained(TOKENIZER, language="german", task="transcribe")
    extractor = WhisperFeatureExtractor.from_pretrained(SMALL)
    features, labels, lines = [], [], []
    for seed, length, text in ROWS:
        name = f"{seed}.wav"
        soundfile.write(ROOT / name, sound(seed, length), RATE, subtype="PCM_16")
        samples, _ = soundfile.read(ROOT / name, dtype="float32")
        features.append(extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features[0])
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.convert_tokens_to_ids("<|startoftranscript|>")
        labels.append(ids[1:])  # as the usual recipe cuts the token that decoders begin with
        lines.append(json.dumps({"audio": name, "text": text}, ensure_ascii=False) + "\n")
    (ROOT / "rows.jsonl").write_text("".join(lines), "utf-8")

    def base():
        model = WhisperForConditionalGeneration.from_pretrained("transcribe/testdata/small", dtype=torch.float32)
        model.generation_config = GenerationConfig.from_pretrained(TOKENIZER)
        return model

    torch.manual_seed(0)
    start = get_peft_model(base(), LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]))
    with torch.no_grad():
        for name, p in start.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.05)
    save_adapter(start, ROOT / "adapter_init")
    model = PeftModel.from_pretrained(base(), ROOT / "adapter_init", is_trainable=True)
    order = [i % len(ROWS) for i in range(BATCH * STEPS)]
    count = lambda rows: sum(len(labels[i]) for i in rows)

    def mean(model, rows):
        longest = max(len(labels[i]) for i in rows)
        padded = torch.tensor([labels[i] + [-100] * (longest - len(labels[i])) for i in rows])
        return model(input_features=torch.stack([features[i] for i in rows]), labels=padded).loss

    def evaluate():
        model.eval()
        with torch.no_grad():
            return mean(model, range(len(ROWS))).item()

    before = evaluate()
    log, _ = train(SETTINGS, model, lambda lo, hi: count(order[lo:hi]),
                   lambda m, lo, hi: mean(m, order[lo:hi]) * count(order[lo:hi]))
    after = evaluate()
    save_adapter(model, ROOT / "adapter_final")
    written = {}
    for name, beams in (("greedy", 1), ("beams", 3)):
        written[name] = []
        for f in features:
            out = model.generate(input_features=f[None], language="de", task="transcribe", num_beams=beams,
                                 max_new_tokens=12, do_sample=False, return_timestamps=False)[0].tolist()
            written[name].append(out)
    expected = {
        "batch_size": BATCH, "max_steps": STEPS, "learning_rate": SETTINGS["lr"], "labels": labels,
        "losses": [x["loss"] for x in log], "grad_norms": [x["grad_norm"] for x in log],
        "loss_before": before, "loss_after": after, "written": written, "versions": versions()}
    (ROOT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(log, before, after, written)


main()
