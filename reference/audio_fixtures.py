#!/usr/bin/env python3
"""Writes audio/testdata: sound files of every encoding, resampled sound, and features of WhisperFeatureExtractor.

usage: python reference/audio_fixtures.py
       python reference/audio_fixtures.py --clips FILE.safetensors FILE.wav …

files.safetensors has the mean of the channels of each sound file, as libsndfile decodes it. resample.safetensors has
noise of each rate, `x.<from>`, and for each pair of rates what torchaudio makes of it, `y.<from>.<to>`;
`tone.<from>.<to>` is a mixture of tones below 0.8 × the lower Nyquist frequency, and `soxr.<from>.<to>` is what soxr
makes of it. features.safetensors has `x`, 16,000 samples at 16 kHz in float16, and for each case of features.json its features, row
after row: with `rows`, only the first ones of a window; the rows behind them are all `silence`.

With --clips, the features of these files, resampled to 16 kHz, are written for `go test ./audio -run Clips`.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
import soundfile
import soxr
import torch
import torchaudio.functional
from safetensors.numpy import save_file
from transformers import WhisperFeatureExtractor

ROOT = pathlib.Path(__file__).resolve().parent.parent / "audio" / "testdata"
FILTER = dict(  # the values that torchaudio documents for librosa's "kaiser_best"
    lowpass_filter_width=64, rolloff=0.9475937167399596, resampling_method="sinc_interp_kaiser",
    beta=14.769656459379492)
FILES = {  # name: format, subtype, channels
    "u8.wav": ("WAV", "PCM_U8", 1), "s16.wav": ("WAV", "PCM_16", 2), "s24.wav": ("WAV", "PCM_24", 3),
    "s32.wav": ("WAV", "PCM_32", 1), "f32.wav": ("WAV", "FLOAT", 2), "f64.wav": ("WAV", "DOUBLE", 1),
    "extensible16.wav": ("WAVEX", "PCM_16", 1), "extensible24.wav": ("WAVEX", "PCM_24", 6),
    "extensible_float.wav": ("WAVEX", "FLOAT", 2), "rf64.wav": ("RF64", "PCM_16", 2),
    "s8.flac": ("FLAC", "PCM_S8", 1), "s16.flac": ("FLAC", "PCM_16", 2), "s24.flac": ("FLAC", "PCM_24", 3),
}
ENCODED = ("mulaw.wav", "ULAW"), ("adpcm.wav", "MS_ADPCM")  # which Go does not read
PAIRS = [(8000, 16000), (11025, 16000), (22050, 16000), (44100, 16000), (48000, 16000), (12345, 16000), (16000, 8000)]
CASES = {
    "80": dict(rows=104), "128": dict(feature_size=128, rows=104),
    "whole": dict(chunk_length=1, samples=16000), "part": dict(chunk_length=1, samples=9000),
    "short": dict(chunk_length=1, samples=1), "silence": dict(chunk_length=1, samples=0),
    "other": dict(chunk_length=2, n_fft=512, hop_length=120, feature_size=40, sampling_rate=12000),
    "long": dict(chunk_length=1, samples=15990, longest=True),
}


def sound(frames, channels, rng):
    """Returns frames×channels values in [−1, 1): noise that becomes louder, with both ends of the range."""
    x = rng.uniform(-1, 1, (frames, channels)) * np.linspace(0.01, 1, frames)[:, None]
    x[0], x[1] = -1, 0.999
    return x


def write_files(rng):
    tensors = {}
    for name, (form, subtype, channels) in FILES.items():
        x = sound(301 if form == "FLAC" else 37, channels, rng)
        soundfile.write(ROOT / name, x, 16000, format=form, subtype=subtype)
        y, rate = soundfile.read(ROOT / name, dtype="float64", always_2d=True)
        assert rate == 16000 and y.shape == x.shape
        tensors[name] = y.mean(axis=1).astype(np.float32)
    for name, subtype in ENCODED:
        soundfile.write(ROOT / name, sound(37, 1, rng), 16000, format="WAV", subtype=subtype)
    save_file(tensors, ROOT / "files.safetensors")


def write_resampled(rng):
    tensors = {}
    for old, new in PAIRS:
        if f"x.{old}" not in tensors:
            tensors[f"x.{old}"] = rng.uniform(-1, 1, 1500).astype(np.float16)
        x = torch.from_numpy(tensors[f"x.{old}"].astype(np.float64))  # in float32 its filter is off by 4e-5
        y = torchaudio.functional.resample(x, old, new, **FILTER)
        tensors[f"y.{old}.{new}"] = y.numpy().astype(np.float32)
        top = 0.8 * min(old, new) / 2
        t = np.arange(2000) / old
        tone = sum(np.sin(2 * np.pi * top * k / 7 * t + k) / 8 for k in range(1, 8)).astype(np.float16)
        tensors[f"tone.{old}.{new}"] = tone
        tensors[f"soxr.{old}.{new}"] = soxr.resample(tone.astype(np.float32), old, new, quality="HQ")
    save_file(tensors, ROOT / "resample.safetensors")


def features(extractor, x, **options):
    """Returns the features of a clip, row after row."""
    made = extractor(x, sampling_rate=extractor.sampling_rate, return_tensors="np", **options)
    return np.ascontiguousarray(made.input_features[0].T)


def write_features(rng):
    t = np.arange(16000) / 16000
    x = 0.4 * np.sin(2 * np.pi * (100 + 3800 * t) * t) * np.sin(2 * np.pi * 3 * t) ** 2
    x += 1e-3 * rng.standard_normal(len(t))
    x[12000:13000] = 0
    tensors, cases = {"x": x.astype(np.float16)}, {}
    for name, c in CASES.items():
        c = dict(c)
        rows, samples, longest = c.pop("rows", None), c.pop("samples", 16000), c.pop("longest", False)
        options = dict(truncation=False, padding="longest") if longest else {}
        extractor = WhisperFeatureExtractor(**c)
        made = features(extractor, tensors["x"][:samples].astype(np.float32), **options)
        config = json.loads(extractor.to_json_string())
        cases[name] = dict(config=config, samples=samples, longest=longest, frames=len(made))
        if rows:
            silence = made[rows:]
            assert (silence == silence[0, 0]).all()
            cases[name]["silence"] = float(silence[0, 0])
            made = made[:rows]
        tensors[name] = made
    save_file(tensors, ROOT / "features.safetensors")
    (ROOT / "features.json").write_text(json.dumps(cases, indent=1) + "\n")


def write_clips(out, files):
    extractors = {bins: WhisperFeatureExtractor(feature_size=bins) for bins in (80, 128)}
    tensors = {}
    for path in files:
        x, rate = soundfile.read(path, dtype="float32", always_2d=True)
        x = torch.from_numpy(x.mean(axis=1))
        x = torchaudio.functional.resample(x, rate, 16000, **FILTER).numpy()
        for bins, extractor in extractors.items():
            made = features(extractor, x)
            tensors[f"{bins}:{path}"] = made[:min(len(x) // 160 + 4, len(made))]
    save_file(tensors, out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", nargs="+", metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.clips:
        write_clips(args.clips[0], args.clips[1:])
        return
    ROOT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(42)
    write_files(rng)
    write_resampled(rng)
    write_features(rng)


if __name__ == "__main__":
    sys.exit(main())
