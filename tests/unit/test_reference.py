"""The generated pages of the reference say what the code says."""

import re
from collections.abc import Callable

import pytest

from haet_eval.competition.rules import key_names
from scripts.export_errors import PAGE as ERRORS_PAGE
from scripts.export_errors import entries, errors_page
from scripts.export_reference import COMPETITION_PAGE, PAGE, competition_page, record_page

UNIT = re.compile(
    r"\b(bytes|bits|seconds|joules|watts|percentage points|fractions?|probability|how many|units|number)\b",
    re.IGNORECASE,
)
"""What a number of a record is in. A `number` of something counts it from 1, or is drawn."""


def test_the_page_of_the_record_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == record_page(), "run `python -m scripts.export_reference`"


def test_every_field_of_a_record_is_explained_and_every_number_has_a_unit() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*) \|$", record_page(), re.MULTILINE)
    assert len(rows) > 180
    for field, kind, meaning in rows:
        assert meaning.endswith("."), f"{field} is not explained"
        if re.search(r"\b(count|integer|number)\b", kind):
            assert UNIT.search(meaning), f"{field} has no unit: {meaning}"


@pytest.mark.parametrize("page", [record_page, competition_page])
def test_no_line_says_a_sentence_twice(page: Callable[[], str]) -> None:
    for line in page().splitlines():
        sentences = [sentence for sentence in re.split(r"[.;|] ", line.rstrip(".|")) if len(sentence) > 20]
        assert len(set(sentences)) == len(sentences), line


def test_the_page_of_the_competition_file_is_up_to_date() -> None:
    stored = COMPETITION_PAGE.read_text(encoding="utf-8")
    assert stored == competition_page(), "run `python -m scripts.export_reference`"


def test_every_key_of_a_competition_file_has_a_line() -> None:
    keys = set(re.findall(r"^\| `(\w+)` \|", competition_page(), re.MULTILINE))
    assert keys == key_names()


def test_the_catalogue_of_errors_is_up_to_date() -> None:
    stored = ERRORS_PAGE.read_text(encoding="utf-8")
    assert stored == errors_page(), "run `python -m scripts.export_errors`"


def test_codes_are_short_words_that_stay() -> None:
    codes = {entry.code for entry in entries()}
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes)
    assert {"zip-bomb", "engine-absent", "competition-unknown", "handle-numpy", "below-threshold"} <= codes
