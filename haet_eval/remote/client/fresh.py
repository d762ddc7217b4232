"""What differs in each fresh interpreter, pinned: the same seed draws the same.

Entropy of the system becomes a stream that the seed determines. `secrets`, `uuid`, `random.SystemRandom`
and NumPy's generators without a seed draw from it, because they ask `os.urandom`. Process ids, the clock, the
number of processors and the addresses of other objects stay as they are; docs/contestants.md names them.
"""

import os
import platform
import random
import socket
import uuid
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import torch
from torch import nn

HOST: Final = "submission"
"""The name of the machine, in both sandboxes."""

_numbers = count(1)


def start_alike(seed: int) -> None:
    """Pin it all, for the rest of this process."""
    pin_entropy(seed)
    pin_names()
    module: Any = nn.Module
    # Sets of modules, as in `set(model.modules())`, are iterated in the order of hashes.
    module.__hash__ = _number


def pin_entropy(seed: int) -> None:
    """Make what the system would draw follow from the seed."""
    stream = random.Random(seed)  # noqa: S311 it is to be foreseen
    _set(os, urandom=stream.randbytes)
    # The C code behind it asks the system directly, and not the function `os.urandom` that was replaced.
    _set(random.Random, seed=_drawn_from_the_stream(random.Random.seed))
    # `random` has taken both at its import: SystemRandom calls this `_urandom`, and `random.seed` is a method
    # that is bound already.
    _set(random, _urandom=stream.randbytes, seed=vars(random)["_inst"].seed)
    # uuid1 would use the machine's network card. The bit 0x02 of the first byte marks an address that no card
    # was given by its maker.
    _set(uuid, _generate_time_safe=None, _node=0x0200_0000_0000 | seed & 0xFFFF_FFFF)
    _set(torch, seed=_torch_seed)
    _set(torch.random, seed=_torch_seed)


def pin_names() -> None:
    """Give the machine the name that it has in a container."""
    system = os.uname()
    named = os.uname_result((system.sysname, HOST, system.release, system.version, system.machine))
    _set(os, uname=lambda: named)
    _set(socket, gethostname=lambda: HOST, getfqdn=lambda *_: HOST)
    _set(platform, node=lambda: HOST)


def _number(module: nn.Module) -> int:
    """A hash by which sets of modules are in the order in which these were first put into any set.

    The usual one is an address in memory, which differs in each process.
    """
    if "_haet_number" not in vars(module):
        vars(module)["_haet_number"] = next(_numbers)
    known: int = vars(module)["_haet_number"]
    return known


def _drawn_from_the_stream(seed: Callable[..., None]) -> Callable[..., None]:
    """`random.Random.seed` that draws from the stream instead of the system if no seed is given."""

    def pinned(self: random.Random, a: Any = None, version: int = 2) -> None:
        seed(self, int.from_bytes(os.urandom(32)) if a is None else a, version)

    return pinned


def _torch_seed() -> int:
    """As torch.seed: a seed that nobody chose, here from the stream."""
    drawn = int.from_bytes(os.urandom(8)) >> 1
    torch.manual_seed(drawn)
    return drawn


def _set(owner: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(owner, name, value)
