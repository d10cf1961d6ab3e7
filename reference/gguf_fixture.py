"""Writes testdata/gguf/blocks.safetensors: random blocks of every quantised type that is read, and their values.

Everything is written and dequantised by the gguf package (llama.cpp's own Python code).

    python reference/gguf_fixture.py
"""
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parent.parent / "testdata" / "gguf"
TYPES = (T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q4_K, T.Q5_K, T.Q6_K)

# Where the F16 numbers of a block stand (scale, and minimum where the type has one): byte offsets. All other bits are free.
F16_AT = {T.Q8_0: (0,), T.Q4_0: (0,), T.Q4_1: (0, 2), T.Q5_0: (0,), T.Q5_1: (0, 2), T.Q4_K: (0, 2), T.Q5_K: (0, 2), T.Q6_K: (208,)}
EDGES = np.array([0.0, -0.0, 6e-8, -6e-8, 6.1e-5, 65504.0, -65504.0, 1.0], np.float16)  # zeros, subnormals, smallest normal, largest


def random_blocks(rng, type, count, edges):
    """Returns count×size bytes, uniformly random but for the F16 numbers: of the size of trained weights, the first blocks' extreme."""
    size = GGML_QUANT_SIZES[type][1]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in F16_AT[type]:
        scales = (rng.standard_normal(count) * 0.02 / (64 if type in (T.Q4_K, T.Q5_K, T.Q6_K) else 1)).astype(np.float16)
        if edges:
            scales[: len(EDGES) * 2] = rng.permutation(np.tile(EDGES, 2))
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def blocks():
    rng = np.random.default_rng(41)
    tensors = {}
    for type in TYPES:
        count = 48 if GGML_QUANT_SIZES[type][0] == 256 else 160
        data = random_blocks(rng, type, count, edges=True)
        tensors[f"{type.name}.bytes"] = data
        tensors[f"{type.name}.values"] = dequantize(data, type)
    assert all(np.isfinite(v).all() for v in tensors.values())
    save_file(tensors, OUT / "blocks.safetensors")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    blocks()
