#!/usr/bin/env python3
"""Writes testdata/seq2seq_heads/<case>/: small random encoder-decoders with the heads of tasks, and their results in
transformers + PEFT.

usage: python reference/seq2seq_heads_fixtures.py [CASE ...]

The files are those of testdata/encoder (README.md beside this script). Features are the rows of T5's encoder, and those
of the decoder of BART and mBART, as AutoModel returns them.
"""
import pathlib
import sys
import warnings

import torch
import transformers

import encoder_fixtures
import seq2seq_fixtures
from encoder_fixtures import BF16, F16
from encoders import FEATURES, QA, SEQ, TOKEN

ROOT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "seq2seq_heads"
FAMILIES = {  # config, sizes, the model as which it is pretrained
    name: (seq2seq_fixtures.FAMILIES[name][0], seq2seq_fixtures.SIZES[name], seq2seq_fixtures.FAMILIES[name][1])
    for name in ("t5", "mt5", "bart", "mbart")}
HEAD = ["classification_head"]  # which PEFT saves only if it is named
T5, BART = dict(end=1, targets=["q", "v"]), dict(end=2, targets=["q_proj", "v_proj"])
CASES = {
    "t5_seq_cls": ("t5", SEQ, dict(), T5 | dict(
        base="pretrained", dtype=BF16, modules_to_save=HEAD, note="T5ForConditionalGeneration: names without prefix, no head")),
    "t5_seq_cls_all": (
        "t5", SEQ, dict(feed_forward_proj="gated-gelu", num_decoder_layers=1), T5 | dict(
            targets="all-linear", modules_to_save=HEAD, accumulate=2, batch=2, problem="regression", labels=1,
            note="T5 1.1; all-linear leaves the saved head out; mean squared error; accumulation over 2 batches")),
    "t5_seq_cls_frozen": ("t5", SEQ, dict(), T5 | dict(
        note="PEFT's defaults: the head is in the checkpoint and stays as it is")),
    "mt5_seq_cls": ("mt5", SEQ, dict(feed_forward_proj="gated-gelu"), T5 | dict(
        base="bare", targets=["k", "o", "wi_1", "embed_tokens"], modules_to_save=HEAD, dtype=F16,
        note="MT5Model without prefix; LoRA on both word tables")),
    "bart_seq_cls": ("bart", SEQ, dict(), BART | dict(
        pairs=True, modules_to_save=HEAD, problem="multi_label_classification", labels=4,
        note="pairs with three end tokens; binary cross entropy; the head is in the checkpoint")),
    "bart_seq_cls_all": ("bart", SEQ, dict(scale_embedding=True), BART | dict(
        base="pretrained", dtype=BF16, targets="all-linear", modules_to_save=HEAD,
        note="BartForConditionalGeneration with final_logits_bias; all-linear")),
    "mbart_seq_cls": ("mbart", SEQ, dict(scale_embedding=True), BART | dict(
        base="pretrained", modules_to_save=HEAD, decay=0.01,
        note="mBART: the decoder starts with the last token; weight decay")),
    "t5_token_cls": ("t5", TOKEN, dict(), T5 | dict(
        base="pretrained", note="the encoder alone; the decoder of the checkpoint is skipped")),
    "t5_qa": ("t5", QA, dict(), T5 | dict(base="bare", note="the decoder's rows; names without prefix in every file")),
    "bart_qa": ("bart", QA, dict(), BART | dict(targets=["q_proj", "fc1"], note="the decoder's rows")),
    "mbart_qa": ("mbart", QA, dict(), BART | dict(base="bare", dtype=BF16)),
    "t5_features": ("t5", FEATURES, dict(), T5 | dict(
        base="pretrained", dtype=BF16, batch=2, note="the encoder of T5ForConditionalGeneration; PEFT's default targets")),
    "t5_features_alone": ("t5", FEATURES, dict(feed_forward_proj="gated-gelu"), T5 | dict(
        base="bare", targets="all-linear", batch=2, note="T5EncoderModel, as sentence-t5 and gtr-t5")),
    "mt5_features": ("mt5", FEATURES, dict(), T5 | dict(
        base="pretrained", targets=["embed_tokens", "relative_attention_bias", "wo"], batch=2,
        note="LoRA on the word table and the relative positions")),
    "bart_features": ("bart", FEATURES, dict(), BART | dict(base="bare", batch=2, note="BartModel: the decoder's rows")),
    "mbart_features": ("mbart", FEATURES, dict(), BART | dict(
        base="pretrained", targets=["embed_tokens", "out_proj"], batch=2, dtype=BF16, note="LoRA on both word tables")),
}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or CASES:
        encoder_fixtures.make(
            ROOT, FAMILIES, lambda model, _, gen: seq2seq_fixtures.fill(model, gen), name, CASES[name],
            7000 + list(CASES).index(name), "reference/seq2seq_heads_fixtures.py")


if __name__ == "__main__":
    main()
