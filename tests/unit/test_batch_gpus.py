"""A run on GPUs sees those that its batch, or a scheduler such as Slurm, left to it."""

import sys
import time

import pytest

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
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    mains = dict.fromkeys(Role, (sys.executable, "-c", LOOK))
    ends: dict[Role, Exit | None] = {}
    with RunFolder() as folder, ProcessRuntime(mains=mains) as runtime:
        for role in (Role.EXECUTOR, Role.SUBMISSION):
            folder.socket_path(role).parent.mkdir()
            worker = runtime.start(role, folder.socket_path(role), LIMITS, {})
            while (end := worker.poll()) is None:
                time.sleep(0.05)
            ends[role] = end
    assert {role: end.code for role, end in ends.items() if end} == {Role.EXECUTOR: 43, Role.SUBMISSION: 49}
