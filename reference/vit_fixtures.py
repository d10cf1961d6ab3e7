#!/usr/bin/env python3
"""Writes testdata/vit/<case>/: small random ViT and DeiT checkpoints, and their results in transformers + PEFT.

usage: python reference/vit_fixtures.py [CASE ...]

README.md beside this script describes the files. Every case that trains is also trained in float64; the script prints
the largest deviation, so that a case in which rounding alone comes near the tests' tolerances is noticed.
"""
import copy
import json
import math
import os
import pathlib
import re
import shutil
import sys
import warnings

from fixture import deviation, hyperparameters, loss_sum, save_adapter, trainable_line, train, versions

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageClassification, DeiTConfig, ViTConfig

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "vit"
SOURCE = {"source": "reference/vit_fixtures.py"}

SIZES = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=16, patch_size=4,
    num_channels=3,
)
# How a case is made and trained; each case overrides some. model: the class that the checkpoint is saved as. images:
# sizes of the images of a batch, taken in turn; None: those of the configuration.
DEFAULT = dict(
    steps=10, model="ViTForImageClassification", dtype=torch.float32, targets=["q_proj", "v_proj"], r=2, alpha=4,
    modules_to_save=["classifier"], dora=False, bias="none", labels=5, problem=None, images=None, batch=3, accumulate=1,
    lr=3e-3, decay=0.0, schedule="linear", warmup=2, max_norm=1.0, smoothing=0.0, note="")
CASES = {
    "vit": (ViTConfig, dict(), dict(note="the usual adapter: q_proj and v_proj, the classifier saved")),
    "vit_sizes": (ViTConfig, dict(hidden_act="gelu_new", qkv_bias=False), dict(
        model="ViTModel", dtype=torch.bfloat16, targets="all-linear", images=[(12, 20), (24, 28), (16, 16), (4, 36)],
        decay=0.01, note="images of other sizes, positions interpolated; ViTModel with a pooler, BF16; all-linear")),
    "vit_rectangle": (ViTConfig, dict(image_size=[8, 24], patch_size=[4, 6], num_channels=1, layer_norm_eps=1e-6), dict(
        dora=True, problem="multi_label_classification", accumulate=2, batch=2, targets=["q_proj", "fc1", "o_proj"],
        note="a rectangle of grey pixels; DoRA; several labels; accumulation over 2 batches")),
    "deit": (DeiTConfig, dict(image_size=18), dict(
        model="DeiTForImageClassificationWithTeacher", dtype=torch.float16, targets=["v_proj", "fc2"], bias="lora_only",
        smoothing=0.1, images=[(16, 16), (8, 16)],
        note="one head on a checkpoint with two; pixels beyond the last patch; positions interpolated")),
}


def fill(model, gen):
    """Gives every tensor the scale of a trained model, so that a wrong activation, eps or bias shows."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if "norm" in name and name.endswith("weight"):
            p.data = 1 + 0.3 * noise
        elif p.dim() == 1:
            p.data = 0.3 * noise
        elif name.endswith(("_token", "position_embeddings")):
            p.data = 0.7 * noise
        else:
            p.data = noise * 1.2 / math.sqrt(p[0].numel())


def fill_adapter(model, gen):
    """Replaces the zero factors and the fresh heads, so that every tensor has a gradient from the first step."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if "lora_B" in name:
            p.data = 0.3 * noise
        elif "modules_to_save" in name:
            p.data = noise * (1 / math.sqrt(p.shape[-1]) if p.dim() > 1 else 0.3)


def patches(image, size):
    """Returns the whole patches of an image, channels×height×width, each as the values of its pixels."""
    channels, (high, wide) = image.shape[0], size
    down, across = image.shape[1] // high, image.shape[2] // wide
    whole = image[:, :down * high, :across * wide].reshape(channels, down, high, across, wide)
    return whole.permute(1, 3, 0, 2, 4).reshape(down * across, -1), (down, across)


class Images:
    """Random images of a case in the form that fixture.train needs."""

    def __init__(self, config, c, gen):
        self.c, self.interpolate = c, c["images"] is not None
        pair = lambda size: tuple(size) if isinstance(size, (list, tuple)) else (size, size)
        self.patch, own = pair(config.patch_size), pair(config.image_size)
        n = c["batch"] * c["accumulate"] * c["steps"]
        sizes = [(c["images"] or [own])[i // c["batch"] % len(c["images"] or [own])] for i in range(n)]
        self.pixels = [torch.randn(config.num_channels, *size, generator=gen) for size in sizes]
        if c["problem"]:
            self.labels = torch.rand(n, c["labels"], generator=gen).lt(0.4).float()
        else:
            self.labels = torch.randint(c["labels"], (n,), generator=gen)

    def tensors(self):
        """Returns the content of batches.safetensors."""
        rows, grids = zip(*[patches(x, self.patch) for x in self.pixels])
        starts = torch.tensor([0] + [len(r) for r in rows]).cumsum(0)
        return {"patches": torch.cat(rows), "starts": starts, "grids": torch.tensor(grids), "labels": self.labels}

    def logits(self, model, lo, hi):
        return model(pixel_values=torch.stack(self.pixels[lo:hi]).to(next(model.parameters()).dtype),
                     interpolate_pos_encoding=self.interpolate).logits

    def targets(self, lo, hi):
        return self.labels[lo:hi].numel()

    def loss(self, model, lo, hi):
        return loss_sum(self.c, self.logits(model, lo, hi), self.labels[lo:hi])[0]

    @torch.no_grad()
    def observe(self, model, name):
        """Returns the logits of the first images, batch by batch, since those of other batches have other sizes."""
        model.eval()
        firsts = range(0, 4 * self.c["batch"], self.c["batch"])
        return {name: torch.cat([self.logits(model, lo, lo + self.c["batch"]) for lo in firsts])}

    @torch.no_grad()
    def encode(self, model):
        """Returns the hidden states and the pooler's rows of the first batch."""
        out = model.eval()(torch.stack(self.pixels[:self.c["batch"]]), interpolate_pos_encoding=self.interpolate)
        return {"hidden": out.last_hidden_state.flatten(0, 1), "pooled": out.pooler_output}


def version4(directory, to):
    """Writes the adapter as PEFT does with transformers 4: other names, other targets."""
    renames = [  # of modules
        (r"\.layers\.", ".encoder.layer."), (r"attention\.o_proj", "attention.output.dense"),
        (r"attention\.q_proj", "attention.attention.query"), (r"attention\.k_proj", "attention.attention.key"),
        (r"attention\.v_proj", "attention.attention.value"), (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense")]
    tensors = {}
    for name, t in load_file(directory / "adapter_model.safetensors").items():
        for new, old in renames:
            name = re.sub(new, old, name)
        tensors[name] = t
    to.mkdir()
    save_file(tensors, to / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads((directory / "adapter_config.json").read_text())
    config["target_modules"] = [{"q_proj": "query", "v_proj": "value"}[n] for n in config["target_modules"]]
    (to / "adapter_config.json").write_text(json.dumps(config, indent=2))


def load_base(config_class, c, classes=None):
    config = config_class.from_pretrained("base", num_labels=c["labels"])
    if classes:
        config.architectures = classes
    if c["problem"]:
        config.problem_type = c["problem"]
    model = AutoModelForImageClassification.from_pretrained("base", config=config, dtype=torch.float32)
    return model


def make(name, case, seed):
    config_class, sizes, run = case
    c = DEFAULT | run
    gen = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    directory = ROOT / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.chdir(directory)  # so that the adapter's config says "base", not a path of this machine
    config = config_class(**(SIZES | sizes), num_labels=c["labels"])
    saved = getattr(transformers, c["model"])(config)
    fill(saved, gen)
    saved.to(c["dtype"]).save_pretrained("base")
    images = Images(config, c, gen)
    expected = {}
    if c["model"].endswith("Model"):
        expected |= images.encode(type(saved).from_pretrained("base", dtype=torch.float32))
    classes = None
    if c["model"].endswith("WithTeacher"):
        teacher = load_base(config_class, c)
        assert type(teacher) is type(saved)
        expected |= images.observe(teacher, "teacher.logits")
        pathlib.Path("print_teacher.txt").write_text(str(teacher) + "\n")
        classes = ["DeiTForImageClassification"]  # the class that trains
    base = load_base(config_class, c, classes)
    pathlib.Path("print_base.txt").write_text(str(base) + "\n")
    model = get_peft_model(base, LoraConfig(
        r=c["r"], lora_alpha=c["alpha"], target_modules=c["targets"], lora_dropout=0.0, use_dora=c["dora"],
        bias=c["bias"], modules_to_save=c["modules_to_save"]))
    fill_adapter(model, gen)
    save_adapter(model, "adapter_init")
    pathlib.Path("print_lora.txt").write_text(str(model.base_model.model) + "\n")
    expected |= images.observe(model, "init.logits")
    head_in_base = c["model"] == "ViTForImageClassification"
    if head_in_base:
        with model.disable_adapter():
            expected |= images.observe(model, "base.logits")
    double = copy.deepcopy(model).double()
    log, grads = train(c, model, images.targets, images.loss)
    log64, _ = train(c, double, images.targets, images.loss)
    save_adapter(model, "adapter_final")
    if name == "vit":
        version4(pathlib.Path("adapter_final"), pathlib.Path("adapter_version4"))
    expected |= {f"grad.{k}": v for k, v in grads.items()} | images.observe(model, "final.logits")
    again = PeftModel.from_pretrained(load_base(config_class, c, classes), "adapter_final")
    torch.testing.assert_close(images.observe(again, "x")["x"], expected["final.logits"])
    expected |= images.observe(again.merge_and_unload(), "merged.logits")
    torch.testing.assert_close(expected["merged.logits"], expected["final.logits"], rtol=1e-3, atol=1e-4)
    save_file(images.tensors(), "batches.safetensors", metadata=SOURCE)
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, "expected.safetensors", metadata=SOURCE)
    drift = deviation(model, double, log, log64)
    case = {
        "name": name, "note": c["note"], "seed": seed, "model_type": config.model_type, "num_labels": c["labels"],
        "problem_type": c["problem"] or "single_label_classification", "head_in_base": head_in_base,
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
        make(name, CASES[name], 16000 + list(CASES).index(name))


if __name__ == "__main__":
    main()
