import pytest

from haet_eval.verification.check import Check, differs, holds, stated, unchecked
from haet_eval.verification.conclusion import Word, conclude

STATED = [stated("times, machine", ""), stated("rank", "")]
REPLAYED = [holds("replay", ""), holds("weights again", "")]


@pytest.mark.parametrize(
    ("checks", "word", "lacking"),
    [
        ([holds("count", ""), *REPLAYED, *STATED], Word.CONFIRMED, ()),
        ([holds("count", ""), *STATED], Word.CONSISTENT, ()),
        ([holds("count", ""), unchecked("accuracy", ""), *REPLAYED], Word.CONSISTENT, ("accuracy",)),
        ([holds("run 1: replay", ""), unchecked("run 2: replay", "")], Word.CONSISTENT, ("replay",)),
        ([holds("count", ""), stated("replay", "there is no trace")], Word.CONSISTENT, ()),
        ([differs("accuracy", ""), *REPLAYED], Word.CONTRADICTED, ()),
        (
            [unchecked("run 1: data set", ""), unchecked("run 2: data set", ""), unchecked("verdict", "")],
            Word.CONSISTENT,
            ("data set", "verdict"),
        ),
    ],
    ids=[
        "a replay and everything else",
        "no replay",
        "a replay and something missing",
        "one of two runs replayed",
        "nothing to replay",
        "one difference",
        "something missing in each run",
    ],
)
def test_one_of_three_words_begins_the_sentence(
    checks: list[Check], word: Word, lacking: tuple[str, ...]
) -> None:
    found = conclude(checks)
    assert (found.word, found.lacking) == (word, lacking)
    assert found.sentence.startswith(f"{word}: ")
    assert all(subject in found.sentence for subject in lacking)


def test_there_are_three_words() -> None:
    assert list(map(str, Word)) == ["confirmed", "consistent", "contradicted"]
