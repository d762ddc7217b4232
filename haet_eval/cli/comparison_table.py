"""Two records' costs in the terminal, side by side."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from haet_eval.cli.costs_table import add_bar_column, bar_cells, cost_table, more, without_operations
from haet_eval.cli.tables import add_figures, plain_table
from haet_eval.cli.text import result_console, safe
from haet_eval.record import Record, UncountedOperator
from haet_eval.reports.comparison import Comparison, Difference
from haet_eval.reports.text import NOTHING, readable_accuracy, readable_count, readable_signed


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
        console.print(f"{without_operations(before)}, so there is nothing to price.")
        return
    old, new = before.training.operations, after.training.operations
    console.print(f"operations {old.total:,} under version {old.standard} of the standard, as recorded")
    console.print(f"operations {new.total:,} under version {new.standard}, from the recorded calls\n")
    for line in _newly(old.uncounted, new.uncounted, "no longer has a price"):
        console.print(line)
    for line in _newly(new.uncounted, old.uncounted, "now has a price"):
        console.print(line)
    # Only the number of the version differs: all prices that this training uses have stayed.
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
            console.print(_table(title, changed[:lines], whole), more(changed, lines))
        else:
            console.print(f"By {title}: no difference.\n")


def _records(first: Record, second: Record) -> Table:
    table = plain_table()
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
    table = cost_table(f"By {title}", title)
    add_figures(table, "first", "second", "difference", "of first total")
    add_bar_column(table)
    # Every caller leaves out lines without a difference, so this is above 0.
    largest = max(abs(line.difference) for line in lines)
    for line in lines:
        table.add_row(
            safe(line.name or NOTHING),
            readable_count(line.first),
            readable_count(line.second),
            _signed(line.difference),
            f"{readable_signed(100 * line.difference / whole, 2)} %" if whole else NOTHING,
            *bar_cells(abs(line.difference), largest),
        )
    return table


def _signed(difference: int) -> str:
    return f"{'+' if difference > 0 else '−'}{readable_count(abs(difference))}"
