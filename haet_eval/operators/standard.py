"""The versions of the counting standard, and the one that calls are priced under."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

STANDARD: Final = 2
"""The present version: a training that runs today is priced under it."""

VERSIONS: Final = (1, 2)
"""The versions whose prices are here, for records that were priced under them."""

# A ContextVar, so that a thread that verifies an old record does not change the prices of a run in another
# thread.
_current: ContextVar[int] = ContextVar("standard", default=STANDARD)


def current() -> int:
    """The version that calls are priced under: the present one, unless `under` says otherwise."""
    return _current.get()


@contextmanager
def under(version: int) -> Iterator[None]:
    """Price calls under an earlier version while the block runs, also those that a meter prices.

    The block must not yield: a generator shares its context with its caller.

    Raises:
        ValueError: this haet-eval does not have the prices of that version.
    """
    if version not in VERSIONS:
        raise ValueError(f"no prices of version {version} of the counting standard, only of {VERSIONS}")
    token = _current.set(version)
    try:
        yield
    finally:
        _current.reset(token)


def nearest(version: int) -> int:
    """The version itself if its prices are here, the present one otherwise."""
    return version if version in VERSIONS else STANDARD
