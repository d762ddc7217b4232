"""Evaluates submissions in the process sandbox and prints what they use, as Markdown.

Of each budget, or with --cpu of the processor time that their own processes may take.

Usage: python scripts/measure_budgets.py [--cpu] SUBMISSION…
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

from haet_eval.competition import Budgets, competition_for_task, load_competition
from haet_eval.dataset import default_data_dir
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record

_CPU_HEAD = """| submission | verdict | messages | operations | processor time | allowed | used |
|---|---|--:|--:|--:|--:|--:|"""


def judged(submission: Path) -> Record:
    """The record of an evaluation."""
    # The records are of no use afterwards, and must not appear on a leaderboard.
    with tempfile.TemporaryDirectory() as results:
        return evaluate(Request(submission, default_data_dir(), Path(results), sandbox="process")).record


def budgets_of(record: Record) -> Budgets:
    """The budgets of the record's task."""
    # A submission that could not be read names no task, and only its verdict is shown.
    task = record.submission.task or "digits"
    return load_competition(competition_for_task(task)).budgets_for(task)


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


def cpu_row(name: str, record: Record) -> str:
    """One line on the processor time; of a submission that never trained, only its verdict."""
    training = record.training
    # A submission that was refused or failed at once has no time to show.
    if training is None or training.submission_cpu_seconds is None:
        return f"| {name} | {record.status.verdict} | | | | | |"
    operations, used = training.operations.total, training.submission_cpu_seconds
    allowed = budgets_of(record).cpu_allowance_seconds(training.messages, operations)
    return (
        f"| {name} | {record.status.verdict} | {training.messages:,} | {operations:.2e} | {used:.1f} s | "
        f"{allowed:.1f} s | {used / allowed:.0%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("submissions", metavar="SUBMISSION", type=Path, nargs="+")
    parser.add_argument("--cpu", action="store_true", help="the processor time of their own processes")
    asked = parser.parse_args()
    if asked.cpu:
        print(_CPU_HEAD, flush=True)
    rows = {}
    for path in asked.submissions:
        record = judged(path)
        if asked.cpu:
            print(cpu_row(path.name, record), flush=True)
            continue
        rows[path.name] = used(record)
        trace = record.trace.bytes if record.trace else 0
        print(f"{path.name}: {record.status.verdict}, trace {trace:,} bytes")
    if rows:
        print(table(rows, budgets_of(record)))


if __name__ == "__main__":
    main()
