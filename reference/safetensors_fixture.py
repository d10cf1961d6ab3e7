#!/usr/bin/env python3
"""Writes checkpoint/safetensors/testdata/: a file by the reference writer, its verdicts on odd files, and widened half
floats.

usage: python reference/safetensors_fixture.py

    every_type.safetensors   a tensor of each type torch can store, scalars, empty tensors, odd names and metadata
    no_metadata.safetensors  written without metadata
    verdicts.json            hand-made files (base64) and whether safetensors reads them
    widen.json               SHA-256 of all 65,536 F16 and BF16 values as float32 (little-endian, in the order of their
                             bits); every NaN is replaced by 0x7fc00000, because torch's own paths differ in payloads
"""
import base64
import hashlib
import json
import pathlib
import struct

import numpy
import safetensors
import torch
from safetensors.torch import save, save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "checkpoint" / "safetensors" / "testdata"


def every_type():
    torch.manual_seed(1)
    raw = lambda n: torch.randint(0, 256, (n,), dtype=torch.uint8)
    tensors = {}
    for name in ("uint8 int8 float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu int16 uint16 "
                 "float16 "
                 "bfloat16 int32 uint32 float32 complex64 float64 int64 uint64").split():
        dtype = getattr(torch, name)
        tensors[name] = raw(6 * dtype.itemsize).view(dtype).reshape(2, 3)
    tensors["float4"] = raw(3).view(torch.float4_e2m1fn_x2)
    tensors["bool"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(1.5)
    tensors["scalar.int"] = torch.tensor(-7)
    tensors["empty"] = torch.zeros(0)
    tensors["empty.matrix"] = torch.zeros(3, 0, 2, dtype=torch.float16)
    tensors["ünï/../\u202ecode \"quoted\" \\ \t\x01\x7f"] = torch.tensor([1, 2], dtype=torch.int32)
    tensors["Z"] = torch.tensor([1.0])
    tensors["a"] = torch.tensor([2.0])
    tensors[""] = torch.tensor([3.0])
    return tensors


def entry(dtype="U8", shape="[4]", offsets="[0,4]"):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


def one(**changes):
    return f'{{"a":{entry(**changes)}}}'


# name: header (text or bytes), bytes of data, and optionally the header length that the file claims
CASES = {
    "plain": (one(), 4),
    "no tensors": ("{}", 0),
    "no tensors, data": ("{}", 1),
    "metadata only": ('{"__metadata__":{"format":"pt"}}', 0),
    "leading white space": (" \n\t\r" + one(), 4),
    "trailing white space": (one() + " \n ", 4),
    "white space inside": (one().replace(":", " : ").replace(",", " ,\n"), 4),
    "trailing NUL": (one() + "\0\0", 4),
    "trailing text": (one() + "x", 4),
    "trailing comma": ('{"a":' + entry() + ",}", 4),
    "second value": (one() + "{}", 4),
    "byte order mark": (b"\xef\xbb\xbf" + one().encode(), 4),
    "not UTF-8": (one().encode().replace(b'"a"', b'"\xff"'), 4),
    "overlong UTF-8": (one().encode().replace(b'"a"', b'"\xc0\xaf"'), 4),
    "encoded surrogate": (one().encode().replace(b'"a"', b'"\xed\xa0\x80"'), 4),
    "escaped surrogate pair": (one().replace('"a"', '"\\ud83d\\ude00"'), 4),
    "lone high surrogate": (one().replace('"a"', '"\\ud83d"'), 4),
    "lone low surrogate": (one().replace('"a"', '"\\ude00"'), 4),
    "high surrogate twice": (one().replace('"a"', '"\\ud83d\\ud83d"'), 4),
    "unknown escape": (one().replace('"a"', '"\\x41"'), 4),
    "control character in name": (one().replace('"a"', '"\x01"'), 4),
    "escaped control character": (one().replace('"a"', '"\\u0000"'), 4),
    "empty name": (one().replace('"a"', '""'), 4),
    "name with path": (one().replace('"a"', '"../../etc/passwd"'), 4),
    "single quotes": (one().replace('"', "'"), 4),
    "comment": ("/* x */" + one(), 4),
    "array": ("[]", 0),
    "null": ("null", 0),
    "number": ("1", 0),
    "text": ('"a"', 0),
    "empty header": ("", 0),
    "only spaces": ("    ", 0),
    "truncated JSON": (one()[:-1], 4),
    "truncated in name": ('{"a', 0),
    "deep nesting": ('{"a":' + "[" * 5000, 0),
    "deep nesting, closed": ('{"a":' + "[" * 200 + "]" * 200 + "}", 0),
    "deep unknown field": ('{"a":{"x":' + "[" * 200 + "]" * 200 + "," + entry()[1:] + "}", 4),
    "unknown field": ('{"a":{"x":[1,{"y":null}],' + entry()[1:] + "}", 4),
    "unknown field twice": ('{"a":{"x":1,"x":2,' + entry()[1:] + "}", 4),
    "unknown top-level string": ('{"a":' + entry() + ',"b":"text"}', 4),
    "tensor is null": ('{"a":null}', 0),
    "tensor is array": ('{"a":["U8",[4],[0,4]]}', 4),
    "Dtype": (one().replace("dtype", "Dtype"), 4),
    "DATA_OFFSETS": (one().replace("data_offsets", "DATA_OFFSETS"), 4),
    "no dtype": ('{"a":{"shape":[4],"data_offsets":[0,4]}}', 4),
    "no shape": ('{"a":{"dtype":"U8","data_offsets":[0,4]}}', 4),
    "no offsets": ('{"a":{"dtype":"U8","shape":[4]}}', 4),
    "dtype twice": ('{"a":{"dtype":"U8",' + entry()[1:] + "}", 4),
    "shape twice": ('{"a":{"shape":[4],' + entry()[1:] + "}", 4),
    "offsets twice": ('{"a":{"data_offsets":[0,4],' + entry()[1:] + "}", 4),
    "dtype null": (one().replace('"U8"', "null"), 4),
    "dtype unknown": (one(dtype="Q7"), 4),
    "dtype lower case": (one(dtype="u8"), 4),
    "shape null": (one(shape="null"), 4),
    "shape text": (one(shape='["4"]'), 4),
    "shape fraction": (one(shape="[4.0]"), 4),
    "shape exponent": (one(shape="[4e0]"), 4),
    "shape negative": (one(shape="[-4]"), 4),
    "shape negative zero": (one(shape="[-0]", offsets="[0,0]"), 0),
    "shape leading zero": (one(shape="[04]"), 4),
    "shape plus": (one(shape="[+4]"), 4),
    "shape nested": (one(shape="[[4]]"), 4),
    "scalar": (one(shape="[]", offsets="[0,1]"), 1),
    "offset fraction": (one(offsets="[0,4.0]"), 4),
    "offset exponent": (one(offsets="[0,4e0]"), 4),
    "offset text": (one(offsets='[0,"4"]'), 4),
    "offset negative": (one(offsets="[-4,0]"), 4),
    "offset null": (one(offsets="[0,null]"), 4),
    "offsets one": (one(offsets="[4]"), 4),
    "offsets three": (one(offsets="[0,4,4]"), 4),
    "offsets object": (one(offsets="{}"), 4),
    "offset 2^53+1": (one(offsets="[0,9007199254740993]"), 4),
    "offset 2^64": (one(offsets="[0,18446744073709551616]"), 4),
    "begin after end": (one(offsets="[4,0]"), 4),
    "begin after end, empty": (one(shape="[0]", offsets="[4,0]"), 4),
    "hole at the start": (one(offsets="[1,5]"), 5),
    "hole": ('{"a":' + entry() + ',"b":' + entry(offsets="[5,9]") + "}", 9),
    "overlap": ('{"a":' + entry() + ',"b":' + entry(offsets="[2,6]") + "}", 6),
    "same bytes twice": ('{"a":' + entry() + ',"b":' + entry() + "}", 4),
    "order of data": ('{"b":' + entry(offsets="[4,8]") + ',"a":' + entry() + "}", 8),
    "one byte too many": (one(), 5),
    "one byte too few": (one(), 3),
    "no data": (one(), 0),
    "size too small": (one(shape="[3]"), 4),
    "size too large": (one(shape="[5]"), 4),
    "size of dtype": (one(dtype="F32", shape="[1]"), 4),
    "size of dtype wrong": (one(dtype="F16", shape="[1]"), 4),
    "empty tensor": (one(shape="[0]", offsets="[0,0]"), 0),
    "empty between": (
        '{"a":' + entry() + ',"b":' + entry(shape="[0]", offsets="[4,4]") + ',"c":' + entry(offsets="[4,8]") + "}", 8,
    ),
    "empty before a tensor": ('{"a":' + entry() + ',"b":' + entry(shape="[0]", offsets="[0,0]") + "}", 4),
    "empty inside a tensor": ('{"a":' + entry() + ',"b":' + entry(shape="[0]", offsets="[2,2]") + "}", 4),
    "product overflows": (one(shape="[2,9223372036854775808]", offsets="[0,0]"), 0),
    "product overflows to zero": (one(shape="[4294967296,4294967296]", offsets="[0,0]"), 0),
    "bytes overflow": (one(dtype="F64", shape="[2305843009213693952]", offsets="[0,0]"), 0),
    "bits overflow": (one(dtype="F64", shape="[288230376151711744]", offsets="[0,0]"), 0),
    "zero times 2^62": (one(shape="[0,4611686018427387904]", offsets="[0,0]"), 0),
    "zero times 2^63-1": (one(shape="[0,9223372036854775807]", offsets="[0,0]"), 0),
    "overflow, then zero": (one(shape="[9223372036854775807,4,0]", offsets="[0,0]"), 0),
    "rank 64": (one(shape="[" + ",".join(["1"] * 64) + "]", offsets="[0,1]"), 1),
    "rank 65": (one(shape="[" + ",".join(["1"] * 65) + "]", offsets="[0,1]"), 1),
    "F4 whole bytes": (one(dtype="F4", shape="[4]", offsets="[0,2]"), 2),
    "F4 half a byte": (one(dtype="F4", shape="[3]", offsets="[0,2]"), 2),
    "F6": (one(dtype="F6_E2M3", shape="[4]", offsets="[0,3]"), 3),
    "F8_E5M2": (one(dtype="F8_E5M2"), 4),
    "C64": (one(dtype="C64", shape="[1]", offsets="[0,8]"), 8),
    "name twice, same data": ('{"a":' + entry() + ',"a":' + entry() + "}", 4),
    "name twice, other data": ('{"a":' + entry() + ',"b":' + entry(offsets="[4,8]") + ',"a":' + entry() + "}", 8),
    "metadata empty": ('{"__metadata__":{},"a":' + entry() + "}", 4),
    "metadata last": ('{"a":' + entry() + ',"__metadata__":{"x":"y"}}', 4),
    "metadata null": ('{"__metadata__":null,"a":' + entry() + "}", 4),
    "metadata null value": ('{"__metadata__":{"x":null},"a":' + entry() + "}", 4),
    "metadata number": ('{"__metadata__":{"x":1},"a":' + entry() + "}", 4),
    "metadata object": ('{"__metadata__":{"x":{}},"a":' + entry() + "}", 4),
    "metadata array": ('{"__metadata__":[],"a":' + entry() + "}", 4),
    "metadata text": ('{"__metadata__":"x","a":' + entry() + "}", 4),
    "metadata twice": ('{"__metadata__":{"x":"y"},"a":' + entry() + ',"__metadata__":{"x":"y"}}', 4),
    "metadata key twice": ('{"__metadata__":{"x":"y","x":"z"},"a":' + entry() + "}", 4),
    "length 0": (one(), 4, 0),
    "length one too small": (one(), 4, len(one()) - 1),
    "length one too large": (one(), 4, len(one()) + 1),
    "length to the end": (one(), 4, len(one()) + 4),
    "length past the end": (one(), 4, len(one()) + 5),
    "length 100,000,001": (one(), 4, 100_000_001),
    "length 2^31": (one(), 4, 2**31),
    "length 2^63": (one(), 4, 2**63),
    "length 2^64-1": (one(), 4, 2**64 - 1),
}


def verdicts():
    rows = []
    for name, (header, data, *length) in CASES.items():
        header = header.encode() if isinstance(header, str) else header
        content = struct.pack("<Q", length[0] if length else len(header)) + header + bytes(range(data))
        rows.append((name, content))
    for n in range(9):
        rows.append((f"{n} bytes", bytes(n)))
    out = []
    for name, content in rows:
        try:
            safetensors.deserialize(content)
            accepted = True
        except safetensors.SafetensorError:
            accepted = False
        out.append({"name": name, "file": base64.b64encode(content).decode(), "accepted": accepted})
    return out


def widen():
    bits = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
    out = {}
    for name, dtype in (("F16", torch.float16), ("BF16", torch.bfloat16)):
        values = bits.view(dtype).float().numpy().copy()
        words = values.view(numpy.uint32)
        words[numpy.isnan(values)] = 0x7FC00000
        out[name] = hashlib.sha256(words.tobytes()).hexdigest()
    return out


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(every_type(), OUT / "every_type.safetensors", metadata={"format": "pt"})
    (OUT / "no_metadata.safetensors").write_bytes(save({"x": torch.arange(3, dtype=torch.float32)}))
    rows = ",\n".join("  " + json.dumps(row) for row in verdicts())
    (OUT / "verdicts.json").write_text("[\n" + rows + "\n]\n")
    versions = {"safetensors": safetensors.__version__, "torch": torch.__version__.split("+")[0]}
    (OUT / "widen.json").write_text(json.dumps(versions | widen(), indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
