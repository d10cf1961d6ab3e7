#!/usr/bin/env python3
"""Writes testdata/encoder/<case>/: small random encoders with the head of each task, and their results in transformers
+ PEFT.

usage: python reference/encoder_fixtures.py [CASE ...]

The architectures are BERT, RoBERTa, XLM-RoBERTa, DistilBERT and ELECTRA; the tasks are sequence classification, token
classification, question answering, multiple choice and feature extraction. README.md beside this script describes the
files. Every case is also trained in float64; the script prints the largest deviation, so that a case in which rounding
alone comes near the tests' tolerances is noticed.
"""
import copy
import json
import math
import os
import pathlib
import random
import shutil
import sys
import warnings

from fixture import deviation, flat, hyperparameters, save_adapter, starts, trainable_line, train, versions

import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import BertConfig, DistilBertConfig, ElectraConfig, RobertaConfig, XLMRobertaConfig

import encoders
from encoders import CHOICE, FEATURES, QA, SEQ, TOKEN

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "encoder"
IGNORE = -100
TASK_TYPES = {SEQ: "SEQ_CLS", TOKEN: "TOKEN_CLS", QA: "QUESTION_ANS", CHOICE: None, FEATURES: "FEATURE_EXTRACTION"}

# Sizes of an architecture's checkpoints; each case overrides some. Every name is one of config.json.
BERT = dict(
    vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=20,
)
ROBERTA = BERT | dict(type_vocab_size=1, layer_norm_eps=1e-5, max_position_embeddings=22)
FAMILIES = {  # config, sizes, the model as which it is pretrained
    "bert": (BertConfig, BERT, transformers.BertForPreTraining),
    "roberta": (RobertaConfig, ROBERTA, transformers.RobertaForMaskedLM),
    "xlm-roberta": (XLMRobertaConfig, ROBERTA, transformers.XLMRobertaForMaskedLM),
    "distilbert": (
        DistilBertConfig, dict(vocab_size=60, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=20),
        transformers.DistilBertForMaskedLM,
    ),
    "electra": (ElectraConfig, BERT | dict(embedding_size=12), transformers.ElectraForPreTraining)}

# How a case is made and trained; each case overrides some. base: "head" (a checkpoint of the task), "bare" (AutoModel:
# names without prefix) or "pretrained" (another head). task_type: the type given to PEFT, if it is not that of the
# task. end: the token that ends each row, with pairs also, twice, the first of two texts.
DEFAULT = dict(
    steps=10, base="head", dtype=torch.float32, targets=["query", "value"], r=2, alpha=4, modules_to_save=None,
    task_type="", labels=3, problem=None,
    batch=3, accumulate=1, lr=3e-3, decay=0.0, schedule="linear", warmup=2, max_norm=1.0, smoothing=0.0,
    inner_pad=False, end=None, pairs=False, note="")
BF16, F16 = torch.bfloat16, torch.float16
QA_WITH_TYPES = dict(task_type=None, modules_to_save=["qa_outputs"])
CASES = {
    "bert_seq_cls": (
        "bert", SEQ, dict(hidden_act="gelu_new"),
        dict(
            base="pretrained", dtype=BF16, targets="all-linear",
            note="BertForPreTraining, BF16; all-linear takes the pooler and leaves the head out",
        ),
    ),
    "bert_token_cls": (
        "bert", TOKEN, dict(),
        dict(base="bare", decay=0.01, note="BertModel without prefix; its pooler is not needed; weight decay"),
    ),
    "bert_qa": (
        "bert", QA, dict(),
        QA_WITH_TYPES | dict(
            dtype=F16, targets=["query", "value", "dense"], note="token types reach the model: no task type",
        ),
    ),
    "bert_qa_typed": (
        "bert", QA, dict(),
        dict(base="pretrained", dtype=BF16, note="QUESTION_ANS: PEFT drops the token types, which the rows have"),
    ),
    "bert_choice": ("bert", CHOICE, dict(), dict(
        targets="all-linear", modules_to_save=["classifier"], batch=2, note="all-linear leaves the saved head out")),
    "bert_features": (
        "bert", FEATURES, dict(),
        dict(
            base="bare", targets=["query", "key", "value", "word_embeddings"], batch=2,
            note="LoRA on the word table; the pooler is there and not read",
        ),
    ),
    "roberta_seq_cls": (
        "roberta", SEQ, dict(),
        dict(base="pretrained", inner_pad=True, note="RobertaForMaskedLM; <pad> inside two texts"),
    ),
    "roberta_token_cls": ("roberta", TOKEN, dict(classifier_dropout=0.3), dict(
        dtype=BF16, targets="all-linear", modules_to_save=["classifier"], accumulate=2, batch=2,
        note="all-linear; accumulation over 2 batches; one token type")),
    "roberta_qa": (
        "roberta", QA, dict(pad_token_id=3),
        dict(base="bare", targets=["attention.output.dense", "query"], note="pad_token_id 3: positions begin at 4"),
    ),
    "roberta_choice": ("roberta", CHOICE, dict(), dict(
        base="pretrained", dtype=F16, modules_to_save=["classifier", "pooler"], batch=2,
        note="the checkpoint has no pooler: it trains with the head")),
    "roberta_features": ("roberta", FEATURES, dict(type_vocab_size=2), dict(
        base="pretrained", targets=["word_embeddings", "query"], dtype=BF16, batch=2, inner_pad=True,
        note="two token types; no pooler in the file; LoRA on the word table, whose padding row gets no gradient")),
    "xlm_roberta_seq_cls": ("xlm-roberta", SEQ, dict(), dict(
        base="bare", targets="all-linear", problem="multi_label_classification", labels=4,
        note="binary cross entropy; PEFT writes the head's layers among the targets of all-linear")),
    "xlm_roberta_token_cls": ("xlm-roberta", TOKEN, dict(), dict(
        base="pretrained", dtype=BF16, targets=["position_embeddings", "word_embeddings", "value"], inner_pad=True,
        note="LoRA on the tables; the table of positions has a padding row")),
    "xlm_roberta_qa": ("xlm-roberta", QA, dict(), dict(dtype=F16, targets=["dense"], note="QUESTION_ANS, dense")),
    "xlm_roberta_choice": (
        "xlm-roberta", CHOICE, dict(hidden_act="relu"),
        dict(targets=["key", "intermediate.dense"], modules_to_save=["classifier"], batch=2),
    ),
    "xlm_roberta_features": (
        "xlm-roberta", FEATURES, dict(),
        dict(
            base="bare", dtype=F16, targets="all-linear", batch=2,
            note="all-linear takes the pooler, which nothing reads: no gradient",
        ),
    ),
    "distilbert_seq_cls": ("distilbert", SEQ, dict(), dict(
        base="pretrained", targets=["q_lin", "v_lin"], problem="regression", labels=1,
        note="DistilBertForMaskedLM; mean squared error; pre_classifier is saved because its name ends in classifier")),
    "distilbert_token_cls": (
        "distilbert", TOKEN, dict(activation="relu"),
        dict(base="bare", dtype=BF16, targets=["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"]),
    ),
    "distilbert_qa": (
        "distilbert", QA, dict(), dict(targets=["q_lin", "v_lin"], decay=0.01, note="QUESTION_ANS, weight decay"),
    ),
    "distilbert_choice": ("distilbert", CHOICE, dict(), dict(
        dtype=F16, targets="all-linear", modules_to_save=["classifier", "pre_classifier"], batch=2,
        note="all-linear needs both layers of the head in modules_to_save, or PEFT stops")),
    "distilbert_features": ("distilbert", FEATURES, dict(sinusoidal_pos_embds=True), dict(
        base="pretrained", targets=["word_embeddings", "ffn.lin1"], batch=2, note="sinusoidal positions")),
    "electra_seq_cls": (
        "electra", SEQ, dict(),
        dict(
            base="pretrained", targets=["query", "value", "embeddings_project"],
            note="ElectraForPreTraining; LoRA on embeddings_project",
        ),
    ),
    "electra_token_cls": (
        "electra", TOKEN, dict(embedding_size=16),
        dict(dtype=F16, targets=["key", "value"], note="tables as wide as the encoder"),
    ),
    "electra_qa": ("electra", QA, dict(), QA_WITH_TYPES | dict(base="pretrained", dtype=BF16)),
    "electra_choice": ("electra", CHOICE, dict(), dict(
        base="pretrained", targets="all-linear", modules_to_save=["classifier", "sequence_summary"], batch=2,
        note="the summary trains with the head")),
    "electra_choice_last": ("electra", CHOICE, dict(summary_type="last", summary_use_proj=False,
        summary_activation="tanh", summary_last_dropout=0.0, summary_first_dropout=0.2), dict(
        dtype=BF16, modules_to_save=["classifier"], batch=2,
        note="summary_type last, no projection, tanh; choices of one length")),
    "electra_features": ("electra", FEATURES, dict(), dict(base="bare", dtype=BF16, targets="all-linear", batch=2)),
}


def fill(model, config, gen):
    """Gives every tensor the scale of a trained model, so that a wrong activation, eps or bias shows."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if "norm" in name.lower() and name.endswith("weight"):
            p.data = 1 + 0.3 * noise
        elif p.dim() == 1:
            p.data = 0.3 * noise
        elif "position_embeddings" in name and getattr(config, "sinusoidal_pos_embds", False):
            continue
        elif "embeddings." in name:
            p.data = 0.7 * noise
        else:
            p.data = noise * 1.2 / math.sqrt(p.shape[1])


def fill_adapter(model, gen):
    """Replaces the zero factors (and PEFT's N(0, 1) of embeddings) and the fresh heads, so that every tensor has a
    gradient from the first step."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if "lora_embedding_A" in name:
            p.data = 0.5 * noise
        elif "lora_embedding_B" in name or "lora_B" in name:
            p.data = 0.3 * noise
        elif "modules_to_save" in name:
            p.data = noise * (1 / math.sqrt(p.shape[-1]) if p.dim() > 1 else 0.3)


def write_base(families, fill, family, task, sizes, c, directory, gen):
    kind, defaults, pretrained = families[family]
    options = {} if task in (QA, CHOICE, FEATURES) or c["base"] != "head" else dict(num_labels=c["labels"])
    config = kind(**(defaults | sizes | options))
    bare = encoders.auto(FEATURES, family) if task == FEATURES else transformers.AutoModel
    makers = {"head": encoders.auto(task, family).from_config, "bare": bare.from_config, "pretrained": pretrained}
    model = makers[c["base"]](config)
    fill(model, config, gen)
    model.to(c["dtype"]).save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    return config


class Rows:
    """Random rows of a task in the form that fixture.train needs. An item is a sequence, a question with its choices,
    or a pair."""

    def __init__(self, name, family, task, config, c, rng):
        self.task, self.c, self.pad = task, c, config.pad_token_id
        self.typed = family in ("bert", "electra") or getattr(config, "type_vocab_size", 0) > 1
        self.types_dropped = c["task_type"] == "" and task == QA  # by PEFT
        items = c["batch"] * c["accumulate"] * c["steps"]
        self.sizes = [{CHOICE: 2 + (i // c["batch"]) % 3, FEATURES: 2}.get(task, 1) for i in range(items)]
        self.offsets = [sum(self.sizes[:i]) for i in range(items + 1)]
        longest = getattr(config, "max_position_embeddings", 18) - (self.pad + 1 if family.endswith("roberta") else 0)
        words = [t for t in range(config.vocab_size) if t not in (self.pad, c["end"])]
        self.ids, self.types, self.labels = [], [], []
        for i in range(items):
            batch = i // c["batch"]
            for k in range(self.sizes[i]):
                length = rng.randint(1, 12)
                if i == 0 and k == 0:
                    length = longest
                # padding has logits too, and takes part in transformers' softmax
                if task == QA or name == "electra_choice_last":
                    length = longest if batch == 1 else 4 + batch
                if c["pairs"]:
                    length = max(length, 4)
                row = [rng.choice(words) for _ in range(length)]
                if c["inner_pad"] and len(self.ids) in (1, 4) and length > 2:
                    row[length // 2] = self.pad
                if c["end"] is not None:
                    row[-1] = c["end"]
                if c["pairs"]:
                    row[length // 2 - 1:length // 2 + 1] = [c["end"]] * 2
                self.ids.append(row)
                self.types.append([int(t > length // 3) for t in range(length)])
            self.labels.append(self.label(i, rng))

    def label(self, i, rng):
        length = len(self.ids[-1])
        if self.task == TOKEN:
            return [rng.randrange(self.c["labels"]) if t == 0 or rng.random() < 0.7 else IGNORE for t in range(length)]
        if self.task == QA:
            # 0: the window has no answer
            return sorted([rng.randrange(length), rng.randrange(length)]) if i % 3 else [0, 0]
        if self.task == CHOICE:
            return rng.randrange(self.sizes[i])
        if self.task == FEATURES or self.c["problem"] == "regression":
            return [round(rng.uniform(0, 1), 2)]
        if self.c["problem"]:
            return [float(rng.random() < 0.4) for _ in range(self.c["labels"])]
        return rng.randrange(self.c["labels"])

    def tensors(self):
        """Returns the content of batches.safetensors."""
        labels = [x for row in self.labels for x in row] if self.task == TOKEN else self.labels
        parts = {"ids": flat(self.ids), "starts": starts(self.ids), "labels": torch.tensor(labels)}
        if self.typed:
            parts["types"] = flat(self.types)
        if self.task in (CHOICE, FEATURES):
            parts["groups"] = torch.tensor(self.offsets)
        return parts

    def inputs(self, lo, hi):
        """Returns items lo to hi as one padded batch."""
        rows = slice(self.offsets[lo], self.offsets[hi])
        longest = max(map(len, self.ids[rows]))

        def filled(lists, value):
            x = torch.tensor([list(r) + [value] * (longest - len(r)) for r in lists])
            return x.view(hi - lo, -1, longest) if self.task == CHOICE else x

        batch = {
            "input_ids": filled(self.ids[rows], self.pad),
            "attention_mask": filled([[1] * len(r) for r in self.ids[rows]], 0),
        }
        if self.typed:
            batch["token_type_ids"] = filled(self.types[rows], 0)
        return batch

    def targets(self, lo, hi):
        wanted = self.labels[lo:hi]
        if self.task == TOKEN:
            return sum(x != IGNORE for row in wanted for x in row)
        return sum(len(x) if isinstance(x, list) else 1 for x in wanted)

    def loss(self, model, lo, hi):
        """Returns transformers' own mean times the number of targets; for pairs, the squared error of the cosine of
        their mean hidden states."""
        batch, wanted = self.inputs(lo, hi), self.labels[lo:hi]
        if self.task == FEATURES:
            mask = batch["attention_mask"].unsqueeze(-1)
            pooled = (model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
            wanted = torch.tensor(wanted, dtype=pooled.dtype).flatten()
            return F.mse_loss(F.cosine_similarity(pooled[0::2], pooled[1::2]), wanted, reduction="sum")
        if self.task == QA:
            labels = dict(start_positions=torch.tensor(wanted)[:, 0], end_positions=torch.tensor(wanted)[:, 1])
        elif self.task == TOKEN:
            longest = batch["input_ids"].shape[1]
            labels = dict(labels=torch.tensor([row + [IGNORE] * (longest - len(row)) for row in wanted]))
        else:
            labels = dict(labels=torch.tensor(wanted))
            if self.c["problem"]:
                labels["labels"] = labels["labels"].to(next(model.parameters()).dtype)
        return model(**batch, **labels).loss * self.targets(lo, hi)

    @torch.no_grad()
    def observe(self, model, name):
        """Returns the outputs for the first batch: a row for each sequence, each real token, or each choice."""
        model.eval()
        batch = self.inputs(0, self.c["batch"])
        return {name: encoders.output(self.task, model(**batch), batch["attention_mask"].bool())}


def check_types(rows, model):
    """Checks that PEFT's wrapper for question answering drops the token types, and that no other wrapper does."""
    with_types, rows.typed = rows.observe(model, "x")["x"], False
    without, rows.typed = rows.observe(model, "x")["x"], True
    if torch.equal(with_types, without) != rows.types_dropped:
        sys.exit("token types do not act as expected")


def shares_table(model):
    """Reports whether adapters of two tables that share their weight are merged, both into the one weight."""
    return sum(hasattr(m, "lora_embedding_A") and n.endswith("embed_tokens") for n, m in model.named_modules()) > 1


def make(root, families, fill, name, case, seed, source):
    """Writes a case of families, filled by fill, below root; source names the script."""
    family, task, sizes, run = case
    c = DEFAULT | run
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    torch.manual_seed(seed)
    directory = root / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    config = write_base(families, fill, family, task, sizes, c, directory / "base", gen)
    os.chdir(directory)  # so that the adapter's config says "base", not a path of this machine
    rows = Rows(name, family, task, config, c, rng)

    def load_base():
        return encoders.load_base(task, "base", c["labels"], c["problem"])

    base = load_base()
    pathlib.Path("print_base.txt").write_text(str(base) + "\n")
    task_type = TASK_TYPES[task] if c["task_type"] == "" else c["task_type"]
    model = get_peft_model(base, LoraConfig(r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"],
                                            lora_dropout=0.0, task_type=task_type,
                                            modules_to_save=c["modules_to_save"]))
    fill_adapter(model, gen)
    save_adapter(model, "adapter_init")
    pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    if rows.typed:
        check_types(rows, model)
    expected = rows.observe(model, "init.logits")
    head_in_base = c["base"] == "head" or task == FEATURES
    if head_in_base:
        with model.disable_adapter():
            expected |= rows.observe(model, "base.logits")
    double = copy.deepcopy(model).double()
    log, grads = train(c, model, rows.targets, rows.loss)
    log64, _ = train(c, double, rows.targets, rows.loss)
    save_adapter(model, "adapter_final")
    expected |= {f"grad.{k}": v for k, v in grads.items()} | rows.observe(model, "final.logits")
    again = PeftModel.from_pretrained(load_base(), "adapter_final")
    torch.testing.assert_close(rows.observe(again, "x")["x"], expected["final.logits"])
    save_file(rows.tensors(), "batches.safetensors", metadata={"source": source})
    rows.typed = rows.typed and not rows.types_dropped  # the merged model is not PEFT's any more
    merged = rows.observe(again.merge_and_unload(), "merged.logits")
    if torch.allclose(merged["merged.logits"], expected["final.logits"], rtol=1e-3, atol=1e-4):
        expected |= merged
    elif not shares_table(model):
        sys.exit(f"{name}: PEFT merges wrongly")
    save_file(
        {k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors",
        metadata={"source": source},
    )
    # A softmax over rows is not changed by a constant that is added to all of them: only rounding moves such a bias,
    # scaled up by Adam.
    symmetric = {QA: ["qa_outputs.bias"], CHOICE: ["model.classifier.bias"]}.get(task, [])
    drift = deviation(model, double, log, log64, symmetric)
    case = {
        "name": name, "note": c["note"], "seed": seed, "model_type": family, "task": task, "task_type": task_type,
        "num_labels": c["labels"],
        "problem_type": c["problem"] or "single_label_classification", "head_in_base": head_in_base,
        "types_dropped": rows.types_dropped, "symmetric": symmetric,
        "base_dtype": str(c["dtype"]).split(".")[1], **hyperparameters(c),
        "targeted": sorted(
            n.removeprefix("base_model.model.") for n, m in model.named_modules() if hasattr(m, "lora_A")
        ),
        "trainable_line": trainable_line(model), "float64_deviation": drift, "log": log, "versions": versions()}
    pathlib.Path("case.json").write_text(json.dumps(case, indent=1) + "\n")
    total = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
    print(f"{name}: {total // 1024} kB, loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}, norm "
          f"{log[0]['grad_norm']:.3f}, "
          f"float64: loss {drift['loss']:.1e} norm {drift['grad_norm']:.1e} adapter {drift['adapter']:.1e} "
          f"({drift['worst_tensor']})")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        make(ROOT, FAMILIES, fill, name, CASES[name], 5000 + list(CASES).index(name), "reference/encoder_fixtures.py")


if __name__ == "__main__":
    main()
