"""Judge of training code: runs a submission on handles, counts every operation, ranks it.

As a library: `OperationCounter` counts your own training, `load_records` reads records, and `price` prices
a histogram.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "OperationCounter": "haet_eval.counter",
    "Uncounted": "haet_eval.counter",
    "load_records": "haet_eval.tables",
    "price": "haet_eval.counting.bill",
}
"""Where the names of the library are: torch, and whatever else they need, is imported when they are used."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
