"""Further columns and the Pareto front: what a competition's rules ask leaderboards to show."""

import csv
import dataclasses
import io
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.cli.leaderboard_table import print_leaderboard
from haet_eval.competition import Competition, load_competition
from haet_eval.ranking import Entry, summarize
from haet_eval.reports.csv import leaderboard_csv
from haet_eval.reports.html import leaderboard_html
from haet_eval.reports.markdown import leaderboard_markdown
from haet_eval.reports.pareto import best_in_all
from haet_eval.reports.rows import Leaderboard, leaderboard_rows, make_leaderboard
from haet_eval.reports.rules import explain_rules
from haet_eval.store import Store
from tests.fixtures.records import make_record

RULES = load_competition("digits-memory")


def with_keys(**keys: object) -> Competition:
    return Competition.model_validate(RULES.model_dump() | keys)


def entry(name: str, accuracy: float, peak: int | None, complexity: int) -> Entry:
    return dataclasses.replace(
        summarize(make_record(name=name)),
        competition=RULES.name,
        task="digits",
        ranking="peak_memory",
        rules_digest=RULES.digest,
        judging_digest="0" * 64,
        accuracy=accuracy,
        peak_tensor_bytes=peak,
        complexity=complexity,
        bit_complexity=32 * complexity,
    )


SMALL = entry("small", 0.95, 1000, 900_000)
CHEAP = entry("cheap", 0.95, 2000, 800_000)
GOOD = entry("good", 0.99, 3000, 900_000)
WORSE = entry("worse", 0.95, 2000, 900_000)


def board(rules: Mapping[str, Competition]) -> Leaderboard:
    return make_leaderboard([SMALL, CHEAP, GOOD, WORSE], everything=True, rules=rules)


def test_rows_and_csv_say_who_is_on_the_front() -> None:
    known = board({RULES.digest: RULES})
    assert {row.name: row.on_front for row in leaderboard_rows(known)} == {
        "small": True,
        "cheap": True,
        "good": True,
        "worse": False,
    }
    lines = csv.DictReader(io.StringIO(leaderboard_csv(known)))
    assert {line["name"]: line["on_front"] for line in lines}["worse"] == "false"


def test_without_the_rules_nothing_is_said_of_a_front() -> None:
    unknown = board({})
    assert {row.on_front for row in leaderboard_rows(unknown)} == {None}
    assert "Front" not in leaderboard_markdown(unknown)


def test_markdown_has_the_columns_and_the_mark() -> None:
    text = leaderboard_markdown(board({RULES.digest: RULES}))
    assert "| Accuracy ↑ | Complexity ↓ | Bit complexity ↓ | Front | Source bytes |" in text
    head, *rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in (head, *rows)} == {15}
    assert [line for line in rows if "●" not in line] == [line for line in rows if "| worse |" in line]


def test_the_page_has_the_columns_and_the_mark(tmp_path: Path) -> None:
    store = Store(tmp_path)
    paths = {one.record_id: store.add(make_record(name=one.name or "")) for one in (SMALL, WORSE)}
    shown = make_leaderboard(
        [SMALL, dataclasses.replace(WORSE, accuracy=0.94)], everything=True, rules={RULES.digest: RULES}
    )
    page = leaderboard_html(shown, paths, [RULES])
    table = page[page.index("<table class") : page.index("</table>")]
    assert [name.strip() for name in re.findall(r"<th [^>]*>(\w[\w ]*)", table)[-3:]] == [
        "Complexity",
        "Bit complexity",
        "Front",
    ]
    assert table.count("●") == 1
    assert "No other entry is as good in accuracy and peak memory, complexity, and better" in page


def test_the_table_in_the_terminal_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_leaderboard(board({RULES.digest: RULES}))
    shown = capsys.readouterr().out
    assert "front" in shown
    assert shown.count("●") == 3


def test_an_entry_without_one_of_the_costs_is_on_no_front() -> None:
    rules = with_keys(columns=(), front=("peak_memory", "modelled_energy"), energy_model=ENERGY)
    entries = [dataclasses.replace(SMALL, rules_digest=rules.digest)]
    found = make_leaderboard(entries, everything=True, rules={rules.digest: rules})
    assert [row.on_front for row in leaderboard_rows(found)] == [False]


ENERGY = {"source": "a test", "operation": {"float32": 1.0}, "other_operation": 1.0, "byte": 1.0}


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"columns": ["peak_memory"]}, "take it out of `columns`"),
        ({"front": ["complexity", "complexity"]}, "named twice"),
        ({"columns": ["modelled_energy"]}, r"needs `\[energy_model\]`"),
        ({"ranking": "accuracy", "runner": "native"}, "nothing is"),
    ],
)
def test_columns_that_cannot_be_shown_are_refused(keys: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        with_keys(**keys)


def test_what_is_shown_judges_nobody() -> None:
    plain = with_keys(columns=(), front=())
    assert plain.judging_digest("digits") == RULES.judging_digest("digits")
    assert plain.digest != RULES.digest


def test_the_rules_in_words_name_what_is_shown() -> None:
    lines = {line.name: line.text for line in explain_rules(RULES)[0].lines}
    assert lines["shown too"] == "complexity, bit complexity"
    assert "accuracy and peak memory, complexity together" in lines["front"]


@given(st.dictionaries(st.integers(0, 40), st.tuples(*[st.integers(0, 4)] * 3), max_size=25))
def test_the_front_has_all_that_none_betters(costs: dict[int, tuple[int, int, int]]) -> None:
    def bettered(key: int) -> bool:
        return any(
            other != costs[key] and all(a <= b for a, b in zip(other, costs[key], strict=True))
            for other in costs.values()
        )

    assert best_in_all(costs) == {key for key in costs if not bettered(key)}
