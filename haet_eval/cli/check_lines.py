"""What a check prints: a name and a value on each line, as in the summary of an evaluation."""

from collections.abc import Iterable, Iterator
from typing import Final

from rich.text import Text

from haet_eval.check.estimate import OperationsEstimate
from haet_eval.check.report import CheckReport, Estimates
from haet_eval.check.sample import Sample
from haet_eval.check.standing import Standing
from haet_eval.check.static import StaticCheck
from haet_eval.cli.text import last_lines, print_row, result_console, safe
from haet_eval.competition import Budgets
from haet_eval.record import Record
from haet_eval.reports.text import (
    readable_accuracy,
    readable_count,
    readable_signed,
)
from haet_eval.scoring import shortfall

_NEAR: Final = 1.05
_MIB: Final = 2**20


def print_lines(lines: Iterable[tuple[str, str]], style: str = "") -> None:
    """Print rows; a row without a name goes on with what is above it."""
    console = result_console()
    for name, value in lines:
        print_row(console, Text(f"{name:14}"), safe(value, style))


def print_log(log: str) -> None:
    """Print the end of what the submission printed, its traceback included."""
    result_console().print("", last_lines(log), "", sep="\n", soft_wrap=True)


def submission_lines(report: CheckReport) -> Iterator[tuple[str, str]]:
    """What was read, against its limits."""
    submission, limits = report.submission, report.competition.limits
    yield "submission", f"{submission.name} · {submission.team}"
    yield "task", f"{submission.task} ({report.competition.name})"
    yield "files", f"{len(submission.files)} of {limits.entries} allowed"
    yield "zip", f"{submission.compressed_bytes:,} of {limits.archive_bytes:,} bytes"
    yield "unpacked", f"{submission.source_bytes:,} of {limits.unpacked_bytes:,} bytes"
    yield "zip sha256", submission.archive_sha256
    yield "sha256", f"{submission.sha256} (of the content, however it is zipped)"


def remark_lines(look: StaticCheck) -> Iterator[tuple[str, str]]:
    """What the look at the code found."""
    if not look.remarks:
        yield "code", "no warnings"
    for number, remark in enumerate(look.remarks):
        yield "" if number else "code", f"{remark.path}:{remark.line} {remark.text}"


def literal_lines(look: StaticCheck) -> Iterator[tuple[str, str]]:
    """The literals that weigh most."""
    for number, one in enumerate(look.literals):
        size = f"{one.bytes_compressed:,} bytes when compressed, {one.bytes:,} as written"
        yield "" if number else "literals", f"{one.path}:{one.line} {size}"


def estimate_lines(report: CheckReport) -> Iterator[tuple[str, str]]:
    """Complexity, time and memory, with how they were found."""
    if report.estimates is None:
        return
    estimates, budgets = report.estimates, report.budgets
    operations = estimates.operations
    at_least = "at least " if operations.method == "lower_bound" else ""
    # No sum is printed then: a complexity that a made-up value decides would be read as a promise.
    if operations.method == "cannot_tell":
        yield "+ operations", f"cannot tell; at least {readable_count(operations.low)}"
    elif estimates.complexity is not None:
        yield "complexity", f"{at_least}{readable_count(estimates.complexity)}"
        yield "= parameters", readable_count(estimates.parameters)
    if operations.method != "cannot_tell":
        yield "+ operations", f"{at_least}{readable_count(operations.total)}{_spread(operations)}"
    yield "", operations.basis
    if estimates.charged_operations:
        yield "+ prediction", f"{readable_count(estimates.charged_operations)} above the free ones"
    if not report.real_data:
        yield "", f"on random images: {report.submission.task} is not there (haet-eval data fetch gets it)"
    yield "training", _time(estimates, budgets.wall_seconds)
    if estimates.memory_bytes is not None:
        yield "memory", _memory(estimates.memory_bytes, budgets.memory_bytes)


def _spread(operations: OperationsEstimate) -> str:
    if operations.high is None or operations.low == operations.high:
        return ""
    return f" ({readable_count(operations.low)} to {readable_count(operations.high)})"


def _time(estimates: Estimates, budget_seconds: int) -> str:
    seconds = estimates.seconds
    if seconds is None:
        return estimates.no_seconds
    near = seconds.high < _NEAR * seconds.low
    bounds = "" if near else f" ({seconds.low:,.0f} to {seconds.high:,.0f})"
    over = "; too long, unless the judge's is faster" if seconds.value > budget_seconds else ""
    return f"{seconds.value:,.0f} s{bounds} of {budget_seconds:,} s on this machine{over}"


def _memory(used_bytes: int, budget_bytes: int) -> str:
    over = "; too much" if used_bytes > budget_bytes else ""
    return f"{used_bytes / _MIB:,.0f} of {budget_bytes / _MIB:,.0f} MiB at the peak{over}"


def sample_lines(report: CheckReport) -> Iterator[tuple[str, str]]:
    """What the run has shown beside the count."""
    sample, budgets = report.sample, report.budgets
    if sample is None:
        return
    if sample.score is not None:
        correct = f"{sample.score.correct:,} of {sample.score.total:,} test images"
        threshold = report.competition.task(report.submission.task).threshold
        below = shortfall(sample.score.accuracy, threshold, ())
        short = f"; below the {readable_accuracy(threshold)} that qualify" if below else ""
        yield "accuracy", f"{readable_accuracy(sample.score.accuracy)} ({correct}){short}"
    elif sample.finished and not sample.computed:
        yield "accuracy", "not tried: computing was cut before the training ended (--seconds computes more)"
    yield from _tensor_lines(sample, budgets)
    yield "read back", f"{sample.readback_bytes:,} of {budgets.readback_bytes:,} bytes"
    yield "uploads", f"{sample.upload_bytes:,} of {budgets.upload_bytes:,} bytes"
    if sample.prediction_operations_per_image is not None:
        used = readable_count(round(sample.prediction_operations_per_image))
        free = readable_count(budgets.prediction_free_operations_per_image)
        yield "prediction", f"{used} operations for an image, {free} of them free"


def _tensor_lines(sample: Sample, budgets: Budgets) -> Iterator[tuple[str, str]]:
    """What the tensors of the training take and what its calls move, as far as these were counted."""
    at_least = "" if sample.finished and not sample.is_open else "at least "
    memory, moved = sample.tensor_memory, sample.bytes_moved
    if memory is not None:
        bound = f" of {budgets.peak_tensor_bytes:,}" if budgets.peak_tensor_bytes else ""
        place = f", in {memory.call.operator} ({memory.call.phase})" if memory.call else ""
        yield "tensors", f"{at_least}{memory.peak_bytes:,}{bound} bytes at the peak{place}"
        if memory.call and memory.call.place:
            yield "", f"such a call was first made by {memory.call.place}"
    if moved is not None:
        yield "moved", f"{at_least}{moved.read:,} bytes read, {moved.written:,} written"


def standing_lines(standing: Standing | None) -> Iterator[tuple[str, str]]:
    """The place on the leaderboard."""
    if standing is None:
        return
    kind = "" if standing.official else ", not official"
    best = f"; the first has {readable_count(standing.best)}" if standing.best is not None else ""
    yield "rank", f"{standing.position} of {standing.of} if it qualifies{kind}{best}"


def truth_lines(estimates: Estimates, record: Record) -> Iterator[tuple[str, str]]:
    """By how much the estimates were off."""
    training = record.training
    if training is None:
        return
    off = [_off("operations", estimates.operations.total, training.operations.total)]
    if estimates.seconds is not None:
        off.append(_off("time", estimates.seconds.value, training.wall_seconds))
    if estimates.memory_bytes is not None and training.peak_memory_bytes is not None:
        off.append(_off("memory", estimates.memory_bytes, training.peak_memory_bytes))
    yield "estimate", ", ".join(off)


def _off(what: str, estimated: float, true: float) -> str:
    if estimated == true:
        return f"{what} exact"
    return (
        f"{what} {readable_signed(100 * (estimated / true - 1), 1)} %" if true else f"{what} not comparable"
    )


def verdict_lines(report: CheckReport) -> Iterator[tuple[str, str]]:
    """What stands in the way, or that nothing does."""
    # Only the code was looked at, and a look decides nothing (decision 0081), so there is no verdict.
    if report.invalid is None and report.sample is None and report.record is None:
        if report.competition.runner == "native":
            yield "", f"{report.competition.name} is measured and not counted: --full measures it."
        return
    if report.unfinished:
        yield "verdict", "not finished"
        yield "reason", report.unfinished
    elif report.verdict is None:
        judged = "" if report.record is not None else "; accuracy not judged"
        yield "verdict", f"no failure found{_warnings(report)}{judged}"
    else:
        yield "verdict", report.verdict.value
        yield "reason", f"{report.reason} [{report.code}]" if report.code else report.reason


def _warnings(report: CheckReport) -> str:
    """A reminder of the warnings: they may concern code that this run did not reach."""
    count = len(report.look.remarks)
    return f"; {count} {'warning' if count == 1 else 'warnings'} above" if count else ""
