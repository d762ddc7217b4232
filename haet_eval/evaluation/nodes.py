"""The nodes of a native evaluation: their workers, started, connected, and watched while they train."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from haet_eval.competition import Budgets
from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.evaluation.workers import END_SECONDS, Watch, accept, executor_threads, limits_of
from haet_eval.native.node import Node
from haet_eval.remote.connection import Connection
from haet_eval.remote.relay import SubmissionLost
from haet_eval.runtimes.failures import judge_end
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.interface import MeetingPoint, Network, Role, Runtime, Worker, WorkerLimits

_MOST_TEMPORARY_BYTES: Final = 1 << 30
_HEARSAY_SECONDS: Final = 0.5


class _Stopped(Exception):
    """Nobody waits for this node any more."""


class Peer:
    """A node that hands in nothing, listened to in a thread of its own."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.failure: SubmissionFailure | SubmissionLost | None = None
        self._finished = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def begin(self) -> None:
        """Let it train, and listen."""
        self.node.begin()
        self.node.connection.idle = self._idle
        self._thread.start()

    def has_finished(self) -> bool:
        """Whether a node whose worker has ended had returned from `train`: the news may be on its way."""
        if self._thread.ident is not None:
            self._thread.join(_HEARSAY_SECONDS)
        return self._finished

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _idle(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _listen(self) -> None:
        try:
            self.node.finish()
            self._finished = True
        except (SubmissionFailure, SubmissionLost) as failure:
            self.failure = failure
        except _Stopped:
            return


@dataclass
class NodesWatch(Watch):
    """Watches the workers of all nodes, by number, and what is heard from those that hand in nothing."""

    nodes: dict[int, Worker] = field(default_factory=dict)
    peers: dict[int, Peer] = field(default_factory=dict)

    def look(self) -> None:
        super().look()
        self.check_peers()

    def check_peers(self) -> None:
        """Raises where a node that hands in nothing has failed."""
        for number, peer in self.peers.items():
            if isinstance(peer.failure, SubmissionFailure):
                raise self.explained(_of_node(peer.failure, number), number)
            if peer.failure is not None:
                self.wait_for_node(number)

    def check_workers(self) -> None:
        for number, worker in self.nodes.items():
            end = worker.poll()
            if end is not None and not (number in self.peers and self.peers[number].has_finished()):
                problem = judge_end(Role.NATIVE, end, submission_started=self.submission_started)
                raise self._named(problem, number)

    def explained(self, failure: SubmissionFailure, node: int = 0) -> SubmissionFailure:
        if failure.verdict is Verdict.FAILED and self.nodes[node].processes_exhausted():
            return SubmissionFailure(
                Verdict.LIMIT_PROCESSES,
                f"The submission started more processes and threads than it may. It said: {failure.reason}",
                code="limit-processes",
            )
        return failure

    def cause(self, failure: SubmissionFailure) -> SubmissionFailure:
        """What lies behind a failure of node 0: where another has failed, node 0 often only notices."""
        deadline = time.monotonic() + _HEARSAY_SECONDS
        try:
            while self.peers and time.monotonic() < deadline:
                self.check_peers()
                time.sleep(0.05)
        except SubmissionFailure as other:
            return other
        return self.explained(failure)

    def wait_for_node(self, number: int) -> NoReturn:
        """The connection of this node is lost: find out how it ended."""
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            self.check_workers()
            time.sleep(0.05)
        raise self._named(
            SubmissionFailure(
                Verdict.FAILED,
                "the submission's process closed its connection to the evaluator and went on running.",
                code="connection-closed",
            ),
            number,
        )

    def _named(
        self, problem: SubmissionFailure | EnvironmentProblem, number: int
    ) -> SubmissionFailure | EnvironmentProblem:
        if len(self.nodes) > 1 and isinstance(problem, SubmissionFailure):
            return _of_node(problem, number)
        return problem

    def peak_memory_bytes(self) -> int | None:
        """The most memory that one of the nodes has used, where all are known."""
        peaks = [worker.peak_memory_bytes() for worker in self.nodes.values()]
        known = [peak for peak in peaks if peak is not None]
        return max(known) if len(known) == len(peaks) else None

    def release_peers(self) -> None:
        """End the nodes that have handed in nothing: only node 0 is still needed."""
        for peer in self.peers.values():
            peer.stop()
            peer.node.connection.close()
        for number in self.peers:
            self.nodes.pop(number).kill()
        self.peers = {}


def _of_node(failure: SubmissionFailure, number: int) -> SubmissionFailure:
    return SubmissionFailure(failure.verdict, f"Node {number}: {failure.reason}", code=failure.code)


@dataclass(frozen=True, slots=True)
class NodesRun:
    """Connected nodes; node 0 hands in the model and predicts, the others are among the watch's peers."""

    first: Node
    watch: NodesWatch

    def everyone(self) -> list[Node]:
        return [self.first, *(peer.node for peer in self.watch.peers.values())]


@contextmanager
def open_nodes(runtime: Runtime, budgets: Budgets, count: int, device: str) -> Iterator[NodesRun]:
    """Start so many nodes and connect them; on leaving, nothing of them is left.

    Several nodes reach each other as the runtime says, in containers through a loopback device of their own.

    Raises:
        EnvironmentProblem: they cannot be started.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder())
        listeners = [stack.enter_context(folder.listen(Role.NATIVE, node)) for node in range(count)]
        stack.enter_context(runtime)
        watch = NodesWatch({})
        point = runtime.meeting_point()
        for node in range(count):
            variables = {"OMP_NUM_THREADS": str(executor_threads(budgets))}
            if count > 1:
                variables |= torchrun_environment(node, count, point, device)
            network: Network = None if count == 1 else watch.nodes.get(0, "own")
            watch.nodes[node] = runtime.start(
                Role.NATIVE, folder.socket_path(Role.NATIVE, node), _node_limits(budgets), variables, network
            )
        nodes = []
        for listener in listeners:
            connection = Connection(accept(listener, watch), watch.look)
            stack.callback(connection.close)
            nodes.append(Node(connection, budgets.output_bytes, report=lambda _: None))
        watch.peers = {number: Peer(node) for number, node in enumerate(nodes) if number}
        for peer in watch.peers.values():
            stack.callback(peer.stop)
        yield NodesRun(nodes[0], watch)


def torchrun_environment(node: int, count: int, point: MeetingPoint, device: str) -> Mapping[str, str]:
    """What torchrun sets for one process on each of so many nodes; on one machine, they have a GPU each."""
    ours = {
        "MASTER_ADDR": point.address,
        "MASTER_PORT": str(point.port),
        "RANK": str(node),
        "WORLD_SIZE": str(count),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": str(node),
        "GROUP_WORLD_SIZE": str(count),
        "ROLE_RANK": str(node),
        "ROLE_WORLD_SIZE": str(count),
    }
    if point.one_machine:
        ours |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
        ours |= {"CUDA_VISIBLE_DEVICES": str(node)} if device == "cuda" else {}
    return ours


def _node_limits(budgets: Budgets) -> WorkerLimits:
    """Those of an executor, with room in memory for files: data loaders and libraries share through them."""
    temporary = min(_MOST_TEMPORARY_BYTES, budgets.memory_bytes // 4)
    return replace(
        limits_of(budgets, budgets.memory_bytes, executor_threads(budgets)),
        tmp_bytes=temporary,
        shm_bytes=temporary,
    )
