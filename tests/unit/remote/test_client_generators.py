"""Numbers of the client's random generators: a call has 16 bits for one."""

import socket
from collections.abc import Iterator

import pytest

from haet_eval.remote.client import random
from haet_eval.remote.client.link import Link, Refusal
from haet_eval.remote.client.random import Randomness, RemoteGenerator
from haet_eval.remote.wire import SEED, Code

NEW_SEED = 67280421310721
"""The seed of a generator that nobody has seeded."""


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    """A link whose records stay in its buffer; new generators belong to it."""
    ours, theirs = socket.socketpair()
    link = Link(ours)
    monkeypatch.setattr(RemoteGenerator, "randomness", Randomness(link), raising=False)
    yield link
    ours.close()
    theirs.close()


def number(generator: RemoteGenerator) -> int:
    return RemoteGenerator.randomness.number(generator)


def test_numbers_of_generators_that_are_gone_are_given_again(link: Link) -> None:
    kept = RemoteGenerator()
    numbers = {number(RemoteGenerator()) for _ in range(1 << 17)}
    assert numbers == {1}
    assert number(kept) == 0


def test_a_generator_that_takes_over_a_number_begins_as_a_new_one(link: Link) -> None:
    first = RemoteGenerator()
    assert link.buffer == b""
    first.manual_seed(5)
    del first
    second = RemoteGenerator()
    assert link.buffer == SEED.pack(Code.SEED, 0, 5) + SEED.pack(Code.SEED, 0, NEW_SEED)
    assert second.initial_seed() == NEW_SEED


def test_more_generators_than_numbers_are_refused(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "MAX_GENERATORS", 3)
    made = [RemoteGenerator() for _ in range(3)]
    with pytest.raises(Refusal, match=r"There are 3 generators .* already"):
        RemoteGenerator()
    made.pop()
    assert number(RemoteGenerator()) == 2
