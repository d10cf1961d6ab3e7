"""Writes tokenize/testdata/settings.json: what transformers makes of the files beside a tokenizer.

    python reference/tokenizer_settings_fixtures.py            # writes the fixture
    python reference/tokenizer_settings_fixtures.py --show N   # prints case N, with the tokens

A case is a tokenizer of tokenizer_fixtures.py, bpe_fixtures.py or unigram_fixtures.py with a model_type in config.json
and settings beside it, loaded with AutoTokenizer. Its key is the setting that it is about; the key of a neutral case
must leave all results as they are without it, which is checked here, too. A run is a text, or a pair, with the
arguments of the call and its result.
"""

import base64
import bz2
import json
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"

import bpe_fixtures as bpe
import tokenizer_fixtures as base
import transformers

OUT = os.path.join(base.OUT, "settings.json")
FILES = {"uncased": base.CASED, "cased": base.CASED, "bytes": bpe.BYTES, "marks": bpe.MARKS,
         "xlmr": os.path.join(base.OUT, "unigram_xlmr.json")}
CONFIG, SPECIAL, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"

CLASSES = {"uncased": "BertTokenizer", "cased": "BertTokenizer", "bytes": "GPT2Tokenizer", "marks": "LlamaTokenizer",
           "xlmr": "XLMRobertaTokenizer"}
TYPES = {"uncased": "bert", "cased": "bert", "bytes": "gpt2", "marks": "llama", "xlmr": "xlm-roberta"}
TEXTS = {
    "uncased": [("The Caf\u00e9s [MASK] \u00dcber  <new> \u6f22\u5b57 <x> it's . not n't ca n't", None),
               ("A long text [SEP] that is cut", "and its pair, which is longer than the text")],
    "cased": [("The Caf\u00e9s [MASK] \u00dcber  <new> \u6f22\u5b57 <x> it's . not", None), ("One Text", "Its Pair")],
    "bytes": [("Hello <|endoftext|>  it 's <x> not 12 . <new> <|begin|> x", None),
              ("A long text that is cut", "and its pair, which is longer than the text")],
    "marks": [("Hello <s>it 's  <x> not 12 . <new> \u6f22 x", None), (" A text</s>", "and its pair")],
    "xlmr": [("Hello <s>it 's  <x> not <mask> 12 . <new> ca n't x", None), (" A text</s>", "and its pair")],
}
CUTS = [
    {"max_length": 8, "truncation": "longest_first"}, {"max_length": 12, "truncation": "longest_first"},
    {"max_length": 15, "truncation": "only_first"}, {"max_length": 12, "truncation": "only_second"},
    {"max_length": 22, "truncation": "only_first"}, {"max_length": 22, "truncation": "only_second"},
]
WINDOWS = [{"max_length": 14, "stride": 2}, {"max_length": 9, "stride": 0}]


def token(content, special=True, left=False, right=False, normalized=False, single=False):
    return {"content": content, "lstrip": left, "rstrip": right, "normalized": normalized, "single_word": single,
            "special": special}


def plain(content, **flags):
    t = token(content, **flags)
    del t["special"]
    return t


def case(key, name, config=None, special=None, added=None, patch=None, cls="", model_type="", read="tokenizer.json",
         cuts=False):
    """Returns a case; the class of cls "" is that of the model."""
    config = dict(config or {})
    if name == "uncased":
        patch = {"normalizer": base.bert()} | (patch or {})
    if cls is not None:
        config.setdefault("tokenizer_class", cls or CLASSES[name])
    files = {CONFIG: config}
    if special is not None:
        files[SPECIAL] = special
    if added is not None:
        files[ADDED] = added
    return {"key": key, "tokenizer": name, "patch": patch or {}, "model_type": model_type or TYPES[name], "read": read,
            "files": files, "cuts": cuts}


FAST = "PreTrainedTokenizerFast"
NORMALIZER = {"normalizer": base.bert(lower=False)}
STORED = {
    "truncation": {"direction": "Left", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
    "padding": {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": None, "pad_id": 1,
                "pad_type_id": 0, "pad_token": "<|begin|>"},
}
BYTE_LEVEL = {"pre_tokenizer": bpe.byte_level()}
ROBERTA = BYTE_LEVEL | {"post_processor": bpe.ROBERTA | {"add_prefix_space": False}}
ROBERTA_ROLES = {"cls_token": "<|begin|>", "sep_token": "<|endoftext|>", "bos_token": "<|begin|>",
                 "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
                 "mask_token": "<|begin|>"}
LLAMA = {"normalizer": None, "pre_tokenizer": bpe.metaspace("first", False)}

CASES = [
    case("", "uncased"),
    case("", "uncased", cls=None),
    case("", "uncased", cls=FAST),
    case("", "cased"),
    case("", "bytes"),
    case("", "bytes", patch=BYTE_LEVEL),
    case("", "bytes", cls=FAST),
    case("", "bytes", cls=None, model_type="llama"),
    case("", "marks", patch=LLAMA),
    case("", "marks", cls=FAST),
    case("", "xlmr"),
    case("", "xlmr", cls=FAST),
    case("", "uncased", read="vocab.txt"),
    case("", "bytes", read="vocab.json", patch=BYTE_LEVEL),
    case("", "bytes", {"tokenizer_class": "RobertaTokenizer"} | ROBERTA_ROLES, patch=ROBERTA, model_type="roberta"),

    case("truncation_side", "uncased", {"truncation_side": "left"}, cuts=True),
    case("truncation_side", "bytes", {"truncation_side": "left"}, cls=FAST, cuts=True),
    case("truncation_side", "xlmr", {"truncation_side": "left"}, cuts=True),
    case("truncation_side", "bytes", {"truncation_side": "left"}, read="vocab.json", patch=BYTE_LEVEL, cuts=True),
    case("truncation_side", "bytes", patch=BYTE_LEVEL | STORED, cuts=True),
    case("truncation_side", "bytes", {"truncation_side": "right"}, patch=BYTE_LEVEL | STORED, cls=FAST, cuts=True),
    case("model_input_names", "uncased", {"model_input_names": ["input_ids", "attention_mask"]}),
    case("model_input_names", "uncased", {"model_input_names": ["input_ids", "token_type_ids"]}, cls=FAST),
    case("model_input_names", "uncased", {"model_input_names": ["input_ids", "attention_mask"]}, read="vocab.txt"),
    case("model_input_names", "uncased", cls="DistilBertTokenizer", model_type="distilbert"),
    case("split_special_tokens", "uncased", {"split_special_tokens": True}),
    case("split_special_tokens", "bytes", {"split_special_tokens": True}, cls=FAST, added={"<x>": 2400}),
    case("clean_up_tokenization_spaces", "uncased", {"clean_up_tokenization_spaces": True}),
    case("clean_up_tokenization_spaces", "xlmr", {"clean_up_tokenization_spaces": True}),
    case("clean_up_tokenization_spaces", "bytes", {"clean_up_tokenization_spaces": True}, patch=BYTE_LEVEL),
    case("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", "bytes",
         {"clean_up_tokenization_spaces": True,
          "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True}, patch=BYTE_LEVEL),
    case("add_prefix_space", "bytes", {"add_prefix_space": True}, patch=BYTE_LEVEL),
    case("add_prefix_space", "bytes", {"add_prefix_space": True}, cls=FAST),
    case("add_prefix_space", "bytes", {"add_prefix_space": False},
         patch={"pre_tokenizer": bpe.byte_level(prefix=True)}),
    case("add_prefix_space", "bytes", patch={"pre_tokenizer": bpe.byte_level(prefix=True)}),
    case("add_prefix_space", "bytes",
         {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True} | ROBERTA_ROLES, patch=ROBERTA,
         model_type="roberta"),
    case("add_prefix_space", "bytes", {"tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": True},
         patch={"normalizer": bpe.NFC, "pre_tokenizer": bpe.words(bpe.split(bpe.QWEN2), bpe.byte_level(regex=False))},
         model_type="qwen2"),
    case("add_prefix_space", "xlmr", {"add_prefix_space": False}),
    case("add_prefix_space", "marks", {"add_prefix_space": False}, patch=LLAMA),
    case("add_prefix_space", "marks", {"add_prefix_space": False}, cls=FAST),
    case("legacy", "marks", {"legacy": True}, patch=LLAMA),
    case("legacy", "marks", {"legacy": False}, patch=LLAMA),
    case("legacy", "marks", {"legacy": False}),  # a file with the normalizer of old versions
    case("trim_offsets", "bytes", {"tokenizer_class": "RobertaTokenizer", "trim_offsets": False} | ROBERTA_ROLES,
         patch=ROBERTA, model_type="roberta"),
    case("add_bos_token", "bytes", {"add_bos_token": True, "bos_token": "<|begin|>"}, read="vocab.json",
         patch=BYTE_LEVEL),
    case("add_bos_token", "marks", {"add_bos_token": False}, patch=LLAMA),
    case("add_eos_token", "bytes", {"add_eos_token": True}, read="vocab.json", patch=BYTE_LEVEL),
    case("add_eos_token", "marks", {"add_eos_token": True}, patch=LLAMA),
    case("do_lower_case", "uncased", {"do_lower_case": False}),
    case("do_lower_case", "cased", {"do_lower_case": True}),
    case("do_lower_case", "cased", {"do_lower_case": False}),
    case("do_lower_case", "uncased", {"do_lower_case": False}, cls=FAST),
    case("do_lower_case", "uncased", {"do_lower_case": False}, cls=None),
    case("do_lower_case", "uncased", {"do_lower_case": False}, read="vocab.txt"),
    case("do_lower_case", "uncased", {"do_lower_case": False}, cls="ElectraTokenizer", model_type="electra"),
    case("strip_accents", "uncased", {"strip_accents": False}),
    case("strip_accents", "cased", {"strip_accents": True, "do_lower_case": False}),
    case("tokenize_chinese_chars", "uncased", {"tokenize_chinese_chars": False}),
    case("tokenizer_class", "uncased", patch=NORMALIZER),
    case("tokenizer_class", "uncased", patch=NORMALIZER, cls=FAST),
    case("tokenizer_class", "uncased", patch=NORMALIZER, cls=None),
    case("tokenizer_class", "marks", cls="LlamaTokenizer", model_type="mistral"),
    case("model_max_length", "bytes", {"model_max_length": 9}, patch=BYTE_LEVEL),
    case("max_len", "bytes", {"max_len": 7}, patch=BYTE_LEVEL),
    case("max_len", "bytes", {"max_len": 7, "model_max_length": 9}, patch=BYTE_LEVEL),
    case("max_len", "bytes", {"max_len": 7, "model_max_length": None}, patch=BYTE_LEVEL),

    case("added_tokens_decoder", "uncased", {"added_tokens_decoder": {"2500": token("<new>", special=False)}}),
    case("added_tokens_decoder", "uncased", {"added_tokens_decoder": {"2500": token("<new>")}}, cls=FAST),
    case("added_tokens_decoder", "uncased", {"added_tokens_decoder": {"2501": token("<new>"), "2500": token("<x>")}}),
    case("added_tokens_decoder", "bytes", {"added_tokens_decoder": {"0": token("<|endoftext|>", left=True,
         right=True)}}, cls=FAST),
    case("added_tokens_decoder", "bytes", {"added_tokens_decoder": {"0": token("<|endoftext|>", left=True,
         right=True)}},
         patch=BYTE_LEVEL),
    case("added_tokens_decoder", "bytes", {"added_tokens_decoder": {"2409": token("<new>")}}, cls=FAST),
    case("added_tokens_decoder", "bytes", {"added_tokens_decoder": {"7": token("<|endoftext|>")}}, cls=FAST),
    case("added_tokens_decoder", "bytes", {"added_tokens_decoder": {"1": token("<x>")}}, cls=FAST),
    case("added_tokens_decoder", "bytes", {"added_tokens_decoder": {}, "pad_token": "<x>"}, {"pad_token": "<new>"},
         added={"<new>": 2400}, patch=BYTE_LEVEL),
    case("added_tokens_decoder", "uncased", {"added_tokens_decoder": {"2500": token("<new>")}}, read="vocab.txt"),
    case("additional_special_tokens", "bytes", {"additional_special_tokens": ["<x>"]}, patch=BYTE_LEVEL),
    case("additional_special_tokens", "bytes", {"additional_special_tokens": ["<x>"],
         "extra_special_tokens": ["<new>"]},
         cls=FAST),
    case("additional_special_tokens", "bytes", {}, {"additional_special_tokens": ["<x>", "not"]}, cls=FAST),
    case("additional_special_tokens", "uncased", {}, {"additional_special_tokens": ["<x>", "<new>"]},
         read="vocab.txt"),
    case("extra_special_tokens", "bytes", {"extra_special_tokens": ["<x>", "<new>"]}, cls=FAST),
    case("extra_special_tokens", "bytes", {"extra_special_tokens": {"image_token": "<x>"}}, cls=FAST),
    case("extra_special_tokens", "bytes", {"extra_special_tokens": ["<new>"]},
         {"extra_special_tokens": [plain("<x>", left=True, right=True)]}, patch=BYTE_LEVEL),
    case("extra_special_tokens", "bytes", {"extra_special_tokens": [], "additional_special_tokens": ["<x>"]},
         cls=FAST),
    case("model_specific_special_tokens", "bytes", {"model_specific_special_tokens": {"image_token": "<x>"}},
         cls=FAST),
    case("*_token", "bytes", {"image_token": "<x>"}, patch=BYTE_LEVEL),
    case("*_token", "bytes", {}, {"image_token": "<x>"}, cls=FAST),
    case("pad_token", "bytes", {"pad_token": "not"}, patch=BYTE_LEVEL),
    case("pad_token", "bytes", {"pad_token": "<x>"}, cls=FAST),
    case("pad_token", "bytes", {"pad_token": {"__type": "AddedToken"} | plain("<x>", left=True)}, cls=FAST),
    case("pad_token", "bytes", {"pad_token": "<new>"}, {"pad_token": plain("<x>", right=True, normalized=True)},
         cls=FAST),
    case("pad_token", "uncased", {"pad_token": "<x>"}, read="vocab.txt"),
    case("cls_token", "uncased", {"cls_token": "<x>"}),
    case("sep_token", "uncased", {"sep_token": "[PAD]"}),
    case("cls_token", "uncased", {"cls_token": "[PAD]"}, cls=FAST),
    case("sep_token", "uncased", {}, {"sep_token": "<x>"}),
    case("cls_token", "bytes", {"tokenizer_class": "RobertaTokenizer"} | ROBERTA_ROLES | {"cls_token": "<x>"},
         patch=ROBERTA, model_type="roberta"),
    case("bos_token", "xlmr", {"bos_token": "<pad>"}),
    case("eos_token", "xlmr", {"eos_token": "<x>"}),
    case("eos_token", "bytes", {}, {"eos_token": plain("<x>", left=True)}, patch=BYTE_LEVEL),
    case("unk_token", "uncased", {"unk_token": "[PAD]"}),
    case("unk_token", "bytes", {"unk_token": "<x>"}, cls=FAST),
    case("mask_token", "uncased", {"mask_token": "<x>"}),
    case("mask_token", "uncased", {"mask_token": "<x>"}, read="vocab.txt"),
    case(ADDED, "bytes", added={"<new>": 2401, "<x>": 2400}, patch=BYTE_LEVEL),
    case(ADDED, "bytes", {"pad_token": "<x>"}, added={"<x>": 2400}, cls=FAST),
    case(ADDED, "uncased", added={"<New>": 2500}, special={"additional_special_tokens": ["<New>"]}, cls=FAST),
    case(ADDED, "uncased", {"additional_special_tokens": ["<New>"]}, added={"<New>": 2500}, cls=FAST),
    case(ADDED, "uncased", added={"<New>": 2500}, special={"extra_special_tokens": ["<New>"]}, cls=FAST),
    case(ADDED, "bytes", added={"<new>": 2400}, special={"additional_special_tokens": ["<new>"]}, cls=FAST),
    case(ADDED, "uncased", added={"<new>": 2500}, read="vocab.txt"),
    case(ADDED, "bytes", added={"<new>": 2400}, read="vocab.json", patch=BYTE_LEVEL),
]

NEUTRAL = {
    "padding_side": "left", "pad_token_type_id": 3, "pad_to_multiple_of": 8, "max_length": 5, "stride": 2,
    "truncation_strategy": "only_first", "bos_token_id": 5, "eos_token_id": 5, "unk_token_id": 5, "pad_token_id": 5,
    "do_basic_tokenize": False, "never_split": ["The", "Hello"], "clean_text": False, "wordpieces_prefix": "@@",
    "spaces_between_special_tokens": False, "sp_model_kwargs": {"enable_sampling": True},
    "use_default_system_prompt": True, "errors": "strict", "response_schema": {"type": "object"},
    "response_template": "x", "chat_control_tokens": ["<x>"], "name_or_path": "x", "vocab_file": "x.txt",
    "merges_file": "x.txt", "tokenizer_file": "x.json", "special_tokens_map_file": "x.json",
    "full_tokenizer_file": "x.json", "added_tokens_file": "x.json", "chat_template_file": "x.jinja",
    "processor_class": "X", "backend": "x", "files_loaded": ["x"], "from_slow": True, "use_fast": False, "is_local": False, "local_files_only": True,
    "trust_remote_code": True, "verbose": False, "transformers_version": "4.0.0", "vocab_size": 5,
}
BASES = [("uncased", {"normalizer": base.bert()}), ("bytes", BYTE_LEVEL), ("marks", LLAMA)]
CASES += [case("neutral " + key, name, {key: value}, patch=patch, cuts=key == "padding_side")
          for key, value in NEUTRAL.items() for name, patch in BASES]


def document(c):
    doc = base.patched(FILES[c["tokenizer"]], c["patch"])
    if c["tokenizer"] == "xlmr":  # the file names its table, see unigram_fixtures.py
        with open(os.path.join(base.OUT, "unigram_nmt_nfkc.bin.bz2"), "rb") as f:
            doc["normalizer"]["precompiled_charsmap"] = base64.b64encode(bz2.decompress(f.read())).decode()
    return doc


def load(c):
    """Returns the tokenizer of a case."""
    with tempfile.TemporaryDirectory() as folder:
        def write(file, content):
            with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
                f.write(content if isinstance(content, str) else json.dumps(content))

        doc = document(c)
        if c["read"] == "tokenizer.json":
            write("tokenizer.json", doc)
        elif c["read"] == "vocab.txt":
            vocab = doc["model"]["vocab"]
            write("vocab.txt", "".join(t + "\n" for t in sorted(vocab, key=vocab.get)))
        else:
            write("vocab.json", doc["model"]["vocab"])
            merges = doc["model"]["merges"]
            lines = [m if isinstance(m, str) else " ".join(m) for m in merges]
            write("merges.txt", "\n".join(["#version: 0.2", *lines, ""]))
        write("config.json", {"model_type": c["model_type"]})
        for file, content in c["files"].items():
            write(file, content)
        return transformers.AutoTokenizer.from_pretrained(folder)


def run(tok, text, pair, **call):
    """Returns the result of one call."""
    try:
        e = tok(text, pair, return_offsets_mapping=True, **call)
    except BaseException as err:  # the library refuses, or panics, where one text alone fills the room
        assert "runcat" in str(err) or "stride" in str(err), err
        return {"ids": None}
    windows = isinstance(e["input_ids"][0], list)
    out = {"ids": e["input_ids"], "types": e.get("token_type_ids"), "offsets": e["offset_mapping"]}
    if not windows:
        out["decoded"] = [tok.decode(out["ids"], skip_special_tokens=skip) for skip in (False, True)]
    return out


def results(c):
    tok = load(c)
    runs = []
    for text, pair in TEXTS[c["tokenizer"]]:
        runs.append({"text": text, "pair": pair} | run(tok, text, pair))
    if c["cuts"]:
        text, pair = TEXTS[c["tokenizer"]][1]
        for cut in CUTS:
            runs.append({"text": text, "pair": pair, "call": cut} | run(tok, text, pair, **cut))
        for cut in WINDOWS:
            for first, second in ((text, None), ("who", pair)):
                strategy = "only_first" if second is None else "only_second"
                runs.append({"text": first, "pair": second, "call": cut | {"truncation": strategy}} | run(
                    tok, first, second, truncation=strategy, return_overflowing_tokens=True, **cut))
    longest = tok.model_max_length
    return {"class": type(tok).__name__, "max_length": 0 if longest > 1 << 31 else longest,
            "side": tok.truncation_side, "runs": runs}


def write():
    out = []
    plain = {}
    for c in CASES:
        c = c | results(c)
        if c["key"] == "":
            plain.setdefault((c["tokenizer"], json.dumps(c["patch"], sort_keys=True)), []).append(c)
        if c["key"].startswith("neutral "):
            bases = [p["runs"] for p in plain[c["tokenizer"], json.dumps(c["patch"], sort_keys=True)]]
            assert any(c["runs"][:len(r)] == r for r in bases), c["key"]
            c["runs"] = c["runs"][:len(c["runs"]) if c["cuts"] else 1]
        out.append(c)
        print(c["key"], c["tokenizer"], c["class"], flush=True)
    with open(OUT, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in out) + "\n]\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        chosen = CASES[int(sys.argv[2])]
        print(json.dumps(chosen))
        tokenizer = load(chosen)
        for r in results(chosen)["runs"]:
            if r["ids"] and not isinstance(r["ids"][0], list):
                r["tokens"] = tokenizer.convert_ids_to_tokens(r["ids"])
            print(json.dumps(r, ensure_ascii=False))
    else:
        write()
