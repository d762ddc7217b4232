"""A run on GPUs sees those that its batch, or a scheduler such as Slurm, left to it."""

import sys
import time

import pytest

from haet_eval.batch.local import shares
from haet_eval.runtimes.docker.container import confinement
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.interface import Exit, Role, WorkerLimits
from haet_eval.runtimes.process import ProcessRuntime

LIMITS = WorkerLimits(memory_bytes=2**30, processes=64, deadline_seconds=60)
LOOK = "import os; raise SystemExit(40 + int(os.environ.get('CUDA_VISIBLE_DEVICES', 9)))"


@pytest.mark.parametrize(
    ("left", "asked"),
    [(None, {"Count": -1}), ("3", {"DeviceIDs": ["3"]}), ("1,GPU-5c", {"DeviceIDs": ["1", "GPU-5c"]})],
)
def test_containers_get_them_from_the_engine(
    monkeypatch: pytest.MonkeyPatch, left: str | None, asked: dict[str, object]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if left is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", left)
    requests = {
        role: confinement(role, LIMITS, oci_runtime=None, cuda=True).get("device_requests") for role in Role
    }
    assert requests[Role.SUBMISSION] is None
    assert requests[Role.EXECUTOR] == [{"Driver": "nvidia", "Capabilities": [["gpu"]], **asked}]


def test_local_processes_get_them_by_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus_seen(monkeypatch, "3", {}) == {Role.EXECUTOR: 43, Role.SUBMISSION: 49, Role.NATIVE: 43}


def test_nodes_that_are_local_processes_have_one_each_of_those(monkeypatch: pytest.MonkeyPatch) -> None:
    second = {"CUDA_VISIBLE_DEVICES": "1"}
    assert gpus_seen(monkeypatch, "3,5", second)[Role.NATIVE] == 45


def test_runs_of_a_batch_have_the_gpus_in_turn_and_one_alone_has_them_all() -> None:
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares(3, ("4", "7"))] == ["4", "7", "4"]
    assert shares(1, ("4", "7")) == [{"CUDA_VISIBLE_DEVICES": "4,7"}]
    assert shares(2, ()) == [{}, {}]


def gpus_seen(
    monkeypatch: pytest.MonkeyPatch, left: str, environment: dict[str, str]
) -> dict[Role, int | None]:
    """Exit statuses of workers: 40 and the GPU that they see."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", left)
    mains = dict.fromkeys(Role, (sys.executable, "-c", LOOK))
    ends: dict[Role, Exit | None] = {}
    with RunFolder() as folder, ProcessRuntime(mains=mains) as runtime:
        for role in Role:
            folder.socket_path(role).parent.mkdir()
            worker = runtime.start(role, folder.socket_path(role), LIMITS, environment)
            while (end := worker.poll()) is None:
                time.sleep(0.05)
            ends[role] = end
    return {role: end.code for role, end in ends.items() if end}
