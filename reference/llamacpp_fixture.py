"""Writes testdata/llamacpp/: what llama.cpp's own code makes of small random models and adapters.

    python reference/llamacpp_fixture.py LLAMA_CPP LIBRARIES

LLAMA_CPP is a checkout of llama.cpp with convert_lora_to_gguf.py and the package conversion; LIBRARIES the directory
with libggml-base.so (the package llama_cpp_python 0.3.36 has both: vendor/llama.cpp in its source, llama_cpp/lib when
it is installed). reference/README.md describes the files.
"""
import ctypes
import hashlib
import json
import os
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
    Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
)

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "testdata" / "llamacpp"
LLAMA_CPP, LIBRARIES = Path(sys.argv[1]), Path(sys.argv[2])
sys.path[:0] = [str(LLAMA_CPP / "gguf-py"), str(LLAMA_CPP)]  # its own version of gguf

sys.modules.setdefault("sentencepiece", types.SimpleNamespace(SentencePieceProcessor=None))  # no model has its file

import gguf  # noqa: E402
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # noqa: E402
from conversion.base import TextModel  # noqa: E402

TEXT = ("The quick brown fox jumps over the lazy dog. It's 1984, and 3.14 is not 22/7; we'll see what they're doing.\n"
        "A naïve café in Zürich sells 12 croissants — “warm” ones. def f(x):\n    return x ** 2\n") * 4
PATTERNS = {
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                 r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
             r"|\s+(?!\S)|\s+",
}
CHATML = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
          "'<|im_end|>' + '\\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def byte_level(pre, special):
    t = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    if pre in PATTERNS:
        split = pre_tokenizers.Split(Regex(PATTERNS[pre]), "isolated")
        t.pre_tokenizer = pre_tokenizers.Sequence([
            split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    elif pre == "smollm":
        t.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    else:
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pre == "qwen2":
        t.normalizer = normalizers.NFC()
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=290, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    t.add_tokens([AddedToken("<tool>", normalized=False)])
    return t


def sentence_piece(special):
    """Returns a tokenizer of SentencePiece's kind: begin token, bytes for unknown characters, spaces as ▁."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    trainer = trainers.BpeTrainer(vocab_size=90, max_token_length=8, show_progress=False)
    t.train_from_iterator(TEXT.splitlines(), trainer)
    model = json.loads(t.to_str())["model"]
    merged = [a + b for a, b in model["merges"]]
    pieces = special + [f"<0x{b:02X}>" for b in range(256)] + list(dict.fromkeys(merged))
    pieces += [p for p in sorted(model["vocab"], key=model["vocab"].get) if p not in merged]
    vocab = {p: i for i, p in enumerate(pieces)}
    # the merges of transformers' converter: every way to join two pieces, those of the piece with the best score first
    merges = [(p[:i], p[i:]) for p in dict.fromkeys(merged) for i in range(1, len(p))
              if p[:i] in vocab and p[i:] in vocab]
    rank = {p: i for i, p in enumerate(dict.fromkeys(merged))}
    merges.sort(key=lambda m: (rank[m[0] + m[1]], len(m[0]), len(m[1])))
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", vocab["<s>"])])
    return t


def model(name, kind, config, tokenizer, pre, settings, generation=None):
    """Writes a model directory and what llama.cpp's converter makes of it as f16 and q8_0."""
    torch.manual_seed(7)
    out = OUT / name
    out.mkdir(parents=True, exist_ok=True)
    m = kind(config).eval()
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(torch.randn_like(p) * 0.2 + (1.0 if p.ndim == 1 else 0.0))
    m.tie_weights()
    m.config.save_pretrained(out)
    c = json.loads((out / "config.json").read_text())
    c["architectures"], c["dtype"] = [kind.__name__], "float16"
    (out / "config.json").write_text(json.dumps(c, indent=1, sort_keys=True) + "\n")
    state = {k: v.half().contiguous() for k, v in m.state_dict().items()}
    if config.tie_word_embeddings:
        del state["lm_head.weight"]
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")
    if generation:
        (out / "generation_config.json").write_text(json.dumps(generation, indent=1, sort_keys=True) + "\n")
    expected = {}
    for ftype, number in (("f16", gguf.LlamaFileType.MOSTLY_F16), ("q8_0", gguf.LlamaFileType.MOSTLY_Q8_0)):
        hparams = ModelBase.load_hparams(out, False)
        cls = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
        TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
        with tempfile.TemporaryDirectory() as d, torch.inference_mode():
            path = Path(d, "out.gguf")
            cls(out, number, path, hparams=hparams, model_name=name).write()
            expected[ftype] = describe(path)
    (out / "expected.json").write_text(json.dumps(expected, indent=0, sort_keys=True, ensure_ascii=False) + "\n")


def describe(path):
    """Returns metadata and tensors of a GGUF file: long values and data as their SHA-256."""
    reader = gguf.GGUFReader(path)
    fields = {}
    for key, f in reader.fields.items():
        if key.startswith("GGUF."):
            continue
        value = f.contents()
        if isinstance(value, list):
            value = "sha256 " + hashlib.sha256("\n".join(map(str, value)).encode()).hexdigest()
        fields[key] = [f.types[0].name] + ([f.types[-1].name] if len(f.types) > 1 else []) + [value]
    tensors = {t.name: [t.tensor_type.name, [int(n) for n in reversed(t.shape)],
                        hashlib.sha256(t.data.tobytes()).hexdigest()] for t in reader.tensors}
    return {"metadata": fields, "tensors": tensors}


def adapter(case):
    """Writes what convert_lora_to_gguf.py makes of an adapter of testdata/causal."""
    source = ROOT / "testdata" / "causal" / case
    with tempfile.TemporaryDirectory() as d:
        path = Path(d, "out.gguf")
        code = os.system(f"{sys.executable} {LLAMA_CPP}/convert_lora_to_gguf.py --base {source}/base --outfile {path} "
                         f"--outtype f32 {source}/adapter_final >/dev/null 2>&1")
        if code:
            raise SystemExit(f"convert_lora_to_gguf.py failed for {case}")
        (OUT / f"adapter_{case}.json").write_text(
            json.dumps(describe(path), indent=0, sort_keys=True, ensure_ascii=False) + "\n")


def blocks():
    """Writes blocks of every type that is written, quantised by ggml_quantize_chunk."""
    lib = ctypes.CDLL(str(LIBRARIES / "libggml-base.so"))
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer = ctypes.c_void_p
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer] + [ctypes.c_int64] * 3 + [pointer]
    rng = np.random.default_rng(11)
    rows = [rng.standard_normal((24, 256)) * s for s in (1.0, 0.02, 1e-4, 300.0)]
    rows += [rng.standard_normal((4, 256)) + 3, rng.standard_t(2, (8, 256))]
    rows += [np.round(rng.standard_normal((4, 256)) * 2)]
    edge = np.zeros((6, 256))
    edge[1, 7], edge[2, :], edge[3, ::2], edge[4, :], edge[5, 100:] = 1e-3, 0.5, -1e-20, -2.5, 1e-16
    x = np.ascontiguousarray(np.concatenate(rows + [edge]).astype(np.float32))
    tensors = {"values": torch.from_numpy(x)}
    for name in ("Q8_0", "Q4_1", "Q5_0", "Q4_K", "Q6_K"):
        kind = getattr(gguf.GGMLQuantizationType, name)
        per, size = gguf.GGML_QUANT_SIZES[kind]
        y = np.zeros(x.size // per * size, np.uint8)
        lib.ggml_quantize_init(kind.value)
        n = lib.ggml_quantize_chunk(kind.value, x.ctypes.data, y.ctypes.data, 0, x.shape[0], x.shape[1], None)
        assert n == y.size, (name, n, y.size)
        tensors[name] = torch.from_numpy(y)
    save_file(tensors, OUT / "blocks.safetensors")


def written():
    """Writes a file with every kind of value that our writer has, by the package's writer."""
    w = gguf.GGUFWriter(OUT / "written.gguf", "test")
    w.add_bool("a.bool", True)
    w.add_uint32("a.uint32", 4000000000)
    w.add_int32("a.int32", -5)
    w.add_uint64("a.uint64", 1 << 40)
    w.add_float32("a.float32", 0.1)
    w.add_string("a.text", "naïve ▁ 🙂")
    w.add_array("a.texts", ["x", "", "▁the"])
    w.add_array("a.ints", [1, -2, 3])
    w.add_array("a.floats", [0.5, -1.5])
    w.add_tensor("one", np.arange(5, dtype=np.float32))
    w.add_tensor("two.weight", np.arange(12, dtype=np.float16).reshape(3, 4))
    q = gguf.quants.quantize(np.arange(64, dtype=np.float32).reshape(2, 32), gguf.GGMLQuantizationType.Q8_0)
    w.add_tensor("three.weight", q, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    blocks()
    written()
    chat = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": 64}
    llama = sentence_piece(["<unk>", "<s>", "</s>"])
    n = llama.get_vocab_size()
    model("llama", LlamaForCausalLM, LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=n, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False, attention_bias=True,
        bos_token_id=1, eos_token_id=2, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0)),
        llama, "default", dict(chat, tokenizer_class="LlamaTokenizerFast", add_bos_token=True),
        dict(bos_token_id=1, eos_token_id=2, temperature=0.6, top_p=0.9, top_k=40, repetition_penalty=1.1))
    mistral = sentence_piece(["<unk>", "<s>", "</s>"])
    model("mistral", MistralForCausalLM, MistralConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16,
        vocab_size=mistral.get_vocab_size(), max_position_embeddings=64, sliding_window=None, bos_token_id=1,
        eos_token_id=2),
        mistral, "default", dict(chat, tokenizer_class="LlamaTokenizerFast", add_bos_token=True))
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    byte = byte_level("llama-bpe", ["<|begin_of_text|>", "<|eot_id|>"])
    begin, eot = byte.token_to_id("<|begin_of_text|>"), byte.token_to_id("<|eot_id|>")
    byte.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
            special_tokens=[("<|begin_of_text|>", begin)])])
    model("llama3", LlamaForCausalLM, LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=byte.get_vocab_size(), max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=True,
        bos_token_id=begin, eos_token_id=eot, rope_parameters=dict(
            rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=8192)),
        byte, "llama-bpe", {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>",
                            "eos_token": "<|eot_id|>", "model_max_length": 64})
    for name, kind, config, extra in (
            ("qwen2", Qwen2ForCausalLM, Qwen2Config, dict(tie_word_embeddings=True)),
            ("qwen3", Qwen3ForCausalLM, Qwen3Config, dict(tie_word_embeddings=False, head_dim=16))):
        t = byte_level("qwen2", special)
        model(name, kind, config(
            hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=t.get_vocab_size() + 5, max_position_embeddings=64, eos_token_id=t.token_to_id("<|im_end|>"),
            **extra), t, "qwen2", {
                "tokenizer_class": "Qwen2TokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                "add_bos_token": False, "chat_template": CHATML, "model_max_length": 64},
            {"eos_token_id": [t.token_to_id("<|im_end|>"), t.token_to_id("<|endoftext|>")]})
    t = byte_level("gpt-2", ["<|endoftext|>"])
    end = t.token_to_id("<|endoftext|>")
    model("gpt2", GPT2LMHeadModel, GPT2Config(
        n_embd=32, n_layer=2, n_head=4, n_positions=64, n_ctx=64, vocab_size=t.get_vocab_size(), bos_token_id=end,
        eos_token_id=end), t, "gpt-2", {
            "tokenizer_class": "GPT2TokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>", "model_max_length": 64})
    for case in ("llama_gqa", "llama_embed", "mistral_full", "qwen2", "qwen3"):
        adapter(case)
    for path in OUT.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


if __name__ == "__main__":
    main()
