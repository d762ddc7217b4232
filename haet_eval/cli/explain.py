"""`haet-eval explain`: where the operations of a training went."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from haet_eval.cli.comparison_table import print_comparison, print_repricing
from haet_eval.cli.costs_table import print_costs
from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.numbers import Number, WholeNumber
from haet_eval.cli.options import json_option, results_option
from haet_eval.cli.output_files import write_page
from haet_eval.cli.places_table import print_places
from haet_eval.cli.records import find_records
from haet_eval.cli.suggestions import suggest_records
from haet_eval.cli.timeline_table import print_timeline
from haet_eval.errors import UsageProblem
from haet_eval.operators.standard import nearest, under
from haet_eval.record import Record
from haet_eval.remote.labels import TemplateLabels
from haet_eval.remote.recount import recount
from haet_eval.remote.timeline import Timeline, memory_timeline
from haet_eval.remote.trace import BrokenTrace
from haet_eval.reports.comparison import compare_costs, comparison_document, reprice
from haet_eval.reports.costs import MACHINE_BALANCE, Costs, costs_document, explain_costs, find_histogram
from haet_eval.reports.places import CostPlaces, places_document, places_of
from haet_eval.reports.timeline import timeline_document
from haet_eval.store import Store, find_record, read_record


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval explain 3f2a91c0",
        "haet-eval explain 3f2a91c0 --compare 77b0d1e4",
        "haet-eval explain results/RECORD.json --reprice --lines 30",
        "haet-eval explain 3f2a91c0 --modules",
        "haet-eval explain results/RECORD.json --memory",
        "haet-eval explain results/RECORD.json --memory --html memory.html",
    ),
)
@click.argument("records", metavar="RECORD…", nargs=-1, required=True, shell_complete=suggest_records)
@click.option(
    "--compare", metavar="OTHER", shell_complete=suggest_records, help="Compare with a second record."
)
@click.option(
    "--reprice",
    "repricing",
    is_flag=True,
    help="Price the recorded calls under the present version of the standard, and show what changes.",
)
@results_option("Folder in which ids of records are looked up.")
@click.option(
    "--modules",
    "by_place",
    is_flag=True,
    help="Show the operations by line and by module, as the submission names them; needs the trace.",
)
@click.option(
    "--memory",
    "timeline",
    is_flag=True,
    help="Show how the tensors' memory went up and down, and what it was at its peak; needs the trace.",
)
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --memory, write a page with the course of the memory as a plot.",
)
@click.option(
    "--balance",
    default=MACHINE_BALANCE,
    show_default=True,
    type=Number(min=0),
    metavar="OPERATIONS",
    help="Operations that the machine does while it moves a byte: with fewer, a call is bound by memory.",
)
@click.option("--lines", default=15, show_default=True, type=WholeNumber(1), help="Lines of each table.")
@json_option("Print JSON: every line, counts as decimal strings.")
def explain(
    records: tuple[str, ...],
    compare: str | None,
    repricing: bool,
    results: Path,
    by_place: bool,
    timeline: bool,
    page: Path | None,
    balance: float,
    lines: int,
    as_json: bool,
) -> None:
    """Show where the operations of a training went: by phase, family of operators, operator, dtype and call.

    Also the bytes that its calls move, and the peak of its tensors' memory.

    RECORD is a record's file, the beginning of its id, or a folder of records. Single calls are shown if the
    operation histogram lies beside the record. Signatures among the files are skipped.
    """
    # A folder stands for many records, so the number of names is known only after this.
    names = [str(path) for path in find_records(records, results)]
    if timeline + by_place + (compare is not None or repricing) > 1:
        raise click.UsageError("--memory, --modules, and --compare with --reprice are shown one at a time.")
    if page is not None and (not timeline or as_json):
        raise click.UsageError("--html goes with --memory, and without --json.")
    if len(names) > 1:
        if compare is not None or repricing or timeline or by_place or as_json:
            raise click.UsageError("--compare, --reprice, --memory, --modules and --json take one record.")
        _print_each((_costs(name, results, balance) for name in names), lines)
        return
    (record,) = names
    # Before --memory alone: the page is the memory's, and the terminal shows nothing then.
    if page is not None:
        _write_course(page, read_record(find_record(record, results)), _timeline(record, results))
    elif timeline:
        course = _timeline(record, results)
        _print_document(timeline_document(course)) if as_json else print_timeline(course, lines)
    elif by_place:
        places = _places(record, results)
        _print_document(places_document(places)) if as_json else print_places(places, lines)
    elif compare is not None:
        first, second = (_costs(name, results, balance, repriced=repricing) for name in (record, compare))
        comparison = compare_costs(first, second)
        _print_document(comparison_document(comparison)) if as_json else print_comparison(comparison, lines)
    elif repricing:
        before, after = (_costs(record, results, balance, repriced=repriced) for repriced in (False, True))
        comparison = compare_costs(before, after)
        _print_document(comparison_document(comparison)) if as_json else print_repricing(comparison, lines)
    else:
        costs = _costs(record, results, balance)
        _print_document(costs_document(costs)) if as_json else print_costs(costs, lines)


def _print_each(several: Iterable[Costs], lines: int) -> None:
    for number, costs in enumerate(several):
        click.echo("\n" * (number > 0), nl=False)
        print_costs(costs, lines)


def _print_document(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2))


def _write_course(page: Path, record: Record, course: Timeline) -> None:
    from haet_eval.reports.course import memory_page

    write_page(page, memory_page(record, course))


def _costs(name: str, results: Path, balance: float, *, repriced: bool = False) -> Costs:
    """The costs of the record of that file name or id, as it was priced or as it would be now.

    Raises:
        UsageProblem: there is no such record, or nothing to price again.
    """
    path = find_record(name, results)
    record = read_record(path)
    histogram = find_histogram(path, record)
    if repriced and record.training is not None:
        if histogram is None:
            raise UsageProblem(
                f"the operation histogram of {path} is not beside it, so it cannot be priced again",
                f"Copy {record.training.histogram.sha256}.histogram.json to {path.parent / 'artifacts'}.",
                code="histogram-missing",
            )
        # With `repriced`, an interrupted record without a training is shown as it is.
        record = reprice(record, histogram)
    return explain_costs(record, histogram, balance)


def _timeline(name: str, results: Path) -> Timeline:
    """The course of the memory of a record's tensors. Raises UsageProblem as `_trace` does."""
    record, store, trace = _trace(name, results, "the course of its memory is not known")
    try:
        return memory_timeline(trace, _labels(record, store))
    except BrokenTrace as fault:
        raise _broken(trace, fault) from None


def _places(name: str, results: Path) -> CostPlaces:
    """The operations of a record's training by place.

    Raises:
        UsageProblem: as `_trace` does, or the submission has named no places.
    """
    record, store, trace = _trace(name, results, "the operations of its lines are not known")
    standard = record.training.operations.standard if record.training else 0
    try:
        # The prices of the record's own version, so that the places add up to the total that it states.
        with under(nearest(standard)):
            operations = recount(trace).operations_by_template
    except BrokenTrace as fault:
        raise _broken(trace, fault) from None
    places = places_of(operations, _labels(record, store))
    if not places.labelled:
        raise UsageProblem(
            f"the record {record.record_id} names no lines of its calls, or the file with them is missing",
            "Records from before lines were kept have none: evaluate the submission again.",
            code="labels-missing",
        )
    return places


def _trace(name: str, results: Path, lost: str) -> tuple[Record, Store, Path]:
    """A record, its store and its trace.

    Raises:
        UsageProblem: there is no such record, or its trace is not next to it or was changed.
    """
    path = find_record(name, results)
    record, store = read_record(path), Store(path.parent)
    trace = store.unchanged_path(record.trace) if record.trace else None
    if trace is None:
        raise UsageProblem(
            f"the trace of {path} is not there, so {lost}",
            "A record of a counted training names its trace; keep the folder `artifacts` next to the record.",
            code="trace-missing",
        )
    return record, store, trace


def _broken(trace: Path, fault: BrokenTrace) -> UsageProblem:
    return UsageProblem(f"{trace} cannot be read: {fault}", code="trace-unreadable")


def _labels(record: Record, store: Store) -> TemplateLabels:
    """What the submission said of its calls; nothing of an older record, or if the file is not there.

    Raises:
        UsageProblem: it is not the file that the record names.
    """
    kept = record.training.labels if record.training else None
    data = store.read_artifact(kept) if kept else None
    if data is None:
        return TemplateLabels()
    try:
        return TemplateLabels.from_json(data)
    except ValueError as error:
        raise UsageProblem(
            f"the labels of the record's calls cannot be read: {error}",
            "Move the file that ends in .labels.json away: the course is shown without labels then.",
            code="labels-unreadable",
        ) from None
