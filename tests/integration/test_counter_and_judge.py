"""The law of OperationCounter: for the same calls it counts what the judge counts."""

from functools import cache

import pytest

from haet_eval import OperationCounter
from tests.integration.battery.pair import run_plainly, whole_theme
from tests.integration.battery.test_battery import THEMES

ONE_HOT = "one_hot of handles compares with every class; of plain tensors it writes one element each"
FORWARD_MODE = "forward mode has formulas of its own for subclasses of tensors, which handles are"
TRACED = "torch.jit.trace runs a function several times to check its trace; the judge does not trace"
EXPLAINED = {
    ("augmentation", "v2_mixup_and_cutmix"): ONE_HOT,
    ("functional", "derivatives"): FORWARD_MODE,
    ("functional", "forward_mode_through_a_network"): FORWARD_MODE,
    ("functional", "traced"): TRACED,
    ("indexing", "scatter_and_gather"): ONE_HOT,
    ("loaders", "mixup_in_collate"): ONE_HOT,
    ("models", "losses"): ONE_HOT,
    ("randomness", "distributions"): ONE_HOT,
}
"""Programs for which PyTorch itself makes other calls on plain tensors than on handles, and why."""


@cache
def judged(theme: str) -> dict[str, int]:
    return _each(whole_theme(theme).operations)


@cache
def counted(theme: str) -> dict[str, int]:
    operations: dict[str, int] = {}
    counter = OperationCounter(allow_uncounted=True)
    with counter:
        run_plainly(
            theme,
            tell=lambda values: (
                operations.update({str(values["case"]): counter.total}) if "case" in values else None
            ),
        )
    return _each(operations)


def _each(operations: dict[str, int]) -> dict[str, int]:
    """What each program took, from what all had taken after each."""
    before = 0
    each = {}
    for case, total in operations.items():
        each[case], before = total - before, total
    return each


@pytest.mark.parametrize("theme", THEMES)
def test_counter_counts_what_the_judge_counts(theme: str) -> None:
    here, there = counted(theme), judged(theme)
    assert here.keys() == there.keys()
    different = {case: (here[case], there[case]) for case in here if here[case] != there[case]}
    explained = {case for name, case in EXPLAINED if name == theme}
    assert different.keys() == explained, different
