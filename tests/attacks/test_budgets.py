"""Every budget has its verdict, and an honest training is far from each."""

import re
from pathlib import Path

import pytest

from haet_eval.competition import Budgets, load_competition
from haet_eval.errors import Verdict
from haet_eval.remote.recount import recount
from tests.attacks.evaluating import SUBMISSIONS, Attack, evaluate_attack

BUDGETS = load_competition(str(SUBMISSIONS / "competition.toml")).budgets
ENDS = {
    "reads_the_training_set": (Verdict.LIMIT_READBACK, "more than 4,096 bytes"),
    "reads_it_through_shapes": (Verdict.LIMIT_READBACK, "more than 4,096 bytes"),
    "reads_it_through_the_generator": (Verdict.LIMIT_READBACK, "more than 4,096 bytes"),
    "brings_weights_along": (Verdict.LIMIT_UPLOAD, "more than 100,000 bytes"),
    "brings_weights_along_number_by_number": (Verdict.LIMIT_UPLOAD, "more than 100,000 bytes"),
    "calls_without_end": (Verdict.LIMIT_MESSAGES, "more than 200,000 times"),
    "works_without_end": (Verdict.LIMIT_OPERATIONS, "more than the 2,000,000,000 operations"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_budget_that_is_used_up_ends_the_run(name: str, tmp_path: Path) -> None:
    attack = evaluate_attack(name, tmp_path)
    verdict, reason = ENDS[name]
    assert attack.record.status.verdict is verdict
    assert re.search(reason, attack.record.status.reason)
    training = attack.record.training
    assert training is not None
    assert training.readback_bytes <= BUDGETS.readback_bytes
    assert training.upload_bytes <= BUDGETS.upload_bytes
    counted = recount(attack.trace_path)
    assert counted.histogram.to_json() == attack.histogram.to_json()
    assert counted.training.readback_bytes == training.readback_bytes
    assert counted.training.messages == training.messages


MEMORY = ("memory_bytes = 4_294_967_296", "memory_bytes = 1_500_000_000")
PROCESSES = ("cpus = 1", "cpus = 1\nprocesses = 24")
GREEDY = {
    "takes_all_memory": (MEMORY, Verdict.LIMIT_MEMORY),
    "takes_all_memory_of_the_executor": (MEMORY, Verdict.LIMIT_MEMORY),
    "starts_processes": (PROCESSES, Verdict.LIMIT_PROCESSES),
    "starts_threads": (PROCESSES, Verdict.LIMIT_PROCESSES),
}


@pytest.mark.parametrize("name", GREEDY)
def test_a_client_that_takes_more_than_its_share_of_the_machine(name: str, tmp_path: Path) -> None:
    replacing, verdict = GREEDY[name]
    attack = evaluate_attack(name, tmp_path, replacing)
    assert attack.record.status.verdict is verdict, attack.record.status.reason
    assert recount(attack.trace_path).histogram.to_json() == attack.histogram.to_json()


def test_an_honest_training_uses_a_small_part_of_each_budget(honest: Attack) -> None:
    allowed, training = Budgets(), honest.record.training
    assert training is not None
    assert training.readback_bytes < allowed.readback_bytes / 100
    assert training.upload_bytes < allowed.upload_bytes / 100
    assert training.messages < allowed.messages / 100


def test_the_recount_gives_the_same_charges(honest: Attack) -> None:
    counted, training = recount(honest.trace_path), honest.record.training
    assert training is not None
    assert counted.training.readback_bytes == training.readback_bytes > 0
    assert counted.training.upload_bytes == training.upload_bytes > 0
    assert counted.training.messages == training.messages
    assert counted.parameters is not None
    assert training.parameters is not None
    assert counted.parameters.total == training.parameters.total
