"""Runs kernels that write by index, or reduce, again and again on two threads, as an executor does.

Prints the name of each call whose outputs were not the same bytes every time.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from haet_eval.remote.executor.determinism import in_order, make_reproducible

REPETITIONS = 8
LENGTH = 100_000
"""Above 32,768 elements a kernel uses its threads."""

SIDE = 400

Calls = Iterator[tuple[str, Callable[[], object]]]


def main() -> None:
    """Print the names, and how many calls there were."""
    torch.set_num_threads(2)
    make_reproducible()
    count = 0
    for calls in (_writes_by_index(), _reductions(), _backwards()):
        for name, call in calls:
            count += 1
            if len({b"".join(_bytes(call())) for _ in range(REPETITIONS)}) > 1:
                sys.stdout.write(f"{name}\n")
    sys.stdout.write(f"{count} calls\n")


def _bytes(result: object) -> Iterator[bytes]:
    if isinstance(result, torch.Tensor):
        yield result.numpy().tobytes()
    elif isinstance(result, list | tuple):
        for item in result:
            yield from _bytes(item)


def _values() -> tuple[torch.Tensor, torch.Tensor]:
    """Random numbers, and an index for each, of which most are the same as others."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(LENGTH, generator=generator), torch.randint(0, 100, (LENGTH,), generator=generator)


def _square() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(SIDE, SIDE, generator=generator)
    return numbers, torch.randint(0, SIDE, (SIDE, SIDE), generator=generator)


def _writes_by_index() -> Calls:
    aten: Any = torch.ops.aten
    values, indices = _values()
    rows, places = _square()
    few, many = torch.zeros(100), torch.zeros(SIDE, SIDE)
    for accumulate in (False, True):
        yield f"index_put {accumulate}", partial(aten.index_put, few, [indices], values, accumulate)
        put = in_order(aten.put.default, aten.put.default)
        yield f"put {accumulate}", partial(put, few, indices, values, accumulate)
    yield "index_copy", lambda: aten.index_copy(few, 0, indices, values)
    yield "index_copy of rows", lambda: aten.index_copy(many, 0, places[0] % 9, rows)
    yield "index_add", lambda: aten.index_add(few, 0, indices, values)
    yield "index_add of rows", lambda: aten.index_add(many, 0, places[0] % 9, rows)
    yield "scatter", lambda: aten.scatter.src(few, 0, indices, values)
    yield "scatter of rows", lambda: aten.scatter.src(many, 0, places, rows)
    yield "scatter_add", lambda: aten.scatter_add(few, 0, indices, values)
    yield "scatter_add of rows", lambda: aten.scatter_add(many, 0, places, rows)
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        yield f"scatter_reduce {reduce}", partial(aten.scatter_reduce.two, few, 0, indices, values, reduce)
    yield "masked_scatter", lambda: aten.masked_scatter(torch.zeros(LENGTH), values > 0, values)


def _reductions() -> Calls:
    aten: Any = torch.ops.aten
    values, indices = _values()
    rows, _ = _square()
    for name in (
        "sum",
        "logcumsumexp",
        "cumsum",
        "sort",
        "max",
        "argmax",
        "median",
        "mode",
        "kthvalue",
        "topk",
    ):
        further = {"logcumsumexp": (0,), "cumsum": (0,), "kthvalue": (50,), "topk": (50,)}.get(name, ())
        yield name, partial(getattr(aten, name), values if name == "logcumsumexp" else indices, *further)
    yield "bincount", lambda: aten.bincount(indices, values)
    yield "histc", lambda: aten.histc(values, 50)
    yield "unique", lambda: aten._unique2(indices, True, True, True)
    yield "mm", lambda: aten.mm(rows, rows)
    yield "svd", lambda: aten._linalg_svd(rows[:200, :200])


def _backwards() -> Calls:
    aten: Any = torch.ops.aten
    _, indices = _values()
    rows, _ = _square()
    images = torch.randn(8, 16, 32, 32, generator=torch.Generator().manual_seed(2))
    weight = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(3))
    grid = torch.rand(8, 32, 32, 2, generator=torch.Generator().manual_seed(4)) * 2 - 1
    pooled, chosen = aten.max_pool2d_with_indices(images, [3, 3], [1, 1], [1, 1])
    one, two, pads = [1, 1], [32, 32], [0, 0]
    yield (
        "embedding_dense_backward",
        lambda: aten.embedding_dense_backward(rows, indices[:SIDE], 100, -1, False),
    )
    yield (
        "convolution_backward",
        lambda: aten.convolution_backward(
            images, images, weight, [16], one, one, one, False, pads, 1, [True] * 3
        ),
    )
    yield (
        "grid_sampler_2d_backward",
        lambda: aten.grid_sampler_2d_backward(images, images, grid, 0, 0, False, [True, True]),
    )
    yield (
        "upsample_bilinear2d_backward",
        lambda: aten.upsample_bilinear2d_backward(images, two, [8, 16, 7, 7], False),
    )
    yield (
        "max_pool2d_with_indices_backward",
        lambda: aten.max_pool2d_with_indices_backward(pooled, images, [3, 3], one, one, one, False, chosen),
    )
    yield "native_batch_norm", lambda: aten.native_batch_norm(images, None, None, None, None, True, 0.1, 1e-5)


if __name__ == "__main__":
    main()
