"""Whatever bytes a submission sends, it gets a typed verdict, and the evaluator lives on.

HAET_FUZZ_SECONDS makes the fuzzing longer than the few seconds of CI.
"""

import os
import re
import resource
import sys
from pathlib import Path

import psutil
import pytest

from haet_eval.competition import Budgets, load_competition
from haet_eval.dataset import load_dataset
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.evaluation.frame import PlannedRun
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.request import Assignment
from haet_eval.evaluation.run import run_counted
from haet_eval.progress import Silent
from haet_eval.runtimes.folder import abandoned_folders
from haet_eval.runtimes.interface import Role
from haet_eval.runtimes.process import ProcessRuntime
from haet_eval.store import Store
from haet_eval.submission import load_submission
from tests.attacks.evaluating import Attack
from tests.attacks.wire_fuzzer import WireFuzzer

FOLDER = Path(__file__).parent
SECONDS = float(os.environ.get("HAET_FUZZ_SECONDS", "5"))
SLOWEST_SECONDS = 5.0
MORE_MEMORY_BYTES = 512 << 20
BUDGETS = Budgets(wall_seconds=2, prediction_seconds=2, messages=100_000, output_bytes=100_000, cpus=1)


def test_mutated_frames_of_a_real_client_get_typed_errors(honest: Attack) -> None:
    before_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    tally = WireFuzzer(honest.trace_path, seed=1).run(SECONDS)
    sys.stdout.write(f"{tally}\n")
    assert {"wire error", "passed", "answered", "refused"} <= set(tally.outcomes)
    assert tally.slowest_seconds < SLOWEST_SECONDS
    after_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert after_bytes - before_bytes < MORE_MEMORY_BYTES


def run_raw_client(way: str, folder: Path) -> tuple[SubmissionFailure, Heard]:
    """Evaluate a submission whose process is `raw_client.py`; returns how it failed, and what was heard."""
    store = Store(folder / "results")
    store.prepare()
    heard = Heard(Silent())
    competition = load_competition("digits")
    dataset = load_dataset("digits", folder)
    submission = load_submission(FOLDER.parent / "fixtures" / "linear")
    assignment = Assignment(submission, competition, competition.task("digits"), BUDGETS, dataset)
    mains = {
        Role.EXECUTOR: (sys.executable, "-I", str(FOLDER / "idle_executor.py")),
        Role.SUBMISSION: (sys.executable, "-I", str(FOLDER / "raw_client.py"), way),
    }
    ran = run_counted(PlannedRun(assignment, 0, "cpu", store, heard), ProcessRuntime(mains=mains))
    assert ran.failure is not None
    return ran.failure, heard


WAYS = {
    "garbage": (Verdict.FAILED, "broke the protocol: a frame of"),
    "half_a_frame": (Verdict.LIMIT_TIME, "budget of 2 s"),
    "a_frame_in_drops": (Verdict.LIMIT_TIME, "budget of 2 s"),
    "a_frame_of_4_gib": (Verdict.FAILED, "broke the protocol: a frame of 4294967295 bytes"),
    "nothing": (Verdict.LIMIT_TIME, "budget of 2 s"),
    "leaving": (Verdict.FAILED, "ended before train returned .exit status 3"),
    "a_flood_of_output": (Verdict.LIMIT_OUTPUT, "more than 100,000 bytes"),
    "a_million_records": (Verdict.LIMIT_MESSAGES, "more than 100,000 times"),
    "refusals_that_it_does_not_read": (Verdict.LIMIT_TIME, "budget of 2 s"),
    "reports_without_end": (Verdict.LIMIT_TIME, "budget of 2 s"),
    "empty_frames_without_end": (Verdict.LIMIT_TIME, "budget of 2 s"),
    "returned_before_ready": (Verdict.FAILED, "'returned' at the wrong time"),
    "predicted_while_training": (Verdict.FAILED, "'predicted' at the wrong time"),
    "ready_twice": (Verdict.FAILED, "'ready' at the wrong time"),
    "a_frame_of_the_host": (Verdict.FAILED, "a frame of channel HOST"),
    "a_message_that_is_no_json": (Verdict.FAILED, "breaks its schema"),
    "a_message_with_a_long_kind": (Verdict.FAILED, "breaks its schema"),
    "a_message_of_nine_mib": (Verdict.FAILED, "a control message of"),
    "a_number_of_many_digits": (Verdict.FAILED, "breaks its schema"),
    "a_model_of_nothing": (Verdict.FAILED, "tensor 99 does not exist"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_client_of_its_own_making_gets_a_verdict(way: str, tmp_path: Path) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    failure, _ = run_raw_client(way, tmp_path)
    verdict, reason = WAYS[way]
    assert failure.verdict is verdict
    assert re.search(reason, failure.reason)
    assert len(failure.reason) < 1000
    assert not {process.pid for process in psutil.Process().children(recursive=True)} - before
    assert not list(abandoned_folders())


def test_of_a_flood_of_output_head_and_tail_are_kept(tmp_path: Path) -> None:
    _, heard = run_raw_client("a_flood_of_output", tmp_path)
    log = heard.log
    assert log.head.startswith("line 0\n")
    assert "line 0\n" not in log.tail
    assert len(log.head) == len(log.tail) == 16 << 10
    assert log.dropped_bytes == log.total_bytes - (32 << 10) > 0
