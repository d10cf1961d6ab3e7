#!/usr/bin/env python3
"""Writes testdata/ops.safetensors: PyTorch's results, forward and backward, for single operators.

usage: python reference/ops.py [--keep]

With --keep, tensors that are already in the file stay unchanged if the new values are near: another processor computes
other last bits, and with --keep cases can be added without changing the rest.

Tensors are named <op>.<case>.<part>. `dy` is the incoming gradient; `dx`, `dw`, ... are the results of backward().
Losses are sums over the targets, so their incoming gradient is 1. Everything is float32 except ids, labels and row
offsets, which are int64. Scalars have shape [1].
"""
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers.trainer_pt_utils import LabelSmoother

SEED = 20261123
OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "ops.safetensors"

torch.set_num_threads(1)
gen = torch.Generator().manual_seed(SEED)
tensors = {}


def normal(*shape, std=1.0, mean=0.0):
    return torch.randn(*shape, generator=gen) * std + mean


def put(op, case, **parts):
    for part, value in parts.items():
        if not torch.is_tensor(value):
            value = torch.tensor([value], dtype=torch.float32)
        tensors[f"{op}.{case}.{part}"] = value.detach().clone().reshape(value.shape or (1,)).contiguous()


def backward(y, dy, *inputs):
    return torch.autograd.grad(y, inputs, dy)


def linear(case, n, n_in, n_out, bias=True):
    """y = x·wᵀ + b, w is out×in."""
    x, w = normal(n, n_in).requires_grad_(), normal(n_out, n_in, std=1.2 / n_in**0.5).requires_grad_()
    dy = normal(n, n_out)
    if bias:
        b = normal(n_out, std=0.3).requires_grad_()
        y = F.linear(x, w, b)
        dx, dw, db = backward(y, dy, x, w, b)
        put("linear", case, x=x, w=w, b=b, y=y, dy=dy, dx=dx, dw=dw, db=db)
    else:
        y = F.linear(x, w)
        dx, dw = backward(y, dy, x, w)
        put("linear", case, x=x, w=w, y=y, dy=dy, dx=dx, dw=dw)


def lora(case, n, n_in, n_out, r, scale):
    """y = x·wᵀ + bias + scale·(x·aᵀ)·bᵀ with w and bias frozen; a is r×in, b is out×r, as in PEFT."""
    x, w = normal(n, n_in).requires_grad_(), normal(n_out, n_in, std=1.2 / n_in**0.5)
    bias = normal(n_out, std=0.3)
    a, b = normal(r, n_in, std=1 / n_in**0.5).requires_grad_(), normal(n_out, r, std=0.5).requires_grad_()
    dy = normal(n, n_out)
    y = F.linear(x, w, bias) + F.linear(F.linear(x, a), b) * scale
    dx, da, db = backward(y, dy, x, a, b)
    put("lora", case, x=x, w=w, bias=bias, a=a, b=b, scale=scale, y=y, dy=dy, dx=dx, da=da, db=db)


def embedding(case, rows, width, ids):
    """y[i] = w[ids[i]]; ids repeat, so rows of dw add up."""
    w, ids = normal(rows, width).requires_grad_(), torch.tensor(ids)
    y = F.embedding(ids, w)
    dy = normal(*y.shape)
    put("embedding", case, ids=ids, w=w, y=y, dy=dy, dw=backward(y, dy, w)[0])


def layernorm(case, n, width, eps, std=1.0, mean=0.5):
    """A small std makes eps visible, a large mean makes a one-pass variance visible."""
    x = normal(n, width, std=std, mean=mean).requires_grad_()
    gamma, beta = normal(width, std=0.3, mean=1.0).requires_grad_(), normal(width, std=0.3).requires_grad_()
    y = F.layer_norm(x, (width,), gamma, beta, eps)
    dy = normal(n, width)
    dx, dgamma, dbeta = backward(y, dy, x, gamma, beta)
    put("layernorm", case, x=x, gamma=gamma, beta=beta, eps=eps, y=y, dy=dy, dx=dx, dgamma=dgamma, dbeta=dbeta)


def residual(case, n, width, eps):
    """y = layernorm(x + h)."""
    x, h = normal(n, width).requires_grad_(), normal(n, width, std=1.5).requires_grad_()
    gamma, beta = normal(width, std=0.3, mean=1.0).requires_grad_(), normal(width, std=0.3).requires_grad_()
    y = F.layer_norm(x + h, (width,), gamma, beta, eps)
    dy = normal(n, width)
    dx, dh, dgamma, dbeta = backward(y, dy, x, h, gamma, beta)
    put(
        "residual", case, x=x, h=h, gamma=gamma, beta=beta, eps=eps, y=y, dy=dy, dx=dx, dh=dh, dgamma=dgamma,
        dbeta=dbeta,
    )


def activation(name, function):
    edge = torch.tensor([
        0.0, -0.0, 1e-20, -1e-20, 1e-4, -1e-4, 0.5, -0.5, 1, -1, 3, -3, 5, -5, 9, -9, 20, -20, 60, -60,
    ])
    for case, x in (("normal", normal(7, 19, std=1.5)), ("edge", edge)):
        x = x.clone().requires_grad_()
        y = function(x)
        dy = normal(*x.shape)
        put(name, case, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0])


def softmax():
    for case, x in (("normal", normal(6, 11, std=2)), ("large", normal(3, 40, std=30))):
        x = x.clone().requires_grad_()
        y = F.softmax(x, -1)
        dy = normal(*x.shape)
        put("softmax", case, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0])


def cross_entropy(case, n, classes, std=2.0, ignore=(), smoothing=0.0, weighted=False):
    """sum = F.cross_entropy(reduction="sum"), rows = the same with "none" (0 where ignored), mean = sum / denominator:
    the number of targets, or with class weights the sum of the targets' weights. dx is the gradient of sum."""
    x = normal(n, classes, std=std).requires_grad_()
    labels = torch.randint(0, classes, (n,), generator=gen)
    labels[list(ignore)] = -100
    weight = torch.rand(classes, generator=gen) * 2 + 0.1 if weighted else None
    options = dict(weight=weight, label_smoothing=smoothing, ignore_index=-100)
    total = F.cross_entropy(x, labels, reduction="sum", **options)
    mean = F.cross_entropy(x, labels, reduction="mean", **options)
    kept = labels[labels >= 0]
    denominator = weight[kept].sum() if weighted else torch.tensor(float(len(kept)))
    torch.testing.assert_close(total / denominator, mean)
    put("cross_entropy", case, x=x, labels=labels, smoothing=smoothing, rows=F.cross_entropy(
        x, labels, reduction="none", **options
    ),
        sum=total, mean=mean, denominator=denominator, dx=backward(total, None, x)[0])
    if weighted:
        put("cross_entropy", case, weight=weight)


def bce(case, n, classes, std=2.0, weighted=False, soft=False):
    """sum is over all n×classes values; mean = sum / (n·classes), also with class weights, as in PyTorch."""
    x = normal(n, classes, std=std).requires_grad_()
    target = torch.rand(n, classes, generator=gen)
    target = target if soft else (target > 0.6).float()
    weight = torch.rand(classes, generator=gen) * 2 + 0.1 if weighted else None
    total = F.binary_cross_entropy_with_logits(x, target, weight=weight, reduction="sum")
    mean = F.binary_cross_entropy_with_logits(x, target, weight=weight)
    put("bce", case, x=x, target=target, sum=total, mean=mean, dx=backward(total, None, x)[0])
    if weighted:
        put("bce", case, weight=weight)


def mse(case, n, width):
    x, target = normal(n, width).requires_grad_(), normal(n, width, std=2)
    total = F.mse_loss(x, target, reduction="sum")
    put("mse", case, x=x, target=target, sum=total, mean=F.mse_loss(x, target), dx=backward(total, None, x)[0])


def attention(case, heads, kv_heads, dim, lengths, causal=False, key_lengths=None, std=1.0):
    """Attention sequence by sequence. Rows are tokens, head h is columns h·dim up to (h+1)·dim; query head h reads
    key/value head h·kv_heads//heads. starts (and kstarts for other key lengths) are the row offsets of the
    sequences."""
    key_lengths = key_lengths or lengths
    starts = torch.tensor([0, *lengths]).cumsum(0)
    kstarts = torch.tensor([0, *key_lengths]).cumsum(0)
    q = normal(sum(lengths), heads * dim, std=std).requires_grad_()
    k = normal(sum(key_lengths), kv_heads * dim, std=std).requires_grad_()
    v = normal(sum(key_lengths), kv_heads * dim).requires_grad_()

    def split(t, count):
        return t.view(1, t.shape[0], count, dim).transpose(1, 2)

    rows = []
    for s, e, ks, ke in zip(starts, starts[1:], kstarts, kstarts[1:]):
        y = F.scaled_dot_product_attention(split(q[s:e], heads), split(k[ks:ke], kv_heads), split(v[ks:ke], kv_heads),
                                           is_causal=causal, enable_gqa=heads != kv_heads)
        rows.append(y.transpose(1, 2).reshape(e - s, heads * dim))
    y = torch.cat(rows)
    dy = normal(*y.shape)
    dq, dk, dv = backward(y, dy, q, k, v)
    put("attention", case, q=q, k=k, v=v, y=y, dy=dy, dq=dq, dk=dk, dv=dv, starts=starts, kstarts=kstarts,
        heads=heads, kv_heads=kv_heads, causal=float(causal))


def conv1d(case, frames, n_in, n_out, size, stride, padding):
    """A convolution over each of several sequences of frames; x and y hold their rows one after another."""
    w, b = normal(n_out, n_in, size, std=1.2 / (n_in * size) ** 0.5).requires_grad_(), normal(n_out).requires_grad_()
    x = normal(sum(frames), n_in).requires_grad_()
    parts = [F.conv1d(r.T[None], w, b, stride, padding)[0].T for r in x.split(frames)]
    y = torch.cat(parts)
    dy = normal(*y.shape)
    dx, dw, db = backward(y, dy, x, w, b)
    starts = torch.tensor([0] + frames).cumsum(0)
    put("conv1d", case, x=x, w=w.flatten(1), b=b[None], starts=starts, size=size, stride=stride, padding=padding, y=y,
        dy=dy, dx=dx, dw=dw.flatten(1), db=db[None])


def rmsnorm(case, n, width, eps, std=1.0):
    """y = gain·(x·rsqrt(mean(x²) + eps)), in the order of roundings of transformers' LlamaRMSNorm."""
    x = normal(n, width, std=std).requires_grad_()
    gain = normal(width, std=0.3, mean=1.0).requires_grad_()
    y = gain * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))
    dy = normal(n, width)
    dx, dgain = backward(y, dy, x, gain)
    put("rmsnorm", case, x=x, gain=gain, eps=eps, y=y, dy=dy, dx=dx, dgain=dgain)


def swiglu(case, n, width, std=1.5):
    """y = silu(gate)·up."""
    gate, up = normal(n, width, std=std).requires_grad_(), normal(n, width).requires_grad_()
    y = F.silu(gate) * up
    dy = normal(n, width)
    dgate, dup = backward(y, dy, gate, up)
    put("swiglu", case, gate=gate, up=up, y=y, dy=dy, dgate=dgate, dup=dup)


def rotary(case, positions, heads, dim, rotated, theta):
    """Rotary positions as in transformers' apply_rotary_pos_emb, with cos and sin of the first half only, since it
    repeats them. Rows are tokens, head h is columns h·dim up to (h+1)·dim, of which the first `rotated` are
    rotated."""
    positions = torch.tensor(positions)
    inverse = 1.0 / (theta ** (torch.arange(0, rotated, 2, dtype=torch.int64).float() / rotated))
    angles = positions[:, None].float() * inverse[None, :]
    cos, sin = angles.cos(), angles.sin()
    x = normal(len(positions), heads * dim).requires_grad_()
    turn, rest = x.view(-1, heads, dim).split([rotated, dim - rotated], -1)
    c, s = (torch.cat([t, t], -1)[:, None, :] for t in (cos, sin))
    half = torch.cat([-turn[..., rotated // 2:], turn[..., :rotated // 2]], -1)
    y = torch.cat([turn * c + half * s, rest], -1).reshape(x.shape)
    dy = normal(*y.shape)
    put(
        "rotary", case, x=x, positions=positions, cos=cos, sin=sin, heads=heads, theta=float(theta), y=y, dy=dy,
        dx=backward(y, dy, x)[0],
    )


def linear_cross_entropy(case, n, width, classes, std=1.0, ignore=(), smoothing=0.0):
    """The loss of a language model's head: logits = x·wᵀ, cross_entropy = F.cross_entropy(reduction="sum"), and sum is the
    same or, with smoothing, that of transformers' LabelSmoother before it divides by targets. correct is the number of
    rows whose label is the first of the largest logits; targets is the number of labels that are not -100."""
    x, w = normal(n, width, std=std).requires_grad_(), normal(classes, width, std=1 / width**0.5).requires_grad_()
    logits = F.linear(x, w)
    labels = torch.randint(0, classes, (n,), generator=gen)
    labels[::3] = logits.detach().argmax(-1)[::3]
    labels[list(ignore)] = -100
    total = plain = F.cross_entropy(logits, labels, reduction="sum", ignore_index=-100)
    if smoothing:
        total = LabelSmoother(epsilon=smoothing)((logits,), labels, num_items_in_batch=1)
    correct, targets = (logits.argmax(-1) == labels).sum().float(), (labels >= 0).sum().float()
    dx, dw = torch.autograd.grad(total, (x, w))
    put("linear_cross_entropy", case, x=x, w=w, labels=labels, sum=total, rows=F.cross_entropy(
        logits, labels, reduction="none", ignore_index=-100,
    ),
        cross_entropy=plain, smoothing=smoothing, correct=correct, targets=targets, dx=dx, dw=dw)


def group_cross_entropy(case, lengths, columns, std=2.0, ignore=()):
    """Rows are compared within their group: each column of a group is one softmax over its rows. sum is over groups and
    columns."""
    starts = torch.tensor([0, *lengths]).cumsum(0)
    x = normal(sum(lengths), columns, std=std).requires_grad_()
    labels = torch.stack([torch.randint(0, n, (columns,), generator=gen) for n in lengths])
    labels.view(-1)[list(ignore)] = -100
    total = sum(F.cross_entropy(x[a:b].T, labels[g], reduction="sum", ignore_index=-100)
                for g, (a, b) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist())))
    put(
        "group_cross_entropy", case, x=x, starts=starts, labels=labels, sum=total, targets=(labels >= 0).sum().float(),
        dx=backward(total, None, x)[0],
    )


def mean_rows(case, lengths, width):
    """Mean pooling as in sentence-transformers, over padded sequences and their mask."""
    starts = torch.tensor([0, *lengths]).cumsum(0)
    x = normal(sum(lengths), width).requires_grad_()
    padded = torch.nn.utils.rnn.pad_sequence(x.split(lengths), batch_first=True, padding_value=7.0)
    mask = (torch.arange(padded.shape[1])[None] < torch.tensor(lengths)[:, None]).float()[..., None]
    y = (padded * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
    dy = normal(*y.shape)
    put("mean_rows", case, x=x, starts=starts, y=y, dy=dy, dx=backward(y, dy, x)[0])


def normalize_rows(case, n, width, std=1.0):
    x = normal(n, width, std=std).requires_grad_()
    y = F.normalize(x, dim=-1)
    dy = normal(*y.shape)
    put("normalize_rows", case, x=x, y=y, dy=dy, dx=backward(y, dy, x)[0])


def cosine(case, groups, width):
    """CosineSimilarityLoss: the squared error of the cosine of rows 2i and 2i+1 and a score."""
    x, target = normal(2 * groups, width).requires_grad_(), torch.rand(groups, generator=gen)
    y = torch.cosine_similarity(x[::2], x[1::2])
    total = F.mse_loss(y, target, reduction="sum")
    put("cosine", case, x=x, target=target, y=y, sum=total, dx=backward(total, None, x)[0])


def multiple_negatives(case, groups, width, scale):
    """MultipleNegativesRankingLoss, summed: the cosines of rows 2i with all rows 2j+1, times scale, are logits with
    label i."""
    x = (normal(groups, 1, width) + normal(groups, 2, width, std=1.5)).reshape(2 * groups, width)
    x = x.detach().requires_grad_()
    scores = F.normalize(x[::2], dim=-1) @ F.normalize(x[1::2], dim=-1).T * scale
    total = F.cross_entropy(scores, torch.arange(groups), reduction="sum")
    put("multiple_negatives", case, x=x, scale=float(scale), y=scores, sum=total, dx=backward(total, None, x)[0])


def image_positions(case, before, after, width):
    """y = table, a row for each patch of a grid, for another grid: what ViT does with images of another size."""
    table = normal(before[0] * before[1], width).requires_grad_()
    y = F.interpolate(table.reshape(1, *before, width).permute(0, 3, 1, 2), size=after, mode="bicubic", align_corners=False)
    y = y.permute(0, 2, 3, 1).reshape(-1, width)
    dy = normal(*y.shape)
    put("image_positions", case, table=table, y=y, dy=dy, dtable=backward(y, dy, table)[0],
        **{"from": torch.tensor(before), "to": torch.tensor(after)})


linear("tiny", 1, 1, 1)
linear("small", 5, 7, 3)
linear("wide", 17, 33, 20)
linear("nobias", 6, 16, 48, bias=False)
lora("r1", 4, 9, 5, 1, 2.0)
lora("r4", 13, 24, 16, 4, 0.5)
embedding("repeat", 11, 6, [3, 0, 3, 10, 3, 7, 0])
embedding("single", 2, 5, [1])
layernorm("eps12", 7, 24, 1e-12)
layernorm("eps5", 5, 17, 1e-5)
layernorm("smallvar", 4, 16, 1e-5, std=3e-3)
layernorm("bigmean", 4, 32, 1e-12, mean=50.0)
residual("eps12", 6, 20, 1e-12)
activation("gelu", F.gelu)
activation("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"))
activation("tanh", torch.tanh)
activation("relu", torch.relu)
softmax()
cross_entropy("plain", 9, 5)
cross_entropy("ignore", 9, 5, ignore=(0, 4, 8))
cross_entropy("smoothing", 8, 7, smoothing=0.1)
cross_entropy("weights", 12, 4, weighted=True)
cross_entropy("all", 12, 6, ignore=(2, 3), smoothing=0.1, weighted=True)
cross_entropy("large", 5, 77, std=40)
cross_entropy("two", 4, 2)
bce("plain", 6, 5)
bce("soft", 4, 3, soft=True)
bce("weights", 6, 4, weighted=True)
bce("large", 4, 4, std=40)
mse("scalar", 9, 1)
mse("wide", 4, 3)
attention("ragged", 3, 3, 8, [5, 1, 9])
attention("odd", 2, 2, 5, [3, 7, 2, 1])
attention("sharp", 2, 2, 16, [17, 4], std=3.0)
attention("long", 1, 1, 32, [70])
attention("causal", 3, 3, 8, [5, 1, 9], causal=True)
attention("grouped", 6, 2, 8, [5, 1, 9])
attention("grouped_causal", 4, 1, 8, [6, 3], causal=True)
attention("cross", 2, 2, 8, [4, 1, 6], key_lengths=[7, 3, 2])
rmsnorm("eps5", 7, 24, 1e-5)
rmsnorm("eps6", 5, 17, 1e-6)
rmsnorm("smallvar", 4, 16, 1e-5, std=3e-3)
activation("silu", F.silu)
swiglu("small", 5, 19)
swiglu("wide", 3, 48, std=6.0)
rotary("whole", [0, 1, 2, 0, 1, 40], 2, 8, 8, 10000.0)
rotary("partial", [3, 0, 7], 3, 10, 6, 10000.0)
rotary("far", [0, 2047, 8191], 1, 64, 64, 500000.0)
linear_cross_entropy("plain", 7, 12, 33)
linear_cross_entropy("ignore", 9, 8, 50, ignore=(0, 4, 8))
linear_cross_entropy("sharp", 6, 16, 70, std=9.0)
linear_cross_entropy("none", 3, 4, 5, ignore=(0, 1, 2))
group_cross_entropy("choices", [4, 2, 5, 1], 1)
group_cross_entropy("spans", [7, 3, 12], 2, ignore=(1, 2))
group_cross_entropy("sharp", [9, 4], 2, std=40)
mean_rows("ragged", [5, 1, 9, 2], 12)
mean_rows("one", [3], 5)
normalize_rows("normal", 6, 24)
normalize_rows("small", 4, 9, std=1e-6)
normalize_rows("tiny", 3, 6, std=1e-14)
cosine("normal", 7, 16)
multiple_negatives("plain", 6, 16, 20)
multiple_negatives("flat", 9, 8, 1)
multiple_negatives("single", 1, 4, 20)
linear_cross_entropy("smoothing", 7, 12, 33, ignore=(1, 5), smoothing=0.1)
linear_cross_entropy("smoothing_sharp", 6, 16, 70, std=9.0, smoothing=0.4)
conv1d("whisper", [8, 2, 6], 5, 7, 3, 1, 1)
conv1d("whisper_half", [8, 2, 6], 5, 7, 3, 2, 1)
conv1d("odd", [7, 1, 9], 3, 4, 3, 2, 1)
conv1d("apart", [9, 4], 3, 2, 2, 3, 0)
image_positions("larger", (3, 4), (7, 5), 6)
image_positions("smaller", (14, 14), (6, 11), 3)
image_positions("one", (1, 1), (2, 3), 4)

if "--keep" in sys.argv[1:]:
    for name, old in load_file(OUT).items():
        torch.testing.assert_close(tensors[name], old, rtol=1e-5, atol=1e-5, msg=lambda m: f"{name}: {m}")
        tensors[name] = old
OUT.parent.mkdir(exist_ok=True)
# Only one metadata entry: safetensors writes several in random order, and the file should be the same each time.
save_file(tensors, OUT, metadata={"source": f"reference/ops.py, torch {torch.__version__.split('+')[0]}, seed {SEED}"})
print(f"{OUT.name}: {len(tensors)} tensors, {OUT.stat().st_size} bytes")
