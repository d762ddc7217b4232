"""`haet-eval explain`: where the operations of a training went."""

import json
from pathlib import Path

import click

from haet_eval.cli.costs_table import print_costs
from haet_eval.counting.histogram import Histogram
from haet_eval.errors import UsageProblem
from haet_eval.record import Record
from haet_eval.reports.costs import costs_document, explain_costs
from haet_eval.store import Store, read_record


@click.command()
@click.argument("record", metavar="RECORD")
@click.option(
    "--results",
    default="results",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where to look for a record that is named by its id.",
)
@click.option("--lines", default=15, show_default=True, type=click.IntRange(1), help="Lines of each table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every line, counts as decimal strings.")
def explain(record: str, results: Path, lines: int, as_json: bool) -> None:
    """Show where the operations of a training went: by phase, by operator, by call.

    RECORD is a record's file, or the beginning of its id. Single calls are shown where the operation
    histogram lies beside the record.
    """
    path = Path(record) if Path(record).exists() else Store(results).find(record)
    found = read_record(path)
    costs = explain_costs(found, _histogram(path, found))
    if as_json:
        click.echo(json.dumps(costs_document(costs), indent=2))
    else:
        print_costs(costs, lines)


def _histogram(path: Path, record: Record) -> Histogram | None:
    """The histogram beside the record, None where there is none.

    Raises:
        UsageProblem: it is not the one that the record names, or no histogram.
    """
    if record.training is None:
        return None
    data = Store(path.parent).read_artifact(record.training.histogram)
    try:
        return None if data is None else Histogram.from_json(data)
    except ValueError as error:
        raise UsageProblem(f"the histogram beside {path} cannot be read: {error}") from None
