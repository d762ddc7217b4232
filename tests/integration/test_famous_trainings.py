"""The page on famous trainings shows what the script counts; the quickest of them is counted again."""

import re

import pytest

from haet_eval.check.static import look_at
from haet_eval.submission import load_submission
from scripts.count_recipes import (
    PAGE,
    PUBLISHED,
    RECIPES,
    Counted,
    cost_row,
    count,
    image_row,
    operator_share,
    table_line,
    tables,
    with_tables,
)

QUICKEST = "airbench94-muon"


@pytest.mark.slow
def test_the_page_shows_what_the_quickest_training_costs() -> None:
    counted = count(QUICKEST)
    page = PAGE.read_text(encoding="utf-8")
    advice = "run `python -m scripts.count_recipes`"
    assert table_line(cost_row(counted)) in page, advice
    assert table_line(image_row(counted)) in page, advice
    column = {operator: shares.split(" | ")[0] for operator, shares in _operator_rows(page)}
    assert column == {operator: operator_share(counted, operator) for operator in column}, advice


def _operator_rows(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| `(aten\.[\w.]+)` \| (.*) \|$", page, re.MULTILINE)


def test_every_recipe_is_on_the_page_with_its_source() -> None:
    folders = {path.parent.name for path in RECIPES.glob("*/submission.py")}
    assert folders == set(PUBLISHED)
    page = PAGE.read_text(encoding="utf-8")
    for name, facts in PUBLISHED.items():
        title = load_submission(RECIPES / name).name
        assert page.count(f"| {title} |") >= 3
        assert facts["source"] in page


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_is_a_submission_without_remarks(name: str) -> None:
    submission = load_submission(RECIPES / name)
    assert submission.task == "cifar10"
    assert look_at(submission).remarks == ()


def test_tables_are_put_under_their_comments_and_nothing_else_changes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = tables([Counted(QUICKEST, "x", 1, {"aten.mm.default": 10}, 5)])
    once = with_tables(page, made)
    assert with_tables(once, made) == once
    assert all(table in once for table in made.values())
    assert re.sub(r"(?m)^\|.*\n", "", once) == re.sub(r"(?m)^\|.*\n", "", page)
