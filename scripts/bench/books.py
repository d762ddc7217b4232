"""Measures what the books of tensor memory cost the meter, in CPU time for each call.

Usage: python -m scripts.bench.books [ROUNDS]. Most calls make a tensor and later free it. The books enter
both, and these entries are timed alone, their calls in Python included. The whole meter is timed on a trace.
The least of the rounds counts: what else the machine does makes a round longer, never shorter.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Final

from haet_eval.remote.handles import Storage
from haet_eval.remote.memory import MemoryBooks
from haet_eval.remote.recount import recount

_CALLS: Final = 200_000
_TRACES: Final = Path(__file__).parents[2] / "docs" / "reference-leaderboard" / "artifacts"


def main() -> None:
    """Print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    # The loop and the objects cost time too, so the same loop without the books is taken off.
    empty, books = (least_of(rounds, one) for one in (nothing, tensors))
    # The smallest real trace is enough, and is recounted soonest.
    trace = min(_TRACES.glob("*.trace"), key=lambda path: path.stat().st_size)
    calls = sum(entry.total_calls for entry in recount(trace).histogram)
    meter = least_of(rounds, lambda: recount(trace))
    print("| for each call | ns |\n|---|--:|")
    print(f"| books of memory | {(books - empty) / _CALLS * 1e9:,.0f} |")
    print(f"| whole meter, on a trace of {calls:,} calls | {meter / calls * 1e9:,.0f} |")


def least_of(rounds: int, work: Callable[[], object]) -> float:
    """The least CPU time that it takes, in seconds."""
    times = []
    for _ in range(rounds):
        began = process_time()
        work()
        times.append(process_time() - began)
    return min(times)


def tensors() -> None:
    """Make a tensor in each call, and free it after the next."""
    books, before = MemoryBooks(), Storage(4096, tainted=False)
    books.made(4096, None, 0, 1)
    for number in range(_CALLS):
        storage = Storage(4096, tainted=False)
        books.made(4096, None, 0, number)
        # One tensor later, as in a training: a result lives until the next call has used it.
        books.dropped(before)
        before = storage


def nothing() -> None:
    """The same without the books."""
    before = Storage(4096, tainted=False)
    for _ in range(_CALLS):
        storage = Storage(4096, tainted=False)
        before = storage
    del before


if __name__ == "__main__":
    main()
