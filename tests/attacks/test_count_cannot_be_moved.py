"""Every known way to work beside the counter is counted, ends in an error, or has no data to work on."""

import re
from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.operators.signature import TensorMeta
from haet_eval.remote.recount import recount
from tests.attacks.evaluating import Attack, evaluate_attack

CALLS = 10

COUNTED = {
    "plainly",
    "in_a_thread",
    "with_modes_disabled",
    "with_the_mode_popped",
    "below_autograd",
    "through_the_operator_table",
    "in_a_fork",
    "by_raw_records",
}
ERROR = "(RuntimeError|Refusal): "
FRUITLESS = {
    "swallowed_by_a_mode": "done",  # nothing was sent, and nothing was worked out
    "with_dispatch_disabled": ERROR,
    "redispatched": ERROR,
    "by_address": ERROR,
    "by_storage": ERROR,
    "by_dlpack": ERROR,
    "by_numpy_of_the_base_class": ERROR,
    "by_pickle": ERROR,
}


@pytest.fixture(scope="module")
def tricks(tmp_path_factory: pytest.TempPathFactory) -> Attack:
    return evaluate_attack("tricks", tmp_path_factory.mktemp("tricks"))


def told(attack: Attack, trick: str) -> dict[str, str]:
    (report,) = [one for one in attack.record.reports if one.get("trick") == trick]
    return {name: str(value) for name, value in report.items()}


def hidden_calls(attack: Attack, rows: int) -> int:
    """Matrix products of this many rows; each trick has its own number."""
    calls = 0
    for entry in attack.histogram:
        left = entry.signature.arguments.get("self")
        if entry.signature.operator == "aten.mm.default" and isinstance(left, TensorMeta):
            calls += entry.total_calls if left.shape[0] == rows else 0
    return calls


def test_tricks_do_not_end_the_run(tricks: Attack) -> None:
    assert tricks.record.status.verdict is Verdict.BELOW_THRESHOLD


@pytest.mark.parametrize("trick", sorted(COUNTED))
def test_work_by_another_way_is_counted_like_work(tricks: Attack, trick: str) -> None:
    report = told(tricks, trick)
    assert report["outcome"] == "done"
    assert hidden_calls(tricks, int(report["rows"])) == CALLS


@pytest.mark.parametrize("trick", sorted(FRUITLESS))
def test_work_beside_the_handles_has_no_data(tricks: Attack, trick: str) -> None:
    report = told(tricks, trick)
    assert re.match(FRUITLESS[trick], report["outcome"])
    assert hidden_calls(tricks, int(report["rows"])) == 0


def test_the_count_is_that_of_the_trace(tricks: Attack) -> None:
    assert recount(tricks.trace_path).histogram.to_json() == tricks.histogram.to_json()


def test_lies_about_phases_move_no_total(tmp_path: Path, honest: Attack) -> None:
    attack = evaluate_attack("lies_about_phases", tmp_path)
    training = attack.record.training
    assert training is not None
    assert attack.operations == honest.operations
    assert training.operations.by_phase["initialisation"] == honest.operations


BROKEN = {
    "skips_sends": "broke the protocol|does not exist|no template",
    "writes_garbage_to_the_socket": "broke the protocol: a record of the unknown kind 238",
    "replays_its_frames": "broke the protocol",
    "guesses_handles": "broke the protocol: tensor .* does not exist",
    "leaves_the_connection": "closed its connection to the evaluator",
    "spawns_a_process": "cannot be (pickled|used in another process)",
    "fails_in_the_middle_of_a_list": "_foreach_addcmul_.*(broadcast|size)",
    "trains_in_forward": "the model while it predicts",
    "caches_images_in_an_attribute": r"shape \[1352, 3072\].*self.register_buffer",
    "remembers_the_last_batch": "left from an earlier batch",
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_attacks_that_fail(name: str, tmp_path: Path) -> None:
    attack = evaluate_attack(name, tmp_path)
    assert attack.record.status.verdict is Verdict.FAILED

    assert re.search(BROKEN[name], attack.record.status.reason), attack.record.status.reason
    assert recount(attack.trace_path).histogram.to_json() == attack.histogram.to_json()


def test_training_on_test_images_is_bounded(tmp_path: Path, honest: Attack) -> None:
    attack = evaluate_attack("trains_copies_on_test_images", tmp_path)
    assert attack.record.status.verdict is Verdict.LIMIT_PREDICTION
    assert "20,000,000 operations per image" in attack.record.status.reason
    assert attack.operations == honest.operations


def test_a_buffer_of_training_images_is_counted_as_parameters(tmp_path: Path) -> None:
    attack = evaluate_attack("caches_images_in_a_buffer", tmp_path)
    assert attack.record.status.verdict is Verdict.QUALIFIED
    training = attack.record.training
    assert training is not None
    assert training.parameters is not None
    assert training.parameters.buffers == 1352 * 3 * 32 * 32 + 1352
