"""The records that are no calls of templates: views, uploads, reads, generators, and tensors let go."""

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.wire import ITEM_BYTES, Code
from tests.attacks.differential.world import Answer, World

DTYPES: Final = tuple(ITEM_BYTES)
GENERATORS: Final = (wire.DEFAULT_GENERATOR, 0, 1)


def stroll(world: World, chance: Random) -> Iterator[Answer]:
    """Send a few such records, all possible ones, and yield what became of each."""
    for _ in range(chance.choice((0, 1, 1, 2))):
        record = chance.choice(_RECORDS)(world, chance)
        if record is not None:
            yield world.send(record)


def _select(world: World, chance: Random) -> bytes | None:
    found = _dimension(world, chance)
    if found is None or not found[2]:
        return None
    number, dimension, size = found
    return wire.SELECT.pack(Code.SELECT, number, dimension, chance.randrange(size))


def _slice(world: World, chance: Random) -> bytes | None:
    found = _dimension(world, chance)
    if found is None:
        return None
    number, dimension, size = found
    start, end = sorted(chance.randint(0, size) for _ in range(2))
    return wire.SLICE.pack(Code.SLICE, number, dimension, start, end, chance.choice((1, 1, 2, 3, 100)))


def _dimension(world: World, chance: Random) -> tuple[int, int, int] | None:
    """A tensor, one of its dimensions, and its size; None if no tensor has any."""
    numbers = [number for number, handle in world.handles.items() if handle.layout.shape]
    if not numbers:
        return None
    number = chance.choice(numbers)
    shape = world.handles[number].layout.shape
    dimension = chance.randrange(len(shape))
    return number, dimension, shape[dimension]


def _free(world: World, chance: Random) -> bytes | None:
    number = _any_handle(world, chance)
    return struct.pack("<BIQ", Code.FREE, 1, number) if number else None


def _upload(_: World, chance: Random) -> bytes:
    dtype = chance.choice(DTYPES)
    shape = chance.choice(((), (1,), (0,), (2, 3), (1, 2)))
    meta = TensorMeta(shape, wire.contiguous_stride(shape), 0, dtype)
    return wire.encode_upload(meta, bytes(meta.numel * ITEM_BYTES[dtype]))


def _seed(_: World, chance: Random) -> bytes:
    return wire.SEED.pack(Code.SEED, chance.choice(GENERATORS), chance.getrandbits(64))


def _save_state(world: World, chance: Random) -> bytes:
    return wire.STATE.pack(Code.SAVE_STATE, chance.choice(GENERATORS), world.states)


def _load_state(world: World, chance: Random) -> bytes | None:
    if not world.states:
        return None
    return wire.STATE.pack(Code.LOAD_STATE, chance.choice(GENERATORS), chance.randrange(world.states))


def _read(world: World, chance: Random) -> bytes | None:
    number = _any_handle(world, chance)
    return wire.READ.pack(Code.READ, number) if number else None


def _any_handle(world: World, chance: Random) -> int:
    return chance.choice(list(world.handles)) if world.handles else 0


_RECORDS: Final[tuple[Callable[[World, Random], bytes | None], ...]] = (
    _select,
    _slice,
    _free,
    _upload,
    _seed,
)
