"""A recorded PEFT training run: code that the scripts that train fixtures share."""
import os
import pathlib
import sys

if os.environ.get("PYTHONHASHSEED") != "0":  # PEFT writes target names in the order of a set
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})

import peft
import torch
import torch.nn.functional as F
import transformers
from peft.utils import get_peft_model_state_dict
from transformers import BertModel

import seqcls


def loss_sum(c, logits, labels):
    """Returns the sum over the targets and their number."""
    if c["problem"] == "regression":
        return F.mse_loss(logits, labels.to(logits.dtype), reduction="sum"), labels.numel()
    if c["problem"] == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="sum"), labels.numel()
    return F.cross_entropy(logits, labels, reduction="sum", label_smoothing=c["smoothing"]), len(labels)


def seqcls_rows(c, ids, types, labels):
    """Returns the functions that train needs for sequence classification: the number of targets and the summed loss of
    rows lo to hi."""
    def targets(lo, hi):
        return loss_sum(c, torch.zeros(hi - lo, c["labels"]), labels[lo:hi])[1]

    def loss(model, lo, hi):
        return loss_sum(c, model(**seqcls.pad(ids[lo:hi], types[lo:hi])).logits, labels[lo:hi])[0]

    return targets, loss


def adamw(c, model):
    params = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(params, lr=c["lr"], betas=(0.9, 0.999), eps=1e-8, weight_decay=c["decay"])


def train(c, model, targets, loss, make_optimizer=adamw, gradients=True):
    """Runs c["steps"] steps of an optimiser; returns the log and the gradients of the first step before clipping, by
    their names in an adapter file, or {} without gradients.

    targets(lo, hi) returns the number of targets of rows lo to hi, loss(model, lo, hi) their loss, summed over the
    targets.
    """
    optimizer = make_optimizer(c, model)
    params = [p for p in model.parameters() if p.requires_grad]
    scheduler = transformers.get_scheduler(
        {"constant": "constant_with_warmup"}.get(c["schedule"], c["schedule"]), optimizer, num_warmup_steps=c["warmup"],
        num_training_steps=c["steps"])
    log, grads, size = [], {}, c["batch"]
    for step in range(c["steps"]):
        firsts = [(step * c["accumulate"] + k) * size for k in range(c["accumulate"])]
        count = sum(targets(s, s + size) for s in firsts)
        total = 0.0
        model.train()
        for s in firsts:
            mean = loss(model, s, s + size) / count
            mean.backward()
            total += mean.item()
        if step == 0 and gradients:
            named = {n: p.grad.clone() for n, p in model.named_parameters(remove_duplicate=False) if p.grad is not None}
            grads = get_peft_model_state_dict(model, state_dict=named)
        norm = torch.nn.utils.clip_grad_norm_(params, c["max_norm"])
        log.append({
            "step": step + 1, "loss": total, "grad_norm": norm.item(), "learning_rate": scheduler.get_last_lr()[0],
        })
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return log, grads


def observe(model, ids, types, prefix):
    """Returns hidden states (0 is the embeddings' output), pooled output and logits of a batch, without rows of
    padding."""
    batch = seqcls.pad(ids, types)
    bert = [m for m in model.modules() if isinstance(m, BertModel)][0]
    keep = batch["attention_mask"].bool()
    model.eval()
    with torch.no_grad():
        out = bert(**batch, output_hidden_states=True)
        logits = model(**batch).logits
    parts = {f"{prefix}hidden.{i}": h[keep] for i, h in enumerate(out.hidden_states)}
    return parts | {f"{prefix}pooled": out.pooler_output, f"{prefix}logits": logits}


def save_adapter(model, name, **options):
    for config in model.peft_config.values():  # a name that says nothing of the machine
        path = config.base_model_name_or_path
        if path and "testdata/" in path:
            config.base_model_name_or_path = path[path.index("testdata/"):]
    model.save_pretrained(name, **options)
    (pathlib.Path(name) / "README.md").unlink(missing_ok=True)


def deviation(model, other, log, log64, but=()):
    """Returns the deviation of the float32 run from the float64 run: losses and norms (largest relative), adapter
    (worst tensor, Frobenius norm). but lists ends of the names of tensors that have no gradient."""
    a, b = get_peft_model_state_dict(model), get_peft_model_state_dict(other)
    tensors = {k: ((a[k].double() - b[k]).norm() / b[k].norm()).item() for k in a if not k.endswith(tuple(but))}
    worst = max(tensors, key=tensors.get)
    rel = lambda key: max(abs(x[key] / y[key] - 1) for x, y in zip(log, log64))
    return {"loss": rel("loss"), "grad_norm": rel("grad_norm"), "adapter": tensors[worst], "worst_tensor": worst}


def versions():
    return {
        "torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "peft": peft.__version__,
    }


def trainable_line(model):
    trainable, everything = model.get_nb_trainable_parameters()
    return (
        f"trainable params: {trainable:,d} || all params: {everything:,d} || trainable%: "
        f"{100 * trainable / everything:.4f}"
    )


def hyperparameters(c):
    """Returns the run's settings under the names of the Go command's flags."""
    return {
        "batch_size": c["batch"], "gradient_accumulation_steps": c["accumulate"], "max_steps": c["steps"],
        "learning_rate": c["lr"], "weight_decay": c["decay"], "lr_scheduler_type": c["schedule"],
        "warmup_steps": c["warmup"],
        "max_grad_norm": c["max_norm"], "label_smoothing_factor": c["smoothing"], "adam_beta1": 0.9,
        "adam_beta2": 0.999, "adam_epsilon": 1e-8,
        "lora_r": c["r"], "lora_alpha": c["alpha"], "target_modules": c["targets"],
        "modules_to_save": c["modules_to_save"]}


def flat(lists):
    """Returns rows of ids one after another."""
    return torch.tensor([x for row in lists for x in row], dtype=torch.int32)


def starts(lists):
    return torch.tensor([0] + [len(row) for row in lists]).cumsum(0)
