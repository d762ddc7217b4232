"""Random numbers are drawn in the executor. Generators on this side only show when they were re-seeded."""

from typing import Any

import torch
from torch.utils._mode_utils import no_dispatch

from haet_eval.remote import wire
from haet_eval.remote.client.link import Link, Refusal
from haet_eval.remote.wire import DEFAULT_GENERATOR, Code

_STATE_BYTES = 5056
_MAGIC = b"haet-eval random state"


class Randomness:
    """Follows the local generators and tells the executor what they say."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._numbers: dict[int, int] = {}
        self._kept: list[torch.Generator] = []
        self._known: dict[int, bytes] = {}
        self._states = 0

    def number(self, generator: torch.Generator) -> int:
        """How a generator is called on the wire."""
        if generator is torch.default_generator:
            return DEFAULT_GENERATOR
        if id(generator) not in self._numbers:
            self._numbers[id(generator)] = len(self._kept)
            self._kept.append(generator)
        return self._numbers[id(generator)]

    def before_draw(self, generator: torch.Generator | None) -> None:
        """Tell the executor if this generator was seeded since it was last drawn from.

        Raises:
            Refusal: its state was set to something that is no seed.
        """
        source = torch.default_generator if generator is None else generator
        number = self.number(source)
        state = _state(source)
        known = self._known.get(number)
        if state == known:
            return
        seed = source.initial_seed()
        if state != _seeded(seed) and known is not None:
            raise Refusal(
                "The state of a torch.Generator was set to an earlier one. Use manual_seed, or "
                "torch.get_rng_state and torch.set_rng_state for the default generator."
            )
        self._link.buffer += wire.SEED.pack(Code.SEED, number, seed & (2**64 - 1))
        with no_dispatch():
            torch.rand(1, generator=source)
        self._known[number] = _state(source)

    def save_state(self) -> torch.Tensor:
        """In place of torch.get_rng_state: a token that stands for the executor's state."""
        with self._link.lock:
            self.before_draw(None)
            self._link.buffer += wire.STATE.pack(Code.SAVE_STATE, DEFAULT_GENERATOR, self._states)
            token = _MAGIC + self._states.to_bytes(8, "little")
            self._states += 1
        with no_dispatch():
            return torch.frombuffer(bytearray(token.ljust(_STATE_BYTES, b"\0")), dtype=torch.uint8)

    def load_state(self, state: torch.Tensor) -> None:
        """In place of torch.set_rng_state.

        Raises:
            Refusal: the tensor is none that `save_state` has returned.
        """
        with no_dispatch():
            token = bytes(state.numpy().tobytes())
        if not token.startswith(_MAGIC):
            raise Refusal("torch.set_rng_state takes only what torch.get_rng_state has returned in this run.")
        number = int.from_bytes(token[len(_MAGIC) : len(_MAGIC) + 8], "little")
        with self._link.lock:
            self.before_draw(None)
            self._link.buffer += wire.STATE.pack(Code.LOAD_STATE, DEFAULT_GENERATOR, number)

    def install(self) -> None:
        """Replace torch's functions that read and set the state of the default generator."""
        for module in (torch, torch.random):
            patched: Any = module
            patched.get_rng_state = self.save_state
            patched.set_rng_state = self.load_state


def _state(generator: torch.Generator) -> bytes:
    with no_dispatch():
        return bytes(generator.get_state().numpy().tobytes())


def _seeded(seed: int) -> bytes:
    generator = torch.Generator()
    generator.manual_seed(seed)
    return _state(generator)
