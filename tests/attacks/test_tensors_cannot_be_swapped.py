"""Meter and executor never see two different tensors: entries and records that forged counts in 0.1.0."""

import re
import shutil
from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.store import Store
from haet_eval.verification.check import Check, Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.replaying import ReplayPlace, check_replay
from haet_eval.verification.verify import verify
from tests.attacks.evaluating import evaluate_attack

OLD_RECORDS = Path(__file__).parents[1] / "fixtures" / "old-records"


def test_work_on_tensors_that_the_meter_takes_for_small_ones_is_counted(tmp_path: Path) -> None:
    """The attack cleared a lazy bit on its own side; 0.1.0 counted 6,503 operations for this training."""
    attack = evaluate_attack("shapes_that_are_not_there", tmp_path)
    assert attack.record.status.verdict is Verdict.QUALIFIED
    assert attack.operations > 1_700_000_000


def test_view_that_the_meter_takes_for_a_copy_reads_no_image_for_nothing(tmp_path: Path) -> None:
    attack = evaluate_attack("reads_through_a_hidden_view", tmp_path)
    assert attack.record.status.verdict is Verdict.LIMIT_READBACK


def test_operator_that_resizes_its_input_is_a_fault_of_the_submission(tmp_path: Path) -> None:
    attack = evaluate_attack("resizes_its_input", tmp_path)
    status = attack.record.status
    assert status.verdict is Verdict.FAILED
    assert "aten.addbmm_.default: self must have shape [5, 7]" in status.reason


GAPPED = ("slice_scatter", "select_scatter", "diagonal_scatter", "as_strided_scatter", "_foreach_copy")


@pytest.mark.parametrize("operator", GAPPED)
def test_no_output_shows_memory_between_its_elements(operator: str, tmp_path: Path) -> None:
    """The gaps held freed training images: an entry qualified with 650 operations and no byte read back."""
    attack = evaluate_attack(
        "reads_through_gaps", tmp_path, files={"variant.py": f"OPERATOR = {operator!r}\n"}
    )
    assert attack.record.status.verdict is Verdict.FAILED
    assert "the view would leave its storage" in attack.record.status.reason


def replayed(name: str, folder: Path) -> tuple[list[Check], list[Check]]:
    """The checks of a record of 0.1.0 from its files, and those of its replay."""
    shutil.copytree(OLD_RECORDS, folder / "results")
    (path,) = (folder / "results").glob(f"*-{name}-*.json")
    verification, (part,) = verify(path, Sources(Store(path.parent), folder))
    return list(verification.checks), list(check_replay(part.record, part.evidence, ReplayPlace("process")))


FORGED = {
    "adversary-ghost-shapes": r"Tensor mismatch: aten\.lift\.default",
    "adversary-reads-everything": r"Tensor mismatch: aten\.unsafe_split\.Tensor",
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_record_of_0_1_0_fails_on_the_mismatch_itself(name: str, tmp_path: Path) -> None:
    files, replay = replayed(name, tmp_path)
    assert not [check for check in files if check.result is Result.DIFFERS]
    (found,) = [check for check in replay if check.result is Result.DIFFERS]
    assert re.search(FORGED[name], found.detail), found.detail


def test_honest_record_of_0_1_0_replays_bit_for_bit(tmp_path: Path) -> None:
    """It has lazy conjugates, a refused call, and an output that lies in a part of its memory."""
    files, replay = replayed("haet-tests-spectral-features", tmp_path)
    assert not [check for check in (*files, *replay) if check.result is Result.DIFFERS]
    assert {check.subject for check in replay} >= {"replay", "weights again", "predictions again"}
