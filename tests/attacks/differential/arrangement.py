"""Tensors of given layouts, and many ways in which they may lie in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

import torch

from haet_eval.operators.signature import CONJUGATE, NEGATIVE, TensorMeta
from haet_eval.remote.handles import span_elements
from haet_eval.remote.wire import ITEM_BYTES


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tensor that a call needs.

    `offset`: where it must begin, if that is part of the template. `storage_bytes`: how large its storage is
    at least. `values`: its elements, if some are known that make sense.
    """

    meta: TensorMeta
    offset: int | None = None
    storage_bytes: int = 0
    values: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """How likely a tensor is an earlier one, lies in the memory of an earlier one, has bytes around it."""

    same: float
    shared: float
    padded: float


def any_pattern(chance: Random) -> Pattern:
    return Pattern(
        same=chance.choice((0, 0, 0, 0.5, 1)),
        shared=chance.choice((0, 0, 0.5, 1)),
        padded=chance.choice((0, 0.5, 1)),
    )


APART: Final = Pattern(0, 0, 0)
PADDED: Final = Pattern(0, 0, 1)


@dataclass(slots=True)
class _Place:
    """A storage to be made: whether it holds truth values, its bytes so far, and its tensors' first bytes."""

    truth: bool
    size_bytes: int


Fill: TypeAlias = Callable[[torch.Tensor, Wanted], None]


def arranged(wanted: Sequence[Wanted], pattern: Pattern, fill: Fill, chance: Random) -> list[torch.Tensor]:
    """One tensor for each that is wanted, its values written by `fill`; some may be the same object."""
    places: list[_Place] = []
    chosen: list[tuple[_Place, int]] = []
    for one in wanted:
        place = _place(one, places, pattern, chance)
        offset = _offset(one, place, pattern, chance)
        end = (offset + span_elements(one.meta.shape, one.meta.stride)) * ITEM_BYTES[one.meta.dtype]
        tail = chance.choice((1, 16, 100)) if chance.random() < pattern.padded else 0
        place.size_bytes = max(place.size_bytes, end + tail, one.storage_bytes)
        chosen.append((place, offset))
    storages = {id(place): _memory(place) for place in places}
    tensors: list[torch.Tensor] = []
    for one, (place, offset) in zip(wanted, chosen, strict=True):
        twin = _twin(one, tensors, pattern, chance)
        tensors.append(_tensor(one, storages[id(place)], offset, fill) if twin is None else twin)
    return tensors


def _place(one: Wanted, places: list[_Place], pattern: Pattern, chance: Random) -> _Place:
    """Truth values and others never share memory: no view makes the one of the other."""
    truth = one.meta.dtype == "bool"
    alike = [place for place in places if place.truth == truth]
    if alike and chance.random() < pattern.shared:
        return chance.choice(alike)
    places.append(_Place(truth, 0))
    return places[-1]


def _offset(one: Wanted, place: _Place, pattern: Pattern, chance: Random) -> int:
    if one.offset is not None:
        return one.offset
    if place.size_bytes and chance.random() < 0.5:
        return chance.randrange(place.size_bytes // ITEM_BYTES[one.meta.dtype] + 1)
    return chance.choice((1, 2, 5, 16)) if chance.random() < pattern.padded else 0


def _twin(
    one: Wanted, tensors: Sequence[torch.Tensor], pattern: Pattern, chance: Random
) -> torch.Tensor | None:
    if chance.random() >= pattern.same:
        return None
    return next((tensor for tensor in tensors if _fits(tensor, one)), None)


def _fits(tensor: torch.Tensor, one: Wanted) -> bool:
    meta = one.meta
    bits = tensor.is_conj() * CONJUGATE | tensor.is_neg() * NEGATIVE
    return (
        (tuple(tensor.shape), tensor.stride(), str(tensor.dtype), bits)
        == (meta.shape, meta.stride, f"torch.{meta.dtype}", meta.bits)
        and tensor.untyped_storage().nbytes() >= one.storage_bytes
        and one.offset in {None, tensor.storage_offset()}
    )


def _memory(place: _Place) -> torch.UntypedStorage:
    """A storage of just that size."""
    if place.truth:
        return torch.ones(place.size_bytes, dtype=torch.bool).untyped_storage()
    return torch.randint(0, 256, (place.size_bytes,), dtype=torch.uint8).untyped_storage()


def _tensor(one: Wanted, storage: torch.UntypedStorage, offset: int, fill: Fill) -> torch.Tensor:
    meta = one.meta
    dtype: torch.dtype = getattr(torch, meta.dtype)
    tensor = torch.empty(0, dtype=dtype).set_(storage, offset, meta.shape, meta.stride)
    fill(tensor, one)
    torch._C._set_conj(tensor, bool(meta.bits & CONJUGATE))
    torch._C._set_neg(tensor, bool(meta.bits & NEGATIVE))
    return tensor
