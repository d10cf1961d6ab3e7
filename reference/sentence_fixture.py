#!/usr/bin/env python3
"""Writes testdata/sentence/: vectors that sentence-transformers makes with the settings files beside a small encoder.

usage: python reference/sentence_fixture.py

model/ is a BERT of random weights with a cased byte-level BPE tokenizer, one token of which is added and normalized.
cases.json has, for each case, the files that are written beside it, the arguments of encode, the vectors, and the
similarities of neighbouring texts. The script fails if a case whose setting should act has the vectors of the case
without it.
"""
import json
import pathlib
import shutil
import tempfile

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import AddedToken, Tokenizer, models as bpe, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "sentence"
TEXTS = [
    "where is my card", "Where Is My CARD", "The Card of Ms. Bolt has not arrived, although it was sent on Monday.",
    "ΟΔΟΣ İstanbul, Straẞe", "BOLT",
]
NAMES = {"transformer": "sentence_bert_config.json", "vectors": "config_sentence_transformers.json"}
POOLING = "1_Pooling/config.json"
LEGACY = [
    "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens", "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken",
]
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
PROMPTS = {"query": "Question: ", "document": None, "Story": "Once upon a TIME "}
TEXT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}


def build(directory):
    """Writes the encoder and its tokenizer."""
    tokenizer = Tokenizer(bpe.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.train_from_iterator(TEXTS + ["Question: Where is it?", "Once upon a TIME"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.add_tokens([AddedToken("Bolt", normalized=True), AddedToken("Ms.", normalized=False)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=40, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        pad_token="[PAD]", mask_token="[MASK]").save_pretrained(directory)
    torch.manual_seed(3)
    BertModel(BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=64, hidden_act="gelu", initializer_range=0.6, pad_token_id=0,
    ), add_pooling_layer=False).save_pretrained(directory)


def modules(normalize):
    """Returns modules.json."""
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")] + [("2_Normalize", "Normalize")] * normalize
    return [
        {"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind}
        for i, (path, kind) in enumerate(kinds)
    ]


def case(name, transformer=None, vectors=None, pooling=None, normalize=False, same=False, files=None, **encode):
    """A case: contents of the files, and arguments of encode. same: it has the vectors of the case "plain"."""
    written = {"modules.json": modules(normalize)}
    for key, content in (("transformer", transformer), ("vectors", vectors)):
        if content is not None:
            written[NAMES[key]] = content
    written[POOLING] = pooling or {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    return {"name": name, "same": same, "encode": encode, "files": written | (files or {})}


def cases():
    yield case("plain", same=True)
    yield case("max_seq_length", {"max_seq_length": 6})
    yield case("max_seq_length over the tokenizer's", {"max_seq_length": 50}, same=True)
    yield case("another name", files={
        "sentence_bert_config.json": {}, "sentence_roberta_config.json": {"max_seq_length": 5, "do_lower_case": False}})
    yield case("do_lower_case", {"max_seq_length": None, "do_lower_case": True})
    yield case("processor_kwargs", {"max_seq_length": 9, "processor_kwargs": {"model_max_length": 7}})
    yield case("tokenizer_args", {"tokenizer_args": {"model_max_length": 5, "use_fast": True}, "processor_kwargs": {
        "model_max_length": 9}})
    yield case("processing_kwargs text", {"max_seq_length": 9, "processing_kwargs": {"text": {
        "max_length": 6, "padding": "max_length"}}})
    yield case("processing_kwargs common", {"processing_kwargs": {"text": {"max_length": 9}, "common": {"max_length": 7}}})
    yield case("arguments of model and configuration", {
        "model_kwargs": {"attn_implementation": "eager"}, "config_kwargs": {"use_cache": False}}, same=True)
    yield case("older names of arguments", {
        "model_args": {"attn_implementation": "eager"}, "config_args": {"use_cache": False}}, same=True)
    yield case("as sentence-transformers 6 writes it", {
        "transformer_task": "feature-extraction", "modality_config": TEXT, "module_output_name": "token_embeddings",
        "unpad_inputs": None}, {"model_type": "SentenceTransformer", "prompts": {"query": "", "document": ""},
            "default_prompt_name": None, "similarity_fn_name": "cosine",
            "__version__": {"sentence_transformers": "6.2.0"}}, {
        "embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": True}, files={"modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling",
             "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling", "kwargs": ["task"]},
        ]}, same=True)
    for mode, key in zip(MODES, LEGACY):
        yield case("pooling " + mode, pooling={"embedding_dimension": 16, "pooling_mode": mode}, same=mode == "mean")
        yield case(key, pooling={"word_embedding_dimension": 16, key: True}, same=mode == "mean")
    yield case("no pooling on", pooling={"word_embedding_dimension": 16, LEGACY[0]: False}, same=True)
    yield case("all poolings", pooling={"word_embedding_dimension": 16} | {key: True for key in reversed(LEGACY)})
    yield case("poolings in another order", pooling={
        "embedding_dimension": 16, "pooling_mode": ["max", "cls", "max"], LEGACY[2]: True})
    yield case("default prompt", None, {"prompts": PROMPTS, "default_prompt_name": "Story"})
    yield case("default prompt without text", None, {"prompts": PROMPTS, "default_prompt_name": "document"}, same=True)
    yield case("prompt_name", None, {"prompts": PROMPTS, "default_prompt_name": "Story"}, prompt_name="query")
    yield case("prompt_name without a file", same=True, prompt_name="query")
    yield case("prompt", None, {"prompts": PROMPTS, "default_prompt_name": "Story"}, prompt="Mine: ")
    yield case("empty prompt", None, {"prompts": PROMPTS, "default_prompt_name": "Story"}, same=True, prompt="")
    yield case("prompt in lower case", {"do_lower_case": True}, {"prompts": PROMPTS}, prompt_name="Story")
    yield case("long prompt", {"max_seq_length": 5}, {"prompts": PROMPTS, "default_prompt_name": "Story"}, {
        "embedding_dimension": 16, "pooling_mode": MODES, "include_prompt": False})
    yield case("include_prompt", None, {"prompts": PROMPTS, "default_prompt_name": "query"}, {
        "embedding_dimension": 16, "pooling_mode": MODES, "include_prompt": False})
    for mode in ("cls", "lasttoken", "mean"):
        yield case("include_prompt " + mode, None, {"prompts": PROMPTS, "default_prompt_name": "query"}, {
            "embedding_dimension": 16, "pooling_mode": mode, "include_prompt": False})
    yield case("include_prompt without a prompt", pooling={
        "embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": False}, same=True)
    yield case("Normalize", normalize=True, files={"2_Normalize/config.json": {
        "module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}})
    yield case("normalize_embeddings", normalize_embeddings=True)
    yield case("truncate_dim", None, {"truncate_dim": 7})
    yield case("truncate_dim over the width", None, {"truncate_dim": 700}, same=True)
    yield case("truncate_dim of a length", None, {"truncate_dim": 7}, normalize=True)
    yield case("truncate_dim, then a length", None, {"truncate_dim": 7}, normalize=True, normalize_embeddings=True)
    for name in ("cosine", "dot", "euclidean", "manhattan", "maxsim"):
        yield case("similarity " + name, None, {"similarity_fn_name": name}, same=True)
    yield case("similarity of truncated vectors", None, {"similarity_fn_name": "dot", "truncate_dim": 5}, normalize=True)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    model = OUT / "model"
    model.mkdir(parents=True)
    build(model)
    (model / "README.md").unlink(missing_ok=True)
    plain, done = None, []
    for c in cases():
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            shutil.copytree(model, directory, dirs_exist_ok=True)
            for name, content in c["files"].items():
                (directory / name).parent.mkdir(exist_ok=True)
                (directory / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
            encoder = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
            vectors = encoder.encode(TEXTS, convert_to_tensor=True, batch_size=2, **c["encode"])
        plain = vectors if plain is None else plain
        if c.pop("same") != (vectors.shape == plain.shape and torch.allclose(vectors, plain, atol=1e-5)):
            raise SystemExit(f"{c['name']}: the setting acts, or does not, against what the case says")
        c["vectors"] = [[float(f"{x:.7g}") for x in row] for row in vectors.tolist()]
        near = encoder.similarity_pairwise(vectors[:-1], vectors[1:])
        c["similarities"] = [float(f"{x:.7g}") for x in near.tolist()]
        done.append(c)
    (OUT / "cases.json").write_text(
        json.dumps({"texts": TEXTS, "cases": done}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
