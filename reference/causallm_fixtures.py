#!/usr/bin/env python3
"""Writes testdata/causal/<case>/: small random GPT-2 and LLaMA-like checkpoints and their results in transformers +
PEFT.

usage: python reference/causallm_fixtures.py [CASE ...]

Each case holds a base checkpoint, an adapter before and after ten or more AdamW steps, the rows of ids it was trained
on and intermediate values. README.md beside this script describes the files. Every case is also trained in float64; the
script prints the largest deviation, so that a case in which rounding alone comes near the tests' tolerances is noticed.
"""
import copy
import json
import os
import pathlib
import random
import shutil
import sys
import warnings

from fixture import deviation, flat, hyperparameters, save_adapter, starts, trainable_line, train, versions

import torch
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

import causallm

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "causal"
FAMILIES = {
    "gpt2": (GPT2Config, GPT2LMHeadModel), "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}

# Sizes of a family's checkpoints; each case overrides some. Every name is one of config.json.
GPT2 = dict(vocab_size=96, n_positions=32, n_embd=24, n_layer=2, n_head=3, n_inner=40, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0,
            bos_token_id=0, eos_token_id=0, layer_norm_epsilon=1e-5)
LLAMA = dict(vocab_size=96, max_position_embeddings=40, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2,
             intermediate_size=32, rms_norm_eps=1e-6, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)
# heads of 16 columns: 8 frequencies
ROPE = LLAMA | dict(hidden_size=32, num_attention_heads=2, num_key_value_heads=1, intermediate_size=24)

# How a case is trained; each case overrides some.
DEFAULT = dict(
    steps=10, dtype=torch.float32, prefix=True, buffers=False, edit=None, targets=None, fan_in_fan_out=False, r=4,
    alpha=8, modules_to_save=None,
    batch=3, accumulate=1, lr=3e-3, decay=0.0, schedule="linear", warmup=2, max_norm=1.0, smoothing=0.0,
    lengths=(1, 14), masked=0.0, observed=2, note="")


def old_rope(theta, **scaling):
    """Writes positions into config.json in the form of transformers 4."""
    def edit(config):
        del config["rope_parameters"]
        config["rope_theta"] = theta
        config["rope_scaling"] = scaling or None
    return edit


BF16, F16 = torch.bfloat16, torch.float16
CASES = {
    "gpt2_c_attn": (
        "gpt2", dict(),
        dict(
            fan_in_fan_out=True, masked=0.4,
            note="PEFT's default target; labels masked, all of them in one row; fan_in_fan_out true",
        ),
    ),
    "gpt2_wte": ("gpt2", dict(n_inner=None, n_embd=16, n_head=2, layer_norm_epsilon=1e-3), dict(
        targets=["wte", "c_proj", "c_fc"], decay=0.01, r=3, alpha=6,
        note="LoRA on the word table: the tied head keeps the base table; n_inner null; c_proj names the one of "
        "attention and of the MLP")),
    "gpt2_old": ("gpt2", dict(activation_function="gelu", layer_norm_epsilon=1e-2, n_layer=3, n_embd=16,
        n_head=4), dict(
        dtype=F16, prefix=False, buffers=True, targets=["attn.c_attn", "mlp.c_proj"], r=2, alpha=5, masked=0.3,
        note="GPT2Model without prefix, with attn.bias and attn.masked_bias buffers, F16; gelu with erf; "
        "layer_norm_epsilon 0.01")),
    "gpt2_all_linear": ("gpt2", dict(activation_function="relu", n_inner=20, n_embd=20, n_head=2), dict(
        targets="all-linear", r=2, alpha=3, accumulate=2, batch=2, decay=0.05, schedule="cosine", warmup=3,
        max_norm=0.7, lr=5e-3, steps=12, fan_in_fan_out=True,
        note="all-linear (Conv1D, but not the head); accumulation over 2 batches, weight decay, cosine")),
    "gpt2_lm_head": ("gpt2", dict(n_embd=16, n_head=2, n_inner=24), dict(
        targets=["lm_head", "wpe", "c_attn"], r=3, alpha=4, dtype=BF16,
        note="LoRA on the tied head and on the table of positions; PEFT keeps the head's base table in the file")),
    "gpt2_scaled": ("gpt2", dict(n_embd=16, n_head=2, scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True,
        n_layer=3, n_inner=24), dict(
        targets=["c_attn"], r=2, alpha=4, dtype=BF16,
        note="scale_attn_weights false, scale_attn_by_inverse_layer_idx true")),
    "gpt2_full_length": ("gpt2", dict(n_embd=16, n_head=2, n_inner=24, n_positions=24,
        activation_function="gelu_pytorch_tanh"), dict(
        targets=["c_attn", "c_fc"], r=2, alpha=4, dtype=F16, lengths=(24, 20), observed=1, batch=2, schedule="constant",
        warmup=0, note="rows of up to all 24 positions")),
    "llama_gqa": ("llama", dict(tie_word_embeddings=True), dict(
        targets=["q_proj", "k_proj", "v_proj", "o_proj"], masked=0.4,
        note="grouped queries, tied head; labels masked, all of them in one row")),
    "llama_all_linear": ("llama", dict(rms_norm_eps=1e-2), dict(
        dtype=BF16, targets="all-linear", r=2, alpha=3, accumulate=2, batch=2, decay=0.05, schedule="cosine", warmup=3,
        max_norm=0.7, lr=5e-3, steps=12,
        note="own head, BF16; all-linear; accumulation over 2 batches, weight decay, cosine; rms_norm_eps 0.01")),
    "llama_embed": ("llama", dict(pad_token_id=7), dict(
        targets=["embed_tokens", "q_proj"], dtype=BF16,
        note="LoRA on the word table, whose base PEFT keeps in the file; pad_token_id is the table's padding_idx and "
        "stands in the texts")),
    "llama_embed_tied": ("llama", dict(tie_word_embeddings=True), dict(
        targets=["embed_tokens", "v_proj", "down_proj"], dtype=BF16, r=2,
        note="LoRA on the word table of a tied head, which keeps the base table")),
    "llama_bias": ("llama", dict(head_dim=10, attention_bias=True, mlp_bias=True, num_attention_heads=3,
        num_key_value_heads=1, rms_norm_eps=1e-3), dict(
        targets=["q_proj", "k_proj", "o_proj", "gate_proj"], dtype=BF16, r=3,
        note="head_dim 10 with 3 heads of 24 columns; biases of attention and MLP; one key/value head")),
    "llama_save_head": ("llama", dict(num_key_value_heads=4, hidden_size=16, intermediate_size=24, vocab_size=64), dict(
        modules_to_save=["lm_head"], r=2,
        note="PEFT's default targets (q_proj, v_proj); modules_to_save = lm_head; as many key/value heads as heads")),
    "llama_head": ("llama", dict(hidden_size=16, intermediate_size=24, vocab_size=64), dict(
        targets=["lm_head", "up_proj"], dtype=F16, r=2, alpha=6,
        note="LoRA on the own head, whose base PEFT keeps in the file")),
    "rope_default_old": (
        "llama", ROPE,
        dict(
            dtype=BF16, targets=["q_proj", "k_proj"], r=2, edit=old_rope(300.0),
            note="rope_theta 300 as transformers 4 wrote it",
        ),
    ),
    "rope_linear_old": ("llama", ROPE, dict(
        dtype=BF16, targets=["q_proj", "k_proj"], r=2, edit=old_rope(500.0, type="linear", factor=2.5),
        note="rope_scaling of type linear, old spelling")),
    "rope_dynamic": ("llama", ROPE | dict(max_position_embeddings=12,
        rope_parameters=dict(rope_type="dynamic", rope_theta=500.0, factor=3.0)), dict(
        dtype=BF16, targets=["q_proj", "k_proj"], r=2, lengths=(20, 20), observed=1, batch=2,
        note="dynamic; every row has 20 tokens where max_position_embeddings is 12 (transformers scales by the longest "
        "row of a batch)")),
    "rope_yarn": ("llama", ROPE | dict(rope_parameters=dict(rope_type="yarn", rope_theta=1000.0, factor=4.0,
        original_max_position_embeddings=10)), dict(
        dtype=BF16, targets=["q_proj", "k_proj"], r=2, note="yarn with its defaults")),
    "rope_yarn_mscale": ("llama", ROPE, dict(
        dtype=BF16, targets=["q_proj", "k_proj"], r=2, lengths=(18, 9), observed=1, batch=2,
        edit=old_rope(
            1000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=20, beta_fast=3.0, beta_slow=0.25,
            mscale=0.9, mscale_all_dim=0.4,
        ),
        note="yarn as rope_scaling, with beta_fast, beta_slow, mscale and mscale_all_dim")),
    "rope_yarn_factor": ("llama", ROPE | dict(rope_parameters=dict(
        rope_type="yarn", rope_theta=1000.0, factor=4.0, attention_factor=1.3, beta_fast=2.0, beta_slow=0.5,
        truncate=False)), dict(
        dtype=BF16, targets=["q_proj", "k_proj"], r=2,
        note="yarn with attention_factor, truncate false, original_max_position_embeddings left to "
        "max_position_embeddings")),
    "rope_llama3": ("llama", ROPE | dict(rope_parameters=dict(
        rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32)), dict(
        dtype=BF16, targets=["q_proj", "k_proj"], r=2, lengths=(18, 9), observed=1, batch=2,
        note="llama3: frequencies below, within and above the two borders")),
    "mistral_window": ("mistral", dict(sliding_window=5, max_position_embeddings=40), dict(
        dtype=BF16, lengths=(1, 18), r=3, note="sliding_window 5, rows of up to 18 tokens; PEFT's default targets")),
    "mistral_full": ("mistral", dict(sliding_window=None, head_dim=8, hidden_size=20, num_attention_heads=2,
        num_key_value_heads=1), dict(
        dtype=BF16, targets=["o_proj", "down_proj"], r=2,
        note="sliding_window null, head_dim 8 of 2 heads and 20 columns")),
    "qwen2": ("qwen2", dict(tie_word_embeddings=True, use_sliding_window=False), dict(
        dtype=BF16, targets=["q_proj", "k_proj", "v_proj"], r=2, lengths=(4, 16),
        edit=lambda config: config.update(sliding_window=3, max_window_layers=1) or config.pop("layer_types", None),
        note="biases of q, k, v; sliding_window 3 in the file but use_sliding_window false, as Qwen2's own files are")),
    "qwen2_window": ("qwen2", dict(use_sliding_window=True, sliding_window=4, max_window_layers=1, num_hidden_layers=3,
        rms_norm_eps=1e-3), dict(
        dtype=BF16, r=2, lengths=(4, 16), note="sliding_window 4 from layer max_window_layers = 1 on")),
    "qwen3": ("qwen3", dict(head_dim=8, tie_word_embeddings=True), dict(
        dtype=BF16, targets=["q_proj", "k_proj", "o_proj", "up_proj"], r=2,
        note="norms of queries and keys; head_dim 8 of 4 heads and 24 columns")),
}


def settings(name):
    family, config, run = CASES[name]
    return family, (GPT2 if family == "gpt2" else LLAMA) | config, DEFAULT | run


def fill(model, gen):
    """Gives every tensor the scale of a trained model, so that a wrong activation, eps, bias or rotation shows."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if p.dim() == 1 and name.endswith("weight"):
            p.data = 1 + 0.3 * noise
        elif p.dim() == 1:
            p.data = 0.3 * noise
        # small where the head shares it, because otherwise every token predicts itself
        elif any(part in name for part in ("wte", "embed_tokens")):
            p.data = (0.15 if model.config.tie_word_embeddings else 0.7) * noise
        elif "wpe" in name:
            p.data = 0.15 * noise
        else:  # GPT-2's Conv1D is in×out, nn.Linear out×in
            inputs = p.shape[0] if any(part in name for part in ("c_attn", "c_proj", "c_fc")) else p.shape[1]
            p.data = noise * 1.2 / inputs ** 0.5
    model.tie_weights()


def fill_adapter(model, gen):
    """Replaces the zero factors (and PEFT's N(0, 1) of embeddings), so that every tensor has a gradient from the first
    step."""
    for name, p in model.named_parameters():
        if "lora_embedding_A" in name:
            p.data = 0.5 * torch.randn(p.shape, generator=gen)
        elif "lora_embedding_B" in name or "lora_B" in name:
            p.data = 0.3 * torch.randn(p.shape, generator=gen)
        elif "modules_to_save" in name:
            p.data = torch.randn(p.shape, generator=gen) * (1 / p.shape[-1] ** 0.5 if p.dim() > 1 else 0.3)


def write_base(family, config, c, directory, gen, model_class=None):
    """Saves a checkpoint with the file layout of the case."""
    directory.mkdir(parents=True)
    config_class, default_class = FAMILIES[family]
    model = (model_class or default_class)(config_class(**config))
    fill(model, gen)
    (model if c["prefix"] else model.base_model).to(c["dtype"]).save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    if c["buffers"]:
        file = directory / "model.safetensors"
        tensors, n = load_file(file), config["n_positions"]
        for i in range(config["n_layer"]):
            tensors[f"h.{i}.attn.bias"] = torch.tril(torch.ones(n, n, dtype=torch.uint8)).view(1, 1, n, n)
            tensors[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
        save_file(tensors, file, metadata={"format": "pt"})
    if c["edit"]:
        file = directory / "config.json"
        content = json.loads(file.read_text())
        c["edit"](content)
        file.write_text(json.dumps(content, indent=2) + "\n")


def rows_of(config, c, rng):
    """Returns rows of ids with labels in the order of training: ragged, with masked labels if the case has them."""
    ids, labels, vocab = [], [], config["vocab_size"]
    for i in range(c["batch"] * c["accumulate"] * c["steps"]):
        length = c["lengths"][i] if i < 2 else rng.randint(max(2, min(c["lengths"])), max(c["lengths"]))
        row = [rng.randrange(vocab) for _ in range(length)]
        if config.get("pad_token_id") and i % 3 == 1:
            row[length // 2] = config["pad_token_id"]
        ids.append(row)
        # a prompt that is not trained
        begin = 0 if not c["masked"] else length if i == 4 else int(length * rng.uniform(0, 2 * c["masked"]))
        labels.append([causallm.IGNORE] * begin + row[begin:])
    return ids, labels


def attach(base, c, gen):
    model = get_peft_model(base, LoraConfig(
        r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"], lora_dropout=0.0, fan_in_fan_out=c[
            "fan_in_fan_out"
        ],
        task_type=TaskType.CAUSAL_LM, modules_to_save=c["modules_to_save"]))
    fill_adapter(model, gen)
    return model


def make(name, seed):
    family, config, c = settings(name)
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    torch.manual_seed(seed)
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    write_base(family, config, c, directory / "base", gen)
    os.chdir(directory)  # so that the adapter's config says "base", not a path of this machine
    ids, labels = rows_of(config, c, rng)
    base = causallm.load_base("base")
    pathlib.Path("print_base.txt").write_text(str(base) + "\n")
    model = attach(base, c, gen)
    save_adapter(model, "adapter_init")
    pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    first = ids[:c["observed"]]
    expected = causallm.observe(model, first, "init.")
    with model.disable_adapter():
        expected |= causallm.observe(model, first, "base.")
    double = copy.deepcopy(model).double()
    rows = causallm.Rows(ids, labels)
    log, grads = train(c, model, rows.targets, rows.loss)
    for step, line in enumerate(log):
        at = range(step * c["accumulate"], (step + 1) * c["accumulate"])
        line["targets"] = sum(rows.targets(k * c["batch"], (k + 1) * c["batch"]) for k in at)
        line["correct"] = sum(rows.correct[k] for k in at)
    log64, _ = train(c, double, rows.targets, rows.loss)
    save_adapter(model, "adapter_final")
    expected |= {f"grad.{k}": v for k, v in grads.items()}
    expected |= causallm.observe(model, first, "final.", hidden=False)
    again = PeftModel.from_pretrained(causallm.load_base("base"), "adapter_final")
    torch.testing.assert_close(causallm.observe(again, first, "")["logits"], expected["final.logits"])
    merged = causallm.observe(again.merge_and_unload(), first, "merged.", hidden=False)
    same = torch.allclose(merged["merged.logits"], expected["final.logits"], rtol=1e-3, atol=1e-4)
    if same:  # else PEFT has merged into a table that the head shares, and made another model
        expected |= merged
    save_file(
        {k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors",
        metadata={"source": "reference/causallm_fixtures.py"},
    )
    save_file(
        {"ids": flat(ids), "labels": flat(labels), "starts": starts(ids)}, "batches.safetensors",
        metadata={"source": "reference/causallm_fixtures.py"},
    )
    drift = deviation(model, double, log, log64)
    case = {
        "name": name, "note": c["note"], "seed": seed, "model_type": family,
        "base_dtype": str(c["dtype"]).split(".")[1], "observed_rows": c["observed"],
        **hyperparameters(c), "fan_in_fan_out": c["fan_in_fan_out"], "merge_keeps_tie": same,
        "targeted": sorted(
            n.removeprefix("base_model.model.") for n, m in model.named_modules() if hasattr(m, "lora_A")
        ),
        "trainable_line": trainable_line(model), "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    clipped = sum(x["grad_norm"] > c["max_norm"] for x in log)
    print(f"{name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, clipped "
          f"{clipped}/{c['steps']}, norm {log[0]['grad_norm']:.3f}, "
          f"float64: loss {drift['loss']:.1e} norm {drift['grad_norm']:.1e} adapter {drift['adapter']:.1e} "
          f"({drift['worst_tensor']})")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        make(name, 2000 + list(CASES).index(name))


if __name__ == "__main__":
    main()
