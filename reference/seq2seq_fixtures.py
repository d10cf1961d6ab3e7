#!/usr/bin/env python3
"""Writes testdata/seq2seq/<case>/: small random encoder-decoders and their results in transformers + PEFT.

usage: python reference/seq2seq_fixtures.py [CASE ...]

Each case holds a base checkpoint, an adapter before and after ten AdamW steps, the sources and labels it was trained
on, logits and greedily generated tokens. README.md beside this script describes the files. Every case is also trained
in float64; the script prints the largest deviation, so that a case in which rounding alone comes near the tests'
tolerances is noticed. Without arguments it also writes testdata/seq2seq/buckets.safetensors: T5's buckets of distances.
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
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForSeq2SeqLM, BartConfig, BartForConditionalGeneration, MarianConfig, MarianMTModel
from transformers import MBartConfig, MBartForConditionalGeneration, MT5Config, MT5ForConditionalGeneration
from transformers import PegasusConfig, PegasusForConditionalGeneration, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

import causallm

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "seq2seq"
IGNORE = causallm.IGNORE
FAMILIES = {
    "t5": (T5Config, T5ForConditionalGeneration), "mt5": (MT5Config, MT5ForConditionalGeneration),
    "bart": (BartConfig, BartForConditionalGeneration), "mbart": (MBartConfig, MBartForConditionalGeneration),
    "marian": (MarianConfig, MarianMTModel), "pegasus": (PegasusConfig, PegasusForConditionalGeneration)}

# Sizes of a family's checkpoints; each case overrides some. Every name is one of config.json.
T5 = dict(
    vocab_size=56, d_model=16, d_kv=6, d_ff=20, num_layers=2, num_heads=3, relative_attention_num_buckets=8,
    relative_attention_max_distance=10, dropout_rate=0.0, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
BART = dict(
    vocab_size=52, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=4,
    encoder_ffn_dim=20, decoder_ffn_dim=22, max_position_embeddings=24, dropout=0.0, attention_dropout=0.0,
    activation_dropout=0.0, pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2)
SIZES = {
    "t5": T5, "mt5": T5, "bart": BART, "mbart": BART | dict(decoder_start_token_id=None),
    "marian": BART | dict(pad_token_id=51, eos_token_id=0, bos_token_id=None, decoder_start_token_id=51),
    "pegasus": BART | dict(pad_token_id=0, eos_token_id=1, bos_token_id=None, decoder_start_token_id=0)}

# How a case is trained; each case overrides some.
DEFAULT = dict(
    steps=10, dtype=torch.bfloat16, edit=None, head=False, prefix=True, targets=None, r=2, alpha=4, dora=False,
    modules_to_save=None, batch=3, accumulate=1, lr=3e-3, decay=0.0, schedule="linear", warmup=2, max_norm=1.0,
    smoothing=0.0, masked=False, observed=2, print=False, note="")


def untied(config):
    """Writes config.json as T5 1.1, Flan-T5 and mT5 have it."""
    config["tie_word_embeddings"] = False
    config.pop("scale_decoder_outputs", None)


CASES = {
    "t5": ("t5", dict(), dict(
        masked=True, dtype=torch.float32,
        note="T5: ReLU, tied head with its scale; PEFT's default targets; ignored labels, and a target of one token")),
    "t5_gated_untied": ("t5", dict(feed_forward_proj="gated-gelu", layer_norm_epsilon=1e-3), dict(
        edit=untied, head=True, targets="all-linear", alpha=3, accumulate=2, batch=2, decay=0.05, schedule="cosine",
        warmup=3, max_norm=0.7, lr=5e-3,
        note="T5 1.1: gated GELU, a head of its own without scale; all-linear; accumulation over 2 batches, weight decay")),
    "t5_tied_unscaled": ("t5", dict(feed_forward_proj="gated-silu", num_decoder_layers=1, tie_word_embeddings=False), dict(
        targets=["embed_tokens", "o"], print=True,
        note="as transformers 5 writes T5 1.1: tied, not scaled; LoRA on both word tables, whose head stays; one layer in "
        "the decoder")),
    "mt5": ("mt5", dict(feed_forward_proj="gated-gelu", relative_attention_num_buckets=12), dict(
        edit=untied, head=True, targets=["q", "v", "wi_0", "lm_head"],
        note="mT5: its head is never scaled; a head of its own although the class ties it; LoRA on the head")),
    "byt5": ("t5", dict(
        vocab_size=384, feed_forward_proj="gated-gelu", num_layers=3, num_decoder_layers=1, d_model=12,
        d_kv=4, d_ff=14), dict(
        edit=untied, dora=True, print=True, targets=["q", "v", "wo"], observed=1,
        note="ByT5: bytes, a deep encoder and a shallow decoder; no head in the file although config.json does not tie "
        "it; DoRA")),
    "t5_saved": ("t5", dict(), dict(
        targets=["k", "wi", "relative_attention_bias"], modules_to_save=["lm_head"], print=True,
        note="LoRA on the relative positions; a saved head")),
    "bart": ("bart", dict(), dict(
        masked=True, print=True,
        note="BART: post-norm, learned positions, norm of the embeddings; PEFT's default targets; ignored labels")),
    "bart_embed": ("bart", dict(scale_embedding=True, activation_function="relu", encoder_layers=1), dict(
        targets=["embed_tokens", "fc1"], dtype=torch.float16,
        note="scale_embedding, which also scales the correction; LoRA on both word tables; ReLU; F16")),
    "mbart": ("mbart", dict(scale_embedding=True), dict(
        targets="all-linear", accumulate=2, batch=2, decay=0.05,
        note="mBART: pre-norm with a norm at the end; the decoder starts with the target's last token; all-linear, "
        "accumulation over 2 batches, weight decay")),
    "marian": ("marian", dict(scale_embedding=True, activation_function="swish"), dict(
        targets=["k_proj", "out_proj"], masked=True,
        note="Marian: sinusoidal positions, no norm of the embeddings; the decoder starts with padding; swish")),
    "pegasus": ("pegasus", dict(activation_function="gelu_new"), dict(
        targets=["q_proj", "fc2"], dora=True, note="Pegasus: pre-norm, sinusoidal positions; DoRA")),
}


def fill(model, gen):
    """Gives every tensor the scale of a trained model, so that a wrong activation, eps, bias or position shows."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if "relative_attention_bias" in name:
            p.data = noise
        elif "shared" in name or "embed_tokens" in name:
            p.data = 0.7 * noise
        elif "embed_positions" in name and p.requires_grad:
            p.data = 0.3 * noise
        elif p.dim() == 1 and name.endswith("weight"):
            p.data = 1 + 0.3 * noise
        elif p.dim() == 1:
            p.data = 0.3 * noise
        elif p.requires_grad:
            p.data = noise * 1.1 / p.shape[1] ** 0.5
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias = 0.5 * torch.randn(model.final_logits_bias.shape, generator=gen)
    model.tie_weights()


def fill_adapter(model, gen):
    """Replaces the zero factors (and PEFT's N(0, 1) of embeddings), so that every tensor has a gradient from the first
    step."""
    for name, p in model.named_parameters():
        if "lora_embedding_A" in name:
            p.data = 0.5 * torch.randn(p.shape, generator=gen)
        elif "lora_embedding_B" in name or "lora_B" in name:
            p.data = 0.3 * torch.randn(p.shape, generator=gen)


def write_base(family, config, c, directory, gen):
    """Saves a checkpoint with the file layout of the case."""
    config_class, model_class = FAMILIES[family]
    model = model_class(config_class(**config))
    fill(model, gen)
    if c["head"]:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(model.lm_head.weight.shape, generator=gen) * 0.4)
    store(model, c, directory)


def store(model, c, directory):
    """Saves a model with the file layout of the case."""
    directory.mkdir(parents=True)
    model.to(c["dtype"]).config.save_pretrained(directory)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items() if k in stored(model, c)}
    if not c["prefix"]:
        tensors = {k.removeprefix("model."): v for k, v in tensors.items()}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    if c["edit"]:
        file = directory / "config.json"
        content = json.loads(file.read_text())
        c["edit"](content)
        file.write_text(json.dumps(content, indent=2) + "\n")


def stored(model, c):
    """Returns the names of the tensors that save_pretrained writes, and that of a head of its own."""
    left = ["embed_tokens.weight"] if c["head"] else ["embed_tokens.weight", "lm_head.weight"]
    sinusoidal = c["family"] in ("marian", "pegasus")
    return {
        k for k in model.state_dict()
        if not k.endswith(tuple(left)) and not (sinusoidal and k.endswith("embed_positions.weight"))}


def load_base(directory):
    model = AutoModelForSeq2SeqLM.from_pretrained(directory, dtype=torch.float32)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def rows_of(config, c, rng):
    """Returns sources and labels in the order of training: ragged, with ignored labels if the case has them."""
    vocab, pad, end = config["vocab_size"], config["pad_token_id"], config["eos_token_id"]
    words = [i for i in range(vocab) if i not in (pad, end)]
    sources, labels = [], []
    for i in range(c["batch"] * c["accumulate"] * c["steps"]):
        source = [rng.choice(words) for _ in range(1 if i == 1 else 14 if i == 0 else rng.randint(2, 14))] + [end]
        target = [rng.choice(words) for _ in range(0 if i == 2 else 11 if i == 1 else rng.randint(2, 11))] + [end]
        if c["masked"] and len(target) > 3:
            at = rng.randrange(len(target) - 2)
            target[at:at + 2] = [IGNORE, IGNORE]
        sources.append(source)
        labels.append(target)
    return sources, labels


def batch_of(sources, labels, pad):
    batch = causallm.pad(sources, pad)
    longest = max(map(len, labels))
    batch["labels"] = torch.tensor([row + [IGNORE] * (longest - len(row)) for row in labels])
    real = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in labels])
    return batch, real


class Rows:
    """Returns sources and labels in the form that fixture.train needs: targets and loss."""

    def __init__(self, sources, labels, pad):
        self.sources, self.labels, self.pad = sources, labels, pad

    def targets(self, lo, hi):
        return sum(x != IGNORE for row in self.labels[lo:hi] for x in row)

    def loss(self, model, lo, hi):
        batch, real = batch_of(self.sources[lo:hi], self.labels[lo:hi], self.pad)
        return F.cross_entropy(model(**batch).logits[real], batch["labels"][real], reduction="sum", ignore_index=IGNORE)


@torch.no_grad()
def observe(model, sources, labels, pad, prefix):
    """Returns the logits of the targets' rows one after another, the encoder's first 16 rows, and greedily generated tokens
    without the start token, each sequence alone."""
    model.eval()
    batch, real = batch_of(sources, labels, pad)
    out = model(**batch)
    parts = {
        f"{prefix}logits": out.logits[real],
        f"{prefix}encoder": out.encoder_last_hidden_state[batch["attention_mask"].bool()][:16]}
    tokens, start = [], model.config.decoder_start_token_id
    for source in sources:
        made = model.generate(
            input_ids=torch.tensor([source]), max_new_tokens=12, num_beams=1, do_sample=False, forced_eos_token_id=None,
            decoder_start_token_id=source[-1] if start is None else start)
        tokens.append(made[0, 1:].tolist())
    return parts | {f"{prefix}tokens": flat(tokens), f"{prefix}starts": starts(tokens)}


def attach(base, c, gen):
    model = get_peft_model(base, LoraConfig(
        r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"], lora_dropout=0.0, use_dora=c["dora"],
        task_type=TaskType.SEQ_2_SEQ_LM, modules_to_save=c["modules_to_save"]))
    fill_adapter(model, gen)
    return model


def make(name, seed):
    family, config, c = CASES[name]
    config, c = SIZES[family] | config, DEFAULT | c | dict(family=family)
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    torch.manual_seed(seed)
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    write_base(family, config, c, directory / "base", gen)
    os.chdir(directory)  # so that the adapter's config says "base", not a path of this machine
    sources, labels = rows_of(config, c, rng)
    pad = config["pad_token_id"]
    base = load_base("base")
    pathlib.Path("print_base.txt").write_text(str(base) + "\n")
    model = attach(base, c, gen)
    save_adapter(model, "adapter_init")
    if c["print"]:
        pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    first = sources[:c["observed"]], labels[:c["observed"]], pad
    expected = observe(model, *first, "init.")
    with model.disable_adapter():
        expected |= observe(model, *first, "base.")
    double = copy.deepcopy(model).double()
    rows = Rows(sources, labels, pad)
    log, grads = train(c, model, rows.targets, rows.loss)
    log64, _ = train(c, double, rows.targets, rows.loss)
    save_adapter(model, "adapter_final")
    expected |= {f"grad.{k}": v for k, v in grads.items()}
    expected |= observe(model, *first, "final.")
    again = PeftModel.from_pretrained(load_base("base"), "adapter_final")
    torch.testing.assert_close(observe(again, *first, "")["logits"], expected["final.logits"])
    merged = observe(again.merge_and_unload(), *first, "merged.")["merged.logits"]
    same = torch.allclose(merged, expected["final.logits"], rtol=1e-3, atol=1e-4)
    save_file(
        {k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors",
        metadata={"source": "reference/seq2seq_fixtures.py"})
    save_file(
        {"sources": flat(sources), "source_starts": starts(sources), "labels": flat(labels), "starts": starts(labels)},
        "batches.safetensors", metadata={"source": "reference/seq2seq_fixtures.py"})
    drift = deviation(model, double, log, log64)
    case = {
        "name": name, "note": c["note"], "seed": seed, "model_type": family,
        "base_dtype": str(c["dtype"]).split(".")[1], "observed_rows": c["observed"], **hyperparameters(c),
        "merge_keeps_tie": same, "trainable_line": trainable_line(model), "float64_deviation": drift, "log": log,
        "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    print(f"{name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, norm "
          f"{log[0]['grad_norm']:.3f}, float64: loss {drift['loss']:.1e} norm {drift['grad_norm']:.1e} adapter "
          f"{drift['adapter']:.1e} ({drift['worst_tensor']}), tokens {expected['final.tokens'].tolist()}")


def buckets():
    """Writes the buckets of the distances -300 to 300 for several sizes of tables, and for both directions."""
    distances, parts = torch.arange(-300, 301), {}
    for count, most in [(32, 128), (8, 10), (12, 20), (64, 500)]:
        for both in (True, False):
            made = T5Attention._relative_position_bucket(distances, both, count, most)
            parts[f"{count}.{most}.{'both' if both else 'causal'}"] = made.to(torch.uint8)
    save_file(parts, ROOT / "buckets.safetensors", metadata={"source": "reference/seq2seq_fixtures.py"})


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        make(name, 3000 + list(CASES).index(name))
    if not sys.argv[1:]:
        buckets()


if __name__ == "__main__":
    main()
