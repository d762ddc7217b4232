"""Which workers of a cluster get another run, and what is made of the results that they send back."""

import fcntl
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from distributed import LocalCluster

from haet_eval.batch import cluster
from haet_eval.batch import judge as judging
from haet_eval.batch.cluster import ClusterSite
from haet_eval.batch.job import Order
from haet_eval.batch.node import NodeProblem, reserved
from haet_eval.batch.plan import Options
from haet_eval.batch.site import SiteLost
from haet_eval.store import Store
from tests.fixtures.orders import order_of_entry


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def site(store: Store) -> Iterator[ClusterSite]:
    """A cluster of one worker, which is a thread of this process."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
    ) as workers:
        site = ClusterSite(
            str(workers.scheduler_address),
            store,
            jobs=None,
            sandbox="process",
            device="cpu",
            exclusive=False,
            receive=lambda _: None,
        )
        yield site
        site.close()


@pytest.fixture
def order(tmp_path: Path, store: Store) -> Order:
    """A run that no machine makes: its sources are those of no haet-eval."""
    return order_of_entry(tmp_path, store, Options(sandbox="process"), sources="0" * 64)


def test_a_busy_worker_gets_the_next_run_and_one_that_cannot_make_it_does_not(
    site: ClusterSite, order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "node.lock"
    monkeypatch.setattr(judging, "reserved", partial(reserved, lock=lock))
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(NodeProblem, match="a run whose time or energy is ranked is being made on it"):
            site.judge(order)
    assert site.slots() == 1
    with pytest.raises(NodeProblem, match="other sources"):
        site.judge(order)
    with pytest.raises(SiteLost, match=r"no worker of the cluster can make these runs: .*other sources"):
        site.slots()


def test_a_fault_of_ours_with_a_result_does_not_pass_for_a_lost_scheduler(
    site: ClusterSite, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise RecursionError("a fault")

    monkeypatch.setattr(cluster, "received", failing)
    with pytest.raises(RecursionError, match="a fault"):
        site.judge(order)
