"""Indexing with masks and tensors; shapes that depend on data; sorting and counting."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .networks import normalized, number

Results = dict[str, Tensor]


def shapes_that_depend_on_data(task: Any) -> Results:
    labels = task.labels
    chosen = normalized(task.images[labels == 3])
    unique, inverse, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    return {
        "nonzero": torch.nonzero(labels == 3).squeeze(1),
        "as_tuple": torch.nonzero(labels.view(-1, 4) == 3, as_tuple=True)[1],
        "chosen": chosen,
        "count": number(chosen.shape[0]),
        "unique": unique,
        "inverse": inverse,
        "counts": counts,
        "selected": torch.masked_select(labels, labels > 5),
        "bins": torch.bincount(labels, minlength=10),
        "repeated": torch.repeat_interleave(torch.arange(len(counts)), counts),
        "where": torch.where(labels == 1)[0],
        "consecutive": torch.unique_consecutive(labels),
        "rows": torch.unique(labels.view(-1, 2), dim=0),
        "argwhere": torch.argwhere(labels.view(-1, 2) == 5),
    }


def balanced_subset(task: Any) -> Results:
    """The first images of each class, chosen by a loop in Python."""
    order = torch.cat([(task.labels == label).nonzero().flatten()[:3] for label in range(10)])
    return {"images": task.images[order], "labels": task.labels[order]}


def reading_and_writing(task: Any) -> Results:
    x = torch.arange(60.0).reshape(3, 4, 5)
    i, j = torch.tensor([0, 2]), torch.tensor([1, 3])
    y = x.clone()
    y[0, 1] = 7
    y[:, ::2, -1] = -1
    y[i, j] = torch.tensor([[1.0], [2.0]])
    y[y > 50] = 0
    y[..., 0] += 10
    y[1:, None, 2].mul_(2)
    y[[0, 1], [2, 2]] *= 3
    return {
        "y": y,
        "ellipsis": x[..., 2],
        "none": x[:, None, 1:3],
        "both": x[i, :, j],
        "mixed": x[1, [0, 3], 1:],
        "negative": x[-1, -2:],
        "step": x[:, 1::2],
        "mask": x[x % 2 == 0],
        "rows": x[torch.tensor([True, False, True])],
        "empty": x[x < 0],
        "list": x[[2, 0]],
        "scalar": x[torch.tensor(1)],
        "bool": x[True],
    }


def gradients_through_indices(task: Any) -> Results:
    x = torch.randn(6, 5, requires_grad=True)
    mask = x.detach() > 0
    index = torch.tensor([0, 2, 2, 5])
    loss = x[mask].square().sum() + x[index].sin().sum() + x[:, 1:4:2].exp().sum()
    loss = loss + x.index_select(1, torch.tensor([4, 4])).sum() + x.gather(1, torch.zeros(6, 2).long()).prod()
    loss = loss + x.take(torch.tensor([3, 7])).sum() + x.masked_select(mask).prod()
    loss.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return {"grad": x.grad}


def writing_with_gradients(task: Any) -> Results:
    x = torch.randn(5, 4, requires_grad=True)
    y = torch.zeros(5, 4)
    y[1:3] = x[1:3] * 2
    y[torch.tensor([0, 4])] = x[:2].cos()
    y = y.masked_scatter(y == 0, x)
    y = y.index_add(0, torch.tensor([0, 0]), x[3:])
    y = y.scatter_add(1, torch.zeros(5, 4).long(), x)
    y = torch.where(y > 1, y, x.tanh())
    y.square().sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return {"y": y, "grad": x.grad}


def scatter_and_gather(task: Any) -> Results:
    labels = task.labels[:12]
    one_hot = F.one_hot(labels, 10)
    out = torch.zeros(12, 10).scatter_(1, labels[:, None], 1.0)
    sums = torch.zeros(10, 3).index_add_(0, labels, torch.randn(12, 3))
    means = torch.zeros(10).scatter_reduce_(0, labels, torch.rand(12), "mean", include_self=False)
    filled = torch.zeros(10, 3).index_fill_(0, labels[:3], 2.0)
    copied = torch.zeros(10, 3).index_copy_(0, torch.arange(3), torch.rand(3, 3))
    reduced = torch.zeros(10).index_reduce_(0, labels, torch.rand(12), "amax")
    put = torch.zeros(10).put_(torch.tensor([1, 4]), torch.tensor([5.0, 6.0]))
    return {
        "one_hot": one_hot, "out": out, "sums": sums, "means": means, "filled": filled, "copied": copied,
        "reduced": reduced, "put": put, "along": torch.take_along_dim(out, labels[:, None], 1),
    }  # fmt: skip


def sorting(task: Any) -> Results:
    x = torch.randn(6, 9)
    values, places = x.sort(1, descending=True)
    top, where = x.topk(3, 1)
    return {
        "values": values, "places": places, "top": top, "where": where, "argsort": x.argsort(0),
        "stable": x.round().sort(dim=1, stable=True).indices, "kth": x.kthvalue(4, 1).values,
        "median": x.median(1).values, "mode": x.round().mode(1).values, "msort": x.msort(),
        "quantile": torch.quantile(x, 0.3, dim=1), "search": torch.searchsorted(values[0].flip(0), x[1]),
        "buckets": torch.bucketize(x, torch.linspace(-1, 1, 5)), "isin": torch.isin(task.labels[:9], task.labels[:3]),
        "quantiles": torch.quantile(x, torch.tensor([0.1, 0.9])),
    }  # fmt: skip


def reductions(task: Any) -> Results:
    x = normalized(task.images[:4])
    return {
        "sum": x.sum((2, 3)), "mean": x.mean(0), "std": x.std(), "var": x.var((0, 1), unbiased=False),
        "max": x.amax((2, 3)), "argmax": x.flatten(1).argmax(1), "min": x.min(1).values, "prod": x[0, 0, 0].prod(),
        "any": (x > 1).any(1), "all": (x > -9).all(), "norm": x.norm(dim=(2, 3)), "lse": x.logsumexp(1),
        "cumsum": x[0, 0].cumsum(1), "cumprod": x[0, 0].cumprod(0), "cummax": x[0, 0].cummax(1).values,
        "count": (x > 0).count_nonzero(1), "aminmax": torch.stack(torch.aminmax(x)), "nansum": x.nansum(),
        "histc": torch.histc(x, 10, -2, 2), "trace": x[0, 0].trace(), "diff": x[0, 0].diff(dim=1),
        "logcumsumexp": x[0, 0].logcumsumexp(1), "unbiased": torch.std_mean(x, (1, 2))[0], "allsum": x.sum(),
        "corr": torch.corrcoef(x[0, 0]), "cov": torch.cov(x[0, 0]), "renorm": x[0, 0].renorm(2, 0, 1.0),
    }  # fmt: skip


def joining_and_splitting(task: Any) -> Results:
    x = torch.randn(6, 8)
    a, b = x.chunk(2)
    parts = torch.tensor_split(x, (1, 4), 1)
    return {
        "cat": torch.cat([b, a], 1), "stack": torch.stack([a, b], -1), "split": x.split([2, 6], 1)[1],
        "parts": parts[1], "hstack": torch.hstack([a, b]), "vstack": torch.vstack([b, a]), "roll": x.roll((1, 2), (0, 1)),
        "rot": x.rot90(), "flip": x.flip(0, 1), "tile": x.tile(2, 1), "repeat": x.repeat(1, 2, 1),
        "interleave": x.repeat_interleave(3, 1), "unbind": x.unbind(1)[2], "block": torch.block_diag(a, b),
        "mesh": torch.meshgrid(x[0], x[1], indexing="ij")[0], "cartesian": torch.cartesian_prod(x[0, :2], x[1, :2]),
        "combinations": torch.combinations(x[0]), "column": torch.column_stack([a, b]), "fold": _folded(x),
        "tri": x.tril(-1) + x.triu(2), "diag": torch.diag(x[0]) + torch.diag_embed(x[1]), "outer": torch.outer(x[0], x[1]),
        "indices": torch.tril_indices(4, 4), "vander": torch.vander(x[0]), "movedim": x.view(2, 3, 8).movedim(0, 2),
        "broadcast": torch.broadcast_to(x[0], (3, 8)), "padded": torch.nn.utils.rnn.pad_sequence([x[0, :3], x[1]]),
    }  # fmt: skip


def _folded(x: Tensor) -> Tensor:
    image = x.reshape(1, 1, 6, 8)
    return F.fold(F.unfold(image, 3), (6, 8), 3)


def pointwise(task: Any) -> Results:
    x, y = torch.rand(5, 7) + 0.1, torch.rand(7) + 0.1
    n = torch.arange(1, 8)
    return {
        "arithmetic": (x + y * 2 - 1) / (y**2) // 0.1 % 3, "reversed": 1 / x + 2 - x - (3 - x), "power": 2**x + x**0.5 + x**-1,
        "compare": (x > y) & (x != 0.5) | ~(y <= x), "integers": (n << 1) ^ (n >> 1) & 5 | n // 2 - n % 3,
        "unary": x.log().exp().sqrt().rsqrt().sin().cos().tan().atan().sigmoid().tanh().erf().abs().neg(),
        "rounded": (x * 10).round() + (x * 10).floor() - (x * 10).ceil() + x.frac() + (x * 10).trunc() + x.round(decimals=2),
        "clamped": x.clamp(0.2, 0.8).clamp_min(y), "lerp": x.lerp(y.expand_as(x), 0.3), "where": torch.where(x > 0.5, x, 0.0),
        "nan": (x / 0 - x / 0).nan_to_num(1.0), "isfinite": (x / 0).isfinite(), "maximum": torch.maximum(x, y),
        "atan2": torch.atan2(x, y), "hypot": torch.hypot(x, y), "addcmul": torch.addcmul(x, y, y, value=0.5),
        "logit": x.clamp(0.1, 0.9).logit(), "xlogy": torch.xlogy(x, y), "special": torch.special.expit(x) + torch.special.erfinv(x / 2),
        "lgamma": x.lgamma() + x.digamma(), "types": (x * 100).to(torch.int16) + n.to(torch.uint8), "sign": x.sub(0.5).sign(),
        "promoted": n + 0.5, "copysign": torch.copysign(x, -y), "float_power": x.float_power(2), "mixed": n * x,
        "bool": x.bool().int() + True, "heaviside": torch.heaviside(x - 0.5, y), "logaddexp": torch.logaddexp(x, y),
    }  # fmt: skip


def again_with_other_values(task: Any) -> Results:
    """The same calls on other data give other shapes."""
    found: Results = {}
    for start in (0, 64, 128):
        labels = task.labels[start : start + 64]
        counts = torch.bincount(labels, minlength=10)
        found |= {
            f"{start}.mask": labels[labels > 4],
            f"{start}.places": (labels == 3).nonzero(),
            f"{start}.unique": labels.unique(),
            f"{start}.repeated": torch.repeat_interleave(torch.arange(10), counts, output_size=64),
            f"{start}.grown": torch.repeat_interleave(counts),
            f"{start}.selected": labels.masked_select(labels < 2),
            f"{start}.most": torch.bincount(labels[labels < start // 20 + 3]),
        }
    return found
