"""Times listing and ranking of a results directory with many records.

Usage: python -m scripts.bench.store [RECORDS [WRITERS]]; prints the table of docs/benchmarks.md.

The records are copies of a generated one of about the size that a real training gives, written by several
processes at once.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from haet_eval.ranking import rank
from haet_eval.record import OperatorCost
from haet_eval.store import Store
from tests.fixtures.records import make_record, make_training

OPERATORS = 60
"""A record of a ResNet names about as many."""


def write(directory: Path, first: int, last: int) -> None:
    """Add the records of these numbers."""
    store = Store(directory)
    for number in range(first, last):
        # Different complexities, so that ranking has to sort.
        operations = 10**15 + 7919 * number
        training = make_training(operations)
        # A record is mostly its operators, so their number decides the size.
        lines = tuple(
            OperatorCost(operator=f"aten.operator_{index}.default", calls=1000, operations=0)
            for index in range(OPERATORS)
        )
        priced = training.operations
        priced = priced.model_copy(update={"by_operator": (*priced.by_operator, *lines)})
        training = training.model_copy(update={"operations": priced})
        name, team = f"Submission {number}", f"Team {number % 100}"
        store.add(make_record(name=name, team=team, training=training, correct=9300 + number % 500))


def write_at_once(directory: Path, records: int, writers: int) -> None:
    """The same, by several processes."""
    bounds = [records * part // writers for part in range(writers + 1)]
    program = (
        "import sys; from pathlib import Path; from scripts.bench.store import write;"
        "write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))"
    )
    # Processes and not threads: several evaluations write to one folder in this way.
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(directory), str(first), str(last)])
        for first, last in pairwise(bounds)
    ]
    assert [process.wait() for process in started] == [0] * writers


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of wall time, seconds of the processor, and what the work gave."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - wall, time.process_time() - processor, found


def row(step: str, work: Callable[[], Any], repeats: int = 1) -> Any:
    """Print the best of some repetitions as a line of the table; returns what the work gave."""
    wall, processor, found = min((timed(work) for _ in range(repeats)), key=lambda one: one[:2])
    print(f"| {step} | {wall:.2f} | {processor:.2f} |", flush=True)
    return found


def main(records: int, writers: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        # The user's own cache stays as it is, and the first listing finds none.
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        directory = Path(folder, "results")
        write_at_once(directory, records, writers)
        store = Store(directory)
        size = sum(path.stat().st_size for path in directory.iterdir()) / records
        print(f"{records:,} records of {size / 1024:.1f} KiB, written by {writers} processes at once\n")
        print("| step | seconds | of the processor |\n|---|---|---|")
        listing = row("list for the first time: each record read and checked", store.listing)
        # Writers at once must not lose a record. A quick listing of too few would be no result.
        assert len(listing.records) == records, "a record was lost"
        assert listing.problems == ()
        row("list again", store.listing, 3)
        row("rank", lambda: rank(listing.entries), 3)
        store.add(make_record(name="one more"))
        row("list after one more record", store.listing)


if __name__ == "__main__":
    main(*map(int, [*sys.argv[1:], *["10000", "4"][len(sys.argv) - 1 :]]))
