"""The conclusion from all checks of a record: one of three words, and a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from haet_eval.verification.check import Check, Result

REPLAY: Final = "replay"
"""Subject of the line on a replay."""
MODEL: Final = "model"
"""Subject of the line that leaves open whether the model makes the predictions. A replay takes its place."""


class Word(StrEnum):
    """The word for a record."""

    CONFIRMED = "confirmed"
    """A replay gave the same results, every file that the record names is here, and nothing differs."""

    CONSISTENT = "consistent"
    """Everything that is here agrees, but there was no replay, or something for a check is missing here."""

    CONTRADICTED = "contradicted"
    """Something differs, or a file that the record names is missing."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The word, and the sentence that begins with it.

    `lacking` are the subjects that were not checked because something is missing here.
    """

    word: Word
    sentence: str
    lacking: tuple[str, ...]


def conclude(checks: Sequence[Check]) -> Conclusion:
    """The conclusion from the checks of one record."""
    wrong = sum(check.result is Result.DIFFERS for check in checks)
    # The same subject lacks something in each of several runs; the sentence names it once.
    lacking = tuple(dict.fromkeys(_subject(check) for check in checks if check.lacking))
    # One difference outweighs every replay: the record states something that its files contradict.
    if wrong:
        text = f"{wrong} of {len(checks)} checks {'differs' if wrong == 1 else 'differ'}."
        return Conclusion(Word.CONTRADICTED, f"{Word.CONTRADICTED}: {text}", lacking)
    # A run that could not be replayed has its own unchecked line, which is in `lacking`.
    replayed = any(_subject(check) == REPLAY and check.result is Result.HOLDS for check in checks)
    # On plain tensors that line stays: the replay is of the counted training, whose model is another one.
    unshown = any(_subject(check) == MODEL for check in checks)
    if replayed and not lacking and not unshown:
        text = "the replay gives the same again, and everything that the record names is here and agrees."
        return Conclusion(Word.CONFIRMED, f"{Word.CONFIRMED}: {text}", lacking)
    text = "everything that the record names is here and agrees"
    if lacking:
        text = f"nothing here contradicts it; not checked: {', '.join(lacking)}"
    how = "Only a rerun shows that its model makes the predictions." if unshown else "It was not replayed."
    how = "See their lines." if lacking else how
    return Conclusion(Word.CONSISTENT, f"{Word.CONSISTENT}: {text}. {how}", lacking)


def _subject(check: Check) -> str:
    """The subject without the name of its run."""
    return check.subject.rpartition(": ")[2]
