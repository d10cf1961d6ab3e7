"""Writes internal/linalg/testdata/torch.safetensors: random numbers and decompositions of PyTorch.

    python reference/linalg_fixture.py        # torch 2.15.0
"""

import pathlib

import torch
from safetensors.torch import save_file

torch.set_num_threads(1)


def randn(seed, *shape):
    torch.manual_seed(seed)
    return torch.randn(*shape)


def main():
    out = {}
    for rows, cols in ((1, 5), (3, 5), (4, 4), (1, 37), (6, 40), (50, 6)):
        out[f"randn.{rows}x{cols}"] = randn(42, rows, cols)
        torch.manual_seed(42)
        out[f"double.{rows}x{cols}"] = torch.randn(rows, cols, dtype=torch.float64).float()
    for rows, cols in ((7, 7), (12, 5), (5, 12)):
        a = randn(7, rows, cols)
        name = f"{rows}x{cols}"
        q, r = torch.linalg.qr(a)
        u, s, vh = torch.linalg.svd(a.double(), full_matrices=False)
        torch.manual_seed(42)
        lu, ls, lv = torch.svd_lowrank(a, q=3, niter=2)
        parts = {"a": a, "q": q, "r": r, "u": u, "s": s, "v": vh.mT, "low_u": lu, "low_s": ls, "low_v": lv}
        for part, tensor in parts.items():
            out[f"{name}.{part}"] = tensor.float().contiguous()
    path = pathlib.Path(__file__).parent.parent / "internal/linalg/testdata/torch.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file(out, path)


if __name__ == "__main__":
    main()
