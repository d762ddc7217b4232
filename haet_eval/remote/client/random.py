"""Random numbers are drawn in the executor. A generator on this side knows its number there and its seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.utils._mode_utils import no_dispatch

from haet_eval.remote import wire
from haet_eval.remote.client.link import Link, Refusal
from haet_eval.remote.client.tensor import RemoteTensor
from haet_eval.remote.wire import DEFAULT_GENERATOR, Code

if TYPE_CHECKING:
    from collections.abc import Callable

_STATE_BYTES = 5056
_MAGIC = b"haet-eval random state"
_WORD = 8
MAX_GENERATORS = 0xFFFF
"""A call names its generator in 16 bits, and the last number is the default one."""


class Randomness:
    """Numbers the generators of this process, and tells the executor what happens to them.

    A state is a token: its number in the executor, and the seed that it came from.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._numbers: dict[int, int] = {}
        self._made = 0
        self._free: list[int] = []
        self._kept: list[torch._C.Generator] = []
        self._states = 0

    def number(self, generator: torch._C.Generator) -> int:
        """How a generator is called on the wire.

        PyTorch hands on other Python objects than it was given, so `_cdata` tells which generator it is.
        """
        place = _place(generator)
        if place not in self._numbers:
            # One of PyTorch's own class, which does not say when it is gone. It is kept alive, because its
            # address could be given to another one.
            self._kept.append(generator)
            self.add(generator)
        return self._numbers[place]

    def add(self, generator: torch._C.Generator) -> None:
        """A generator was made.

        Raises:
            Refusal: there are as many as the wire has numbers for.
        """
        with self._link.lock:
            # The smallest, because generators may be dropped in the order of their addresses.
            number = min(self._free, default=self._made)
            if number == MAX_GENERATORS:
                raise Refusal(
                    f"There are {MAX_GENERATORS:,} generators of random numbers already, and no more can be "
                    "made. Seed one anew with manual_seed, and drop those that are no longer needed.",
                    code="handle-generators",
                )
            self._numbers[_place(generator)] = number
            if number == self._made:
                self._made += 1
            else:
                self._free.remove(number)
                # The executor's generator of this number is where its former owner has left it.
                self.seed(generator, generator.initial_seed())

    def remove(self, generator: torch._C.Generator) -> None:
        """A generator is gone, and its number is free for another one."""
        # Without the lock: this may run in any thread, and in the middle of a record.
        number = self._numbers.pop(_place(generator), DEFAULT_GENERATOR)
        if number != DEFAULT_GENERATOR:
            self._free.append(number)

    def seed(self, generator: torch._C.Generator, seed: int) -> None:
        """A generator was seeded."""
        with self._link.lock:
            self._link.write(wire.SEED.pack(Code.SEED, self.number(generator), seed & (2**64 - 1)))

    def save_state(self, generator: torch._C.Generator) -> torch.Tensor:
        """A token for the generator's present state."""
        with self._link.lock:
            self._link.write(wire.STATE.pack(Code.SAVE_STATE, self.number(generator), self._states))
            words = (self._states, generator.initial_seed() & (2**64 - 1))
            self._states += 1
        token = _MAGIC + b"".join(word.to_bytes(_WORD, "little") for word in words)
        with no_dispatch():
            # As long as PyTorch's own state of a CPU generator.
            return torch.frombuffer(bytearray(token.ljust(_STATE_BYTES, b"\0")), dtype=torch.uint8)

    def load_state(self, generator: torch._C.Generator, state: torch.Tensor) -> int:
        """Put a generator into the state of a token; returns the seed that belongs to it.

        Raises:
            Refusal: the tensor is no token of this run.
        """
        # A token that went through an operator, such as `clone`, is a handle by now.
        local = state._value() if isinstance(state, RemoteTensor) else state
        with no_dispatch():
            token = bytes(local.numpy().tobytes())
        if not token.startswith(_MAGIC):
            raise Refusal(
                "The state of a generator can only be set to one that get_state or torch.get_rng_state has "
                "returned in this run; use manual_seed for another.",
                code="handle-generator",
            )
        words = token[len(_MAGIC) :]
        number = int.from_bytes(words[:_WORD], "little")
        with self._link.lock:
            self._link.write(wire.STATE.pack(Code.LOAD_STATE, self.number(generator), number))
        return int.from_bytes(words[_WORD : 2 * _WORD], "little")

    def install(self) -> None:
        """Replace torch.Generator, and the default generator by one that goes by its number."""
        RemoteGenerator.randomness = self
        default = RemoteGenerator.__new__(RemoteGenerator)  # without `__init__`, which would take a number
        for one in (default, torch.default_generator):  # the latter is a default argument of random_split
            self._numbers[_place(one)] = DEFAULT_GENERATOR
        place: Any = torch
        place.Generator = RemoteGenerator
        place.default_generator = place.random.default_generator = default
        _let_states_be_copied()


def _place(generator: torch._C.Generator) -> int:
    """The address of the generator behind a Python object."""
    return generator._cdata  # type: ignore[attr-defined, no-any-return]


def _let_states_be_copied() -> None:
    """`copy.deepcopy` of a token, which is an ordinary tensor, is not work for the executor."""
    tensor: Any = torch.Tensor
    deepcopy = tensor.__deepcopy__

    def copied(token: torch.Tensor, memo: dict[int, Any]) -> Any:
        with no_dispatch():
            return deepcopy(token, memo)

    tensor.__deepcopy__ = copied


class RemoteGenerator(torch._C.Generator):
    """A torch.Generator whose numbers come from the executor."""

    randomness: ClassVar[Randomness]

    def __init__(self, *_: Any, **__: Any) -> None:
        self.randomness.add(self)

    def __del__(self) -> None:
        self.randomness.remove(self)

    def manual_seed(self, seed: int) -> RemoteGenerator:
        # So that `initial_seed` says what it says elsewhere. Nothing is drawn on this side.
        super().manual_seed(seed)
        self.randomness.seed(self, super().initial_seed())
        return self

    def seed(self) -> int:
        seed = super().seed()
        self.randomness.seed(self, seed)
        return seed

    def get_state(self) -> torch.Tensor:
        return self.randomness.save_state(self)

    def set_state(self, new_state: torch.Tensor) -> RemoteGenerator:
        # As a state of PyTorch's does, it brings back the seed that `initial_seed` returns.
        super().manual_seed(self.randomness.load_state(self, new_state))
        return self

    def clone_state(self) -> RemoteGenerator:
        return RemoteGenerator(self.device).set_state(self.get_state())

    graphsafe_get_state: Callable[..., Any] = clone_state

    def __deepcopy__(self, memo: dict[int, Any]) -> RemoteGenerator:
        return self.clone_state()
