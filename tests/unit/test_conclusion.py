import pytest

from haet_eval.verification.check import Check, differs, holds, unchecked
from haet_eval.verification.conclusion import conclude

BEYOND = [unchecked("model", ""), unchecked("times, machine", ""), unchecked("rank", "")]


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        (
            [holds("count", ""), *BEYOND],
            "To be believed: all that its files can tell was checked, and holds.",
        ),
        ([holds("count", ""), differs("accuracy", "")], "Not to be believed: 1 of these checks differs."),
        (
            [differs("run 1: count", ""), differs("count", "")],
            "Not to be believed: 2 of these checks differ.",
        ),
        (
            [
                unchecked("run 1: trace", ""),
                unchecked("run 2: trace", ""),
                unchecked("accuracy", ""),
                *BEYOND,
            ],
            "Nothing contradicts it, but not checked: trace, accuracy. The lines say why.",
        ),
    ],
    ids=["all holds", "one differs", "two differ", "something is missing"],
)
def test_a_stranger_is_told_in_one_sentence(checks: list[Check], said: str) -> None:
    assert conclude(checks) == said
