"""Why a run on several nodes ended: what a node reported says more than the end of its process."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from haet_eval.errors import EnvironmentProblem, SubmissionFailure
from haet_eval.evaluation.peers import Peer
from haet_eval.evaluation.watch import Watch, ending
from haet_eval.native.node import Node
from haet_eval.progress import ReportValue
from haet_eval.remote.connection import Connection
from haet_eval.remote.messages import Failed, Message, Report
from haet_eval.remote.wire import Channel, frame
from haet_eval.runtimes.interface import Exit, Role


@dataclass
class Ended:
    """A worker with this end: no process ends exactly between two looks because a test wants it."""

    end: Exit | None = None

    def poll(self) -> Exit | None:
        return self.end

    def kill(self) -> None: ...

    def peak_memory_bytes(self) -> int | None:
        return None

    def cpu_seconds(self) -> float | None:
        return None

    def processes_exhausted(self) -> bool:
        return False


class TwoNodes:
    """A watch over node 0 and one peer, whose every message is the test's."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.node = Node(Connection(ours), 100, self._report, number=1)
        self.peer = Peer(self.node)
        self.worker = Ended()
        workers = {0: Ended(), 1: self.worker}
        self.watch = Watch({number: (Role.NATIVE, worker) for number, worker in workers.items()})
        self.watch.peers = {1: self.peer}
        self.watch.begin("train", 100)

    def _report(self, values: Mapping[str, ReportValue]) -> None:
        raise OSError("a fault of ours")

    def says(self, message: Message) -> None:
        self.theirs.sendall(frame(Channel.CONTROL, message.encode()))

    def close(self) -> None:
        self.peer.stop()
        self.node.connection.close()
        self.theirs.close()


@pytest.fixture
def two() -> Iterator[TwoNodes]:
    nodes = TwoNodes()
    yield nodes
    nodes.close()


def test_a_peer_that_reports_an_error_and_ends_at_once_has_its_own_error(two: TwoNodes) -> None:
    two.peer.begin()
    two.says(Failed(reason="KeyError: 'lost'", traceback=""))
    two.worker.end = Exit(1, None)
    with pytest.raises(SubmissionFailure, match="Node 1: KeyError: 'lost'"):
        two.watch.look()


def test_a_peer_that_ends_without_a_word_is_judged_by_its_end(two: TwoNodes) -> None:
    two.peer.begin()
    two.theirs.close()
    two.worker.end = Exit(7, None)
    with pytest.raises(SubmissionFailure, match=r"Node 1: .*exit status 7"):
        two.watch.look()


def test_a_fault_of_ours_in_the_thread_of_a_peer_is_raised_and_not_a_verdict(two: TwoNodes) -> None:
    two.peer.begin()
    two.says(Report(values={"step": "1"}))
    assert not two.peer.has_finished()
    with pytest.raises(OSError, match="a fault of ours"):
        two.watch.look()


@pytest.mark.parametrize("lost_at", ["begin", "finish"])
def test_a_peer_that_is_lost_is_blamed_itself(
    two: TwoNodes, lost_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haet_eval.evaluation.watch._END_SECONDS", 0.1)
    two.theirs.close()
    with ending(two.watch) as end:
        getattr(two.node, lost_at)()
    assert end.failure is not None
    assert end.failure.reason.startswith("Node 1: The submission's process closed its connection")


def test_a_wait_that_voids_a_run_is_not_said_to_be_the_users(two: TwoNodes) -> None:
    looked, worked = two.watch._looked
    two.watch._looked = looked - 60, worked
    with pytest.raises(EnvironmentProblem, match="stood still for 60 s") as caught:
        two.watch.look()
    assert "a disk and an engine that answer" in caught.value.hint
