"""Evaluates submissions in the process sandbox and prints how much of each budget they use, as Markdown.

Usage: python scripts/measure_budgets.py SUBMISSION…
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from haet_eval.competition import Budgets, competition_for_task, load_competition
from haet_eval.dataset import default_data_dir
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record


def used(record: Record) -> Mapping[str, float]:
    """What a record says was used, by the name of the budget."""
    training, evaluation, log = record.training, record.evaluation, record.log
    assert training is not None
    assert evaluation is not None
    return {
        "readback_bytes": training.readback_bytes,
        "upload_bytes": training.upload_bytes,
        "messages": training.messages,
        "output_bytes": len((log.head + log.tail).encode()) + log.dropped_bytes,
        "prediction_operations_per_image": (evaluation.operations or 0) / evaluation.total,
        # Not every sandbox measures it.
        "memory_bytes": training.peak_memory_bytes or 0,
        "wall_seconds": training.wall_seconds,
    }


def table(rows: Mapping[str, Mapping[str, float]], budgets: Budgets) -> str:
    """One line for each budget, one column for each submission."""
    lines = ["| budget | allowed | " + " | ".join(rows) + " |", "|---" + "|--:" * (1 + len(rows)) + "|"]
    for name in next(iter(rows.values())):
        allowed = getattr(budgets, name)
        cells = (f"{row[name]:,.0f} ({row[name] / allowed:.2%})" for row in rows.values())
        lines.append(f"| `{name}` | {allowed:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    rows = {}
    for path in map(Path, sys.argv[1:]):
        # The records are of no use afterwards, and must not appear on a leaderboard.
        with tempfile.TemporaryDirectory() as results:
            record = evaluate(Request(path, default_data_dir(), Path(results), sandbox="process")).record
        rows[path.name] = used(record)
        task = record.submission.task or ""
        print(
            f"{path.name}: {record.status.verdict}, trace {record.trace.bytes if record.trace else 0:,} bytes"
        )
    print(table(rows, load_competition(competition_for_task(task)).budgets_for(task)))


if __name__ == "__main__":
    main()
