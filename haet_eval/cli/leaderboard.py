"""`haet-eval leaderboard`: rank the records of a results directory."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from haet_eval.listing import Listing
    from haet_eval.ranking import Entry
    from haet_eval.reports.rows import Leaderboard


@click.command()
@click.argument("directory", default="results", type=click.Path(path_type=Path))
@click.option("--competition", metavar="NAME|FILE", help="Only this competition, with its number of awards.")
@click.option("--task", metavar="NAME", help="Only this task.")
@click.option("--all", "everything", is_flag=True, help="Show unofficial and unqualified records too.")
@click.option("--best", "best_of_team", is_flag=True, help="Rank only the best entry of each team.")
@click.option("--json", "style", flag_value="json", help="Print JSON, counts as decimal strings.")
@click.option("--csv", "style", flag_value="csv", help="Print comma-separated values.")
@click.option("--markdown", "style", flag_value="markdown", help="Print Markdown tables.")
@click.option("--html", "style", flag_value="html", help="Print one self-contained page.")
def leaderboard(
    directory: Path,
    competition: str | None,
    task: str | None,
    everything: bool,
    best_of_team: bool,
    style: str | None,
) -> None:
    """Rank the records in DIRECTORY (./results unless given): least complexity first.

    Ranked are qualified submissions that ran in Docker on the published data.
    """
    from haet_eval.reports.rows import make_leaderboard
    from haet_eval.store import Store

    name, awards = _rules(competition)
    listing = Store(directory).listing()
    chosen = [entry for entry in listing.entries if _matches(entry, name, task)]
    board = make_leaderboard(chosen, everything=everything, best_of_team=best_of_team, awards=awards)
    _print(board, listing, style)
    _warn(board, listing)


def _rules(competition: str | None) -> tuple[str | None, int]:
    """Name of the competition to show, and how many submissions of a task are awarded."""
    from haet_eval.competition import load_competition

    if competition is None:
        return None, 3
    rules = load_competition(competition)
    return rules.name, rules.awards


def _matches(entry: "Entry", competition: str | None, task: str | None) -> bool:
    return competition in (None, entry.competition) and task in (None, entry.task)


def _print(board: "Leaderboard", listing: "Listing", style: str | None) -> None:
    match style:
        case "json":
            click.echo(_as_json(board, listing))
        case "csv":
            from haet_eval.reports.csv import leaderboard_csv

            click.echo(leaderboard_csv(board), nl=False)
        case "markdown":
            from haet_eval.reports.markdown import leaderboard_markdown

            click.echo(leaderboard_markdown(board), nl=False)
        case "html":
            from haet_eval.reports.html import leaderboard_html

            click.echo(leaderboard_html(board), nl=False)
        case _:
            from haet_eval.cli.leaderboard_table import print_leaderboard

            print_leaderboard(board)


def _as_json(board: "Leaderboard", listing: "Listing") -> str:
    from haet_eval.reports.rows import leaderboard_rows

    problems = [{"file": problem.path.name, "reason": problem.reason} for problem in listing.problems]
    document = {
        "entries": list(map(asdict, leaderboard_rows(board))),
        "hidden": board.hidden,
        "problems": problems,
    }
    return json.dumps(document, indent=2)


def _warn(board: "Leaderboard", listing: "Listing") -> None:
    from haet_eval.reports.text import printable

    for problem in listing.problems:
        click.echo(printable(f"Broken record {problem.path.name}: {problem.reason}"), err=True)
    if board.hidden:
        click.echo(
            f"Not shown: {board.hidden} (unofficial, not qualified or bettered; see --help).", err=True
        )
