#!/usr/bin/env python3
"""Writes nn/op/testdata/crf.safetensors: a linear-chain CRF in float64 on 300 generated sentences.

usage: python reference/crf_fixtures.py

Emissions, transitions and tags come from a generator that nn/op/crf_fixture_test.go repeats; the file holds results
only. Sentences have 1 to 40 words and 2 to 13 tags. Every third one has transitions that are forbidden. The loss is
minus the log-likelihood of the tags, by the forward algorithm with logsumexp; gradients are autograd's. Where there are
at most 3000 paths, the sum over all of them must agree. The best path is Viterbi's; of equal scores, the lowest tag.

Tensors, float64: loss (300); demissions and dtransitions (300×4): to keep the file small, four sums of each gradient with
random weights; spread (300): the score of the best path minus that of the tags. path (uint8): all best paths.
"""
import itertools
import pathlib

import numpy
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "nn" / "op" / "testdata" / "crf.safetensors"
SENTENCES = 300


class Generator:
    """Knuth's MMIX generator; next() is in [0, 1) with 24 bits."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 40) / 2**24

    def below(self, n):
        return int(self.next() * n)

    def values(self, *shape, size):
        n = int(numpy.prod(shape))
        drawn = [(2 * self.next() - 1) * size for _ in range(n)]
        return torch.tensor(drawn, dtype=torch.float32).double().reshape(shape)


def sentence(i):
    """Returns emissions, transitions, tags and the mask of forbidden transitions (None: none)."""
    g = Generator(i + 1)
    for _ in range(4):
        g.next()
    words, tags = 1 + i % 40, 2 + i % 12
    size = [0.5, 3, 10][i // 40 % 3]
    emissions = g.values(words, tags, size=size)
    transitions = g.values(tags + 1, tags + 1, size=size / 2)
    gold = [g.below(tags) for _ in range(words)]
    mask = None
    if i % 3 == 2:
        mask = torch.tensor([g.next() < 0.25 for _ in range((tags + 1) ** 2)]).reshape(tags + 1, tags + 1)
        for a, b in zip([0] + [y + 1 for y in gold], [y + 1 for y in gold] + [0]):
            mask[a, b] = False  # the tags themselves are allowed
    return emissions, transitions, gold, mask


def score(e, t, tags):
    s = t[0, tags[0] + 1] + t[tags[-1] + 1, 0]
    for i, y in enumerate(tags):
        s = s + e[i, y]
        if i:
            s = s + t[tags[i - 1] + 1, y + 1]
    return s


def log_sum(e, t):
    a = t[0, 1:] + e[0]
    for row in e[1:]:
        a = torch.logsumexp(a[:, None] + t[1:, 1:], 0) + row
    return torch.logsumexp(a + t[1:, 0], 0)


def viterbi(e, t):
    e, t = e.detach().numpy(), t.detach().numpy()
    a, back = t[0, 1:] + e[0], []
    for row in e[1:]:
        s = a[:, None] + row[None, :] + t[1:, 1:]
        back.append(s.argmax(0))  # the first of equal ones
        a = s.max(0)
    path = [int((a + t[1:, 0]).argmax())]
    for b in reversed(back):
        path.append(int(b[path[-1]]))
    return path[::-1]


def main():
    torch.set_num_threads(1)
    loss, spread, de, dt, paths = [], [], [], [], []
    for i in range(SENTENCES):
        e, scores, gold, mask = sentence(i)
        e.requires_grad_(), scores.requires_grad_()
        t = scores if mask is None else scores.masked_fill(mask, -1e30)  # logsumexp of -inf alone has no gradient
        z = log_sum(e, t)
        k = e.shape[1]
        if k ** len(gold) <= 3000:
            every = [score(e, t, p) for p in itertools.product(range(k), repeat=len(gold))]
            assert abs(torch.logsumexp(torch.stack(every), 0) - z) < 1e-9
        y = z - score(e, t, gold)
        y.backward()
        path = viterbi(e, t)
        loss.append(y.item())
        spread.append((score(e, t, path) - score(e, t, gold)).item())
        for grad, sums in ((e.grad, de), (scores.grad, dt)):
            assert torch.isfinite(grad).all()
            w = Generator(1000 + i)
            weights = torch.tensor([[2 * w.next() - 1 for _ in range(4)] for _ in range(grad.numel())], dtype=torch.float64)
            sums.append((grad.reshape(-1, 1) * weights).sum(0))
        paths += path
    OUT.parent.mkdir(exist_ok=True)
    save_file({
        "loss": torch.tensor(loss, dtype=torch.float64), "spread": torch.tensor(spread, dtype=torch.float64),
        "demissions": torch.stack(de), "dtransitions": torch.stack(dt), "path": torch.tensor(paths, dtype=torch.uint8),
    }, OUT)
    print(f"{SENTENCES} sentences, {len(paths)} words, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
