"""Convolutions of every dimension and their backward, written out with dense padding."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from tests.oracle.counted import Counted, Nested, Tally, total

Index = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """Sizes of one convolution; the spatial ones have an entry for each axis."""

    samples: int
    channels_in: int
    channels_out: int
    groups: int
    size: Index
    kernel: Index
    stride: Index
    padding: Index
    dilation: Index

    @property
    def windows(self) -> Index:
        return tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )

    @property
    def data(self) -> Index:
        return (self.samples, self.channels_in, *self.size)

    @property
    def weight(self) -> Index:
        return (self.channels_out, self.channels_in // self.groups, *self.kernel)

    @property
    def result(self) -> Index:
        return (self.samples, self.channels_out, *self.windows)

    def products(self) -> Iterator[tuple[Index, Index, Index]]:
        """Every product: the index of its result, of its weight and of its data, perhaps in the padding."""
        per_group = self.channels_out // self.groups
        for result in indices(self.result):
            sample, channel, *window = result
            for inner, *tap in indices(self.weight[1:]):
                position = (
                    w * s - p + t * d
                    for w, s, p, t, d in zip(
                        window, self.stride, self.padding, tap, self.dilation, strict=True
                    )
                )
                group = channel // per_group
                source = group * self.weight[1] + inner
                yield result, (channel, inner, *tap), (sample, source, *position)

    def inside(self, index: Index) -> bool:
        """Whether an index of the data is none of the padding."""
        return all(0 <= i < n for i, n in zip(index, self.data, strict=True))


def indices(shape: Sequence[int]) -> Iterator[Index]:
    return product(*map(range, shape))


def at(nested: Nested, index: Index) -> Counted:
    for i in index:
        nested = nested[i]
    assert isinstance(nested, Counted)
    return nested


def convolution(tally: Tally, geometry: Geometry, *, bias: bool) -> None:
    x, w, b = (tally.tensor(s) for s in (geometry.data, geometry.weight, (geometry.channels_out,)))
    zero = tally.scalar(0)
    sums: dict[Index, list[Counted]] = defaultdict(list)
    for result, weight, data in geometry.products():
        sums[result].append(at(w, weight) * (at(x, data) if geometry.inside(data) else zero))
    for index, values in sums.items():
        value = total(values)
        if bias:
            value + b[index[1]]


def input_gradient(tally: Tally, geometry: Geometry) -> None:
    """Also a transposed convolution. What falls on the padding goes into a sum that nobody reads."""
    g, w = tally.tensor(geometry.result), tally.tensor(geometry.weight)
    unread = tally.scalar(0)
    sums: dict[Index, Counted] = {}
    for result, weight, data in geometry.products():
        value = at(g, result) * at(w, weight)
        if not geometry.inside(data):
            unread = unread + value
        else:
            sums[data] = sums[data] + value if data in sums else value


def weight_gradient(tally: Tally, geometry: Geometry) -> None:
    g, x = tally.tensor(geometry.result), tally.tensor(geometry.data)
    zero = tally.scalar(0)
    sums: dict[Index, list[Counted]] = defaultdict(list)
    for result, weight, data in geometry.products():
        sums[weight].append(at(g, result) * (at(x, data) if geometry.inside(data) else zero))
    for values in sums.values():
        total(values)


def bias_gradient(tally: Tally, geometry: Geometry) -> None:
    g = tally.tensor(geometry.result)
    sums: dict[int, list[Counted]] = defaultdict(list)
    for index in indices(geometry.result):
        sums[index[1]].append(at(g, index))
    for values in sums.values():
        total(values)
