"""A leaderboard as a folder to publish: page, records, a page an entry, CSV, JSON; links are relative."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from haet_eval import __version__
from haet_eval.competition import Competition
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.reports.csv import leaderboard_csv
from haet_eval.reports.dossier import make_dossier
from haet_eval.reports.html import leaderboard_html, page_environment, page_policy, page_style
from haet_eval.reports.rows import Leaderboard
from haet_eval.reports.rules import RulesSection, explain_rules
from haet_eval.reports.text import printable
from haet_eval.results_folder import CONFIRMED, confirmation_folder
from haet_eval.store import read_record


@dataclass(frozen=True, slots=True)
class SitePage:
    """What the page of a site has beyond a page on its own.

    `files` are the names of the records' files, by id. `confirmed` are the competitions whose podium was
    confirmed, `provisional` the others.
    """

    made: str
    organizers: Sequence[str]
    rules: Sequence[RulesSection]
    files: Mapping[str, str]
    confirmed: Sequence[str]
    provisional: Sequence[str]


def site_files(
    leaderboard: Leaderboard,
    paths: Mapping[str, Path],
    rules: Iterable[Competition],
    folder: Path,
    document: str,
    now: datetime | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Each file of the site: its path in the folder of the site, and its content.

    Args:
        leaderboard: what is shown.
        paths: the file of each entry's record, by its id.
        rules: competitions that may have been applied.
        folder: the results folder, which may have confirmations of podiums.
        document: the leaderboard as JSON.
        now: when the site is made; the present time if None.

    Raises:
        EnvironmentProblem: the extra `page` is not installed.
        UsageProblem: a record cannot be read.
    """
    known = list(rules)
    places = {place.entry.record_id: place for place in leaderboard.ranked}
    shown = [*places, *(entry.record_id for entry in leaderboard.unranked)]
    site = _site(leaderboard, {name: paths[name] for name in shown}, known, folder, now or datetime.now(UTC))
    yield "index.html", leaderboard_html(leaderboard, paths, known, site).encode()
    yield "leaderboard.csv", leaderboard_csv(leaderboard).encode()
    yield "leaderboard.json", document.encode()
    template = page_environment().get_template("entry.html")
    for name in shown:
        dossier = make_dossier(paths[name], read_record(paths[name]), places.get(name), whole=True)
        page = template.render(dossier=dossier, site=site, policy=page_policy([]), style=page_style())
        yield f"entries/{name}.html", page.encode()
        # The bytes and not the model: signatures and digests are of the file.
        yield f"records/{site.files[name]}", paths[name].read_bytes()


def _site(
    leaderboard: Leaderboard,
    paths: Mapping[str, Path],
    rules: Sequence[Competition],
    folder: Path,
    now: datetime,
) -> SitePage:
    entries = [*(place.entry for place in leaderboard.ranked), *leaderboard.unranked]
    applied = {entry.rules_digest for entry in entries}
    names = sorted({place.pool.competition for place in leaderboard.ranked})
    mine = {one.name: one for one in rules if one.digest in applied}
    confirmed = [name for name in names if _is_confirmed(folder, name)]
    return SitePage(
        made=f"{now:%Y-%m-%d %H:%M} UTC with haet-eval {__version__}",
        organizers=sorted({printable(one.organizer) for one in mine.values() if one.organizer}),
        rules=[section for one in mine.values() for section in explain_rules(one)],
        files={name: _published_name(path, name) for name, path in paths.items()},
        confirmed=confirmed,
        provisional=[name for name in names if name not in confirmed],
    )


def _published_name(path: Path, record_id: str) -> str:
    """The name of a record's file on the site: its own, unless an address cannot have it."""
    try:
        path.name.encode()
    except UnicodeEncodeError:  # the name in the results folder is not UTF-8
        return f"{record_id}.json"
    return path.name


def _is_confirmed(folder: Path, competition: str) -> bool:
    """Whether `haet-eval confirm` has filled the podium, by its document in the results folder."""
    try:
        # The site may be built while `confirm` has not run, or by hand: a strange document confirms nothing.
        document = json.loads(
            read_file(folder / confirmation_folder(competition) / CONFIRMED, MAX_TEXT_BYTES)
        )
    except (OSError, ValueError, RecursionError):
        return False
    # `is True`: any other value, such as a text, comes from elsewhere.
    return isinstance(document, dict) and document.get("full") is True
