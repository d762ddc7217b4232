"""The nodes of a native evaluation: their workers, started and connected."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from haet_eval.competition import Budgets
from haet_eval.evaluation.frame import accept, executor_threads, limits_of
from haet_eval.evaluation.peers import Peer
from haet_eval.evaluation.watch import Watch
from haet_eval.native.node import Node
from haet_eval.remote.connection import Connection
from haet_eval.remote.log import OutputLog
from haet_eval.runtimes.environment import VISIBLE_GPUS
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.interface import MeetingPoint, Network, Role, Runtime, WorkerLimits

_MOST_TEMPORARY_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Nodes:
    """Connected nodes. Node 0 returns the model and predicts; the others are the watch's peers."""

    first: Node
    watch: Watch

    def everyone(self) -> list[Node]:
        return [self.first, *(peer.node for peer in self.watch.peers.values())]

    def peak_memory_bytes(self) -> int | None:
        """The largest peak memory of a node; None unless it is known for all nodes."""
        peaks = [worker.peak_memory_bytes() for _, worker in self.watch.workers.values()]
        known = [peak for peak in peaks if peak is not None]
        return max(known) if len(known) == len(peaks) else None

    def release_peers(self) -> None:
        """End the peers: only node 0, which has the model, is still needed."""
        for peer in self.watch.peers.values():
            # The thread ends before its connection: a reader would take the closed connection for a lost
            # node.
            peer.stop()
            peer.node.connection.close()
        for number in self.watch.peers:
            # Off the watch first, which would judge the end of this worker.
            self.watch.workers.pop(number)[1].kill()
        self.watch.peers = {}


@contextmanager
def open_nodes(
    runtime: Runtime, budgets: Budgets, count: int, device: str, log: OutputLog
) -> Iterator[Nodes]:
    """Start `count` nodes and connect them; the exit of the block ends and removes them.

    The runtime decides how several nodes reach each other: in containers through a loopback device of their
    own. The log takes the submission's output on node 0.

    Raises:
        EnvironmentProblem: the nodes cannot be started.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder())
        listeners = [stack.enter_context(folder.listen(Role.NATIVE, node)) for node in range(count)]
        stack.enter_context(runtime)
        watch = Watch(check_folder=folder.check)
        point = runtime.meeting_point()
        for node in range(count):
            variables = {"OMP_NUM_THREADS": str(executor_threads(budgets))}
            if count > 1:
                variables |= torchrun_environment(node, count, point, device)
            # Node 0 makes the network namespace and the others join it. A bridge would have an address on the
            # host, and so a way to the host's services (decision 0093).
            network: Network = None if count == 1 else watch.workers[0][1] if node else "own"
            worker = runtime.start(
                Role.NATIVE, folder.socket_path(Role.NATIVE, node), _node_limits(budgets), variables, network
            )
            watch.workers[node] = Role.NATIVE, worker
            watch.limits[node] = _node_limits(budgets)
        nodes = []
        for number, listener in enumerate(listeners):
            connection = Connection(accept(listener, watch), watch.look)
            stack.callback(connection.close)
            kept = OutputLog() if number else log
            # Only node 0 gets a function for its reports, in `run`: one node speaks for the training.
            nodes.append(
                Node(connection, budgets.output_bytes, report=lambda _: None, log=kept, number=number)
            )
        watch.peers = {number: Peer(node) for number, node in enumerate(nodes) if number}
        for peer in watch.peers.values():
            # Called before the connections close, because the stack undoes the last entry first.
            stack.callback(peer.stop)
        yield Nodes(nodes[0], watch)


def torchrun_environment(node: int, count: int, point: MeetingPoint, device: str) -> Mapping[str, str]:
    """The variables that torchrun sets, with one process on each node; on one machine, each has a GPU."""
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
        # Each node sees one GPU, which has the number 0 there: hence LOCAL_RANK 0 everywhere.
        ours |= {VISIBLE_GPUS: str(node)} if device == "cuda" else {}
    return ours


def _node_limits(budgets: Budgets) -> WorkerLimits:
    """The limits of an executor, with memory for files: data loaders and libraries share data in files."""
    temporary = min(_MOST_TEMPORARY_BYTES, budgets.memory_bytes // 4)
    return replace(
        limits_of(budgets, budgets.memory_bytes, executor_threads(budgets)),
        tmp_bytes=temporary,
        shm_bytes=temporary,
    )
