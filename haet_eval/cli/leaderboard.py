"""`haet-eval leaderboard`: rank the records of a results directory."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click
from click.core import ParameterSource

from haet_eval.cli.boundary import say_line
from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.leaderboard_table import print_leaderboard
from haet_eval.cli.options import (
    competition_option,
    receipts_option,
    records_folder,
    results_option,
    task_option,
)
from haet_eval.cli.output_files import remove_file, write_file, write_page
from haet_eval.cli.receipts import read_receipts, timed, warn_of_strangers, warn_of_unknown_times
from haet_eval.competition import (
    Competition,
    builtin_competitions,
    builtin_in_version_1,
    load_competition,
)
from haet_eval.errors import UsageProblem
from haet_eval.listing import Listing
from haet_eval.ranking import Entry
from haet_eval.reports.csv import leaderboard_csv
from haet_eval.reports.markdown import leaderboard_markdown
from haet_eval.reports.rows import Leaderboard, leaderboard_rows, make_leaderboard
from haet_eval.reports.text import printable
from haet_eval.spelling import quoted, suggested_name
from haet_eval.store import Store


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval leaderboard",
        "haet-eval leaderboard --results results/ --competition haet2021 --best",
        "haet-eval leaderboard --all --html leaderboard.html",
        "haet-eval leaderboard --competition rules.toml --site public/",
    ),
)
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@results_option("Folder of records, as DIRECTORY.")
@competition_option("Only this competition, with its number of awards.")
@task_option("Only this task.")
@click.option("--all", "everything", is_flag=True, help="Show unofficial and unqualified records too.")
@click.option("--best", "best_of_team", is_flag=True, help="Rank only the best entry of each team.")
@click.option("--json", is_flag=True, help="Print JSON, counts as decimal strings.")
@click.option("--csv", is_flag=True, help="Print comma-separated values.")
@click.option("--markdown", is_flag=True, help="Print Markdown tables.")
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one self-contained page with charts.",
)
@click.option(
    "--site",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a folder to publish: that page, the records, a page for each entry, CSV and JSON.",
)
@receipts_option
@click.option("--phase", metavar="NAME", help="Rank only the entries of this phase of --competition.")
def leaderboard(
    directory: Path | None,
    results: Path,
    competition: str | None,
    task: str | None,
    everything: bool,
    best_of_team: bool,
    page: Path | None,
    site: Path | None,
    receipts: Path | None,
    phase: str | None,
    **styles: bool,
) -> None:
    """Rank the records in DIRECTORY, or in the folder of --results, by the cost that their rules name.

    Ranked are qualified submissions that ran in Docker on the published data, and that came in time if the
    competition has a calendar.
    """
    style = _style(styles)
    rules = load_competition(competition) if competition else None
    # Records do not hold the phases of a calendar, so without the rules the option would do nothing.
    if phase is not None and rules is None:
        raise click.UsageError("--phase needs --competition, which says when phases close.")
    name = rules.name if rules else None
    folder = records_folder(directory, results)
    listing = Store(folder).listing()
    _check_task(task, {entry.task for entry in listing.entries if entry.task is not None})
    times = read_receipts(receipts) if receipts is not None else {}
    entries = list(timed(listing.entries, rules, times, phase))
    board = make_leaderboard(
        (entry for entry in entries if _matches(entry, name, task)),
        listing.spreads,
        everything=everything,
        # A site publishes every entry. With --phase, entries of other phases have no place, and say why.
        rest_too=site is not None or phase is not None,
        best_of_team=best_of_team,
        awards=rules.awards if rules else None,
        rules={known.digest: known for known in _known_rules(rules)},
    )
    if page is not None:
        _write_page(page, board, listing, rules)
    if site is not None:
        _write_site(site, board, listing, rules, folder)
    # A page and a format may be made in one call; the table is left out if a file was asked for.
    if (page is None and site is None) or style is not None:
        _print(board, listing, style)
    # On stderr and after the result, so that a reader of stdout gets data alone.
    _warn(board, listing)
    if receipts is not None:
        warn_of_strangers(receipts, listing.entries, times)
    warn_of_unknown_times(place.entry for place in board.ranked)
    _tell_hidden(board.hidden, everything=everything)


def _style(styles: Mapping[str, bool]) -> str | None:
    """The wanted format. One on the command line comes before one of the environment or of a file."""
    ctx = click.get_current_context()
    wanted = [name for name, given in styles.items() if given]
    # HAET_JSON=1 in the environment must not make `--csv` on the command line an error.
    typed = [name for name in wanted if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    chosen = typed or wanted
    if len(chosen) > 1:
        options = " and ".join(f"--{name}" for name in chosen)
        raise click.UsageError(f"{options} exclude each other: give one of them.")
    return chosen[0] if chosen else None


def _check_task(task: str | None, known: set[str]) -> None:
    # Without any record there is nothing to compare the name with: an empty leaderboard is the answer.
    if task is not None and known and task not in known:
        raise UsageProblem(
            f"no record here is of the task {quoted(task)}{suggested_name(task, known)}",
            f"The tasks of these records are {', '.join(sorted(known))}.",
            code="task-unknown",
        )


def _matches(entry: Entry, competition: str | None, task: str | None) -> bool:
    return competition in (None, entry.competition) and task in (None, entry.task)


def _print(board: Leaderboard, listing: Listing, style: str | None) -> None:
    match style:
        case "json":
            click.echo(_as_json(board, listing))
        case "csv":
            click.echo(leaderboard_csv(board), nl=False)
        case "markdown":
            click.echo(leaderboard_markdown(board), nl=False)
        case _:
            print_leaderboard(board)


def _write_page(page: Path, board: Leaderboard, listing: Listing, rules: Competition | None) -> None:
    from haet_eval.reports.html import leaderboard_html

    text = leaderboard_html(board, _paths(listing), _known_rules(rules))
    write_page(page, text)


def _write_site(
    site: Path, board: Leaderboard, listing: Listing, rules: Competition | None, folder: Path
) -> None:
    from haet_eval.reports.site import site_files, stale_files

    document = _as_json(board, listing) + "\n"
    written = set()
    for name, content in site_files(board, _paths(listing), _known_rules(rules), folder, document):
        write_file(site / name, content)
        written.add(name)
    ours, others = stale_files(site, written)
    # A record that was withdrawn must not stay on the web.
    for path in ours:
        remove_file(path)
        say_line(f"{path}: removed, its entry is no longer listed")
    for path in others:
        say_line(f"{path}: left, it is not of this site")
    say_line(f"{site}: {len(written):,} files; begin with {site / 'index.html'}")


def _paths(listing: Listing) -> dict[str, Path]:
    return {entry.record_id: path for path, entry in listing.records.items()}


def _known_rules(rules: Competition | None) -> list[Competition]:
    names = builtin_competitions()
    # Records of schema version 1 name the digest of the rules as version 0.1.0 read them.
    built_in = [*map(load_competition, names), *map(builtin_in_version_1, names)]
    return [*built_in, *([rules, rules.as_in_version_1()] if rules else [])]


def _as_json(board: Leaderboard, listing: Listing) -> str:
    problems = [{"file": problem.path.name, "reason": problem.reason} for problem in listing.problems]
    entries = [asdict(row) for row in leaderboard_rows(board)]
    return json.dumps({"entries": entries, "hidden": board.hidden, "problems": problems}, indent=2)


def _warn(board: Leaderboard, listing: Listing) -> None:
    for problem in listing.problems:
        say_line(f"Broken record {problem.path.name}: {problem.reason}")
    for name, digests in board.changed_rules().items():
        versions = ", ".join(digest[:8] for digest in digests)
        click.echo(
            printable(
                f"The rules of {name} differ between its records, which rank apart (digests {versions})."
            ),
            err=True,
        )
    for name, standards in board.mixed_standards().items():
        click.echo(
            printable(
                f"Records of {name} that are ranked together were priced under versions "
                f"{' and '.join(map(str, standards))} of the counting standard; "
                "haet-eval explain RECORD --reprice shows what a record costs under the present one."
            ),
            err=True,
        )


def _tell_hidden(count: int, *, everything: bool) -> None:
    """Why entries are not shown, and by which option they are."""
    if count and everything:
        click.echo(f"Not shown: {count} (bettered by the same team); leave out --best to see them.", err=True)
    elif count:
        click.echo(
            f"Not shown: {count} (not official, not qualified, not counted, or bettered); --all shows them.",
            err=True,
        )
