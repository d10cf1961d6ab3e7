#!/usr/bin/env python3
"""Writes the sources of the embedded GPT: its training texts, its tokenizer and its configuration.

usage: python reference/gpt_corpus.py --shakespeare input.txt --gsm8k train.jsonl --output DIR

DIR/pretrain.jsonl has the first nine tenths of Tiny Shakespeare (public domain), cut at blank lines into texts of about
1,200 characters, and the questions of the first 3,000 rows of GSM8K's training set (MIT); DIR/heldout.jsonl has the
last tenth of Tiny Shakespeare. DIR/tokenizer.json is a byte-level BPE of 2,048 tokens trained on pretrain.jsonl.
docs/embedded-gpt.md has the command that trains the model.
"""
import argparse
import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

END = "<|endoftext|>"
CONFIG = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 2048, "n_positions": 256, "n_embd": 192,
    "n_layer": 6, "n_head": 6,
    "activation_function": "gelu_new", "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1,
    "layer_norm_epsilon": 1e-5, "initializer_range": 0.02,
    "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0,
}


def pieces(text, size=1200):
    """Cuts a play at blank lines into texts of about the given number of characters."""
    out, now = [], ""
    for speech in text.split("\n\n"):
        now = f"{now}\n\n{speech}" if now else speech
        if len(now) >= size:
            out.append(now)
            now = ""
    return out + [now] * bool(now)


def write(path, texts):
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    for name in ("shakespeare", "gsm8k", "output"):
        parser.add_argument("--" + name, required=True, type=pathlib.Path)
    a = parser.parse_args()
    a.output.mkdir(parents=True, exist_ok=True)
    play = a.shakespeare.read_text(encoding="utf-8")
    cut = len(play) * 9 // 10
    questions = [json.loads(line)["question"] for line in a.gsm8k.read_text(encoding="utf-8").splitlines()[:3000]]
    texts = pieces(play[:cut]) + questions
    write(a.output / "pretrain.jsonl", texts)
    write(a.output / "heldout.jsonl", pieces(play[cut:]))

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"], special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    tok.save(str(a.output / "tokenizer.json"))
    settings = {"tokenizer_class": "GPT2Tokenizer", "bos_token": END, "eos_token": END, "unk_token": END,
                "add_prefix_space": False,
                "model_max_length": CONFIG["n_positions"], "clean_up_tokenization_spaces": False}
    (a.output / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (a.output / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    print(
        len(texts), "texts,", sum(len(t) for t in texts), "characters,", sum(len(tok.encode(t).ids) for t in texts),
        "tokens",
    )


if __name__ == "__main__":
    main()
