"""Writes embedded/whisper: Whisper tiny.en with quantised weights.

    python reference/whisper_gguf.py DIR [--table Q8_0] [--layers Q8_0] [--output FILE]

DIR is the checkpoint as transformers reads it. The weights of linear layers are stored as --layers says and the word
table, which is the head too, as --table says, both by the quantisers of the package gguf; convolutions, positions,
norms and biases stay F16. The file model.transformers.gguf has transformers' names of the tensors, and
spalora.tensor_names says so. The other files of DIR are copied,
tokenizer.json without white space.
"""

import argparse
import json
import pathlib
import shutil

import gguf
import numpy as np
from safetensors.numpy import load_file

p = argparse.ArgumentParser()
p.add_argument("source", type=pathlib.Path)
p.add_argument("--table", default="Q8_0")
p.add_argument("--layers", default="Q8_0")
p.add_argument("--output", type=pathlib.Path)
a = p.parse_args()
to = pathlib.Path(__file__).parent.parent / "embedded/whisper"
to.mkdir(exist_ok=True)
out = a.output or to / "model.transformers.gguf"
w = gguf.GGUFWriter(out, "whisper")
w.add_string("spalora.tensor_names", "transformers")
for name, values in load_file(a.source / "model.safetensors").items():
    kind = a.table if name.endswith("embed_tokens.weight") else a.layers
    if values.ndim != 2 or "embed_positions" in name:
        w.add_tensor(name, values.astype(np.float16))
        continue
    kind = gguf.GGMLQuantizationType[kind]
    w.add_tensor(name, gguf.quantize(values.astype(np.float32), kind), raw_dtype=kind)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
print(out, out.stat().st_size, "bytes")
if not a.output:
    for name in ("config.json", "generation_config.json", "preprocessor_config.json"):
        shutil.copyfile(a.source / name, to / name)
    tokenizer = json.loads((a.source / "tokenizer.json").read_text("utf-8"))
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (to / "tokenizer.json").write_text(text, "utf-8")
