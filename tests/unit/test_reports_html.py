"""The page as a file. What a browser makes of it is tested in tests/integration/test_page_in_browser.py."""

import base64
import hashlib
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from haet_eval.competition import builtin_competitions, load_competition
from haet_eval.errors import Verdict
from haet_eval.record import Content, Record, seal
from haet_eval.reports.html import MOST_DOSSIERS, leaderboard_html
from haet_eval.reports.rows import make_leaderboard
from haet_eval.store import Store
from tests.fixtures.records import make_record, make_training

REPOSITORY = Path(__file__).parents[2]

MEBIBYTE = 2**20


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "results")
    store.prepare()
    return store


def render(store: Store, *records: Record) -> str:
    for record in records:
        store.add(record)
    listing = store.listing()
    board = make_leaderboard(listing.entries, listing.spreads, everything=True)
    paths = {entry.record_id: path for path, entry in listing.records.items()}
    return leaderboard_html(board, paths, map(load_competition, builtin_competitions()))


class Elements(HTMLParser):
    """What there is in a page, without what is in its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_a_record_that_names_a_task_which_its_rules_do_not_have_is_shown(store: Store) -> None:
    rules = load_competition("haet2021")
    record = make_record(task="cifar1000")
    parts = {name: getattr(record, name) for name in Content.model_fields}
    named = record.competition and record.competition.model_copy(update={"digest": rules.digest})
    assert "cifar1000" in render(store, make_record(), seal(Content(**parts | {"competition": named})))


def test_two_hundred_entries_with_long_texts_take_less_than_two_mebibytes(store: Store) -> None:
    log = "".join(f"epoch {n}: <loss> & accuracy {n / 7}\n" for n in range(500))
    records = [
        make_record(name=f"{'name ' * 15}{n}", team="t" * 80, log=log, training=make_training(10**15 + n))
        for n in range(200)
    ]
    page = render(store, *records)
    assert len(page.encode()) < 2 * MEBIBYTE
    assert len(Elements(page).all("details")) == 200


def test_a_page_of_two_thousand_entries_takes_at_most_two_megabytes(store: Store) -> None:
    count = 2_000
    records = (
        make_record(
            name=f"Submission {n}",
            team=f"Team {n}",
            training=make_training(10**15 + n * 10**12),
            correct=9300 + n % 600,
        )
        for n in range(count)
    )
    page = render(store, *records)
    assert len(page.encode()) <= 2_000_000
    elements = Elements(page)
    assert len(elements.all("time")) == count
    shown = [text.strip() for text in elements.text]
    assert all(shown.count(f"Submission {n}") == 1 for n in (0, 199, 200, count - 1))


def test_entries_beyond_the_sections_are_in_the_table_all_the_same(store: Store) -> None:
    count = MOST_DOSSIERS + 3
    page = render(
        store, *(make_record(name=f"n{n}", training=make_training(10**15 + n)) for n in range(count))
    )
    elements = Elements(page)
    assert len(elements.all("details")) == MOST_DOSSIERS
    assert len(elements.all("time")) == count
    assert "3 more entries have no section here" in page


def test_equal_records_give_equal_pages(store: Store) -> None:
    assert render(store, make_record()) == render(store)


def test_an_empty_directory_gives_a_page_that_says_so(store: Store) -> None:
    assert "No qualified submission yet." in render(store)


def test_the_policy_allows_these_scripts_and_nothing_else(store: Store) -> None:
    page = render(store, make_record(), make_record(name="weak", verdict=Verdict.BELOW_THRESHOLD))
    policy = next(meta for meta in Elements(page).all("meta") if "http-equiv" in meta)["content"] or ""
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 2
    assert unescape(policy) == (
        f"default-src 'none'; script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}';"
        " style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "\x1b[2J",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_of_a_record_becomes_an_element_or_an_address(store: Store, name: str) -> None:
    harmless = Elements(render(store, make_record(name="name", log="log")))
    (path,) = store.listing().records
    path.unlink()
    page = render(store, make_record(name=name, team=name, log=name))
    elements = Elements(page)
    assert [tag for tag, _ in elements.tags] == [tag for tag, _ in harmless.tags]
    assert not any("src" in attributes for _, attributes in elements.tags)
    assert all((link["href"] or "").startswith("#") for link in elements.all("a"))
    assert "\x1b" not in page


def test_a_threshold_is_shown_under_the_rules_that_were_applied_only(store: Store) -> None:
    """The fixture's record names other rules of that name."""
    assert "1 entry, 1 awarded." in render(store, make_record())


def test_without_the_extra_the_error_names_the_package_to_install(tmp_path: Path) -> None:
    """In a Python that cannot find the libraries."""
    program = "import sys; sys.modules['vl_convert'] = None; from haet_eval.cli.main import main; main()"
    Store(tmp_path / "results").add(make_record())
    command = [sys.executable, "-c", program, "leaderboard", str(tmp_path / "results"), "--html", "page.html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "pip install 'haet-eval[page]'" in done.stderr
    assert not (tmp_path / "page.html").exists()
