"""TOML that people write: what cannot be read is said in words for them."""

import tomllib
from typing import Any


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a text; a byte order mark, with which editors on Windows begin a file, is passed over.

    Raises:
        ValueError: it is no TOML; the message says what is wrong and, if the parser knows it, where.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise ValueError("its brackets are nested too deep") from None
    # Python converts no number of thousands of digits, and its message is for programmers.
    except ValueError:
        raise ValueError("a number in it has thousands of digits") from None
