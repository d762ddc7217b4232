"""The leaderboard's page in a real browser: headless Chromium, driven as a reader would."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from haet_eval.competition import builtin_competitions, load_competition
from haet_eval.errors import Verdict
from haet_eval.evaluation.repetition import merge
from haet_eval.record import CompetitionInfo, Content, Record, seal
from haet_eval.reports.html import leaderboard_html
from haet_eval.reports.rows import make_leaderboard
from haet_eval.reports.site import site_files
from haet_eval.reports.text import printable
from haet_eval.store import Store
from tests.fixtures.records import make_record, make_training

Scheme: TypeAlias = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

RULES = load_competition("haet2021")

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "'; alert(1); '{{ 7 * 7 }}",
    "datum.constructor.constructor('alert(1)')()",
    "javascript:alert(1)",
    "[x](https://example.org/a.png)",
    '"><a href="https://example.org/">x</a>',
    "\x1b[31mred\x1b]0;owned\x07 \u202egnp.exe",
    "<!-- ",
    "{'image': 'https://example.org/a.png'}",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Skips without Chromium. With HAET_REQUIRE_BROWSER=1, as in CI, that is a failure instead."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("HAET_REQUIRE_BROWSER") == "1":
            pytest.fail("HAET_REQUIRE_BROWSER=1, but there is no chromium")
        pytest.skip("needs chromium, as of `apt-get install chromium`")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass
class Watched:
    """An open page, and what went wrong in it: messages to the console, errors, requests beyond itself."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def names(self) -> list[str]:
        """The names of submissions in the first table that are shown, from top to bottom."""
        return (
            self.page.locator(".ranking")
            .first.locator("tbody tr:visible td:nth-child(2) a")
            .all_inner_texts()
        )


Open = Callable[..., Watched]


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the page of some records. At the end of the test, it must have said and asked nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    opened: list[Watched] = []

    def open_it(
        records: list[Record], width: int = 1200, scheme: Scheme = "light", scripts: bool = True
    ) -> Watched:
        address = write_page(tmp_path, records).as_uri()
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        watched = Watched(context.new_page())
        opened.append(watched)
        watched.page.on("console", lambda message: watched.said.append(message.text))
        watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
        watched.page.on("request", lambda request: watched.asked.append(request.url))
        watched.page.on("dialog", lambda dialog: watched.said.append(f"dialog: {dialog.message}"))
        watched.page.goto(address)
        watched.asked.remove(address)
        if scripts:
            plots = watched.page.locator(".plot")
            expect(watched.page.locator(".plot svg")).to_have_count(plots.count())
        return watched

    yield open_it
    for watched in opened:
        watched.page.context.close()
    assert [watched.said for watched in opened] == [[]] * len(opened)
    assert [watched.asked for watched in opened] == [[]] * len(opened)


def write_page(folder: Path, records: list[Record]) -> Path:
    store = Store(folder / "results")
    for record in records:
        store.add(record)
    listing = store.listing()
    board = make_leaderboard(listing.entries, listing.spreads, everything=True)
    paths = {entry.record_id: path for path, entry in listing.records.items()}
    page = folder / "page.html"
    page.write_text(leaderboard_html(board, paths, map(load_competition, builtin_competitions())), "utf-8")
    return page


def under_rules(record: Record) -> Record:
    """The record, judged by the built-in rules as they are."""
    applied = CompetitionInfo(name=RULES.name, digest=RULES.digest)
    facts = {name: getattr(record, name) for name in Content.model_fields}
    return seal(Content(**facts | {"competition": applied}))


def make_several(name: str, correct: tuple[int, ...]) -> Record:
    """One record of several runs."""
    runs = [under_rules(make_record(name=name, seed=seed, correct=n)) for seed, n in enumerate(correct)]
    return merge(runs, RULES.runs, RULES.tasks["cifar10"].threshold)


def four() -> list[Record]:
    return [
        under_rules(make_record(name="cheap", team="Babbage", training=make_training(10**15), correct=9310)),
        under_rules(
            make_record(name="Middle", team="Lovelace", training=make_training(10**16), correct=9500)
        ),
        under_rules(make_record(name="dear", team="Hopper", training=make_training(10**18), correct=9400)),
        make_several("Again", (9380, 9420, 9460)),
    ]


def test_the_charts_show_every_entry_the_front_and_the_threshold(open_page: Open) -> None:
    page = open_page(four()).page
    points = page.locator("[data-chart=tradeoff-1] .mark-symbol.role-mark path")
    assert points.count() == 4
    assert all((box := point.bounding_box()) and box["width"] > 5 for point in points.all())
    labels = [point.get_attribute("aria-label") or "" for point in points.all()]
    assert any("cheap, Babbage: complexity 1.000×10¹⁵, accuracy 93.10 %" in label for label in labels)
    assert any("94.20 % ± 0.99" in label for label in labels)
    assert page.locator("[data-chart=tradeoff-1] .mark-line path").count() == 1
    assert page.locator("[data-chart=tradeoff-1]").get_by_text("threshold 93.00 %").count() == 1
    bars = page.locator("[data-chart=shares-1] .mark-rect.role-mark path")
    assert bars.count() == 4 * 2
    assert page.locator(".legend li").all_inner_texts() == ["convolution", "pointwise"]


def test_the_table_says_rank_gap_and_interval(open_page: Open) -> None:
    watched = open_page(four())
    assert watched.names() == ["cheap", "Middle", "Again", "dear"]
    rows = [row.inner_text().split("\t") for row in watched.page.locator(".ranking tbody tr").all()]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert [row[3].split() for row in rows][:2] == [["1.000×10¹⁵"], ["1.000×10¹⁶", "×10.00"]]
    assert rows[2][6].split("\n")[:2] == ["94.20 %", "± 0.99"]


def test_columns_sort_by_mouse(open_page: Open) -> None:
    watched = open_page(four())
    header = watched.page.get_by_role("columnheader", name="Accuracy")
    header.get_by_role("button").click()
    assert watched.names() == ["Middle", "Again", "dear", "cheap"]
    expect(header).to_have_attribute("aria-sort", "descending")
    assert watched.page.locator("th[aria-sort]").count() == 1
    header.get_by_role("button").click()
    assert watched.names() == ["cheap", "dear", "Again", "Middle"]
    expect(header).to_have_attribute("aria-sort", "ascending")


def test_columns_of_counts_sort_by_number(open_page: Open) -> None:
    """Also where a small count is shown in full, with commas, and a large one is rounded."""
    sizes = {"thousand": 1_000, "nine": 9, "millions": 11_000_000, "trillions": 3 * 10**12}
    records = [
        under_rules(make_record(name=name, training=make_training(10**17, parameters=size + 100)))
        for name, size in sizes.items()
    ]
    watched = open_page(records)
    watched.page.get_by_role("columnheader", name="Parameters").get_by_role("button").click()
    assert watched.names() == ["nine", "thousand", "millions", "trillions"]


def test_an_interval_is_drawn_of_several_runs_alone(open_page: Open) -> None:
    page = open_page(four()).page
    assert page.locator("[data-chart=tradeoff-1] .mark-rule.role-mark line").count() == 1 + 1  # the threshold
    places = page.locator("[data-chart=tradeoff-1] .mark-text.role-mark text").all_text_contents()
    assert sorted(text for text in places if text.isdigit()) == ["1", "2", "3"]


def test_columns_sort_by_keyboard(open_page: Open) -> None:
    watched = open_page(four())
    keys = watched.page.keyboard
    watched.page.get_by_role("searchbox", name="Filter entries").focus()
    for _ in range(3):  # the region of the table, the ranks, the names
        keys.press("Tab")
    expect(watched.page.get_by_role("button", name="Submission")).to_be_focused()
    keys.press("Enter")
    assert watched.names() == ["Again", "cheap", "dear", "Middle"]
    keys.press("Space")
    assert watched.names() == ["Middle", "dear", "cheap", "Again"]


def test_missing_values_are_sorted_last_in_both_directions(open_page: Open) -> None:
    records = [
        make_record(name="scored", verdict=Verdict.BELOW_THRESHOLD, correct=9000),
        make_record(name="failed", verdict=Verdict.FAILED, reason="x"),
        make_record(name="better", verdict=Verdict.BELOW_THRESHOLD, correct=9100),
    ]
    page = open_page(records).page
    sorter = page.get_by_role("button", name="Accuracy")
    names = page.locator("tbody td:first-child a")
    sorter.click()
    assert names.all_inner_texts() == ["better", "scored", "failed"]
    sorter.click()
    assert names.all_inner_texts() == ["scored", "better", "failed"]


def test_the_filter_hides_what_does_not_match_and_says_how_many_do(open_page: Open) -> None:
    watched = open_page(four())
    page = watched.page
    page.get_by_role("searchbox", name="Filter entries").fill("LOVE middle")
    assert watched.names() == ["Middle"]
    expect(page.get_by_role("status")).to_have_text("1 of 4 entries")
    assert page.locator("details:visible").count() == 1
    page.get_by_role("searchbox").fill("")
    assert len(watched.names()) == 4
    expect(page.get_by_role("status")).to_have_text("")


def test_the_filter_folds_accents_and_says_when_nothing_matches(open_page: Open) -> None:
    records = [under_rules(make_record(name=name, team="Curie")) for name in ("Żółć", "Éléphant")]
    watched = open_page(records)
    search, status = watched.page.get_by_role("searchbox"), watched.page.get_by_role("status")
    search.fill("elephant CURIE")
    assert watched.names() == ["Éléphant"]
    search.fill("éLÉ")
    assert watched.names() == ["Éléphant"]
    search.fill("nobody")
    expect(status).to_have_text("No entry matches: 0 of 2 entries")
    search.fill("")
    expect(status).to_have_text("")


def test_the_charts_follow_the_filter(open_page: Open) -> None:
    page = open_page(four()).page
    points = page.locator("[data-chart=tradeoff-1] .mark-symbol.role-mark path")
    bars = page.locator("[data-chart=shares-1] .mark-rect.role-mark path")
    page.get_by_role("searchbox").fill("hopper")
    expect(points).to_have_count(1)
    expect(bars).to_have_count(2)
    page.get_by_role("searchbox").fill("nobody")
    expect(points).to_have_count(0)
    page.get_by_role("searchbox").fill("")
    expect(points).to_have_count(4)
    expect(bars).to_have_count(8)


def test_a_column_sorts_wherever_its_header_is_clicked(open_page: Open) -> None:
    watched = open_page(four())
    header = watched.page.get_by_role("columnheader", name="Accuracy")
    header.click(position={"x": 3, "y": 3})
    expect(header).to_have_attribute("aria-sort", "descending")
    assert watched.names() == ["Middle", "Again", "dear", "cheap"]


def test_a_phone_shows_the_ranking_before_the_charts(open_page: Open) -> None:
    for width, first in ((390, "table"), (1200, "figure")):
        page = open_page(four(), width=width).page
        tops = {
            name: page.locator(f"section {name}").first.evaluate("one => one.getBoundingClientRect().top")
            for name in ("table", "figure")
        }
        assert min(tops, key=lambda name: tops[name]) == first


def test_a_published_site_leads_to_its_entries_and_records(browser: Browser, tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    for record in four():
        store.add(record)
    listing = store.listing()
    board = make_leaderboard(listing.entries, listing.spreads, everything=True)
    paths = {entry.record_id: path for path, entry in listing.records.items()}
    for name, content in site_files(board, paths, [RULES], tmp_path / "results", "{}"):
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_bytes(content)
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "site" / "index.html").as_uri())
    expect(page.locator(".plot svg")).to_have_count(2)
    page.get_by_role("searchbox").fill("middle")
    expect(page.get_by_role("status")).to_have_text("1 of 4 entries")
    page.get_by_role("link", name="Middle").click()
    expect(page.get_by_role("heading", name="Middle · Lovelace")).to_be_visible()
    page.get_by_role("link", name="All entries").click()
    page.locator("[data-chart=tradeoff-1] .mark-symbol.role-mark path[aria-label*=dear]").click()
    expect(page.get_by_role("heading", name="dear · Hopper")).to_be_visible()
    page.get_by_role("link", name=".json").click()
    assert '"record_id"' in page.content()
    assert said == []
    page.close()


def test_a_name_leads_to_its_section(open_page: Open) -> None:
    page = open_page(four()).page
    assert page.locator("details[open]").count() == 0
    page.get_by_role("link", name="Again").click()
    details = page.locator("details", has=page.get_by_role("heading", name="Again · Lovelace"))
    expect(details).to_have_attribute("open", "")
    expect(details).to_be_in_viewport()
    facts = details.inner_text()
    assert "94.20 %, mean of 3 runs" in facts
    assert "95 % interval of the mean 93.21 % to 95.19 %" in facts
    assert "100,000,000,011,000,000" in facts
    assert details.locator("tbody tr").count() == 1 + 3
    details.locator("summary").press("Enter")
    expect(details).not_to_have_attribute("open", "")


def test_a_point_leads_to_its_section(open_page: Open) -> None:
    page = open_page(four()).page
    page.locator("[data-chart=tradeoff-1] .mark-symbol.role-mark path[aria-label*=dear]").click()
    details = page.locator("details", has=page.get_by_role("heading", name="dear · Hopper"))
    expect(details).to_have_attribute("open", "")


def test_hostile_text_stays_text(open_page: Open) -> None:
    """Also in charts, their tooltips, the filter and the log. The fixture sees dialogs and requests."""
    records = [
        make_record(name=text, team=text, log=text, training=make_training(10 ** (12 + number)))
        for number, text in enumerate(HOSTILE)
    ]
    failed = [make_record(name=f"{text} failed", verdict=Verdict.FAILED, reason=text) for text in HOSTILE]
    watched = open_page([*records, *failed])
    page = watched.page
    assert watched.names() == [printable(text) for text in HOSTILE]
    for number, text in enumerate(HOSTILE, start=1):
        page.locator(f"[data-chart=tradeoff-1] .role-mark path[aria-label^='{number} ·']").hover(force=True)
        expect(page.locator("#vg-tooltip-element")).to_contain_text(printable(text)[:20])
    page.get_by_role("searchbox").fill(HOSTILE[0])
    assert watched.names() == [HOSTILE[0]]
    page.locator("details:visible summary").first.click()
    assert page.locator("details pre:visible").first.inner_text() == HOSTILE[0]
    assert page.locator("img, iframe, object, embed, base, link").count() == 0
    assert page.locator("script:not([type='application/json'])").count() == 2
    assert not page.locator("a:not([href^='#'])").count()


def test_light_and_dark_follow_the_system_until_the_button_is_pressed(open_page: Open) -> None:
    def background(page: Page) -> str:
        return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    light, dark = (open_page(four()[:1], scheme=scheme).page for scheme in SCHEMES)
    white, black = background(light), background(dark)
    assert white == "rgb(255, 255, 255)"
    assert black != white
    light.get_by_role("button", name="Dark colours").click()
    assert background(light) == black
    light.get_by_role("button", name="Light colours").click()
    assert background(light) == white
    dark.get_by_role("button", name="Light colours").click()
    assert background(dark) == white


def test_letters_of_charts_change_with_the_colours(open_page: Open) -> None:
    page = open_page(four()[:1], scheme="dark").page
    letter = "getComputedStyle(document.querySelector('.plot .role-axis-label text')).fill"
    assert page.evaluate(letter) == page.evaluate("getComputedStyle(document.body).color")


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_needs_no_scrolling_sideways(open_page: Open, width: int) -> None:
    long = [make_record(name="x" * 80, team="W" * 80), make_record(name="y", log="z" * 3000)]
    records = [*four(), *map(under_rules, long)]
    page = open_page(records, width=width).page
    for details in page.locator("summary").all():
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    accuracy = page.locator(".ranking").first.locator("tbody tr").first.locator("td:nth-child(4)")
    assert accuracy.inner_text().startswith("1.000×10¹⁵")


def test_without_scripts_the_table_is_there_and_nothing_that_needs_them(open_page: Open) -> None:
    watched = open_page(four(), scripts=False)
    assert watched.names() == ["cheap", "Middle", "Again", "dear"]
    assert watched.page.locator("button:visible, input:visible, figure:visible").count() == 0
    assert watched.page.get_by_text("The charts need JavaScript").is_visible()
    watched.page.get_by_role("link", name="Again").click()
    expect(watched.page.locator("details[open]")).to_have_count(1)


def test_paper_gets_the_charts_and_no_controls(open_page: Open) -> None:
    page = open_page(four(), scheme="dark").page
    page.emulate_media(media="print")
    assert page.locator("button#theme, input, details:visible").locator("visible=true").count() == 0
    assert page.locator("figure:visible").count() == 2
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
