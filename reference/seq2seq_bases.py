#!/usr/bin/env python3
"""Makes encoder-decoders, with the rows on which their fine-tuning is compared with PEFT's.

usage: python reference/seq2seq_bases.py --data DIR --output-dir OUT [--only multi30k|scitldr|t5-random]

--data holds multi30k-en-de/ (train and test_2016_flickr, .en.gz and .de.gz) and scitldr/ (train, dev and test.jsonl).

OUT/multi30k/  a T5 (Unigram, 4,000 pieces) that has learnt from row 5,001 on; train.jsonl is the first 5,000 pairs
OUT/scitldr/   a BART (byte-level BPE, 3,000 tokens) that has learnt from dev.jsonl, to summarise and to fill in words;
               train.jsonl is each abstract with its first summary

Each has base/, train.jsonl and test.jsonl (`source`, `target`: a list where there are several references). Dropout is 0.

OUT/t5-random/ a T5 of the sizes of T5-small with random weights, a Unigram tokenizer of 8,000 pieces of the texts, and
               the rows of both train.jsonl as multi30k.jsonl and scitldr.jsonl: for comparisons of speed
"""
import argparse
import gzip
import json
import pathlib
import random

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import seq2seq


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


def multi30k(data):
    """Returns the pairs to train on, to test on, and to make the base of."""
    part = lambda name: list(zip(*(lines(data / "multi30k-en-de" / f"{name}.{side}.gz") for side in ("en", "de"))))
    rows = part("train")
    return rows[:5000], part("test_2016_flickr"), rows[5000:]


def scitldr(data):
    """The same; the base's pairs are abstracts with each summary, and sentences with words missing."""
    rows = {}
    for name in ("train", "dev", "test"):
        with open(data / "scitldr" / f"{name}.jsonl", encoding="utf-8") as file:
            rows[name] = [json.loads(line) for line in file]
    pairs = {name: [(" ".join(r["source"]), r["target"]) for r in rows[name]] for name in rows}
    rng = random.Random(1)
    base = [(source, summary) for source, targets in pairs["dev"] for summary in targets]
    for row in rows["dev"]:
        for sentence in row["source"]:
            words = sentence.split()
            base.append((" ".join("<mask>" if rng.random() < 0.3 else w for w in words), sentence))
    return [(source, targets[0]) for source, targets in pairs["train"]], pairs["test"], base


def write_pairs(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"source": s, "target": t}, ensure_ascii=False) + "\n" for s, t in rows)


def unigram(texts, size=4000):
    """Returns T5's tokenizer: padding, end and unknown first, the end token behind a text."""
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("\u00ad", "")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.decoder = decoders.Metaspace()
    tok.train_from_iterator(texts, trainers.UnigramTrainer(
        vocab_size=size, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    tok.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tok, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512)


def byte_bpe(texts):
    """Returns BART's tokenizer."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=3000, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tok.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tok, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        mask_token="<mask>", sep_token="</s>", cls_token="<s>", model_max_length=512)


def t5(vocabulary):
    return transformers.T5ForConditionalGeneration(transformers.T5Config(
        vocab_size=vocabulary, d_model=128, d_kv=32, d_ff=512, num_layers=2, num_heads=4, dropout_rate=0.0,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0))


def bart(vocabulary):
    return transformers.BartForConditionalGeneration(transformers.BartConfig(
        vocab_size=vocabulary, d_model=128, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=512, decoder_ffn_dim=512, max_position_embeddings=514, dropout=0.0,
        init_std=0.05,
        forced_eos_token_id=2))


def t5_random(data, out):
    torch.manual_seed(0)
    transformers.T5ForConditionalGeneration(transformers.T5Config(decoder_start_token_id=0)).save_pretrained(out)
    pairs = {name: read(data)[0] for name, (read, *_) in SETS.items()}
    unigram([text for p in pairs.values() for pair in p for text in pair], 8000).save_pretrained(out)
    for name, rows in pairs.items():
        write_pairs(out / f"{name}.jsonl", rows)


# How rows are read, tokenizer, model, and how the base learns: steps, and padded tokens of source in a batch.
SETS = {"multi30k": (multi30k, unigram, t5, 500, 400), "scitldr": (scitldr, byte_bpe, bart, 600, 800)}


def learn(model, tokenizer, pairs, steps, tokens):
    """Trains all weights on batches of pairs of similar length with at most so many padded tokens of source."""
    rows = seq2seq.encode(tokenizer, pairs, 512, 128)
    rng = random.Random(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    rate = transformers.get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    model.train()
    done, shown = 0, 0.0
    while done < steps:
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + rng.random() * 4)
        batches, batch = [], []
        for i in order:
            if batch and (len(batch) + 1) * len(rows[i][0]) > tokens:
                batches, batch = batches + [batch], []
            batch.append(i)
        batches.append(batch)
        rng.shuffle(batches)
        for batch in batches[:steps - done]:
            loss, targets = seq2seq.loss_sum(model, [rows[i] for i in batch])
            (loss / targets).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
            done += 1
            shown += loss.item() / targets / 50
            if done % 50 == 0:
                print(f"  step {done}: loss {shown:.3f}", flush=True)
                shown = 0.0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--only", action="append", choices=[*SETS, "t5-random"])
    p.add_argument("--data", required=True, type=pathlib.Path)
    p.add_argument("--output-dir", required=True, type=pathlib.Path)
    a = p.parse_args()
    torch.set_num_threads(1)
    for name in a.only or [*SETS, "t5-random"]:
        if name == "t5-random":
            t5_random(a.data, a.output_dir / name)
            continue
        read, tokenizer, model, *learning = SETS[name]
        train, test, rest = read(a.data)
        out = a.output_dir / name
        out.mkdir(parents=True, exist_ok=True)
        for file, rows in (("train", train), ("test", test)):
            write_pairs(out / f"{file}.jsonl", rows)
        torch.manual_seed(0)
        tok = tokenizer([text for pair in rest for text in pair])
        tok.save_pretrained(out / "base")
        net = model(len(tok))
        print(f"{name}: {len(train)} pairs to train on, {len(test)} to test on, {len(rest)} for the base, "
              f"{len(tok)} tokens, {net.num_parameters():,} parameters")
        learn(net, tok, rest, *learning)
        net.save_pretrained(out / "base")


if __name__ == "__main__":
    main()
