"""A leaderboard as a folder to publish: page, records, a page an entry, CSV, JSON; links are relative."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from haet_eval import __version__
from haet_eval.competition import Competition
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.ranking import Entry, Ranked
from haet_eval.reports.csv import leaderboard_csv
from haet_eval.reports.dossier import make_dossier
from haet_eval.reports.html import leaderboard_html, page_environment, page_policy, page_style
from haet_eval.reports.rows import Leaderboard, by_pool
from haet_eval.reports.rules import RulesSection, explain_rules
from haet_eval.reports.text import printable
from haet_eval.results_folder import CONFIRMED, RECORD_NAME, confirmation_folder
from haet_eval.store import read_listed

# Pages of entries, and records whose own names cannot be addresses.
_MADE: Final = re.compile(r"[0-9a-f]{16}\.(html|json)")


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
        record, content = read_listed(paths[name])
        dossier = make_dossier(paths[name], record, places.get(name), whole=True)
        page = template.render(dossier=dossier, site=site, policy=page_policy([]), style=page_style())
        yield f"entries/{name}.html", page.encode()
        # The bytes and not the model: signatures and digests are of the file.
        yield f"records/{site.files[name]}", content


def stale_files(site: Path, written: Collection[str]) -> tuple[list[Path], list[Path]]:
    """Files of entries that an earlier site had in this folder, and files that no site has made.

    `written` are the paths that `site_files` gave for the present site.
    """
    beside = [
        path
        for folder in ("entries", "records")
        for path in sorted((site / folder).glob("*"))
        if f"{folder}/{path.name}" not in written
    ]
    ours = [path for path in beside if _MADE.fullmatch(path.name) or RECORD_NAME.fullmatch(path.name)]
    return ours, [path for path in beside if path not in ours]


def _site(
    leaderboard: Leaderboard,
    paths: Mapping[str, Path],
    rules: Sequence[Competition],
    folder: Path,
    now: datetime,
) -> SitePage:
    applied = {entry.rules_digest for entry in _entries(leaderboard)}
    names = sorted({place.pool.competition for place in leaderboard.ranked})
    mine = {one.name: one for one in rules if one.digest in applied}
    confirmed = [name for name in names if _is_confirmed(leaderboard, rules, folder, name)]
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


def _is_confirmed(
    leaderboard: Leaderboard, rules: Iterable[Competition], folder: Path, competition: str
) -> bool:
    """Whether `haet-eval confirm` has filled the podiums that are shown, by its document."""
    digests = {one.digest for one in rules if one.name == competition}
    try:
        # The site may be built while `confirm` has not run, or by hand: a strange document confirms nothing.
        document = json.loads(
            read_file(folder / confirmation_folder(competition) / CONFIRMED, MAX_TEXT_BYTES)
        )
        # `is True`: any other value, such as a text, comes from elsewhere.
        if document["full"] is not True or document["sandbox"] != "docker":
            return False
        if digests and document["rules"] not in digests:
            return False
        confirmed = set(document["confirmed"])
        fallen = {one["record_id"] for one in document["entries"] if not (one["held"] or one["undecided"])}
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return False
    official = [
        list(places)
        for pool, places in by_pool(leaderboard)
        if pool.competition == competition and not pool.unofficial
    ]
    # A record that fell keeps its place on the leaderboard. Another record of its submission may have held.
    held = {one.submission_sha256 for one in _entries(leaderboard) if one.record_id in confirmed}
    return bool(official) and all(_holds(places, confirmed, fallen, held) for places in official)


def _holds(places: Sequence[Ranked], confirmed: set[str], fallen: set[str], held: set[str]) -> bool:
    """Whether the first places of a pool, without those that fell, are confirmed."""
    awards = sum(place.awarded for place in places)
    entries = [place.entry for place in places]
    # By the records' ids: an entry that came later than the confirmation was not examined.
    standing = [
        one.record_id in confirmed or one.record_id in fallen
        for one in entries
        if one.record_id not in fallen or one.submission_sha256 in held
    ]
    return len(standing) >= awards and all(standing[:awards])


def _entries(leaderboard: Leaderboard) -> list[Entry]:
    return [*(place.entry for place in leaderboard.ranked), *leaderboard.unranked]
