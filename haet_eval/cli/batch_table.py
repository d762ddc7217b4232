"""A batch's plan and its outcome, as tables on stdout."""

import json
from collections import Counter
from typing import Final

import click
from rich.text import Text

from haet_eval.batch.events import GivenUp, NotStored
from haet_eval.batch.plan import BatchPlan, SubmissionState
from haet_eval.batch.run import BatchSummary
from haet_eval.cli.boundary import say_line
from haet_eval.cli.tables import add_figures, plain_table
from haet_eval.cli.text import result_console, safe
from haet_eval.ranking import summarize
from haet_eval.record import Record
from haet_eval.reports.text import NOTHING, readable_accuracy, readable_count

_EXPLAINED: Final = {
    SubmissionState.NEW: "to be judged",
    SubmissionState.DONE: "judged already",
    SubmissionState.FAILED_BEFORE: "failed on our side before, to be tried again",
    SubmissionState.REFUSED: "break a rule: get a record without being run",
    SubmissionState.BLOCKED: "cannot be judged as they were named: get no record",
    SubmissionState.REPEATED: "on the list more than once",
}


def print_plan(plan: BatchPlan, jobs: str) -> None:
    """Print each submission with what would be done about it."""
    console = result_console()
    table = plain_table()
    for name in ("submission", "task", "seed", "state", ""):
        table.add_column(name, no_wrap=name != "")
    for item in plan.items:
        task = item.job.task if item.job else NOTHING
        table.add_row(
            safe(item.source.label), safe(task), str(item.options.seed), item.state.value, safe(item.detail)
        )
    console.print(table, "")
    counts = Counter(item.state for item in plan.items)
    for state, count in sorted(counts.items()):
        console.print(f"{count:6,}  {_EXPLAINED[state]}")
    console.print(Text(jobs))


def print_plan_as_json(plan: BatchPlan) -> None:
    """One line for each submission, as the batch itself prints them."""
    for item in plan.items:
        facts = {"submission": item.source.label, "seed": item.options.seed}
        click.echo(json.dumps({"event": "planned"} | facts | {"state": item.state, "detail": item.detail}))


def print_outcome(summary: BatchSummary) -> None:
    """Print a line for each submission that this batch judged or gave up."""
    # A batch that found everything judged already prints the leaderboard only.
    if not (summary.outcomes or summary.given_up or summary.blocked):
        return
    table = plain_table("This batch")
    table.add_column("submission", overflow="fold")
    table.add_column("team", max_width=24)
    table.add_column("verdict", no_wrap=True)
    add_figures(table, "accuracy", "complexity")
    table.add_column("record", no_wrap=True)
    for label, outcome in summary.outcomes:
        record = outcome.record
        table.add_row(
            safe(label),
            safe(record.submission.team or NOTHING),
            _verdict(record),
            readable_accuracy(record.evaluation.accuracy if record.evaluation else None),
            readable_count(record.complexity),
            record.record_id[:8],
        )
    for given in [*summary.given_up, *summary.blocked]:
        table.add_row(safe(given.submission), NOTHING, _missing(given), NOTHING, NOTHING, NOTHING)
    result_console().print(table, "")


def _missing(given: GivenUp) -> str:
    """What a submission without a record among the results lacks."""
    return "not stored" if isinstance(given, NotStored) else "not judged"


def _verdict(record: Record) -> str:
    """The verdict; of an entry that does not rank because of its time of receipt, that as well."""
    untimely = summarize(record).untimely
    return f"{record.status.verdict.value}, received {untimely}" if untimely else record.status.verdict.value


def tell_end(summary: BatchSummary) -> None:
    """Say on stderr what could not be judged, why, and what to do."""
    for given in [*summary.given_up, *summary.blocked]:
        say_line(f"{_missing(given).capitalize()}: {given.submission}: {given.reason}")
        if given.hint:
            say_line(f"  Hint: {given.hint}")
    if summary.diagnosis:
        say_line(f"Stopped: {summary.diagnosis}")
        say_line(f"Hint: {summary.hint}" if summary.hint else "Hint: Ask `haet-eval doctor`.")
    if summary.left:
        say_line(f"{summary.left} are left; the same command goes on with them.")
    # A second evaluation of what is only not stored would waste the first.
    elif not all(isinstance(given, NotStored) for given in summary.given_up):
        say_line("`haet-eval doctor` looks at the machine; the same command tries these again.")
