#!/usr/bin/env python3
"""Trains encoders and encoder-decoders with LoRA in transformers and PEFT as `finetune` does.

usage: python reference/train_peft.py [TASK] --model DIR --train-file F [--test-file F] --output-dir D [options]

TASK is seq-cls (the default), token-cls, question-answering, multiple-choice, seq2seq-lm, translation,
speech-seq2seq or image-classification. Flags have the meaning of the Go command's flags of the same name. The script
writes to the output directory: the adapter as PEFT saves it, labels.json if there are labels, metrics.jsonl (step, epoch, loss, grad_norm, learning_rate), predictions.jsonl (a
line for each row of the test file: label and logits; tags of the words and their probabilities; id, answer and the sum
of its logits; number of the choice and the logits of all choices; the loss of a target, summed over its tokens; the
tokens of a transcript) and results.json. With --save-init DIR it also saves the adapter before training, with labels.json, so that the other
program can start from it; --init-only stops there.

A row of training is a text, a sentence, a window of a question, a question with all its choices, a pair of texts, or an
image.
"""
import argparse
import json
import math
import pathlib
import random
import resource
import shutil
import time

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import AutoTokenizer

import choices
import images
import questions
import seq2seq
import seqcls
import speech
import tokencls

TASKS = {"seq-cls": seqcls.SeqCls, "token-cls": tokencls.TokenCls, "question-answering": questions.QuestionAnswering,
         "multiple-choice": choices.MultipleChoice, "seq2seq-lm": seq2seq.Seq2SeqLM,
         "translation": seq2seq.Seq2SeqLM, "speech-seq2seq": speech.SpeechSeq2Seq,
         "image-classification": images.ImageClassification}


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("task", nargs="?", choices=TASKS, default="seq-cls")
    for kind in dict.fromkeys(TASKS.values()):
        kind.flags(p)
    p.add_argument("--model", required=True)
    p.add_argument("--train-file", required=True)
    p.add_argument("--test-file")
    p.add_argument("--output-dir", required=True, type=pathlib.Path)
    p.add_argument("--adapter", help="start from this adapter and its config")
    p.add_argument("--batch-size", type=int, default=16)
    p.add_argument("--gradient-accumulation-steps", type=int, default=1)
    p.add_argument("--num-train-epochs", type=float, default=1)
    p.add_argument("--max-steps", type=int, default=0)
    p.add_argument("--learning-rate", type=float, default=3e-3)
    p.add_argument("--weight-decay", type=float, default=0.0)
    p.add_argument("--lr-scheduler-type", choices=["linear", "constant", "cosine"], default="linear")
    p.add_argument("--warmup-steps", type=int, default=0)
    p.add_argument("--warmup-ratio", type=float, default=0.0)
    p.add_argument("--max-grad-norm", type=float, default=1.0)
    p.add_argument("--max-length", type=int, default=512)
    p.add_argument("--seed", type=int, default=42)
    p.add_argument("--save-init", type=pathlib.Path, help="save the adapter and labels.json here before training")
    p.add_argument("--init-only", action="store_true", help="do not train")
    p.add_argument(
        "--chunk", type=int,
        help="compute a batch in chunks of N rows of similar length: the same loss with less padding",
    )
    p.add_argument("--float64", action="store_true", help="compute in float64, to see what rounding does")
    p.add_argument("--no-shuffle", action="store_true", help="batches are the file's rows in order")
    p.add_argument(
        "--group-by-length", action="store_true", help="sort shuffled rows by length within 50 batches (faster here)",
    )
    p.add_argument("--lora-r", type=int, default=8)
    p.add_argument("--lora-alpha", type=float, default=16)
    p.add_argument("--lora-dropout", type=float)
    p.add_argument("--target-modules", default="query,value")
    p.add_argument("--modules-to-save", help="modules that train in full besides the head, such as pooler")
    p.add_argument("--dropout", type=float, help="overrides the checkpoint's dropout probabilities")
    p.add_argument("--label-smoothing", type=float, default=0.0)
    p.add_argument("--max-train-samples", type=int)
    p.add_argument("--eval-epochs", action="store_true", help="evaluate on the test file after every epoch")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    if a.label_smoothing and a.task == "question-answering":
        p.error("question answering has no label smoothing")
    return a


def build(a, task):
    torch.manual_seed(a.seed)
    base = task.base(a)
    if a.adapter:
        model = PeftModel.from_pretrained(base, a.adapter, is_trainable=True)
        if a.lora_dropout is not None:
            for module in model.modules():
                if isinstance(module, LoraLayer) and module.lora_dropout:
                    module.lora_dropout["default"] = torch.nn.Dropout(a.lora_dropout)
        return model
    targets = a.target_modules if a.target_modules == "all-linear" else a.target_modules.split(",")
    alpha = int(a.lora_alpha) if a.lora_alpha == int(a.lora_alpha) else a.lora_alpha
    save = task.head + (a.modules_to_save.split(",") if a.modules_to_save else [])
    return get_peft_model(base, LoraConfig(r=a.lora_r, lora_alpha=alpha, lora_dropout=a.lora_dropout or 0.0,
                                           target_modules=targets,
                                           modules_to_save=save or None, **task.lora))


def schedule(a, optimizer, total):
    warmup = a.warmup_steps or math.ceil(total * a.warmup_ratio)
    if a.lr_scheduler_type == "constant":
        return transformers.get_constant_schedule_with_warmup(optimizer, warmup)
    if a.lr_scheduler_type == "cosine":
        return transformers.get_cosine_schedule_with_warmup(optimizer, warmup, total)
    return transformers.get_linear_schedule_with_warmup(optimizer, warmup, total)


def epoch_batches(a, lengths, rng):
    """Returns the row numbers of one epoch's batches; the last batch may be short."""
    order = list(range(len(lengths)))
    if not a.no_shuffle:
        rng.shuffle(order)
    size = a.batch_size
    if a.group_by_length:
        mega = 50 * size
        order = [i for s in range(0, len(order), mega) for i in sorted(order[s:s + mega], key=lambda i: -lengths[i])]
    batches = [order[s:s + size] for s in range(0, len(order), size)]
    if a.group_by_length:
        rng.shuffle(batches)
    return batches


def chunks(batch, lengths, size):
    """Returns a batch's rows or, with a size, parts of it, shortest rows first."""
    if not size:
        return [batch]
    batch = sorted(batch, key=lambda i: lengths[i])
    return [batch[s:s + size] for s in range(0, len(batch), size)]


def train(a, model, task):
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=a.learning_rate, weight_decay=a.weight_decay)
    per_epoch = math.ceil(math.ceil(len(task.lengths) / a.batch_size) / a.gradient_accumulation_steps)
    total = a.max_steps or math.ceil(per_epoch * a.num_train_epochs)
    scheduler = schedule(a, optimizer, total)
    rng, step, seconds, tokens = random.Random(a.seed), 0, 0.0, 0
    with open(a.output_dir / "metrics.jsonl", "w") as log:
        while step < total:
            batches = epoch_batches(a, task.lengths, rng)
            for start in range(0, len(batches), a.gradient_accumulation_steps):
                group = batches[start:start + a.gradient_accumulation_steps]
                began, targets, loss_sum = time.perf_counter(), sum(map(task.targets, group)), 0.0
                model.train()
                for batch in (c for b in group for c in chunks(b, task.lengths, a.chunk)):
                    loss = task.loss(model, batch, a.label_smoothing) / targets
                    loss.backward()
                    loss_sum += loss.item()
                norm = torch.nn.utils.clip_grad_norm_(params, a.max_grad_norm or math.inf)
                rate = scheduler.get_last_lr()[0]
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                step += 1
                seconds += time.perf_counter() - began
                tokens += sum(task.tokens[i] for batch in group for i in batch)
                log.write(json.dumps({"step": step, "epoch": step / per_epoch, "loss": loss_sum,
                                      "grad_norm": norm.item(),
                                      "learning_rate": rate, "tokens_per_second": round(tokens / seconds, 1)}) + "\n")
                log.flush()
                if step == total:
                    break
            if a.eval_epochs and step < total:
                scores, _ = task.evaluate(model)
                log.write(json.dumps({"step": step} | {f"eval_{k}": v for k, v in scores.items()}) + "\n")
    return {"steps": step, "train_seconds": round(seconds, 1), "tokens_per_second": round(tokens / seconds, 1)}


def main():
    a = parse()
    torch.set_num_threads(a.threads)
    transformers.logging.set_verbosity_error()
    a.output_dir.mkdir(parents=True, exist_ok=True)
    adapter_labels = pathlib.Path(a.adapter or "") / "labels.json"
    names = seqcls.read_labels(adapter_labels) if a.adapter and adapter_labels.exists() else None
    tokenizer = None if a.task == "image-classification" else AutoTokenizer.from_pretrained(a.model)
    task = TASKS[a.task](a, tokenizer, names)
    if task.labels_file:
        (a.output_dir / "labels.json").write_text(
            json.dumps(task.labels_file, indent=2, ensure_ascii=False) + "\n", encoding="utf-8",
        )
    model = build(a, task)
    if a.float64:
        model.double()
    model.print_trainable_parameters()
    if a.save_init:
        model.save_pretrained(a.save_init)
        if task.labels_file:
            shutil.copy(a.output_dir / "labels.json", a.save_init)
    if a.init_only:
        return

    results = train(a, model, task)
    model.save_pretrained(a.output_dir)
    if task.test:
        scores, rows = task.evaluate(model)
        results.update({f"test_{k}": v for k, v in scores.items()})
        with open(a.output_dir / "predictions.jsonl", "w") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    results["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    settings = {k: str(v) if isinstance(v, pathlib.Path) else v for k, v in vars(a).items()}
    (a.output_dir / "results.json").write_text(json.dumps(results | {"settings": settings}, indent=2) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
