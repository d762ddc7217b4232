"""Two records' costs in the terminal, side by side."""

from collections.abc import Iterable
from typing import Final

from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from haet_eval.cli.text import bars_fit, result_console, safe
from haet_eval.record import Record, UncountedOperator
from haet_eval.reports.comparison import Comparison, Difference
from haet_eval.reports.text import NOTHING, readable_accuracy, readable_count, readable_signed

_BAR_CELLS: Final = 16


def print_comparison(comparison: Comparison, lines: int) -> None:
    """Print both records and their differences on stdout, `lines` long at most, the largest first."""
    console = result_console()
    first, second = comparison.first.record, comparison.second.record
    console.print(_records(first, second), "")
    if not comparison.one_standard:
        console.print(
            "They were priced under different versions of the standard; --reprice prices both alike.\n"
        )
    _print_differences(comparison, lines)


def print_repricing(comparison: Comparison, lines: int) -> None:
    """Print what the present version of the counting standard changes of a record, on stdout."""
    console = result_console()
    before, after = (side.record for side in (comparison.first, comparison.second))
    if before.training is None or after.training is None:
        why = "It trained on plain tensors" if before.native else "It never came to training"
        console.print(f"{why}, so there is nothing to price.")
        return
    old, new = before.training.operations, after.training.operations
    console.print(f"operations {old.total:,} under version {old.standard} of the standard, as recorded")
    console.print(f"operations {new.total:,} under version {new.standard}, from the recorded calls\n")
    for line in _newly(old.uncounted, new.uncounted, "no longer has a price"):
        console.print(line)
    for line in _newly(new.uncounted, old.uncounted, "now has a price"):
        console.print(line)
    if old == new.model_copy(update={"standard": old.standard}):
        console.print("Nothing changed.")
        return
    _print_differences(comparison, lines)


def _newly(
    before: Iterable[UncountedOperator], after: Iterable[UncountedOperator], what: str
) -> Iterable[Text]:
    """The operators that are uncounted afterwards and were not before."""
    known = {line.operator for line in before}
    return (safe(f"{line.operator} {what}.") for line in after if line.operator not in known)


def _print_differences(comparison: Comparison, lines: int) -> None:
    console = result_console()
    whole = comparison.first.total
    parts = {"phase": comparison.phases, "family": comparison.families, "operator": comparison.operators}
    if comparison.calls is not None:
        parts["call"] = comparison.calls
    for title, differences in parts.items():
        changed = [line for line in differences if line.difference]
        if changed:
            console.print(_table(title, changed[:lines], whole), _more(changed, lines))
        else:
            console.print(f"By {title}: no difference.\n")


def _records(first: Record, second: Record) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for heading, record in (("first", first), ("second", second)):
        table.add_column(Text.assemble(heading, " ", safe(record.record_id)), justify="right")
    for name, *values in _quantities(first, second):
        table.add_row(name, *map(safe, values))
    return table


def _quantities(first: Record, second: Record) -> Iterable[tuple[str, str, str]]:
    both = (first, second)
    rows = {
        "team": [record.submission.team or NOTHING for record in both],
        "submission": [record.submission.name or NOTHING for record in both],
        "verdict": [record.status.verdict.value for record in both],
        "accuracy": [readable_accuracy(r.evaluation.accuracy if r.evaluation else None) for r in both],
        "complexity": [_exact(record.complexity) for record in both],
        "parameters": [_parameters(record) for record in both],
        "operations": [_exact(r.training.operations.total if r.training else None) for r in both],
        "of prediction": [_exact(r.evaluation.charged_operations if r.evaluation else None) for r in both],
    }
    return ((name, one, other) for name, (one, other) in rows.items())


def _parameters(record: Record) -> str:
    counted = record.training.parameters if record.training else None
    return _exact(counted.total if counted else None)


def _exact(count: int | None) -> str:
    return NOTHING if count is None else f"{count:,}"


def _table(title: str, lines: list[Difference], whole: int) -> Table:
    heading = Text(f"By {title}", "bold")
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False, header_style="dim")
    table.add_column(title, overflow="fold")
    for column in ("first", "second", "difference", "of first total"):
        table.add_column(column, justify="right", no_wrap=True)
    if bars_fit():
        table.add_column("", width=_BAR_CELLS)
    largest = max(abs(line.difference) for line in lines)
    for line in lines:
        bar = [Bar(largest, 0, abs(line.difference), width=_BAR_CELLS)] if bars_fit() else []
        table.add_row(
            safe(line.name or NOTHING),
            readable_count(line.first),
            readable_count(line.second),
            _signed(line.difference),
            f"{readable_signed(100 * line.difference / whole, 2)} %" if whole else NOTHING,
            *bar,
        )
    return table


def _signed(difference: int) -> str:
    return f"{'+' if difference > 0 else '−'}{readable_count(abs(difference))}"


def _more(lines: list[Difference], shown: int) -> str:
    return f"… and {len(lines) - shown} more; --lines shows them.\n" if len(lines) > shown else ""
