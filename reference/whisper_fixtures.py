#!/usr/bin/env python3
"""Writes testdata/speech/<case>/: small random Whispers and their results in transformers + PEFT.

usage: python reference/whisper_fixtures.py [CASE ...]

Each case holds a base checkpoint, an adapter before and after ten AdamW steps, the clips and labels it was trained on,
and logits. README.md beside this script describes the files. Every case is also trained in float64; the script prints
the largest deviation, so that a case in which rounding alone comes near the tests' tolerances is noticed.
"""
import copy
import json
import os
import pathlib
import random
import shutil
import sys
import warnings

from fixture import deviation, flat, hyperparameters, save_adapter, starts, train, trainable_line, versions

import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperForConditionalGeneration

import causallm
import seq2seq_fixtures

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "speech"
IGNORE = causallm.IGNORE
CLIPS = 5  # that the examples share

# Sizes of the checkpoints; each case overrides some. Every name is one of config.json.
SIZES = dict(
    vocab_size=54, d_model=16, num_mel_bins=80, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
    decoder_attention_heads=4, encoder_ffn_dim=20, decoder_ffn_dim=22, max_source_positions=12, max_target_positions=16,
    pad_token_id=50, bos_token_id=50, eos_token_id=50, decoder_start_token_id=51, begin_suppress_tokens=[3, 50])
DEFAULT = seq2seq_fixtures.DEFAULT
CASES = {
    "whisper": (dict(scale_embedding=True), dict(
        targets=["q_proj", "v_proj"], masked=True, dtype=torch.float16, print=True,
        note="80 bins; default targets; ignored labels, and a target of one token; scale_embedding, which Whisper ignores")),
    "whisper_128": (dict(num_mel_bins=128, decoder_layers=1, tie_word_embeddings=False), dict(
        targets="all-linear", accumulate=2, batch=2, decay=0.05, schedule="cosine", smoothing=0.1,
        note="128 bins, as large-v3, and fewer layers in the decoder, as turbo; all-linear; a head of its own; label "
        "smoothing, accumulation over 2 batches, weight decay")),
    "whisper_dora": (dict(activation_function="relu"), dict(
        targets=["k_proj", "fc2", "out_proj"], dora=True, print=True,
        note="DoRA, on keys, which have no bias; ReLU in the blocks, GELU after the convolutions")),
    "whisper_saved": (dict(encoder_layers=1), dict(
        targets=["embed_tokens", "q_proj"], modules_to_save=["conv1", "conv2"], print=True, dtype=torch.float32,
        note="LoRA on the word table, whose head stays; convolutions that train in full")),
}


def fill(model, gen):
    """Gives every tensor the scale of a trained model; the encoder's positions are not those that a formula gives."""
    seq2seq_fixtures.fill(model, gen)
    encoder = model.model.encoder
    for conv in (encoder.conv1, encoder.conv2):
        conv.weight.data /= 3 ** 0.5
    encoder.embed_positions.weight.data = 0.3 * torch.randn(encoder.embed_positions.weight.shape, generator=gen)


def write_base(config, c, directory, gen):
    model = WhisperForConditionalGeneration(WhisperConfig(**config))
    fill(model, gen)
    directory.mkdir(parents=True)
    model.to(c["dtype"]).config.save_pretrained(directory)
    left = "proj_out.weight" if model.config.tie_word_embeddings else "none"
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items() if k != left}, directory / "model.safetensors",
        metadata={"format": "pt"})


def rows_of(config, c, rng):
    """Returns the labels of all examples in the order of training: ragged, with ignored labels if the case has them."""
    end, labels = config["eos_token_id"], []
    for i in range(c["batch"] * c["accumulate"] * c["steps"]):
        target = [rng.randrange(end) for _ in range(0 if i == 2 else 11 if i == 1 else rng.randint(2, 11))] + [end]
        if c["masked"] and len(target) > 3:
            at = rng.randrange(len(target) - 2)
            target[at:at + 2] = [IGNORE, IGNORE]
        labels.append(target)
    return labels


def labels_of(labels):
    """Returns labels padded with -100, and which of them are real."""
    longest = max(map(len, labels))
    real = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in labels])
    return torch.tensor([row + [IGNORE] * (longest - len(row)) for row in labels]), real


class Rows:
    """Returns clips and labels in the form that fixture.train needs: targets and loss. Example i has clip i mod CLIPS."""

    def __init__(self, clips, labels, smoothing):
        self.clips, self.labels, self.smoothing = clips, labels, smoothing

    def inputs(self, lo, hi, dtype=torch.float32):
        """Returns the features, bins x frames each, as the model needs them."""
        return self.clips[[i % CLIPS for i in range(lo, hi)]].transpose(1, 2).to(dtype)

    def targets(self, lo, hi):
        return sum(x != IGNORE for row in self.labels[lo:hi] for x in row)

    def loss(self, model, lo, hi):
        labels, real = labels_of(self.labels[lo:hi])
        dtype = next(model.parameters()).dtype
        logits = model(input_features=self.inputs(lo, hi, dtype), labels=labels).logits
        return F.cross_entropy(
            logits[real], labels[real], reduction="sum", ignore_index=IGNORE, label_smoothing=self.smoothing)


@torch.no_grad()
def observe(model, rows, count, prefix):
    """Returns the logits of the targets' rows one after another, and the encoder's rows."""
    model.eval()
    labels, real = labels_of(rows.labels[:count])
    out = model(input_features=rows.inputs(0, count), labels=labels)
    return {f"{prefix}logits": out.logits[real], f"{prefix}encoder": out.encoder_last_hidden_state.flatten(0, 1)}


@torch.no_grad()
def beginnings(model, rows, count, frames):
    """Returns the encoder's rows for the first frames of the clips: those of a model with fewer positions."""
    short = copy.deepcopy(model).eval()
    short.config.max_source_positions = frames // 2
    table = short.model.encoder.embed_positions
    table.weight.data, table.num_embeddings = table.weight[:frames // 2], frames // 2
    return short.model.encoder(rows.inputs(0, count)[:, :, :frames]).last_hidden_state.flatten(0, 1)


def attach(base, c, gen):
    model = get_peft_model(base, LoraConfig(
        r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"], lora_dropout=0.0, use_dora=c["dora"],
        modules_to_save=c["modules_to_save"]))  # without task_type: PEFT's wrapper for SEQ_2_SEQ_LM wants input_ids
    seq2seq_fixtures.fill_adapter(model, gen)
    return model


def load_base(directory):
    return WhisperForConditionalGeneration.from_pretrained(directory, dtype=torch.float32)


def make(name, seed):
    config, c = CASES[name]
    config, c = SIZES | config, DEFAULT | c
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    torch.manual_seed(seed)
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    write_base(config, c, directory / "base", gen)
    os.chdir(directory)  # so that the adapter's config says "base", not a path of this machine
    frames = 2 * config["max_source_positions"]
    clips = 0.6 * torch.randn(CLIPS, frames, config["num_mel_bins"], generator=gen)
    rows = Rows(clips, rows_of(config, c, rng), c["smoothing"])
    base = load_base("base")
    pathlib.Path("print_base.txt").write_text(str(base) + "\n")
    expected = {"short.encoder": beginnings(base, rows, c["observed"], frames // 2 - 2)}
    model = attach(base, c, gen)
    save_adapter(model, "adapter_init")
    if c["print"]:
        pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    expected |= observe(model, rows, c["observed"], "init.")
    with model.disable_adapter():
        expected |= observe(model, rows, c["observed"], "base.")
    double = copy.deepcopy(model).double()
    log, grads = train(c, model, rows.targets, rows.loss)
    log64, _ = train(c, double, rows.targets, rows.loss)
    save_adapter(model, "adapter_final")
    expected |= {f"grad.{k}": v for k, v in grads.items()}
    expected |= observe(model, rows, c["observed"], "final.")
    again = PeftModel.from_pretrained(load_base("base"), "adapter_final")
    torch.testing.assert_close(observe(again, rows, c["observed"], "")["logits"], expected["final.logits"])
    merged = observe(again.merge_and_unload(), rows, c["observed"], "")["logits"]
    same = torch.allclose(merged, expected["final.logits"], rtol=1e-3, atol=1e-4)
    source = {"source": "reference/whisper_fixtures.py"}
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors", metadata=source)
    save_file(
        {"features": clips, "labels": flat(rows.labels), "starts": starts(rows.labels)}, "batches.safetensors",
        metadata=source)
    drift = deviation(model, double, log, log64)
    case = {
        "name": name, "note": c["note"], "seed": seed, "model_type": "whisper",
        "base_dtype": str(c["dtype"]).split(".")[1], "observed_rows": c["observed"], "short_frames": frames // 2 - 2,
        **hyperparameters(c), "merge_keeps_tie": same, "trainable_line": trainable_line(model),
        "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    print(f"{name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, norm "
          f"{log[0]['grad_norm']:.3f}, float64: loss {drift['loss']:.1e} norm {drift['grad_norm']:.1e} adapter "
          f"{drift['adapter']:.1e} ({drift['worst_tensor']})")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        make(name, 4000 + list(CASES).index(name))


if __name__ == "__main__":
    main()
