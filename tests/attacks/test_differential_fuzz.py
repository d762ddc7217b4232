"""The meter's books and the executor's tensors never differ, whatever is called on whatever tensors.

HAET_FUZZ_SECONDS makes it longer, HAET_FUZZ_SEED makes it another. The table that it prints has for each
overload how many calls were accepted as templates, repeated templates, were refused, or ended the run.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from haet_eval.operators.table import allowed_operators
from tests.attacks.differential.report import Outcome, Report

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = int(os.environ.get("HAET_FUZZ_SECONDS", "40"))
SEED: Final = os.environ.get("HAET_FUZZ_SEED", "0")
ROUND_SECONDS: Final = 600
"""A round over all operators may take so long on a slow machine, whatever was asked for."""

NEVER_ACCEPTED: Final[dict[str, str]] = {}
NEVER_REPEATED: Final[dict[str, str]] = {}
"""Operators of which no call is accepted, or repeated from its template, each with the reason."""
_INDICES: Final = "it takes only indices that the forward operator has made, and one call makes none"
NEVER_HONEST: Final[dict[str, str]] = {
    "aten.adaptive_max_pool2d_backward.default": _INDICES,
    "aten.adaptive_max_pool3d_backward.default": _INDICES,
    "aten.max_pool2d_with_indices_backward.default": _INDICES,
    "aten.max_pool3d_with_indices_backward.default": _INDICES,
    "aten.as_strided_.default": "the client cannot follow it behind the last element of a tensor",
}
"""Operators that no ordinary program of the fuzz can call, each with the reason."""


@pytest.mark.slow
def test_meter_and_executor_agree_on_every_tensor_after_every_record(tmp_path: Path) -> None:
    report = fuzzed("hostile", tmp_path / "report.json")
    assert report.never(Outcome.ACCEPTED) == NEVER_ACCEPTED.keys()
    assert report.never(Outcome.CACHED) == NEVER_REPEATED.keys() | NEVER_ACCEPTED.keys()


@pytest.mark.slow
def test_what_pytorch_does_plainly_comes_out_the_same_through_handles(tmp_path: Path) -> None:
    report = fuzzed("honest", tmp_path / "report.json")
    assert report.never(Outcome.ACCEPTED) == NEVER_HONEST.keys()


def fuzzed(calls: str, result: Path) -> Report:
    """Fuzz all operators; nothing may be found."""
    trials = "2" if SECONDS < 300 else "12"
    fuzzer = (sys.executable, "-m", "tests.attacks.differential.fuzzer", "--calls", calls)
    subprocess.run(
        [*fuzzer, "--seconds", str(SECONDS), "--seed", SEED, "--trials", trials, "--report", result],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=SECONDS + ROUND_SECONDS,
    )
    report = Report.decode(result.read_text("utf-8"))
    assert [finding.shown() for finding in report.findings.values()] == []
    assert report.outcomes.keys() == allowed_operators()
    return report
