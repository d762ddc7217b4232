"""The outcome of a confirmation, as tables on stdout."""

from collections.abc import Iterable

from rich.text import Text

from haet_eval.cli.tables import plain_table
from haet_eval.cli.text import result_console, safe
from haet_eval.reports.confirmation import Examined, SettledPool
from haet_eval.reports.rows import pool_title
from haet_eval.reports.text import NOTHING


def print_confirmation(settled: Iterable[SettledPool], nothing: str) -> None:
    """A table for each pool: a line for each entry that holds, and the checks of those that do not.

    `nothing` is the sentence that is printed if there is no pool.
    """
    console = result_console()
    pools = list(settled)
    for one in pools:
        table = plain_table(safe(pool_title(one.pool), "bold"))
        for name in ("#", "team", "submission", "result", "why", "record"):
            table.add_column(name, overflow="fold")
        for each in one.examined:
            table.add_row(
                str(each.position),
                safe(each.entry.team or NOTHING),
                safe(each.entry.name or NOTHING),
                _result(each, each in one.confirmed),
                safe(_why(each)),
                each.entry.record_id[:8],
            )
        console.print(table)
        console.print(f"{len(one.confirmed)} of {one.awards} awards are confirmed.")
    if not pools:
        console.print(safe(nothing))


def _result(each: Examined, awarded: bool) -> Text:
    if each.undecided:
        return Text("undecided", "yellow")
    if not each.held:
        return Text("falls", "bold red")
    return Text("confirmed" if awarded else "holds", "bold green")


def _why(each: Examined) -> str:
    fallen = [f"{finding.name}: {finding.detail}" for finding in each.findings if not finding.held]
    return each.undecided or "\n".join(fallen) or f"{len(each.findings)} checks hold"
