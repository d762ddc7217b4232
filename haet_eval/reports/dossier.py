"""What the page says of one entry: its facts, where its operations went, its runs, the end of its log."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haet_eval.errors import UsageProblem
from haet_eval.ranking import Ranked
from haet_eval.record import Record, Training
from haet_eval.reports.audit import AUDIT_NAMES, audit_lines
from haet_eval.reports.costs import Costs, explain_costs, find_histogram
from haet_eval.reports.roofline import Roofline, draw_roofline
from haet_eval.reports.rows import pool_title
from haet_eval.reports.text import (
    NOTHING,
    printable,
    printable_lines,
    readable_accuracy,
    readable_joules,
    readable_moment,
    readable_seconds,
    readable_share,
)

_OPERATORS: Final = 4
_LOG_LINES: Final = 10
# Two hundred entries may have a section on one page, so each is short (decision 0063).
_LOG_CHARACTERS: Final = 600
_DESCRIPTION_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it is, as text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RunLine:
    """One of several runs."""

    seed: int
    verdict: str
    accuracy: float | None
    complexity: int | None


@dataclass(frozen=True, slots=True)
class Dossier:
    """The section of one entry; every text is printable. `file_name` is that of its record.

    `roofline` is None where the operation histogram is not beside the record, or no operator computes.
    """

    record_id: str
    title: str
    file_name: str
    description: str
    facts: list[Fact]
    runs: list[RunLine]
    log: str
    whole_log: str = ""
    roofline: Roofline | None = None


def make_dossier(path: Path, record: Record, place: Ranked | None, *, whole: bool = False) -> Dossier:
    """The section of a record that lies in a file, and of its place, if it has one.

    With `whole`, it has all of the log that the record has. If the operation histogram beside the record is
    not the one that it names, a fact says so: it keeps no other entry from being shown.
    """
    costs, fault = _costs(path, record)
    return Dossier(
        record_id=record.record_id,
        title=_title(record),
        file_name=printable(path.name),
        description=_shortened(record.submission.description or ""),
        # An empty value is no fact, so generators above yield "" for what a record lacks.
        facts=[Fact(name, printable(value)) for name, value in _facts(record, costs, fault, place) if value],
        runs=[
            RunLine(
                run.seed,
                run.status.verdict.value,
                run.evaluation.accuracy if run.evaluation else None,
                run.complexity,
            )
            for run in record.runs or ()
        ],
        log=_end_of_log(record),
        whole_log=_log(record) if whole else "",
        roofline=draw_roofline(costs.traffic or (), costs.balance),
    )


def _costs(path: Path, record: Record) -> tuple[Costs, str]:
    """The costs, and what is wrong with the histogram; then they are those of the record alone."""
    try:
        return explain_costs(record, find_histogram(path, record)), ""
    except UsageProblem as problem:
        # The page may be published: it does not show where the organizer's files lie.
        return explain_costs(record, None), problem.message.replace(f"{path.parent}/", "")


def _title(record: Record) -> str:
    submission = record.submission
    name = submission.name or submission.archive_name or NOTHING
    return f"{printable(name)} · {printable(submission.team or NOTHING)}"


def _facts(record: Record, costs: Costs, fault: str, place: Ranked | None) -> Iterator[tuple[str, str]]:
    if place is not None:
        yield "Rank", f"{place.position} of {place.of} in {pool_title(place.pool)}"
    yield "Verdict", f"{record.status.verdict.value} {record.status.reason}"
    yield from _score(record)
    for audit in record.audits:
        yield AUDIT_NAMES[audit.kind].capitalize(), "; ".join(audit_lines(audit))
    yield from _cost(record)
    yield from _shares(costs)
    yield "Operation histogram", fault
    yield from _machine(record)
    yield from _origin(record)


def _score(record: Record) -> Iterator[tuple[str, str]]:
    score, several = record.evaluation, record.statistics and record.statistics.accuracy
    if several:
        yield "Accuracy", f"{readable_accuracy(several.mean)}, mean of {several.runs} runs"
        if several.standard_deviation is not None and several.confidence_95 is not None:
            low, high = map(readable_accuracy, several.confidence_95)
            spread = f"standard deviation {100 * several.standard_deviation:.2f} points"
            yield "Spread", f"{spread}; 95 % interval of the mean {low} to {high}"
    elif score:
        correct = f"{score.correct:,} of {score.total:,} test images"
        balanced = ", balanced" if score.metric == "balanced_accuracy" else ""
        yield "Accuracy", f"{readable_accuracy(score.accuracy)}{balanced} ({correct})"


def _cost(record: Record) -> Iterator[tuple[str, str]]:
    training = record.training
    if record.complexity is not None:
        yield "Complexity", f"{record.complexity:,}"
    if training is None:
        return
    operations, parameters = training.operations, training.parameters
    yield "Operations", f"{operations.total:,} (standard {operations.standard})"
    if parameters is not None:
        kinds = ("trainable", "frozen", "buffers")
        parts = [f"{getattr(parameters, kind):,} {kind}" for kind in kinds if getattr(parameters, kind)]
        yield "Parameters", f"{parameters.total:,} ({', '.join(parts) or 'none'})"
    yield from _counted(training)
    if record.evaluation and record.evaluation.charged_operations:
        yield "Prediction", f"{record.evaluation.charged_operations:,} operations above the free ones"
    yield "Training", readable_seconds(training.wall_seconds)


def _counted(training: Training) -> Iterator[tuple[str, str]]:
    """Figures that older records do not have: memory of the tensors, bits, bytes, modelled energy."""
    memory, widths, moved = training.memory, training.precision, training.bytes_moved
    line = memory and memory.call and memory.call.line
    made = f"; such a call was first made by {line}" if line else ""
    yield "Tensors", f"{memory.peak_bytes:,} bytes at the peak, counted{made}" if memory else NOTHING
    yield "Bit operations", f"{widths.bit_operations:,}" if widths else NOTHING
    yield "Moved", f"{moved.read:,} bytes read, {moved.written:,} written" if moved else NOTHING
    if training.modelled_joules is not None:
        yield "Energy", f"{readable_joules(training.modelled_joules)} by the rules' model, not measured"


def _shares(costs: Costs) -> Iterator[tuple[str, str]]:
    yield "By phase", ", ".join(f"{line.phase} {readable_share(line.share)}" for line in costs.phases)
    dearest = costs.operators[:_OPERATORS]
    yield "By operator", ", ".join(f"{line.operator} {readable_share(line.share)}" for line in dearest)


def _machine(record: Record) -> Iterator[tuple[str, str]]:
    where = record.environment
    yield "Ran on", f"{where.accelerator or where.cpu} ({where.device}), {where.sandbox}, seed {where.seed}"
    yield "With", f"torch {where.torch or NOTHING}, Python {where.python}, haet-eval {where.haet_eval}"


def _origin(record: Record) -> Iterator[tuple[str, str]]:
    submission = record.submission
    files = "1 file" if len(submission.files) == 1 else f"{len(submission.files)} files"
    compressed = submission.source_bytes_compressed
    zipped = f", {compressed:,} compressed" if compressed is not None else ""
    yield "Source", f"{files}, {submission.source_bytes:,} bytes{zipped}"
    # Text and no link: a contestant must not send readers of the page elsewhere (decision 0063).
    yield "Paper", submission.paper or ""
    yield "File", submission.archive_name or ""
    received = submission.received_at
    yield "Received", readable_moment(received) if received else ""
    yield "Submission", f"sha256 {submission.sha256}"
    yield "Trace", f"sha256 {record.trace.sha256}" if record.trace else ""
    yield "Image", record.environment.image_digest or ""


def _end_of_log(record: Record) -> str:
    text = (record.log.tail or record.log.head).rstrip()[-_LOG_CHARACTERS:]
    return printable_lines("\n".join(text.splitlines()[-_LOG_LINES:]))


def _log(record: Record) -> str:
    log = record.log
    dropped = f"\n… {log.dropped_bytes:,} bytes are not in the record …\n" if log.dropped_bytes else ""
    return printable_lines(f"{log.head}{dropped}{log.tail}".strip())


def _shortened(text: str) -> str:
    line = printable(text)
    return line if len(line) <= _DESCRIPTION_CHARACTERS else f"{line[:_DESCRIPTION_CHARACTERS]}…"
