"""The result of one evaluation, as a table on stdout."""

from pathlib import Path
from typing import Final

from rich.text import Text

from haet_eval.cli.text import last_lines, print_row, result_console, safe
from haet_eval.errors import ExitCode, Verdict
from haet_eval.ranking import summarize
from haet_eval.record import AccuracyStatistics, Record, Statistics, Status, Training
from haet_eval.reports.audit import AUDIT_NAMES, audit_lines
from haet_eval.reports.figure import cost
from haet_eval.reports.text import (
    NOTHING,
    readable_accuracy,
    readable_count,
    readable_joules,
)

_STYLES: Final = {ExitCode.QUALIFIED: "bold green", ExitCode.NOT_QUALIFIED: "bold yellow"}


def print_summary(record: Record, path: Path) -> None:
    """Print verdict, score, complexity and rank, and the end of the log of what did not qualify."""
    console = result_console()
    verdict = record.status.verdict
    for name, value in (("verdict", verdict.value), *_rows(record), ("record", str(path))):
        style = _STYLES.get(verdict.exit_code, "bold red") if name == "verdict" else ""
        row = Text(f"{name:14} "[: max(14, len(name) + 1)]), safe(value, style)
        if name == "record":  # a path is to be copied
            console.print(row[0] + row[1], soft_wrap=True)
        else:
            print_row(console, *row)
    # A short log is all in the head; the tail is empty then.
    tail = record.log.tail or record.log.head
    # Also below the threshold: what the submission printed may explain it.
    if tail.strip() and verdict is not Verdict.QUALIFIED:
        console.print("", "end of the submission's output:", last_lines(tail), sep="\n", soft_wrap=True)


def _reason(status: Status) -> str:
    return f"{status.reason} [{status.code}]" if status.code else status.reason


def _rows(record: Record) -> list[tuple[str, str]]:
    rows = [("submission", f"{record.submission.name or NOTHING} · {record.submission.team or NOTHING}")]
    if record.competition is not None:
        rows.append(("task", f"{record.submission.task or NOTHING} ({record.competition.name})"))
    if record.status.reason:
        rows += [("stage", record.status.stage), ("reason", _reason(record.status))]
    if record.statistics is not None:
        rows += _runs(record, record.statistics)
    elif record.evaluation is not None:
        score = record.evaluation
        correct = f"{score.correct:,} of {score.total:,} test images"
        balanced = ", balanced" if score.metric == "balanced_accuracy" else ""
        rows.append(("accuracy", f"{readable_accuracy(score.accuracy)}{balanced} ({correct})"))
    return rows + _cost(record) + _audit(record) + _rank(record)


def _runs(record: Record, statistics: Statistics) -> list[tuple[str, str]]:
    """A line for each run, also for one that failed, and their statistics."""
    rows = []
    for number, run in enumerate(record.runs or (), start=1):
        accuracy = readable_accuracy(run.evaluation.accuracy if run.evaluation else None)
        facts = f"{accuracy:>9}  {readable_count(run.complexity):>12}  seed {run.seed}  {run.status.verdict}"
        rows.append((f"run {number}", facts))
    if statistics.accuracy is not None:
        rows.append(("accuracy", _spread(statistics.accuracy)))
    if statistics.p_value is not None:
        rows.append(("p", f"{statistics.p_value:.3g}, one-sided"))
    return rows


def _spread(accuracy: AccuracyStatistics) -> str:
    text = f"mean {readable_accuracy(accuracy.mean)} of {accuracy.runs} runs"
    if accuracy.standard_deviation is None or accuracy.confidence_95 is None:
        return text
    low, high = map(readable_accuracy, accuracy.confidence_95)
    return (
        f"{text}, standard deviation {readable_accuracy(accuracy.standard_deviation)}, 95 %: {low} to {high}"
    )


def _cost(record: Record) -> list[tuple[str, str]]:
    return _native_cost(record) + _counted_cost(record)


def _native_cost(record: Record) -> list[tuple[str, str]]:
    """The cost of a training on plain tensors, and after it the count, if there is one."""
    native, energy = record.native, record.energy
    if native is None:
        return []
    nodes = f" on {native.nodes} nodes" if native.nodes > 1 else ""
    late = ", judged by its last checkpoint" if native.checkpoint_used else ""
    rows = [("training", f"{native.wall_seconds:,.1f} s{nodes}{late}")]
    if energy is not None and energy.joules is None:
        rows.append(("energy", f"not known: {energy.note or 'the run ended before that'}"))
    elif energy is not None:
        of = f", mean of {energy.iterations} predictions" if energy.iterations > 1 else ""
        rows.append(("energy", f"{readable_joules(energy.joules)}, {energy.kind} by {energy.meter}{of}"))
    if native.parameters is not None and record.training is None:
        rows.append(("parameters", f"{readable_count(native.parameters.total)}, as the submission says"))
    return rows


def _counted_cost(record: Record) -> list[tuple[str, str]]:
    training = record.training
    if training is None:
        return []
    parameters = training.parameters
    charged = record.evaluation and record.evaluation.charged_operations
    return [
        ("complexity", readable_count(record.complexity)),
        ("= parameters", readable_count(parameters.total if parameters else None)),
        ("+ operations", readable_count(training.operations.total)),
        *([("+ prediction", f"{readable_count(charged)} above the free ones")] if charged else []),
        *_ranked_figure(record),
        ("counted in" if record.native else "training", f"{training.wall_seconds:,.1f} s{_parts(training)}"),
    ]


def _ranked_figure(record: Record) -> list[tuple[str, str]]:
    """What the rules rank by, if it is counted and not the complexity."""
    ranking = record.competition.ranking if record.competition else "complexity"
    if ranking not in ("peak_memory", "bit_complexity", "modelled_energy"):
        return []
    figure = cost(ranking)
    units = {"peak_memory": " bytes", "modelled_energy": ", by the rules' model, not measured"}
    return [(figure.name, figure.readable(figure.of(summarize(record))) + units.get(ranking, ""))]


def _audit(record: Record) -> list[tuple[str, str]]:
    return [
        ("" if number else AUDIT_NAMES[audit.kind], line)
        for audit in record.audits
        for number, line in enumerate(audit_lines(audit))
    ]


def _rank(record: Record) -> list[tuple[str, str]]:
    if record.rank is None:
        return []
    official = "" if record.rank.official else ", not official"
    return [("rank", f"{record.rank.position} of {record.rank.of}{official}")]


def _parts(training: Training) -> str:
    """How often a training went on after an interruption, or began again."""
    if training.resumed is None:
        return ""
    parts, restarts = len(training.resumed.parts), training.resumed.restarts
    in_parts = f", in {parts} parts" if parts > 1 else ""
    return f"{in_parts}, begun again {restarts} times" if restarts else in_parts
