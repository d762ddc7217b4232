"""Trainings on several nodes: real data-parallel programs, alone with each other on a loopback device."""

import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from haet_eval.energy.choice import Choice
from haet_eval.errors import EnvironmentProblem, UsageProblem, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Metering, Request, WrittenRecord
from haet_eval.record import Sandbox
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.hosts import HostsRuntime
from haet_eval.runtimes.interface import Role, WorkerLimits
from haet_eval.store import Store
from tests.fixtures.submissions import write_native_competition, write_submission

EXAMPLE = Path(__file__).parents[2] / "submissions" / "digits-ddp"
TWO_NODES = "nodes = 2"

SANDBOXES = [pytest.param("docker", marks=pytest.mark.docker), "process"]


@pytest.fixture(params=SANDBOXES)
def judge(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., WrittenRecord]:
    """Evaluates a folder, or the code of a `train`, on two nodes."""
    sandbox: Sandbox = request.param
    if sandbox == "docker":
        request.getfixturevalue("sandbox_image")

    def run(submission: Path | str, **budgets: int) -> WrittenRecord:
        if isinstance(submission, str):
            submission = write_submission(tmp_path / "submission", submission)
        rules = write_native_competition(tmp_path / "rules.toml", TWO_NODES, **budgets)
        return evaluate(
            Request(
                submission,
                data_dir=tmp_path / "data",
                results=tmp_path / "results",
                competition=str(rules),
                sandbox=sandbox,
            )
        )

    return run


@pytest.mark.slow
def test_data_parallel_training_on_two_nodes(judge: Callable[..., WrittenRecord]) -> None:
    outcome = judge(EXAMPLE)
    record = outcome.record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.native is not None
    assert record.native.nodes == 2
    assert record.evaluation is not None
    assert record.evaluation.accuracy >= 0.93
    assert record.native.parameters is not None
    assert record.native.parameters.total == 1898
    assert Store(outcome.path.parent).ranked(record).rank is not None


def test_nodes_have_the_environment_of_torchrun_and_reduce(judge: Callable[..., WrittenRecord]) -> None:
    code = """
    import os
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    def train(task):
        distributed.init_process_group("gloo")
        number = torch.tensor(10.0 ** distributed.get_rank())
        distributed.all_reduce(number)
        print(int(number), distributed.get_world_size(), os.environ["LOCAL_RANK"], os.environ["GROUP_RANK"])
        return DistributedDataParallel(Linear())
    """
    record = judge(code).record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.log.head.splitlines()[-1] == "11 2 0 0"
    assert record.native is not None
    assert record.native.parameters is not None
    assert record.native.parameters.total == 30_730


DEATHS = {
    "an exception": ("raise KeyError('lost')", Verdict.FAILED, "Node 1: KeyError: 'lost'"),
    "an end of the process": ("os._exit(7)", Verdict.FAILED, "Node 1: "),
}


@pytest.mark.parametrize("name", DEATHS)
def test_a_node_that_dies_ends_the_run(judge: Callable[..., WrittenRecord], name: str) -> None:
    death, verdict, reason = DEATHS[name]
    code = f"""
    import os, time
    from torch import distributed

    def train(task):
        distributed.init_process_group("gloo")
        if distributed.get_rank() == 1:
            {death}
        distributed.barrier()
        return Linear()
    """
    began = time.monotonic()
    record = judge(code, wall_seconds=300).record
    assert record.status.verdict is verdict, record.status.reason
    assert record.status.reason.startswith(reason)
    assert time.monotonic() - began < 120  # and not at the end of the time


def test_node_0_may_go_on_when_the_others_have_returned(judge: Callable[..., WrittenRecord]) -> None:
    code = """
    import os, time

    def train(task):
        if os.environ["RANK"] == "0":
            time.sleep(5)
        return Linear()
    """
    record = judge(code).record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason


def test_a_node_that_waits_for_ever_runs_out_of_time(judge: Callable[..., WrittenRecord]) -> None:
    code = """
    import os
    from torch import distributed

    def train(task):
        distributed.init_process_group("gloo")
        if distributed.get_rank() == 0:
            distributed.barrier()
        while True: pass
    """
    record = judge(code, wall_seconds=6).record
    assert record.status.verdict is Verdict.LIMIT_TIME, record.status.reason


REACHING_OUT = """
import os, socket

def outcome(*address):
    try:
        with socket.create_connection(address, timeout=3):
            return "connected"
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)

def family(number, kind=socket.SOCK_STREAM, protocol=0):
    try:
        socket.socket(number, kind, protocol).close()
        return "made"
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)

def train(task):
    if os.environ["RANK"] == "0":
        print(*(name for _, name in socket.if_nameindex()))
        print(outcome("1.1.1.1", 443), "/", outcome("172.17.0.1", {port}), "/", outcome("127.0.0.1", {port}))
        print(family(socket.AF_VSOCK), "/", family(socket.AF_PACKET, socket.SOCK_RAW), "/",
              family(socket.AF_INET, socket.SOCK_RAW, 1), "/", family(socket.AF_NETLINK, socket.SOCK_RAW, 9))
    return Linear()
"""


@pytest.mark.docker
def test_nodes_reach_neither_the_internet_nor_the_host(tmp_path: Path, sandbox_image: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # the host listens on all of its addresses
        code = REACHING_OUT.replace("{port}", str(listener.getsockname()[1]))
        rules = write_native_competition(tmp_path / "rules.toml", TWO_NODES)
        submission = write_submission(tmp_path / "submission", code)
        data, results = tmp_path / "data", tmp_path / "results"
        record = evaluate(Request(submission, data, results, competition=str(rules))).record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    interfaces, addresses, families = record.log.head.splitlines()
    assert interfaces == "lo"
    assert addresses == "OSError 101 / OSError 101 / ConnectionRefusedError 111"  # no network, nobody there
    assert families == " / ".join(["PermissionError 1"] * 4)


# Runs here what ssh would run on another host, with the socket under the name that it would have there.
SSH_STAND_IN = """#!/bin/sh
while [ "$1" != -- ]; do
    case $1 in -R) ln -s "${2#*:}" "${2%%:*}" ;; esac
    shift
done
[ "$2" != unknown ] || { echo "no such host" >&2; exit 255; }
exec sh -c "$3"
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH_STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def on_hosts(tmp_path: Path, code: str, *hosts: str, energy: Choice | None = None) -> WrittenRecord:
    rules = write_native_competition(tmp_path / "rules.toml", TWO_NODES)
    submission = write_submission(tmp_path / "submission", code)
    request = Request(submission, tmp_path / "data", tmp_path / "results", sandbox="process", hosts=hosts)
    request = replace(request, metering=Metering(energy))
    return evaluate(replace(request, competition=str(rules)))


@pytest.mark.usefixtures("ssh")
def test_nodes_on_hosts_that_ssh_reaches(tmp_path: Path) -> None:
    code = """
    import os
    from torch import distributed

    def train(task):
        distributed.init_process_group("gloo")
        number = torch.tensor(10.0 ** distributed.get_rank())
        distributed.all_reduce(number)
        print(int(number), os.environ["MASTER_ADDR"], os.environ["HOME"])
        return Linear()
    """
    record = on_hosts(tmp_path, code, "127.0.0.1", "localhost").record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    number, address, home = record.log.head.split()[-3:]
    assert (number, address) == ("11", "127.0.0.1")
    assert not Path(home).exists()
    assert not Path(f"{home}.sock").is_symlink()


@pytest.mark.usefixtures("ssh")
def test_a_folder_on_a_host_that_somebody_else_has_made_stays_and_nothing_runs_in_it() -> None:
    limits = WorkerLimits(memory_bytes=1 << 30, processes=64, deadline_seconds=60)
    with RunFolder() as run, HostsRuntime(["localhost"]) as runtime:
        folder = Path(f"/tmp/haet-eval.node-{run.path.name.rpartition('-')[2]}-native")
        folder.mkdir()
        try:
            (folder / "theirs").write_text("")
            worker = runtime.start(Role.NATIVE, run.socket_path(Role.NATIVE), limits, {})
            deadline = time.monotonic() + 60
            while (end := worker.poll()) is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert end.from_outside
            assert [path.name for path in folder.iterdir()] == ["theirs"]
            assert not Path(f"{folder}.sock").is_symlink()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.usefixtures("ssh")
def test_a_host_that_cannot_be_a_node_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="the host unknown cannot be a node: no such host"):
        on_hosts(tmp_path, "def train(task): ...", "localhost", "unknown")


@pytest.mark.usefixtures("ssh")
def test_the_nodes_meet_at_the_first_host_for_any_user_name(tmp_path: Path) -> None:
    code = """
    import os

    def train(task):
        print(os.environ["MASTER_ADDR"])
        return Linear()
    """
    record = on_hosts(tmp_path, code, "somebody@localhost", "localhost").record
    assert record.log.head.splitlines()[-1] == "localhost"


@pytest.mark.usefixtures("ssh")
def test_hosts_that_do_not_know_the_first_by_its_name_cannot_be_nodes(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=r"the host somewhere\.invalid cannot be a node: .*gaierror"):
        on_hosts(tmp_path, "def train(task): ...", "somewhere.invalid", "localhost")


@pytest.mark.usefixtures("ssh")
def test_the_energy_of_other_machines_is_not_taken_for_that_of_this_one(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="energy is measured on this machine"):
        on_hosts(tmp_path, "def train(task): ...", "localhost", "localhost", energy="auto")


def test_hosts_go_with_the_number_of_nodes(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="names 1 hosts, and practice trains on 2 nodes"):
        on_hosts(tmp_path, "def train(task): ...", "localhost")
