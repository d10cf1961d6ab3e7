"""Writes testdata/gguf/: random blocks of every quantised type, and three small models with transformers' results for
them.

    python reference/gguf_fixture.py [blocks | llama | qwen2 | gpt2]…      # all without arguments

Everything is written, quantised and dequantised by the gguf package (llama.cpp's own Python code), with the names and
the order of llama.cpp's converter. reference/README.md describes the files.
"""
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGUFWriter, GGMLQuantizationType as T
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config,
    Qwen2ForCausalLM,
)

OUT = Path(__file__).resolve().parent.parent / "testdata" / "gguf"
QUANTISED = (T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q4_K, T.Q5_K, T.Q6_K)
K_TYPES = (T.Q4_K, T.Q5_K, T.Q6_K)  # the package dequantises them but does not quantise

# Byte offsets of the F16 numbers in a block (the scale, and the minimum if the type has one). All other bits are free.
F16_AT = {
    T.Q8_0: (0,), T.Q4_0: (0,), T.Q4_1: (0, 2), T.Q5_0: (0,), T.Q5_1: (0, 2), T.Q4_K: (0, 2), T.Q5_K: (0, 2),
    T.Q6_K: (208,),
}
# zeros, subnormals, smallest normal, largest
EDGES = np.array([0.0, -0.0, 6e-8, -6e-8, 6.1e-5, 65504.0, -65504.0, 1.0], np.float16)


def random_blocks(rng, type, count, edges):
    """Returns count×size bytes, uniformly random except for the F16 numbers: these have the scale of trained weights,
    and extreme values in the first blocks."""
    size = GGML_QUANT_SIZES[type][1]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in F16_AT[type]:
        scales = (rng.standard_normal(count) * 0.02 / (64 if type in K_TYPES else 1)).astype(np.float16)
        if edges:
            scales[: len(EDGES) * 2] = rng.permutation(np.tile(EDGES, 2))
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def blocks():
    rng = np.random.default_rng(41)
    tensors = {}
    for type in QUANTISED:
        count = 48 if GGML_QUANT_SIZES[type][0] == 256 else 160
        data = random_blocks(rng, type, count, edges=True)
        tensors[f"{type.name}.bytes"] = data
        tensors[f"{type.name}.values"] = dequantize(data, type)
    assert all(np.isfinite(v).all() for v in tensors.values())
    save_file(tensors, OUT / "blocks.safetensors")


class Weights:
    """Random weights, with GGUF's names for a writer and with Hugging Face's names and values."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.stored = []  # GGUF name, bytes or floats, type
        self.values = {}  # Hugging Face name → the values of the stored bytes
        self.hashes = {}  # Hugging Face name → type and SHA-256 of the bytes in Hugging Face's order of rows

    def add(self, name, hf, shape, type, gain=False, heads=0, conv1d=False):
        """Adds a tensor. shape is that of the file; heads > 0 interleaves the rows of each head as the converter does
        for llama's q and k."""
        if type in K_TYPES:
            size = GGML_QUANT_SIZES[type]
            data = random_blocks(self.rng, type, shape[0] * shape[1] // size[0], edges=False).reshape(shape[0], -1)
        else:
            x = self.rng.standard_normal(shape).astype(np.float32) * 0.15 + (1 if gain else 0)
            data = quantize(x, type)
        self.hashes[hf] = type.name + " " + hashlib.sha256(data.tobytes()).hexdigest()
        values = data if type in (T.F32, T.F16) else dequantize(data, type)
        self.values[hf] = np.ascontiguousarray(values.T) if conv1d else values
        if heads:
            data = np.ascontiguousarray(data.reshape(heads, 2, -1, *data.shape[1:]).swapaxes(1, 2)).reshape(data.shape)
        self.stored.append((name, data, type))

    def save(self, arch, writer):
        for name, data, type in self.stored:
            writer.add_tensor(name, data, raw_dtype=None if type in (T.F32, T.F16) else type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        save_file(self.values, OUT / f"{arch}_dequantized.safetensors")
        (OUT / f"{arch}_hashes.json").write_text(json.dumps(self.hashes, indent=0, sort_keys=True) + "\n")

    def state(self):
        return {k: torch.from_numpy(v.astype(np.float32)) for k, v in self.values.items()}


TEXT = """The sun rose over the hills, and the river ran down to the sea. "What is this?" said the old man; it's \
1874 or 1875.
He had seen 3 ships come in, with sails as white as milk. They'd been gone for years: "We thought the storm had \
taken you!"
""" * 2

SAMPLES = [TEXT, "", " ", "a", " a", "  two  spaces  ", "tab\tand\n\nnewlines \n\n 1874", "The sun rose over the hills",
           "the sea.the old man",
           "it's they'd WE'LL", "3 ships, 12345 sails", "<tool>river<tool> river", "<s>hills</s>",
           "<|endoftext|>sea<|im_end|>", "naïve Ünïcode",
           "日本語 🙂 👩‍👩‍👧", "x\u00a0y\u200bz", "\u0000\u0001 bytes", "a<0x41>b", "rose ▁ rose",
           "\r\nend "]


def byte_level(writer, pre, control, size):
    """Trains a byte-level BPE and writes it; control tokens come last. Returns the number of tokens."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False),
    )
    model = json.loads(t.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get) + control + ["<tool>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - len(control) - 1) + [3] * len(control) + [4])
    writer.add_token_merges([" ".join(m) for m in model["merges"]])
    return tokens


def sentence_piece(writer, size):
    """Does the same in SentencePiece's manner: scores instead of merges, and bytes for unknown characters."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=size, show_progress=False))
    vocab = t.get_vocab()
    pieces = sorted(vocab, key=vocab.get)
    chars = [p for p in pieces if len(p) == 1]
    merged = [p for p in pieces if len(p) > 1]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + merged + chars + ["<tool>"]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(
        [0.0] * 259 + [-float(i) for i in range(len(merged))] + [-1e6 - i for i in range(len(chars))] + [0.0]
    )
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (len(merged) + len(chars)) + [4])
    return tokens


def common(writer, layers, hidden, ffn, heads, positions):
    writer.add_block_count(layers)
    writer.add_context_length(positions)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)


def expected(arch, model, state, vocab):
    """Saves transformers' results for the file: configuration, tokenizer, logits of a text of random ids."""
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    ids = torch.from_numpy(np.random.default_rng(7).integers(0, vocab, (1, 24)))
    with torch.no_grad():
        logits = model.eval().float()(ids).logits[0]
    save_file({"ids": ids[0].numpy(), "logits": logits.numpy()}, OUT / f"{arch}_expected.safetensors")
    config = json.loads(AutoConfig.from_pretrained(OUT, gguf_file=f"{arch}.gguf").to_json_string())
    (OUT / f"{arch}_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    with tempfile.TemporaryDirectory() as d:
        t = AutoTokenizer.from_pretrained(OUT, gguf_file=f"{arch}.gguf")
        t.save_pretrained(d)
        tokenizer = json.loads(Path(d, "tokenizer.json").read_text())
        texts = [{"text": s, "ids": t(s)["input_ids"]} for s in SAMPLES]
    (OUT / f"{arch}_tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")) + "\n")
    (OUT / f"{arch}_ids.json").write_text(json.dumps(texts, indent=0) + "\n")


def llama_weights(w, layers, hidden, ffn, heads, kv, types, permuted, biases):
    width = hidden // heads
    for i in range(layers):
        t = types[i]
        b, h = f"blk.{i}.", f"model.layers.{i}."
        w.add(b + "attn_norm.weight", h + "input_layernorm.weight", (hidden,), T.F32, gain=True)
        for j, (part, rows, n) in enumerate((("q", hidden, heads), ("k", kv * width, kv), ("v", kv * width, 0))):
            n = n if permuted else 0
            w.add(f"{b}attn_{part}.weight", f"{h}self_attn.{part}_proj.weight", (rows, hidden), t[j], heads=n)
            if biases:
                w.add(f"{b}attn_{part}.bias", f"{h}self_attn.{part}_proj.bias", (rows,), T.F32, heads=n)
        w.add(b + "attn_output.weight", h + "self_attn.o_proj.weight", (hidden, hidden), t[3])
        w.add(b + "ffn_norm.weight", h + "post_attention_layernorm.weight", (hidden,), T.F32, gain=True)
        w.add(b + "ffn_gate.weight", h + "mlp.gate_proj.weight", (ffn, hidden), t[4])
        w.add(b + "ffn_up.weight", h + "mlp.up_proj.weight", (ffn, hidden), t[5])
        w.add(b + "ffn_down.weight", h + "mlp.down_proj.weight", (hidden, ffn), t[6])
    w.add("output_norm.weight", "model.norm.weight", (hidden,), T.F32, gain=True)


def llama3_factors(theta, width, factor, low, high, original):
    """Returns the tensor that llama.cpp's converter writes for rope_type llama3."""
    freqs = 1.0 / (theta ** (torch.arange(0, width, 2, dtype=torch.float32) / width))
    out = []
    for f in freqs:
        wave = 2 * np.pi / f
        if wave < original / high:
            out.append(1.0)
        elif wave > original / low:
            out.append(factor)
        else:
            smooth = (original / wave - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(out, np.float32)


def llama():
    """Three blocks with every type, grouped queries, permuted q and k, biases, an untied head, llama3 rotary
    factors."""
    layers, hidden, ffn, heads, kv, positions, theta = 3, 32, 256, 4, 2, 64, 500000.0
    writer = GGUFWriter(OUT / "llama.gguf", "llama")
    common(writer, layers, hidden, ffn, heads, positions)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(theta)
    writer.add_rope_dimension_count(hidden // heads)
    tokens = sentence_piece(writer, 120)
    writer.add_vocab_size(len(tokens))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    w = Weights(1)
    w.add("token_embd.weight", "model.embed_tokens.weight", (len(tokens), hidden), T.Q8_0)
    types = [(T.Q4_0, T.Q8_0, T.Q5_1, T.Q4_1, T.Q5_0, T.Q8_0, T.Q4_K),
             (T.Q4_1, T.F16, T.BF16, T.Q5_0, T.Q4_0, T.Q4_0, T.Q5_K),
             (T.Q5_1, T.Q4_0, T.F32, T.Q8_0, T.Q4_1, T.Q5_1, T.Q6_K)]
    llama_weights(w, layers, hidden, ffn, heads, kv, types, permuted=True, biases=True)
    for i in range(layers):  # Hugging Face has biases for all four or none
        w.add(f"blk.{i}.attn_output.bias", f"model.layers.{i}.self_attn.o_proj.bias", (hidden,), T.F32)
    w.add("output.weight", "lm_head.weight", (len(tokens), hidden), T.F16)
    rope = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
    w.stored.append(("rope_freqs.weight", llama3_factors(theta, hidden // heads, 8.0, 1.0, 4.0, 8192), T.F32))
    w.save("llama", writer)
    config = LlamaConfig(hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers, num_attention_heads=heads,
                         num_key_value_heads=kv,
                         vocab_size=len(tokens), max_position_embeddings=positions,
                         rms_norm_eps=float(np.float32(1e-5)), attention_bias=True,
                         rope_parameters=dict(rope_type="llama3", rope_theta=theta, **rope))
    expected("llama", LlamaForCausalLM(config), w.state(), len(tokens))


def qwen2():
    """Two blocks, grouped queries with biases, tied head, plain order of rows."""
    layers, hidden, ffn, heads, kv, positions = 2, 32, 64, 4, 2, 64
    writer = GGUFWriter(OUT / "qwen2.gguf", "qwen2")
    common(writer, layers, hidden, ffn, heads, positions)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    tokens = byte_level(writer, "qwen2", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], 300)
    writer.add_eos_token_id(len(tokens) - 2)
    writer.add_eot_token_id(len(tokens) - 4)
    writer.add_pad_token_id(len(tokens) - 4)
    writer.add_add_bos_token(False)
    w = Weights(2)
    w.add("token_embd.weight", "model.embed_tokens.weight", (len(tokens), hidden), T.Q5_1)
    types = (
        [
            (T.Q4_0, T.Q4_1, T.Q8_0, T.Q4_0, T.Q4_0, T.Q5_0, T.Q8_0),
            (T.F16, T.F16, T.Q5_1, T.Q8_0, T.Q4_1, T.Q4_1, T.Q4_0),
        ]
    )
    llama_weights(w, layers, hidden, ffn, heads, kv, types, permuted=False, biases=True)
    w.save("qwen2", writer)
    config = Qwen2Config(hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers, num_attention_heads=heads,
                         num_key_value_heads=kv,
                         vocab_size=len(tokens), max_position_embeddings=positions,
                         rms_norm_eps=float(np.float32(1e-6)), tie_word_embeddings=True,
                         rope_parameters=dict(rope_type="default", rope_theta=10000.0))
    expected("qwen2", Qwen2ForCausalLM(config), w.state(), len(tokens))


def gpt2():
    """Two blocks; the weights of Conv1D are stored out×in."""
    layers, hidden, heads, positions = 2, 32, 4, 64
    writer = GGUFWriter(OUT / "gpt2.gguf", "gpt2")
    common(writer, layers, hidden, 4 * hidden, heads, positions)
    writer.add_layer_norm_eps(1e-5)
    tokens = byte_level(writer, "gpt-2", ["<|endoftext|>"], 300)
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id):
        add(len(tokens) - 2)
    w = Weights(3)
    w.add("token_embd.weight", "transformer.wte.weight", (len(tokens), hidden), T.Q8_0)
    w.add("position_embd.weight", "transformer.wpe.weight", (positions, hidden), T.F32)
    parts = (("attn_qkv", "attn.c_attn", 3 * hidden, hidden), ("attn_output", "attn.c_proj", hidden, hidden),
             ("ffn_up", "mlp.c_fc", 4 * hidden, hidden), ("ffn_down", "mlp.c_proj", hidden, 4 * hidden))
    for i, types in enumerate(((T.Q4_0, T.Q8_0, T.Q4_1, T.Q5_0), (T.F16, T.F32, T.Q5_1, T.BF16))):
        b, h = f"blk.{i}.", f"transformer.h.{i}."
        for norm, hf in (("attn_norm", "ln_1"), ("ffn_norm", "ln_2")):
            w.add(f"{b}{norm}.weight", f"{h}{hf}.weight", (hidden,), T.F32, gain=True)
            w.add(f"{b}{norm}.bias", f"{h}{hf}.bias", (hidden,), T.F32)
        for (name, hf, rows, columns), type in zip(parts, types):
            w.add(f"{b}{name}.weight", f"{h}{hf}.weight", (rows, columns), type, conv1d=True)
            w.add(f"{b}{name}.bias", f"{h}{hf}.bias", (rows,), T.F32)
    w.add("output_norm.weight", "transformer.ln_f.weight", (hidden,), T.F32, gain=True)
    w.add("output_norm.bias", "transformer.ln_f.bias", (hidden,), T.F32)
    w.save("gpt2", writer)
    config = GPT2Config(n_layer=layers, n_head=heads, n_embd=hidden, n_positions=positions, vocab_size=len(tokens),
                        layer_norm_epsilon=float(np.float32(1e-5)))
    expected("gpt2", GPT2LMHeadModel(config), w.state(), len(tokens))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for part in sys.argv[1:] or ("blocks", "llama", "qwen2", "gpt2"):
        {"blocks": blocks, "llama": llama, "qwen2": qwen2, "gpt2": gpt2}[part]()
    for path in OUT.iterdir():
        path.chmod(0o644)
