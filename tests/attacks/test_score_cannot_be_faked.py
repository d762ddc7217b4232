"""Accuracy that no training has earned: labels brought along, constants, answers without labels."""

from pathlib import Path

import numpy as np
import pytest

from haet_eval.dataset import load_dataset
from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.store import Store, read_record
from haet_eval.verification.check import Check, Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.verify import verify
from tests.attacks.evaluating import Attack, evaluate_attack
from tests.unit.test_audit import resealed_audit

ROOT = Path(__file__).parents[2]
SPLIT_SEED = 1


def table(folder: Path) -> str:
    """Four numbers that tell each test image from the others, with its label, as Python source."""
    data = load_dataset("digits", folder)
    greys = data.test_images[:, 0, ::4, ::4].reshape(len(data.test_images), -1).astype(int)
    projection = (np.arange(256) % 7 - 3).reshape(64, 4)
    fingerprints = (greys @ projection).tolist()
    return f"FINGERPRINTS = {fingerprints}\nLABELS = {data.test_labels.tolist()}\n"


@pytest.fixture(scope="module")
def memorised(tmp_path_factory: pytest.TempPathFactory) -> Attack:
    folder = tmp_path_factory.mktemp("memorised")
    files = {"table.py": table(folder)}
    return evaluate_attack("memorises_test_labels", folder, files=files, split_seed=SPLIT_SEED)


def test_memorised_labels_qualify_and_stand_out_in_the_audit(memorised: Attack) -> None:
    record, audit = memorised.record, memorised.record.audit
    assert record.status.verdict is Verdict.QUALIFIED
    assert record.evaluation is not None
    assert record.evaluation.accuracy > 0.99
    assert audit is not None
    assert audit.former_test is not None
    assert audit.former_train is not None
    assert audit.gap is not None
    assert audit.former_test.correct == audit.former_test.total
    assert audit.former_test.total + audit.former_train.total == 445
    assert audit.gap.points > 5
    assert audit.gap.p_value < 1e-3
    assert set(audit.flags) == {"gap", "drop"}


def test_what_it_takes_to_memorise_shows_in_the_record(memorised: Attack, honest: Attack) -> None:
    told, usual = memorised.record, honest.record
    assert told.training is not None
    assert usual.training is not None
    assert told.training.upload_bytes >= 445 * (4 * 4 + 1) > 20 * usual.training.upload_bytes
    assert told.submission.source_bytes > usual.submission.source_bytes + 445 * 8
    assert told.training.parameters is not None
    assert told.training.parameters.buffers == 445 * (4 + 1)


def checked(path: Path) -> dict[str, Check]:
    rules = str(path.parents[1] / "competition.toml")
    sources = Sources(Store(path.parent), path.parent, rules)
    return {check.subject: check for check in verify(path, sources)[0].checks}


def test_an_audit_can_be_checked(memorised: Attack) -> None:
    found = checked(memorised.path)
    assert not [check for check in found.values() if check.result is Result.DIFFERS]
    assert found["audit"].detail == "flags (gap, drop) follow from its predictions"
    assert found["audit: data set"].result is found["audit: count"].result is Result.HOLDS


def test_a_flag_that_was_taken_off_does_not_hold(memorised: Attack) -> None:
    forged = resealed_audit(memorised.path, flags=())
    assert read_record(forged).audit
    assert [check.subject for check in checked(forged).values() if check.result is Result.DIFFERS] == [
        "audit"
    ]


def test_an_audit_of_another_split_than_it_says_does_not_hold(memorised: Attack) -> None:
    forged = resealed_audit(memorised.path, split_seed=SPLIT_SEED + 1)
    differing = {name for name, check in checked(forged).items() if check.result is Result.DIFFERS}
    assert {"audit: data set", "audit"} <= differing


@pytest.mark.slow
def test_an_honest_submission_is_not_flagged(tmp_path: Path) -> None:
    request = Request(
        ROOT / "submissions" / "digits-cnn",
        tmp_path,
        tmp_path / "results",
        sandbox="process",
        split_seed=SPLIT_SEED,
    )
    audit = evaluate(request).record.audit
    assert audit is not None
    assert audit.run.status.verdict is Verdict.QUALIFIED
    assert audit.gap is not None
    assert audit.gap.p_value > 0.01
    assert audit.flags == ()


@pytest.mark.parametrize(("name", "most"), [("predicts_a_constant", 0.15), ("learns_without_labels", 0.5)])
def test_answers_without_labels_are_below_the_threshold(name: str, most: float, tmp_path: Path) -> None:
    record = evaluate_attack(name, tmp_path).record
    assert record.status.verdict is Verdict.BELOW_THRESHOLD
    assert record.evaluation is not None
    assert record.evaluation.accuracy < most
