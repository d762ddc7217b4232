"""The cost of a training in the terminal."""

from collections.abc import Iterable, Sized
from typing import Final

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from haet_eval.cli.tables import add_figures, plain_table
from haet_eval.cli.text import bars_fit, result_console, safe
from haet_eval.counting.costs import CallCost
from haet_eval.record import Record, TensorMemory, Training
from haet_eval.reports.costs import (
    Costs,
    DtypeShare,
    FamilyShare,
    OperatorShare,
    OperatorTraffic,
    PhaseShare,
)
from haet_eval.reports.text import NOTHING, readable_count, readable_share

_BAR_CELLS: Final = 16


def print_costs(costs: Costs, lines: int) -> None:
    """Print a summary and a table each for phases, families, operators and calls, `lines` long at most."""
    console = result_console()
    _print_summary(console, costs.record)
    training = costs.record.training
    if training is None:
        return
    console.print(_phases(costs.phases), "")
    console.print(_families(costs.families), "")
    console.print(_operators(costs.operators[:lines]), more(costs.operators, lines))
    console.print(_prices(costs.operators[:lines]), "")
    if costs.dtypes:
        console.print(_dtypes(costs.dtypes), "")
    if costs.traffic:
        console.print(_traffic(costs.traffic[:lines], costs.balance), more(costs.traffic, lines))
    _print_memory(console, training.memory)
    if costs.calls:
        console.print(_calls(costs.calls[:lines], training.operations.total), more(costs.calls, lines))
    if training.operations.uncounted:
        console.print(_uncounted(training))


def _print_summary(console: Console, record: Record) -> None:
    who = f"{record.submission.team or NOTHING} · {record.submission.name or NOTHING} · {record.record_id}"
    console.print(safe(who, "bold"))
    console.print(safe(f"{record.status.verdict.value}. {record.status.reason}".strip()))
    training = record.training
    if training is None:
        console.print(f"{without_operations(record)}, so there are no operations to explain.")
        return
    parameters = training.parameters.total if training.parameters else None
    console.print(
        f"complexity {readable_count(record.complexity)}"
        f" = parameters {readable_count(parameters)}"
        f" + operations {readable_count(training.operations.total)}{_of_prediction(record)}\n"
    )


def without_operations(record: Record) -> str:
    """Why a record has no counted operations."""
    return "It trained on plain tensors" if record.native else "It never came to training"


def _of_prediction(record: Record) -> str:
    charged = record.evaluation and record.evaluation.charged_operations
    return f" + prediction {readable_count(charged)}" if charged else ""


def _phases(lines: Iterable[PhaseShare]) -> Table:
    table = cost_table("By phase", "phase")
    add_cost_columns(table)
    for line in lines:
        table.add_row(safe(line.phase), *cost_cells(line.operations, line.share))
    return table


def _families(lines: Iterable[FamilyShare]) -> Table:
    table = cost_table("By family of the price table", "family")
    add_cost_columns(table, "calls")
    for line in lines:
        name = safe(line.family or NOTHING)
        table.add_row(name, readable_count(line.calls), *cost_cells(line.operations, line.share))
    return table


def _operators(lines: Iterable[OperatorShare]) -> Table:
    table = cost_table("By operator", "operator")
    add_cost_columns(table, "calls")
    for line in lines:
        cost = cost_cells(line.operations, line.share)
        table.add_row(safe(line.operator), readable_count(line.calls), *cost)
    return table


def _prices(lines: Iterable[OperatorShare]) -> Table:
    table = cost_table("What a call of them costs: n elements of the result, |in| of the input", "operator")
    table.add_column("operations")
    for line in lines:
        table.add_row(safe(line.operator), safe(line.formula or NOTHING))
    return table


def _dtypes(lines: Iterable[DtypeShare]) -> Table:
    table = cost_table("By dtype of the widest operand", "dtype")
    add_cost_columns(table, "bits", "bit operations")
    for line in lines:
        counts = str(line.bits), readable_count(line.bit_operations)
        table.add_row(safe(line.dtype), *counts, *cost_cells(line.operations, line.share))
    return table


def _traffic(lines: Iterable[OperatorTraffic], balance: float) -> Table:
    title = f"By bytes moved; bound by memory below {balance:g} operations for each byte (--balance)"
    table = cost_table(title, "operator")
    add_figures(table, "calls", "read", "written", "operations/byte", "bound by")
    for line in lines:
        counts = map(readable_count, (line.calls, line.read, line.written))
        bound = "memory" if line.bound_by_memory else "arithmetic"
        table.add_row(safe(line.operator), *counts, f"{line.intensity:.2f}", bound)
    return table


def _print_memory(console: Console, memory: TensorMemory | None) -> None:
    """The peak of the tensors, and what it consists of; a dash for records from before it was counted."""
    if memory is None:
        console.print(f"peak of the tensors {NOTHING}\n")
        return
    parts = ""
    if memory.model_bytes is not None:
        parts = f" = model {memory.model_bytes:,} + other {memory.other_bytes:,}"
    console.print(f"peak of the tensors {memory.peak_bytes:,} bytes{parts}")
    if memory.call is not None:
        call = memory.call
        console.print(safe(f"reached at call {call.number:,}, {call.operator}, in {call.phase}"))
        if call.place:
            console.print(safe(f"such a call was first made by {call.place}"))
    console.print(f"the training set takes {memory.training_set_bytes:,} bytes beside it\n")


def _calls(lines: Iterable[CallCost], whole: int) -> Table:
    table = cost_table("By call", "operator and tensors")
    add_cost_columns(table, "each", "calls")
    for line in lines:
        share = line.operations / whole if whole else 0.0
        name = safe(f"{line.operator} {line.shapes}")
        counts = readable_count(line.each), readable_count(line.calls)
        table.add_row(name, *counts, *cost_cells(line.operations, share))
    return table


def _uncounted(training: Training) -> Table:
    table = cost_table("Not in the counting standard: these make the run uncountable", "operator")
    add_figures(table, "calls")
    table.add_column("tensors")
    table.add_column("what to do")
    for line in training.operations.uncounted:
        table.add_row(
            safe(line.operator), readable_count(line.calls), safe("; ".join(line.shapes)), safe(line.hint)
        )
    return table


def cost_table(title: str, first_column: str) -> Table:
    """A table whose first column may be folded."""
    table = plain_table(Text(title, "bold"))
    table.add_column(first_column, overflow="fold")
    return table


def add_cost_columns(table: Table, *counts: str) -> None:
    """Columns of counts, and those of `cost_cells`."""
    add_figures(table, *counts, "operations", "share")
    add_bar_column(table)


def add_bar_column(table: Table) -> None:
    """The column of `bar_cells`."""
    # Checked in both places: a row must have as many cells as the table has columns.
    if bars_fit():
        table.add_column("", width=_BAR_CELLS)


def bar_cells(part: float, whole: float) -> list[Bar]:
    """A bar, if there is room."""
    return [Bar(whole, 0, part, width=_BAR_CELLS)] if bars_fit() else []


def cost_cells(operations: int, share: float) -> list[str | Bar]:
    """Operations, their share, and a bar if there is room."""
    return [readable_count(operations), readable_share(share), *bar_cells(share, 1.0)]


def more(lines: Sized, shown: int) -> str:
    """How many lines a table has left out; "" if it has all."""
    return f"… and {len(lines) - shown} more; --lines shows them.\n" if len(lines) > shown else ""
