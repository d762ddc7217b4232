"""A run that fails on our side leaves an incident in the results of its batch, wherever it was made."""

import json
import multiprocessing
import pickle
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from haet_eval.batch.cluster import judge_for_another, received
from haet_eval.batch.failure import NodeFailure
from haet_eval.batch.job import Order
from haet_eval.batch.judge import Reporter, judge
from haet_eval.batch.local import LocalSite
from haet_eval.batch.node import NodeProblem
from haet_eval.batch.plan import Options
from haet_eval.batch.pool import ProcessDied
from haet_eval.errors import EnvironmentProblem
from haet_eval.incidents import describe, incidents
from haet_eval.runtimes.image_files import build_context
from haet_eval.store import Store
from tests.fixtures.orders import order_of_entry


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def order(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Order:
    """A run in containers, on a machine without an engine."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    return order_of_entry(tmp_path, store, Options(), sources=build_context().digest)


def told(store: Store) -> dict[str, Any]:
    (path,) = incidents(store.directory)
    assert not describe(path).endswith("cannot be read")
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def test_the_incident_of_a_run_on_a_node_comes_back_with_the_error(store: Store, order: Order) -> None:
    result = judge_for_another(order, Reporter(order.job.key, lambda _: None, 0), "w7", "tcp://node:1")
    assert isinstance(result, NodeFailure)
    result = pickle.loads(pickle.dumps(result))  # as it travels
    assert not store.directory.exists()
    with pytest.raises(NodeProblem, match=r"node .* \(worker w7\): no Docker engine answers") as raised:
        received(result, order, store)
    assert raised.value.address == "tcp://node:1"
    document = told(store)
    assert document["code"] == "engine-absent"
    assert document["submission"] == "entry"
    assert document["stage"] == "unpack"
    assert {"log", "haet_eval", "torch", "host"} <= document.keys()


def test_a_run_whose_process_was_killed_leaves_an_incident(store: Store, order: Order) -> None:
    site = LocalSite(store.directory, 1, [], lambda _: None)
    with ThreadPoolExecutor(1) as caller:
        run = caller.submit(site.judge, order)
        while not (processes := multiprocessing.active_children()):
            time.sleep(0.01)
        for process in processes:
            process.kill()
        with pytest.raises(ProcessDied, match="SIGKILL"):
            run.result()
    site.close()
    assert told(store)["code"] == "run-died"
    assert told(store)["submission"] == order.job.label


def test_temporary_files_that_cannot_be_written_are_the_machines_fault_and_the_run_is_tried_again(
    store: Store, order: Order
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(EnvironmentProblem, match=r"temporary files cannot be written .*File too large"):
            judge(order, store.directory, Reporter(order.job.key, lambda _: None, 0), lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
