"""Seeds of the random number generators: which there are, and how one is drawn that nobody can foresee."""

import secrets
from typing import Final

# NumPy accepts no larger seed.
MAX_SEED: Final = 2**32 - 1


def drawn_seed() -> int:
    """A seed drawn at random, so that nobody can prepare for it."""
    # Not `random`, whose state a contestant could guess from earlier draws.
    return secrets.randbelow(MAX_SEED + 1)
