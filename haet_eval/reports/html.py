"""A leaderboard as one self-contained page with charts; nothing is fetched when it is read."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from haet_eval.competition import Competition
from haet_eval.errors import EnvironmentProblem
from haet_eval.record import Record
from haet_eval.reports.dossier import make_dossier
from haet_eval.reports.rows import FRONT, Leaderboard, by_pool
from haet_eval.reports.section import PoolSection
from haet_eval.reports.text import NOTHING, printable, readable_accuracy, readable_count, readable_spread
from haet_eval.store import read_listed

if TYPE_CHECKING:
    from haet_eval.reports.site import SitePage

MOST_DOSSIERS: Final = 200
"""Entries with a section of their own; the others are in the tables and charts only."""

_PAGES: Final = files("haet_eval") / "resources" / "pages"


def leaderboard_html(
    leaderboard: Leaderboard,
    paths: Mapping[str, Path],
    rules: Iterable[Competition] = (),
    site: "SitePage | None" = None,
) -> str:
    """A page with tables, charts and a section for each of the first entries.

    Args:
        leaderboard: what is shown.
        paths: the file of each entry's record, by its id.
        rules: competitions that may have been applied; they say where a threshold is.
        site: what lies next to the page; None for a page on its own.

    Raises:
        EnvironmentProblem: the extra `page` is not installed, or a record was removed since it was listed.
        UsageProblem: a record cannot be read.
    """
    scripts = [_charting_library(), (_PAGES / "leaderboard.js").read_text("utf-8")]
    places = {place.entry.record_id: place for place in leaderboard.ranked}
    shown = [*places, *(entry.record_id for entry in leaderboard.unranked)]
    # The rest of the page is made from entries, so a folder of thousands of records is not read twice.
    records = {name: read_listed(paths[name])[0] for name in shown[:MOST_DOSSIERS]}
    known = {competition.digest: competition for competition in rules}
    content = {
        "title": _title(leaderboard, known.values()),
        "sections": list(_sections(leaderboard, records, known)),
        "leaderboard": leaderboard,
        "records": records,
        "dossiers": [make_dossier(paths[name], record, places.get(name)) for name, record in records.items()],
        "left_out": len(shown) - len(records),
        "site": site,
        "mark": FRONT,
    }
    return (
        page_environment()
        .get_template("leaderboard.html")
        .render(
            content,
            policy=page_policy(scripts),
            scripts=scripts,
            style=page_style(),
        )
    )


def _sections(
    leaderboard: Leaderboard, records: Mapping[str, Record], rules: Mapping[str, Competition]
) -> Iterator[PoolSection]:
    for pool, those in by_pool(leaderboard):
        places = list(those)
        leader = records.get(places[0].entry.record_id)
        # By digest and not by name: another version of these rules may have another threshold.
        applied = rules.get(leader.competition.digest) if leader and leader.competition else None
        # A forged record may name known rules and a task that they do not have.
        task = applied.tasks.get(pool.task) if applied else None
        yield PoolSection(pool, places, leaderboard, records, task.threshold if task else None)


def _title(leaderboard: Leaderboard, rules: Iterable[Competition]) -> str:
    """The competition's full name, if the page is about one competition and its rules are available."""
    names = {place.pool.competition for place in leaderboard.ranked}
    titles = {competition.title for competition in rules if {competition.name} == names}
    # Two versions of one competition may differ in title; then neither is right for the page.
    return f"{printable(*titles)}: leaderboard" if len(titles) == 1 else "Leaderboard"


# Bundling is slow, and one process may make several pages.
@cache
def _charting_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, in the version that altair writes for."""
    if not all(map(find_spec, ("altair", "vl_convert"))):
        raise EnvironmentProblem(
            "the page's charts need two more libraries", "pip install 'haet-eval[page]'", code="extra-missing"
        )
    from altair import SCHEMA_VERSION
    from vl_convert import javascript_bundle

    # `vl_convert` names versions by their first two numbers.
    version = SCHEMA_VERSION.rpartition(".")[0]
    return str(javascript_bundle(snippet="window.vegaEmbed = vegaEmbed;", vl_version=version))


def page_policy(scripts: Iterable[str]) -> str:
    """Nothing is fetched or sent; of all scripts, these alone run, and they compile no text into code."""
    # By digest, so that a script that a hostile name smuggles into the page does not run (decision 0063).
    digests = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        # Vega sets styles inline. Nothing can be fetched, so a style has no way to send anything out.
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline';"
        " base-uri 'none'; form-action 'none'"
    )


def page_style() -> str:
    """The style of all pages."""
    return (_PAGES / "leaderboard.css").read_text("utf-8")


def page_environment() -> Environment:
    """The templates of the pages; all that is put into them is escaped."""
    environment = Environment(
        loader=PackageLoader("haet_eval", "resources/pages"),
        autoescape=select_autoescape(["html"]),
        # A misspelt name in a template raises, instead of leaving a gap on the page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "accuracy": readable_accuracy,
        "count": readable_count,
        "day": lambda moment: f"{moment:%Y-%m-%d}",
        "moment": lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "spread": readable_spread,
        "printable": lambda text: printable(text or NOTHING),
        "words": lambda verdict: verdict.replace("_", " ").replace(":", ": "),
    }
    return environment
