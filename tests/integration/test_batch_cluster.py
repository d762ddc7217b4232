"""Batches on a dask cluster of real processes: what happens when its parts die, dawdle or lack something."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest
from distributed import LocalCluster

from haet_eval.batch.node import NodeProblem, check_image
from haet_eval.errors import ExitCode
from haet_eval.record import from_json
from haet_eval.store import Store
from tests.fixtures.batches import (
    PATIENCE_SECONDS,
    QUICK,
    SLOW,
    Batches,
    Ended,
    events,
    judged_once,
    wait_for_record,
    wait_for_training,
)
from tests.fixtures.program import with_constant

pytestmark = pytest.mark.slow


@contextmanager
def local_cluster(batches: Batches, workers: int) -> Iterator[LocalCluster]:
    """Worker processes with the temporary folder of the batches."""
    before = dict(os.environ)
    os.environ |= batches.environment()
    try:
        with LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            resources={"docker": 1},
            local_directory=str(batches.folder / "dask"),
        ) as cluster:
            yield cluster
    finally:
        os.environ.clear()
        os.environ |= before


@contextmanager
def program(batches: Batches, *command: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A part of a cluster, started as its operators start it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *command],
        cwd=batches.folder,
        env=batches.environment(**variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def scheduler(batches: Batches, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with program(
        batches, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"
    ) as process:
        wait_for_port(port)
        yield process


@contextmanager
def worker(batches: Batches, port: int, *options: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    address = f"tcp://127.0.0.1:{port}"
    common = ("--nthreads", "1", "--no-dashboard", "--local-directory", str(batches.folder / "dask"))
    with program(batches, "worker", address, *common, *options, **variables) as process:
        yield process


def wait_for_port(port: int) -> None:
    import socket

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def ended(process: "subprocess.Popen[str]") -> Ended:
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Ended(process.returncode, events(out), err)


def dask_workers(batches: Batches) -> list[psutil.Process]:
    """Those that have a run under way: the parents of the supervisors."""
    supervisors = [one for one in batches.processes() if "supervisor.py" in " ".join(one.cmdline())]
    parents = {one.ppid() for one in supervisors} - {one.pid for one in supervisors}
    return [psutil.Process(pid) for pid in sorted(parents)]


def test_a_worker_killed_and_a_slow_one_cost_time_only_and_records_come_back_whole(batches: Batches) -> None:
    for name in ("a", "b", "c", "d"):
        batches.add(name, SLOW.replace("150", "40") + f"# {name}")
    with local_cluster(batches, 3) as cluster:
        options = ("--scheduler", str(cluster.scheduler_address))
        with batches.running(*options) as process:
            wait_for_training(batches, 3)
            killed, slow, *_ = dask_workers(batches)
            killed.kill()
            slow.suspend()
            again = threading.Timer(8, slow.resume)
            again.start()
            done = ended(process)
            again.join()
        assert done.status == ExitCode.QUALIFIED, done.stderr
        assert done.named("finished") == ["a", "b", "c", "d"]
        assert batches.verdicts() == judged_once("a", "b", "c", "d")
    for path in batches.results.glob("*.json"):
        record = from_json(path.read_bytes())
        assert record.rank is None
        assert record.training is not None
        for artifact in (record.trace, record.training.histogram, record.training.model):
            assert artifact is not None
            assert Store(batches.results).read_artifact(artifact) is not None
    batches.wait_until_nothing_runs()


def test_stopping_the_batch_stops_its_runs_on_the_nodes(batches: Batches) -> None:
    batches.add("slow", SLOW.replace("150", "1000"))
    with local_cluster(batches, 1) as cluster:
        options = ("--scheduler", str(cluster.scheduler_address))
        for number in (signal.SIGINT, signal.SIGKILL):
            with batches.running(*options) as process:
                wait_for_training(batches)
                process.send_signal(number)
                process.wait(PATIENCE_SECONDS)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while dask_workers(batches):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert not batches.verdicts()
    assert not [name for name in batches.leftovers() if name.startswith("haet-eval")]


def test_a_batch_that_was_stopped_ends_after_its_runs(batches: Batches) -> None:
    """Its nodes may be taken away as soon as it has: a job script ends then."""
    batches.add("slow", SLOW.replace("150", "1000"))
    with local_cluster(batches, 1) as cluster:
        with batches.running("--scheduler", str(cluster.scheduler_address)) as process:
            wait_for_training(batches)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)
        assert not dask_workers(batches)
        assert not [name for name in batches.leftovers() if name.startswith("haet-eval")]


def test_a_scheduler_that_goes_away_ends_the_batch_and_another_goes_on(batches: Batches) -> None:
    batches.add("a-quick")
    batches.add("b-slow", SLOW)
    port = free_port()
    options = ("--scheduler", f"tcp://127.0.0.1:{port}", "--jobs", "1")
    with (
        scheduler(batches, port) as first,
        worker(batches, port, "--resources", "docker=1"),
        batches.running(*options) as process,
    ):
        wait_for_record(batches)
        wait_for_training(batches)
        first.kill()
        done = ended(process)
    assert done.status == ExitCode.ENVIRONMENT
    assert f"tcp://127.0.0.1:{port} is gone" in done.stderr
    assert "1 are left" in done.stderr
    batches.wait_until_nothing_runs()
    batches.add("b-slow", SLOW.replace("150", "1"))
    with scheduler(batches, port), worker(batches, port, "--resources", "docker=1"):
        again = batches.run(*options)
    assert again.status == ExitCode.QUALIFIED, again.stderr
    assert again.states() == {"a-quick": "done", "b-slow": "new"}
    assert batches.verdicts() == judged_once("a-quick", "b-slow")


def test_a_node_that_cannot_make_such_runs_is_named_and_set_aside(batches: Batches) -> None:
    for name in ("a", "b"):
        batches.add(name, f"{QUICK}  # {name}")
    port = free_port()
    options = ("--scheduler", f"tcp://127.0.0.1:{port}", "--sandbox", "docker", "--retries", "1")
    no_engine = {"DOCKER_HOST": f"unix://{batches.folder}/no-engine.sock"}
    with scheduler(batches, port), ExitStack() as stack:
        stack.enter_context(worker(batches, port, "--name", "without"))
        wait_for_workers(port, 1)
        without = batches.run(*options)
        assert without.status == ExitCode.USAGE
        assert "none of the 1 workers" in without.stderr
        assert "docker=1" in without.stderr
        stack.enter_context(worker(batches, port, "--name", "bare", "--resources", "docker=1", **no_engine))
        wait_for_workers(port, 2)
        done = batches.run(*options)
    assert done.status == ExitCode.ENVIRONMENT
    assert "(worker bare): no Docker engine answers at" in done.stderr
    assert "no worker of the cluster can make these runs" in done.stderr
    assert not batches.verdicts()


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_runs_go_to_the_nodes_that_can_make_them(batches: Batches) -> None:
    for name in ("a", "b"):
        batches.add(name, f"{QUICK}  # {name}")
    port = free_port()
    batches.temporary.chmod(0o711)  # for the containers' user
    options = ("--scheduler", f"tcp://127.0.0.1:{port}", "--sandbox", "docker", "--retries", "3")
    no_engine = {"DOCKER_HOST": f"unix://{batches.folder}/no-engine.sock"}
    with (
        scheduler(batches, port),
        worker(batches, port, "--name", "bare", "--resources", "docker=1", **no_engine),
        worker(batches, port, "--name", "good", "--resources", "docker=1"),
    ):
        wait_for_workers(port, 2)
        done = batches.run(*options)
    assert done.status == ExitCode.QUALIFIED, done.stderr
    assert batches.verdicts() == judged_once("a", "b")
    told = {line["reason"] for line in done.lines if line["event"] == "retried"}
    assert all("(worker bare): no Docker engine answers" in reason for reason in told)
    assert len([line for line in done.lines if line["event"] == "retried"]) <= 2


@pytest.mark.docker
def test_another_image_than_the_one_asked_for_is_refused_by_its_digest(sandbox_image: str) -> None:
    check_image(sandbox_image)
    with pytest.raises(
        NodeProblem, match=r"its sandbox image is sha256:[0-9a-f]{12}, not sha256:000000000000"
    ):
        check_image("sha256:" + "0" * 64)


def test_a_missing_scheduler_is_reported(batches: Batches) -> None:
    batches.add("a")
    batches.program = with_constant("haet_eval.batch.cluster", "_CONNECT_SECONDS", 3)
    done = batches.run("--scheduler", f"tcp://127.0.0.1:{free_port()}")
    assert done.status == ExitCode.ENVIRONMENT
    assert "no dask scheduler answers" in done.stderr


def wait_for_workers(port: int, count: int) -> None:
    from distributed import Client

    with Client(f"tcp://127.0.0.1:{port}", set_as_default=False) as client:
        client.wait_for_workers(count, timeout=PATIENCE_SECONDS)
