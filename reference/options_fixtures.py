#!/usr/bin/env python3
"""Writes testdata/options/<case>/: training runs of PEFT with options that the other fixtures do not have.

usage: python reference/options_fixtures.py [CASE ...]

Each case trains an adapter for the base model of another fixture. README.md beside this script describes the files.
Every case is also trained in float64; the script prints the largest deviation.
"""
import copy
import json
import os
import pathlib
import random
import shutil
import sys
import warnings

from fixture import adamw, deviation, flat, hyperparameters, save_adapter, seqcls_rows, starts, train, versions

import peft.optimizers.lorafa
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.optimizers import create_lorafa_optimizer, create_loraplus_optimizer
from safetensors.torch import load_file, save_file

import causallm
import seqcls

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "testdata"
ROOT = TESTDATA / "options"
GPT2, TIED, UNTIED, BERT = ("causal/gpt2_c_attn/base", "causal/llama_gqa/base", "causal/llama_embed/base",
                            "bert/query_value/base")

# PEFT projects gradients in bfloat16 where the processor has it; the truth is the projection in float32.
peft.optimizers.lorafa.is_bf16_available = lambda: False


def loraplus(ratio, embedding=1e-6):
    def make(c, model):
        return create_loraplus_optimizer(
            model, torch.optim.AdamW, lr=c["lr"], loraplus_lr_ratio=ratio, loraplus_lr_embedding=embedding,
            loraplus_weight_decay=c["decay"])
    return make, {"loraplus_lr_ratio": ratio, "loraplus_lr_embedding": embedding}


def lorafa(c, model):
    return create_lorafa_optimizer(model, r=c["r"], lora_alpha=c["alpha"], lr=c["lr"], weight_decay=c["decay"])


LORAFA = lorafa, {"optimizer": "lora-fa", "adam_epsilon": 1e-6}

# How a case is trained; each case overrides some.
DEFAULT = dict(
    targets=None, r=3, alpha=6, modules_to_save=None, steps=10, batch=3, accumulate=1, lr=3e-3, decay=0.0,
    schedule="linear", warmup=2, max_norm=1.0, smoothing=0.0, labels=3, problem="single_label_classification",
    optimizer=(adamw, {}), config={}, dtype=None, note="")

CASES = {
    "loraplus_bert": (BERT, dict(
        targets=["word_embeddings", "query", "dense"], modules_to_save=["LayerNorm"], decay=0.05, lr=1e-3,
        optimizer=loraplus(8, 0.02), note="all groups: A, B, vectors, pairs of an embedding with a rate of their own; "
        "weight decay, from which norms and biases are excluded")),
    "loraplus_gpt2": (GPT2, dict(
        targets=["c_attn", "wte"], lr=1e-3, optimizer=loraplus(16), schedule="cosine", accumulate=2, batch=2,
        note="the rate of embeddings is PEFT's default; accumulation")),
    "loraplus_llama": (UNTIED, dict(
        targets=["q_proj", "v_proj"], modules_to_save=["lm_head"], decay=0.1, lr=2e-3, optimizer=loraplus(4),
        max_norm=0.5, note="a saved head trains with the rate of A; clipped")),
    "lorafa_bert": (BERT, dict(
        targets=["query", "value"], decay=0.1, lr=5e-3, optimizer=LORAFA, note="the head trains by plain Adam; decay")),
    "lorafa_gpt2": (GPT2, dict(
        targets=["c_attn", "c_proj"], r=4, optimizer=LORAFA, accumulate=2, batch=2,
        config=dict(rank_pattern={"attn.c_proj": 2}, alpha_pattern={"c_attn": 3}),
        note="scales and ranks of their own; accumulation")),
    "lorafa_llama": (TIED, dict(
        targets=["q_proj", "down_proj"], r=8, alpha=4, optimizer=LORAFA, schedule="constant", warmup=0, max_norm=0.3,
        config=dict(use_rslora=True), note="rsLoRA; clipped")),
    "save_bert_words": (BERT, dict(
        targets=["query"], modules_to_save=["word_embeddings"], decay=0.05, note="the table of words as a saved module")),
    "save_gpt2_wte": (GPT2, dict(
        targets=["c_attn"], modules_to_save=["wte", "ln_f"], config=dict(ensure_weight_tying=True),
        note="the tied head keeps the frozen table: ensure_weight_tying knows only embed_tokens and lm_head")),
    "save_gpt2_head": (GPT2, dict(targets=["c_attn"], modules_to_save=["lm_head"], note="a copy of a tied head")),
    "save_llama_tied": (TIED, dict(
        targets=["q_proj"], modules_to_save=["embed_tokens"], config=dict(ensure_weight_tying=True), decay=0.1,
        note="the head follows the copy of the table; both are saved")),
    "save_llama_tied_head": (TIED, dict(
        targets=["q_proj"], modules_to_save=["lm_head", "norm"], config=dict(ensure_weight_tying=True),
        note="naming the head saves the table; norm ends the names of all norms")),
    "save_llama_both": (TIED, dict(
        targets=["v_proj"], modules_to_save=["embed_tokens", "lm_head"], note="two copies of a tied table")),
    "save_llama_untied": (UNTIED, dict(
        targets=["q_proj"], modules_to_save=["embed_tokens", "lm_head", "input_layernorm"], accumulate=2, batch=2,
        note="the table has a padding_idx, whose row gets no gradient")),
    "tokens_bert": (BERT, dict(
        targets=["query"], config=dict(trainable_token_indices=[5, 17, 90, 3]), decay=0.1,
        note="rows of word_embeddings; weight decay pulls whole rows")),
    "tokens_gpt2": (GPT2, dict(
        targets=["c_attn"], config=dict(trainable_token_indices=[0, 95, 40, 41, 42]), note="the tied head follows")),
    "tokens_llama": (TIED, dict(
        targets=["q_proj"], config=dict(trainable_token_indices={"embed_tokens": [1, 2, 7, 50, 7]}), accumulate=2, batch=2,
        note="the tied head follows; one row is listed twice")),
    "tokens_llama_both": (TIED, dict(
        targets=["v_proj"], config=dict(trainable_token_indices={"embed_tokens": [4, 9], "lm_head": [9, 30, 61]}),
        note="other rows of the tied head, which does not follow then")),
    "tokens_llama_untied": (UNTIED, dict(
        targets=["q_proj"], modules_to_save=["norm"], config=dict(trainable_token_indices={"lm_head": [5, 6], "embed_tokens": [7, 8]}),
        note="an own head; row 7 is the table's padding_idx")),
    "half_bert": (BERT, dict(
        targets=["query", "word_embeddings"], dtype=torch.float16, note="adapter_init is float16; PEFT trains in float32")),
    "half_llama": (TIED, dict(
        targets=["q_proj"], modules_to_save=["norm"], dtype=torch.bfloat16,
        config=dict(trainable_token_indices=[3, 60]), note="adapter_init is bfloat16; PEFT trains in float32")),
}


def open_base(base):
    if base == BERT:
        return seqcls.load_base(TESTDATA / base)
    return causallm.load_base(TESTDATA / base)


def fill_adapter(model, gen):
    """Replaces the zero factors (and PEFT's N(0, 1) of embeddings), and moves copies away from the base's values."""
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        noise = torch.randn(p.shape, generator=gen)
        if "lora_embedding_A" in name:
            p.data = 0.5 * noise
        elif "lora_embedding_B" in name or "lora_B" in name:
            p.data = 0.3 * noise
        elif "modules_to_save" in name or "trainable_tokens_delta" in name:
            p.data = p.data + 0.1 * noise


def rows_of(c, base, vocab, rng):
    """Returns the rows that the model is trained on, ids and labels, and the first of them."""
    count = c["batch"] * c["accumulate"] * c["steps"]
    ids = [[rng.randrange(vocab) for _ in range(rng.randint(2, 12))] for _ in range(count)]
    if base == BERT:
        types = [[0] * len(row) for row in ids]
        labels = torch.tensor([rng.randrange(c["labels"]) for _ in ids])
        return ids, labels, seqcls_rows(c, ids, types, labels), {"labels": labels}
    rows = causallm.Rows(ids, ids)
    return ids, None, (rows.targets, rows.loss), {}


@torch.no_grad()
def logits(model, base, ids):
    """Returns the logits of the first rows: of each sequence, or of each token one after another."""
    model.eval()
    if base == BERT:
        return model(**seqcls.pad(ids, [[0] * len(row) for row in ids])).logits
    batch = causallm.pad(ids)
    return causallm.real_rows(batch, model(**batch).logits)


def make(name, seed):
    base, run = CASES[name]
    c = DEFAULT | run
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    torch.manual_seed(seed)
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.chdir(directory)
    plain = open_base(base)
    model = get_peft_model(plain, LoraConfig(**dict(
        r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"], modules_to_save=c["modules_to_save"],
        task_type="SEQ_CLS" if base == BERT else "CAUSAL_LM", fan_in_fan_out=base == GPT2) | c["config"]))
    fill_adapter(model, gen)
    ids, labels, rows, extra = rows_of(c, base, plain.config.vocab_size, rng)
    first = ids[:c["batch"]]
    save(model, "adapter_init")
    if c["dtype"]:
        file = pathlib.Path("adapter_init") / "adapter_model.safetensors"
        save_file({k: v.to(c["dtype"]) for k, v in load_file(file).items()}, file, {"format": "pt"})
        model = PeftModel.from_pretrained(open_base(base), "adapter_init", is_trainable=True)
        assert all(p.dtype == torch.float32 for p in model.parameters())
    if name.startswith("tokens_"):
        pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    expected = {"init.logits": logits(model, base, first)}
    double = copy.deepcopy(model).double()
    make_optimizer, settings = c["optimizer"]
    log, _ = train(c, model, *rows, make_optimizer, gradients=False)
    log64, _ = train(c, double, *rows, make_optimizer, gradients=False)
    save(model, "adapter_final")
    expected["final.logits"] = logits(model, base, first)
    expected["merged.logits"] = logits(model.merge_and_unload(), base, first)
    again = PeftModel.from_pretrained(open_base(base), "adapter_final")
    torch.testing.assert_close(logits(again, base, first), expected["final.logits"])
    source = {"source": "reference/options_fixtures.py"}
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors", metadata=source)
    save_file({"ids": flat(ids), "starts": starts(ids)} | extra, "batches.safetensors", metadata=source)
    drift = deviation(again, double, log, log64)
    case = {"name": name, "note": c["note"], "base": base, "num_labels": c["labels"], "problem_type": c["problem"],
            **hyperparameters(c), **settings, "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    clipped = sum(x["grad_norm"] > c["max_norm"] for x in log)
    print(f"{name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, clipped "
          f"{clipped}/{c['steps']}, float64: loss {drift['loss']:.1e} norm {drift['grad_norm']:.1e} adapter "
          f"{drift['adapter']:.1e} ({drift['worst_tensor']})")


def save(model, directory):
    """Saves the adapter with a base model that is no path of this machine."""
    save_adapter(model, directory)
    file = pathlib.Path(directory) / "adapter_config.json"
    config = json.loads(file.read_text()) | {"base_model_name_or_path": "base"}
    file.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        make(name, 9000 + list(CASES).index(name))


if __name__ == "__main__":
    main()
