"""Writes a Whisper checkpoint as a file of whisper.cpp, for comparisons of speed.

    python reference/whisper_ggml.py DIR OUTPUT

Matrices are F16 and everything else F32, as whisper.cpp reads them. A file is: numbers of the model; the mel filters;
the bytes of each token; the tensors, each with its number of dimensions, the length of its name, its type (0 F32,
1 F16), its dimensions from the last one on, its name and its values. All numbers are little-endian int32 and float32.
"""

import json
import pathlib
import struct
import sys

import numpy as np
import transformers
from safetensors.numpy import load_file

# Names below a layer, and below an encoder or decoder.
LAYER = {
    "self_attn_layer_norm": "attn_ln", "encoder_attn_layer_norm": "cross_attn_ln", "final_layer_norm": "mlp_ln",
    "self_attn": "attn", "encoder_attn": "cross_attn", "q_proj": "query", "k_proj": "key", "v_proj": "value",
    "out_proj": "out", "fc1": "mlp.0", "fc2": "mlp.2",
}
OUTER = {"embed_tokens": "token_embedding", "embed_positions.weight": "positional_embedding"}


def renamed(name):
    side, rest = name.removeprefix("model.").split(".", 1)
    if rest.startswith("layers."):
        _, number, *parts = rest.split(".")
        return ".".join([side, "blocks", number, *(LAYER.get(p, p) for p in parts)])
    rest = rest.replace("layer_norm", "ln_post" if side == "encoder" else "ln")
    for old, new in OUTER.items():
        rest = rest.replace(old, new)
    return f"{side}.{rest}"


def token_bytes(vocabulary):
    """Yields the bytes of each token: byte-level BPE writes each byte as a printable character."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    byte = {chr(b): b for b in visible} | {chr(256 + i): b for i, b in enumerate(hidden)}
    for text, _ in sorted(vocabulary.items(), key=lambda item: item[1]):
        yield bytes(byte[c] for c in text)


source, output = pathlib.Path(sys.argv[1]), sys.argv[2]
c = json.loads((source / "config.json").read_text("utf-8"))
filters = transformers.WhisperFeatureExtractor.from_pretrained(source).mel_filters.T.astype("<f4")
vocabulary = json.loads((source / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
with open(output, "wb") as f:
    ints = lambda *numbers: f.write(struct.pack(f"<{len(numbers)}i", *numbers))
    ints(0x67676D6C, c["vocab_size"], c["max_source_positions"], c["d_model"], c["encoder_attention_heads"],
         c["encoder_layers"], c["max_target_positions"], c["d_model"], c["decoder_attention_heads"],
         c["decoder_layers"], c["num_mel_bins"], 1)
    ints(*filters.shape)
    f.write(filters.tobytes())
    ints(len(vocabulary))
    for token in token_bytes(vocabulary):
        ints(len(token))
        f.write(token)
    for name, values in load_file(source / "model.safetensors").items():
        if name == "proj_out.weight":
            continue
        name = renamed(name)
        if name.endswith(("conv1.bias", "conv2.bias")):
            values = values[:, None]
        half = values.ndim >= 2 and not name.endswith(("conv1.bias", "conv2.bias", "positional_embedding"))
        text = name.encode()
        ints(values.ndim, len(text), int(half), *reversed(values.shape))
        f.write(text + values.astype("<f2" if half else "<f4").tobytes())
