#!/usr/bin/env python3
"""Writes transcribe/testdata/tokens.json: labels of WhisperTokenizer and the first tokens of transformers' generate.

usage: python reference/transcribe_tokens_fixture.py [WHISPER_TINY_EN]

transcribe/testdata/multilingual is a small multilingual tokenizer with the special tokens of Whisper, which is trained
here if it does not exist: training breaks ties by chance. WHISPER_TINY_EN is the directory of the real English-only
checkpoint (default: ../shared/models/whisper-tiny.en beside the repository).
"""
import json
import pathlib
import sys
import types

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, WhisperTokenizer
from transformers.models.whisper.generation_whisper import WhisperGenerationMixin
from transformers.models.whisper.tokenization_whisper import LANGUAGES, TO_LANGUAGE_CODE

from fixture import versions

HERE = pathlib.Path(__file__).resolve().parent.parent
OUT = HERE / "transcribe" / "testdata"
SMALL = OUT / "multilingual"
ENGLISH = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "shared" / "models" / "whisper-tiny.en")
TIMESTAMPS = 51  # of windows of one second
PREVIOUS = -1  # stands for a language that is detected

TEXTS = [
    "", " ", "Hello", " Hello world", "hello  world ", "Ask not what your country can do for you, ask what you can do!",
    "Größe, naïve café", "日本語のテスト", "Привет, мир", "zero one two 345", "tab\tand\nline", "👍🏽 emoji",
    "<|endoftext|> inside", "<|en|><|transcribe|>text<|notimestamps|>", "a <|0.00|> b", "it's we'll THEY'RE",
]
CORPUS = [
    "the small model writes what it hears", "and so my fellow americans ask not what your country can do for you",
    "one two three four five six seven eight nine zero", "das kleine Modell schreibt, was es hört",
    "le petit modèle écrit ce qu'il entend",
] * 4
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES), "<|translate|>",
           "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]


def train():
    """Writes the small tokenizer with the files that its settings come from."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", normalized=False) for i in range(TIMESTAMPS)])
    SMALL.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(SMALL / "tokenizer.json"))
    end = tokenizer.token_to_id("<|endoftext|>")
    ids = {t: tokenizer.token_to_id(t) for t in SPECIAL}
    write = lambda name, value: (SMALL / name).write_text(json.dumps(value, indent=1) + "\n")
    write("tokenizer_config.json", {
        "tokenizer_class": "WhisperTokenizer", "bos_token": SPECIAL[0], "eos_token": SPECIAL[0], "unk_token": SPECIAL[0],
        "pad_token": SPECIAL[0], "model_max_length": 1024, "clean_up_tokenization_spaces": False})
    write("generation_config.json", {
        "bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "max_length": 64,
        "decoder_start_token_id": ids["<|startoftranscript|>"], "is_multilingual": True,
        "forced_decoder_ids": [[1, None], [2, ids["<|transcribe|>"]]], "return_timestamps": False,
        "lang_to_id": {f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES},
        "task_to_id": {t: ids[f"<|{t}|>"] for t in ("transcribe", "translate")},
        "no_timestamps_token_id": ids["<|notimestamps|>"], "prev_sot_token_id": ids["<|startofprev|>"],
        "max_initial_timestamp_index": 50, "begin_suppress_tokens": [tokenizer.token_to_id("Ġ"), end],
        "suppress_tokens": [1, 2, ids["<|startoftranscript|>"], ids["<|nospeech|>"]]})


def labels(tokenizer, language=None, task=None):
    """Returns the labels of every text."""
    tokenizer.language = tokenizer.task = None
    tokenizer.set_prefix_tokens(language=language, task=task)
    return [tokenizer(text).input_ids for text in TEXTS]


def first_tokens(settings, config=None, language=None, task=None, timestamps=False):
    """Returns what generate puts before a transcript, with PREVIOUS for a language that it detects, or None for an error."""
    generation = GenerationConfig(**{k: v for k, v in settings.items()})
    model = types.SimpleNamespace(device="cpu", detect_language=lambda **_: torch.tensor([PREVIOUS]))
    generation.return_timestamps = timestamps
    try:
        WhisperGenerationMixin._set_language_and_task(language, task, None, generation)
        return WhisperGenerationMixin._retrieve_init_tokens(
            model, None, 1, generation, config or types.SimpleNamespace(), 3000, {})[0].tolist()
    except ValueError as err:
        assert language or task, err
        return None


def without(settings, *keys, **more):
    return {k: v for k, v in settings.items() if k not in keys} | more


def main():
    if not (SMALL / "tokenizer.json").exists():
        train()
    small = WhisperTokenizer.from_pretrained(SMALL)
    settings = json.loads((SMALL / "generation_config.json").read_text())
    english = json.loads((ENGLISH / "generation_config.json").read_text())
    number = lambda token: small.convert_tokens_to_ids(token)
    names = dict(TO_LANGUAGE_CODE)
    assert labels(small, "yue")[0][1] == number("<|yue|>")
    variants = {
        "as it is": settings,
        "nothing forced": without(settings, "forced_decoder_ids"),
        "language forced": without(settings, forced_decoder_ids=[[1, number("<|fr|>")], [2, number("<|translate|>")]]),
        "all forced": without(settings, forced_decoder_ids=[
            [1, number("<|fr|>")], [2, number("<|translate|>")], [3, number("<|notimestamps|>")]]),
        "language set": without(settings, language="german"),
        "language and task set": without(settings, language="<|de|>", task="translate"),
        "task set": without(settings, "forced_decoder_ids", task="translate"),
        "english": english,
        "english, nothing forced": without(english, "forced_decoder_ids"),
    }
    prefixes = []
    for name, values in variants.items():
        for language, task in ((None, None), ("german", None), ("ja", "transcribe"), (None, "translate"),
                               ("Haitian Creole", "translate"), ("nonsense", None), ("de", "nonsense")):
            for timestamps in (False, True):
                prefixes.append({
                    "settings": name, "language": language or "", "task": task or "", "timestamps": timestamps,
                    "ids": first_tokens(values, None, language, task, timestamps)})
    result = {
        "versions": versions(), "names": names, "texts": TEXTS,
        "labels": [
            {"language": language or "", "task": task or "", "ids": labels(small, language, task)}
            for language, task in ((None, None), ("german", "transcribe"), ("fr", "translate"), ("cantonese", None),
                                   ("hebrew", None), (None, "translate"))],
        "english": labels(WhisperTokenizer.from_pretrained(ENGLISH)),
        "variants": {k: v for k, v in variants.items() if k != "as it is" and not k.startswith("english")}
        | {"english": variants["english"], "english, nothing forced": variants["english, nothing forced"]},
        "prefixes": prefixes,
    }
    (OUT / "tokens.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(len(prefixes), "prefixes,", sum(p["ids"] is None for p in prefixes), "of them errors")


main()
