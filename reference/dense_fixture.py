#!/usr/bin/env python3
"""Writes testdata/dense/<case>/: sentence encoders with Dense modules and the vectors that sentence-transformers makes.

usage: python reference/dense_fixture.py

t5 is made as sentence-t5 and gtr-t5 are: the encoder of a T5, the mean, a Dense module without bias and activation, and
Normalize. bert has two poolings, two Dense modules (tanh with a bias, as LaBSE has it, and one without activation), and
no Normalize. vectors.json has the texts and their vectors.
"""
import json
import pathlib
import shutil

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from seq2seq_fixtures import fill

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "dense"
TEXTS = ["where is my card", "The card has not come.", "b", "A longer text, with more characters than the others have"]
WORDS = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {chr(32 + i): 3 + i for i in range(95)}


def save(directory, model):
    """Writes the encoder, filled as a trained one, and a tokenizer of characters that appends </s>."""
    fill(model, torch.Generator().manual_seed(5))
    model.save_pretrained(directory)
    tokenizer = Tokenizer(models.BPE(vocab=WORDS, merges=[], unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=40, pad_token="<pad>", eos_token="</s>",
        unk_token="<unk>").save_pretrained(directory)


def make(name, model, modules):
    directory, base = OUT / name, OUT / "base"
    save(base, model)
    transformer = Transformer(str(base))
    encoder = SentenceTransformer(modules=[transformer] + modules, device="cpu")
    encoder.save(str(directory), create_model_card=False)
    shutil.rmtree(base)
    again = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    vectors = again.encode(TEXTS, convert_to_tensor=True, batch_size=3)
    (directory / "vectors.json").write_text(json.dumps(
        {"texts": TEXTS, "vectors": [[float(f"{x:.7g}") for x in row] for row in vectors.tolist()]}, indent=1) + "\n")
    print(name, sorted(str(f.relative_to(directory)) for f in directory.rglob("*") if f.is_file()), vectors.shape)


def main():
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    shutil.rmtree(OUT, ignore_errors=True)
    torch.manual_seed(7)
    t5 = T5EncoderModel(T5Config(
        vocab_size=100, d_model=16, d_kv=6, d_ff=20, num_layers=2, num_heads=3, relative_attention_num_buckets=8,
        relative_attention_max_distance=20, feed_forward_proj="gated-gelu"))
    make("t5", t5, [
        Pooling(16, "mean"), Dense(16, 12, bias=False, activation_function=torch.nn.Identity()), Normalize()])
    bert = BertModel(BertConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=20,
        max_position_embeddings=48), add_pooling_layer=False)
    make("bert", bert, [
        Pooling(16, ["cls", "mean"]), Dense(32, 10), Dense(10, 20, activation_function=torch.nn.Identity())])


if __name__ == "__main__":
    main()
