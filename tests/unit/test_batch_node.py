"""What keeps measured runs alone on a machine, also between programs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from haet_eval.batch.node import NodeProblem, reserved

HOLD = """
import sys
from pathlib import Path
from haet_eval.batch.node import reserved
with reserved(alone={alone}, lock=Path(sys.argv[1])):
    print("holding", flush=True)
    input()
"""


@contextmanager
def held_elsewhere(lock: Path, *, alone: bool) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD.format(alone=alone), str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process
        process.kill()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "node.lock"


@pytest.mark.parametrize("theirs", [False, True])
def test_a_measured_run_is_refused_beside_any_other(lock: Path, theirs: bool) -> None:
    with (
        held_elsewhere(lock, alone=theirs),
        pytest.raises(NodeProblem, match="another run"),
        reserved(alone=True, lock=lock),
    ):
        pass


def test_a_counted_run_is_refused_beside_a_measured_one_only(lock: Path) -> None:
    with held_elsewhere(lock, alone=False), reserved(alone=False, lock=lock):
        pass
    with (
        held_elsewhere(lock, alone=True),
        pytest.raises(NodeProblem, match="time or energy is ranked"),
        reserved(alone=False, lock=lock),
    ):
        pass


def test_the_machine_is_free_again_when_its_holder_was_killed(lock: Path) -> None:
    with held_elsewhere(lock, alone=True) as holder:
        holder.kill()
        holder.wait()
        with reserved(alone=True, lock=lock):
            pass
