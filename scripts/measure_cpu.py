"""Evaluates submissions in the process sandbox and prints what their own processes compute, as Markdown.

Usage: python scripts/measure_cpu.py SUBMISSION…
"""

import sys
import tempfile
from pathlib import Path

from haet_eval.competition import Budgets, competition_for_task, load_competition
from haet_eval.dataset import default_data_dir
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record

_HEAD = """| submission | verdict | messages | operations | processor time | allowed | used |
|---|---|--:|--:|--:|--:|--:|"""


def row(name: str, record: Record, budgets: Budgets) -> str:
    """One line of the table; of a submission that never trained, only its verdict."""
    training = record.training
    # A submission that was refused or failed at once has no time to show.
    if training is None or training.submission_cpu_seconds is None:
        return f"| {name} | {record.status.verdict} | | | | | |"
    operations, used = training.operations.total, training.submission_cpu_seconds
    allowed = budgets.cpu_allowance_seconds(training.messages, operations)
    return (
        f"| {name} | {record.status.verdict} | {training.messages:,} | {operations:.2e} | {used:.1f} s | "
        f"{allowed:.1f} s | {used / allowed:.0%} |"
    )


def main() -> None:
    print(_HEAD, flush=True)
    for path in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as results:
            record = evaluate(Request(path, default_data_dir(), Path(results), sandbox="process")).record
        # A submission that could not be read names no task, and only its verdict is shown.
        task = record.submission.task or "digits"
        budgets = load_competition(competition_for_task(task)).budgets_for(task)
        print(row(path.name, record, budgets), flush=True)


if __name__ == "__main__":
    main()
