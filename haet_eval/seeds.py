"""Seeds of the random number generators: which there are, and how one is drawn that nobody can foresee."""

import secrets
from typing import Final

MAX_SEED: Final = 2**32 - 1


def drawn_seed() -> int:
    """A seed drawn at random, so that nobody can prepare for it."""
    return secrets.randbelow(MAX_SEED + 1)
