#!/usr/bin/env python3
"""Writes testdata/lora/<case>/: adapters with DoRA, biases, rsLoRA and combinations of them, trained for ten steps.

usage: python reference/lora_fixtures.py [CASE ...]

Base models and rows are those of other fixtures. README.md beside this script describes the files.
"""
import copy
import json
import os
import pathlib
import shutil
import sys
import warnings

from fixture import deviation, hyperparameters, save_adapter, seqcls_rows, train, trainable_line, versions

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

import causallm
import seqcls

DATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = DATA / "lora"

# How a case is trained; each case overrides some.
DEFAULT = dict(
    steps=10, targets=None, r=4, alpha=6, modules_to_save=None, batch=3, accumulate=1, lr=3e-3, decay=0.01,
    schedule="linear", warmup=2, max_norm=1.0, smoothing=0.0, labels=3, problem="single_label_classification")

BERT, GPT2, BIASES = "bert/query_value", "causal/gpt2_c_attn", "causal/llama_bias"
TIED, UNTIED = "causal/llama_gqa", "causal/llama_embed"

# base, settings of the run, and of LoraConfig
CASES = {
    "bert_dora": (BERT, dict(targets=["query", "dense", "word_embeddings", "token_type_embeddings"]),
                  dict(use_dora=True)),
    "bert_dora_pairs": (BERT, dict(targets=["query", "value", "position_embeddings"], modules_to_save=["pooler"]), dict(
        use_dora=True, use_rslora=True, bias="all", rank_pattern={"0.attention.self.query": 2, "position_embeddings": 3},
        alpha_pattern={"value": 9})),
    "bert_bias_lora_only": (BERT, dict(targets=["key", "dense"], r=3), dict(bias="lora_only", lora_bias=True)),
    "bert_bias_all": (BERT, dict(targets=["query", "value"]), dict(
        bias="all", lora_bias=True, use_rslora=True, rank_pattern={"value": 1}, fan_in_fan_out=True)),
    "gpt2_dora": (GPT2, dict(targets=["c_attn", "c_proj", "wpe"]), dict(use_dora=True, fan_in_fan_out=True)),
    "gpt2_dora_head": (GPT2, dict(targets=["lm_head", "c_fc"], r=3), dict(use_dora=True, bias="lora_only")),
    "gpt2_bias": (GPT2, dict(targets=["c_attn", "mlp.c_proj"], modules_to_save=["ln_f"]), dict(
        lora_bias=True, bias="all", fan_in_fan_out=True)),
    "llama_dora": (UNTIED, dict(targets=["q_proj", "v_proj", "down_proj", "embed_tokens", "lm_head"]),
                   dict(use_dora=True)),
    "llama_dora_pairs": (BIASES, dict(targets=["q_proj", "o_proj", "gate_proj"], modules_to_save=["lm_head"]), dict(
        use_dora=True, use_rslora=True, bias="lora_only", rank_pattern={"1.self_attn.q_proj": 2, "gate_proj": 5},
        alpha_pattern={"o_proj": 3})),
    "llama_bias": (TIED, dict(targets=["k_proj", "up_proj"]), dict(lora_bias=True)),
    "bert_dora_tokens": (BERT, dict(targets=["query", "dense"], r=2, modules_to_save=["LayerNorm"]), dict(
        use_dora=True, use_rslora=True, bias="lora_only", rank_pattern={"intermediate.dense": 3},
        alpha_pattern={"query": 3}, trainable_token_indices=[5, 17, 3])),
    "bert_bias_pairs": (BERT, dict(targets=["value", "output.dense"], r=2, modules_to_save=["LayerNorm"]), dict(
        lora_bias=True, use_rslora=True, bias="all", rank_pattern={"1.output.dense": 1}, alpha_pattern={"value": 4},
        trainable_token_indices=[5, 17, 3])),
    "gpt2_dora_pairs": (GPT2, dict(targets=["c_attn", "attn.c_proj"], r=3, modules_to_save=["ln_f"]), dict(
        use_dora=True, use_rslora=True, bias="all", rank_pattern={"h.0.attn.c_attn": 2}, alpha_pattern={"attn.c_proj": 4},
        fan_in_fan_out=True, trainable_token_indices={"wte": [40, 0, 95]})),
    "gpt2_bias_pairs": (GPT2, dict(targets=["attn.c_proj", "c_fc"], r=3, modules_to_save=["ln_1"]), dict(
        lora_bias=True, use_rslora=True, bias="lora_only", rank_pattern={"c_fc": 2}, alpha_pattern={"attn.c_proj": 4},
        fan_in_fan_out=True, trainable_token_indices={"wte": [40, 0, 95]})),
    "llama_dora_tokens": (BIASES, dict(targets=["v_proj", "down_proj"], r=2, modules_to_save=["norm"]), dict(
        use_dora=True, use_rslora=True, bias="all", rank_pattern={"0.mlp.down_proj": 3}, alpha_pattern={"v_proj": 5},
        trainable_token_indices={"embed_tokens": [1, 60], "lm_head": [9, 30]})),
    "llama_bias_pairs": (BIASES, dict(targets=["q_proj", "up_proj"], r=2, modules_to_save=["lm_head"]), dict(
        lora_bias=True, use_rslora=True, bias="lora_only", rank_pattern={"1.self_attn.q_proj": 3},
        alpha_pattern={"up_proj": 5}, trainable_token_indices=[7, 2])),
}


def renumber(ids, known, vocabulary):
    """Returns ids of a vocabulary of another size: some become those of new tokens, or none are above the last one."""
    if not vocabulary:
        return ids
    new = vocabulary - known
    return [i if i < 0 else known + i % new if new > 0 and i % 5 == 2 else i % vocabulary for i in ids]


def rows_of(base, c, vocabulary=None):
    """Returns the rows of a fixture: the functions that train needs, and one that returns a batch. vocabulary is the
    size of the vocabulary, if it is not that of the base model."""
    b = load_file(DATA / base / "batches.safetensors")
    ends = b["starts"].tolist()
    known = json.loads((DATA / base / "base" / "config.json").read_text())["vocab_size"]
    cut = lambda values: [renumber(values[lo:hi].tolist(), known, vocabulary) for lo, hi in zip(ends, ends[1:])]
    ids = cut(b["ids"])
    if base == BERT:
        types = [b["types"][lo:hi].tolist() for lo, hi in zip(ends, ends[1:])]
        return *seqcls_rows(c, ids, types, b["labels"]), lambda lo, hi: seqcls.pad(ids[lo:hi], types[lo:hi])
    rows = causallm.Rows(ids, cut(b["labels"]))
    return rows.targets, rows.loss, lambda lo, hi: causallm.pad(ids[lo:hi])


def load_base(base, vocabulary=None):
    directory = DATA / base / "base"
    model = seqcls.load_base(directory, 3) if base == BERT else causallm.load_base(directory)
    if vocabulary:
        model.resize_token_embeddings(vocabulary)
    return model


@torch.no_grad()
def logits(model, batch):
    model.eval()
    out = model(**batch).logits
    return out[batch["attention_mask"].bool()] if out.dim() == 3 else out


def shake(model, gen):
    """Moves what trains away from its start, so that the adapter acts and every tensor has a gradient from the first
    step. Magnitudes stay near the norms that PEFT starts them with."""
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        noise = torch.randn(p.shape, generator=gen)
        if "lora_magnitude_vector" in name:
            p.data *= 1 + 0.2 * noise
        elif "lora_A" in name:
            p.data += 0.1 * noise
        else:
            p.data += 0.3 * noise


def merge(base, directory, batch, want, vocabulary=None):
    """Returns the logits of the merged model, or None if PEFT refuses or merges into a table that the head shares."""
    again = PeftModel.from_pretrained(load_base(base, vocabulary), directory)
    torch.testing.assert_close(logits(again, batch), want, rtol=1e-4, atol=1e-4)
    try:
        merged = logits(again.merge_and_unload(), batch)
    except RuntimeError as error:
        print(f"PEFT does not merge: {error}")
        return None
    return merged if torch.allclose(merged, want, rtol=1e-3, atol=1e-4) else None


def make(directory, base, c, options, seed, vocabulary=None, tables=False):
    """Writes a case. vocabulary is the size of the vocabulary, if it is not that of the base model; tables says whether
    the adapter files have the tables of words (save_embedding_layers)."""
    gen = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    save = lambda name: save_adapter(model, name, save_embedding_layers=tables)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.chdir(directory)
    targets, loss, batch = rows_of(base, c, vocabulary)
    first = batch(0, 4)
    model = get_peft_model(load_base(base, vocabulary), LoraConfig(
        r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"], modules_to_save=c["modules_to_save"],
        task_type="SEQ_CLS" if base == BERT else "CAUSAL_LM", **options))
    save("adapter_fresh")
    fresh = load_file("adapter_fresh/adapter_model.safetensors")
    expected = {f"fresh.{k}": v for k, v in fresh.items() if "magnitude" in k}
    shutil.rmtree("adapter_fresh")
    shake(model, gen)
    save("adapter_init")
    expected["init.logits"] = logits(model, first)
    double = copy.deepcopy(model).double()
    log, grads = train(c, model, targets, loss)
    log64, _ = train(c, double, targets, loss)
    expected |= {f"grad.{k}": v for k, v in grads.items()}
    expected["final.logits"] = logits(model, first)
    save("adapter_final")
    merged = merge(base, "adapter_final", first, expected["final.logits"], vocabulary)
    if merged is not None:
        expected["merged.logits"] = merged
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors",
              metadata={"source": "reference/lora_fixtures.py"})
    pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    drift = deviation(model, double, log, log64, ["key.lora_B.bias", "k_proj.lora_B.bias", "key.base_layer.bias", "key.bias"])
    case = {
        "name": directory.name, "seed": seed, "base": base, **hyperparameters(c), **options,
        **({"vocabulary": vocabulary} if vocabulary else {}),
        "trainable_line": trainable_line(model), "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    print(f"{directory.name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, norm "
          f"{log[0]['grad_norm']:.3f}, merged {merged is not None}, float64: loss {drift['loss']:.1e} norm "
          f"{drift['grad_norm']:.1e} adapter {drift['adapter']:.1e} ({drift['worst_tensor']})")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        base, run, options = CASES[name]
        make(ROOT / name, base, DEFAULT | run, options, 8000 + list(CASES).index(name))


if __name__ == "__main__":
    main()
