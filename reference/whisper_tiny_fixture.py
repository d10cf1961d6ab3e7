#!/usr/bin/env python3
"""Writes testdata/whisper_tiny_en.safetensors: what transformers computes with Whisper tiny.en for jfk.wav.

usage: python reference/whisper_tiny_fixture.py --model DIR --audio jfk.wav

The file has some rows of the encoder's output, and `encoder_largest`, the largest value of all of it; the tokens of
greedy search and of 5 beams, without prompt and end; and for the greedy tokens, read by the decoder after the prompt,
the best id of each row and the logits of some ids, with `logits_largest`.
"""
import argparse
import pathlib
import wave

import numpy
import torch
import transformers
from safetensors.torch import save_file
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "whisper_tiny_en.safetensors"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--audio", required=True)
    a = p.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with wave.open(a.audio) as file:  # 16 kHz, mono, 16 bits
        sound = numpy.frombuffer(file.readframes(file.getnframes()), "<i2").astype(numpy.float32) / 32768
    extractor = WhisperFeatureExtractor.from_pretrained(a.model)
    model = WhisperForConditionalGeneration.from_pretrained(a.model, dtype=torch.float32).eval()
    features = extractor(sound, sampling_rate=16000, return_tensors="pt").input_features
    rows = torch.tensor([0, 1, 2, 63, 400, 548, 549, 550, 551, 777, 1200, 1497, 1498, 1499])
    config = model.generation_config
    with torch.no_grad():
        encoder = model.model.encoder(features).last_hidden_state[0]
        greedy = model.generate(features, num_beams=1, do_sample=False)[0]
        beams = model.generate(features, num_beams=5, do_sample=False)[0]
        labels = torch.cat([
            torch.tensor([config.no_timestamps_token_id]), greedy, torch.tensor([config.eos_token_id])])
        logits = model(input_features=features, labels=labels[None]).logits[0]
    ids = torch.cat([torch.arange(0, 51864, 1297), labels]).unique()
    parts = {
        "rows": rows, "encoder": encoder[rows], "encoder_largest": encoder.abs().max()[None], "greedy": greedy,
        "beams": beams, "labels": labels, "best": logits.argmax(1), "ids": ids, "logits": logits[:, ids],
        "logits_largest": logits.abs().max()[None]}
    save_file({k: v.contiguous() for k, v in parts.items()}, OUT, metadata={"source": "reference/whisper_tiny_fixture.py"})
    print(f"{OUT.name}: {OUT.stat().st_size} bytes, {greedy.tolist()}, beams {torch.equal(greedy, beams)}")


if __name__ == "__main__":
    main()
