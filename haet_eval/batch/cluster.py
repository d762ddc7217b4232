"""Runs on the workers of a dask cluster. Submissions and records travel as bytes, known by their digests.

If a batch is gone for any reason, its workers give up its runs within seconds.
"""

import logging
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlsplit

from distributed import Client, KilledWorker, get_worker
from tenacity import Retrying
from tenacity.retry import retry_if_exception_type
from tenacity.stop import stop_after_delay
from tenacity.wait import wait_fixed

from haet_eval.batch.failure import NodeFailure, put_incident_of_lost_run
from haet_eval.batch.job import Order
from haet_eval.batch.judge import InternalFault, Reporter, StageReached, judge
from haet_eval.batch.node import NodeProblem
from haet_eval.batch.parcel import Parcel, pack, unpack
from haet_eval.batch.site import SiteLost
from haet_eval.errors import EnvironmentProblem, HaetError, UsageProblem
from haet_eval.evaluation.request import WrittenRecord
from haet_eval.progress import Tick
from haet_eval.record import Sandbox
from haet_eval.store import Store

_CONNECT_SECONDS: Final = 20
_LOOK_SECONDS: Final = 0.2
_SECONDS_BETWEEN_TICKS: Final = 1.0
# A run ends at its next message, within seconds, and then removes its containers and files.
_UNWIND_SECONDS: Final = 60.0
# States of a dask task whose result nobody will fetch. Dask stops no thread, so the run must look by itself.
_GONE: Final = ("cancelled", "resumed", "released", "forgotten")


class Abandoned(HaetError):
    """Nobody waits for this run any more."""


class UnderWay:
    """The runs that have begun on the nodes and not yet left them, by their events."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._changed = threading.Condition()

    def begun(self, key: str) -> None:
        """The run with this key is alive."""
        with self._changed:
            self._keys.add(key)

    def left(self, key: str) -> None:
        """The run with this key has ended, and nothing of it is left on its node."""
        with self._changed:
            self._keys.discard(key)
            self._changed.notify_all()

    def wait_for_none(self, seconds: float) -> None:
        """Return when no run is under way, or after this time: a node that died sends no event."""
        with self._changed:
            self._changed.wait_for(lambda: not self._keys, seconds)


class ClusterSite:
    """A dask scheduler and those of its workers that offer the resources of a run.

    A worker that cannot make such runs, because it lacks the image or the data, gets no second one. A busy
    one does.

    Raises:
        EnvironmentProblem: no scheduler answers at the address.
        UsageProblem: no worker offers the resources, or time is ranked and two workers share a node.
    """

    def __init__(
        self,
        address: str,
        store: Store,
        *,
        jobs: int | None,
        sandbox: Sandbox,
        device: str,
        exclusive: bool,
        receive: Callable[[StageReached], None],
    ) -> None:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the batch itself reports errors
        self._address, self._store, self._jobs = address, store, jobs
        self._resources = {"docker": 1.0} if sandbox == "docker" else {}
        self._resources |= {"GPU": 1.0} if device == "cuda" else {}
        # Other batches on the same scheduler, and earlier ones, have other topics.
        self._topic = f"haet-eval-{secrets.token_hex(8)}"
        self._under_way = UnderWay()
        self._receive = receive
        self._set_aside: dict[str, str] = {}
        self._lock = threading.Lock()
        self._client = self._connect()
        self._executor = self._client.get_executor(pure=False, resources=self._resources or None)
        self._client.subscribe_topic(self._topic, lambda event: self._take(event[1]))
        try:
            self._check_workers(exclusive)
        # The client has threads and a connection, which would outlive the error.
        except BaseException:
            self.close()
            raise

    def slots(self) -> int:
        # This raises SiteLost if all workers are set aside: without room for a run, no call of `judge` would
        # find out.
        self._where()
        # A cluster that grows is used at once, because this is asked again before each run.
        return min(sum(self._offers().values()), self._jobs or 2**31)

    def judge(self, order: Order) -> WrittenRecord:
        # Errors of `received` are ours, so they stay out of `_result`, which sorts those of dask.
        result = self._result(order)
        try:
            return received(result, order, self._store)
        # The next attempt goes to another node. A node that fails quickly would be idle first and take the
        # whole list (decision 0072). A node that is only busy makes the next run (decision 0073).
        except NodeProblem as problem:
            if not problem.passes:
                self._put_aside(problem)
            raise

    def _result(self, order: Order) -> Parcel | NodeFailure:
        """What a worker of the cluster sends back.

        Raises:
            HaetError: no worker made the run, or the order was wrong.
            SiteLost: the batch was stopped, or the scheduler is gone.
        """
        where = self._where()
        try:
            future = self._executor.submit(_judge_on_node, order, self._topic, **where)
            result: Parcel | NodeFailure = future.result()
            return result
        except HaetError:
            raise
        # Dask raises these if the client was closed, or if its scheduler is gone.
        except (CancelledError, RuntimeError):
            raise self._lost() from None
        except KilledWorker as error:
            # Dask has tried several workers by itself. The run could not write an incident, so the batch
            # does.
            died = EnvironmentProblem(
                f"{error.allowed_failures + 1} workers of the cluster died while they made this run",
                "See their logs, and the nodes' memory.",
                code="cluster-workers-died",
            )
            put_incident_of_lost_run(order, self._store.directory, died)
            raise died from None
        # Dask passes on whatever went wrong in a worker, such as a module that cannot be imported there.
        except Exception as error:
            failed = EnvironmentProblem(
                f"a worker of the cluster failed: {type(error).__name__}: {error}",
                "The same haet-eval must be installed on every node.",
                code="cluster-worker-failed",
            )
            put_incident_of_lost_run(order, self._store.directory, failed)
            raise failed from None

    def stop(self) -> None:
        """End the runs, and wait until they have left the nodes: a scheduler may take the nodes away next."""
        self._executor.shutdown(wait=False)
        # Without a scheduler no event comes any more, so there is nothing to wait for.
        if self._client.status == "running":
            self._under_way.wait_for_none(_UNWIND_SECONDS)

    def close(self) -> None:
        self._client.close(timeout=_CONNECT_SECONDS)

    def _take(self, event: dict[str, Any]) -> None:
        if "left" in event:
            self._under_way.left(event["left"])
            return
        message = _message(event)
        self._under_way.begun(message.key)
        self._receive(message)

    def _connect(self) -> Client:
        place = urlsplit(self._address)
        try:
            if not place.hostname or not place.port:
                raise ValueError("an address is as in tcp://node1:8786")
            _wait_for(place.hostname, place.port)
            return Client(self._address, timeout=_CONNECT_SECONDS, set_as_default=False, name="haet-eval")
        except (OSError, ValueError, ImportError) as error:
            raise EnvironmentProblem(
                f"no dask scheduler answers at {self._address}: {error}",
                "`dask scheduler` prints the address when it starts",
                code="cluster-no-scheduler",
            ) from None

    def _check_workers(self, exclusive: bool) -> None:
        workers = self._workers()
        needed = " and ".join(self._resources)
        # A cluster without workers is fine: they may join later. Workers without the resources will never
        # take a run.
        if workers and not any(self._offers().values()):
            options = " ".join(f"{name}=1" for name in self._resources)
            raise UsageProblem(
                f"none of the {len(workers)} workers at {self._address} offers {needed}",
                f'Start them with --resources "{options}".',
                code="cluster-no-worker",
            )
        # By host and not by worker: two workers on a node disturb each other as well.
        hosts: Counter[str] = Counter()
        for address, slots in self._offers().items():
            hosts[str(workers[address].get("host"))] += slots
        crowded = [host for host, slots in hosts.items() if slots > 1]
        if exclusive and crowded:
            raise UsageProblem(
                f"time or energy is ranked; node {crowded[0]} would make {hosts[crowded[0]]} runs at once",
                "Start one worker on each node, with --nworkers 1 --nthreads 1.",
                code="cluster-exclusive",
            )

    def _workers(self) -> dict[str, dict[str, Any]]:
        try:
            workers: dict[str, dict[str, Any]] = self._client.scheduler_info()["workers"]
        except Exception:  # a lost connection raises another error in each state of the client
            raise self._lost() from None
        return workers

    def _offers(self) -> dict[str, int]:
        """How many runs each usable worker takes at once, by its address."""
        return {
            address: min(
                [int(facts["nthreads"]), *(int(facts["resources"].get(name, 0)) for name in self._resources)]
            )
            for address, facts in self._workers().items()
            if address not in self._set_aside
        }

    def _where(self) -> dict[str, Any]:
        """Where dask may make a run: on any worker, also one that joins later, until one was set aside."""
        # Naming the workers would bind the run to those that are there now.
        if not self._set_aside:
            return {}
        usable = [address for address, slots in self._offers().items() if slots]
        if not usable:
            told = "; ".join(sorted(set(self._set_aside.values())))
            raise SiteLost(
                f"no worker of the cluster can make these runs: {told}",
                "Put that right on the nodes (`haet-eval doctor` looks), then start the same batch again.",
            )
        return {"workers": usable}

    def _put_aside(self, problem: NodeProblem) -> None:
        # Each run has a thread of its own that may come here.
        with self._lock:
            self._set_aside[problem.address] = problem.message

    def _lost(self) -> SiteLost:
        return SiteLost(
            f"the batch was stopped, or the scheduler at {self._address} is gone; what was under way is lost",
            "The records so far are kept: start the same batch again.",
        )


def _wait_for(host: str, port: int) -> None:
    """Wait until the scheduler listens: it may still start, and dask's client would fail with a traceback.

    Raises:
        OSError: it does not listen in time.
    """
    trying = Retrying(
        retry=retry_if_exception_type(OSError),
        stop=stop_after_delay(_CONNECT_SECONDS),
        wait=wait_fixed(_LOOK_SECONDS),
        reraise=True,
    )
    trying(lambda: socket.create_connection((host, port), _CONNECT_SECONDS).close())


def received(result: Parcel | NodeFailure, order: Order, store: Store) -> WrittenRecord:
    """Put what came back from a node into the store.

    Raises:
        HaetError: the node could not judge the submission, or `unpack` refuses the record.
    """
    if isinstance(result, NodeFailure):
        # The node's results folder is temporary. The incident goes where the organizer looks for it.
        result.keep_incidents(store.directory)
        raise result.problem
    return unpack(result, order.job, store)


def _judge_on_node(order: Order, topic: str) -> Parcel | NodeFailure:
    """Judge a submission. This runs in a worker of the cluster."""
    worker = get_worker()
    key = worker.get_current_task()

    def send(message: StageReached) -> None:
        # Every message asks whether the batch still wants the run; this is how it ends on the node.
        task = worker.state.tasks.get(key)
        if task is None or task.state in _GONE:
            raise Abandoned("nobody waits for this run any more", code="interrupted")
        worker.log_event(topic, _event(message))

    reporter = Reporter(order.job.key, send, _SECONDS_BETWEEN_TICKS)
    try:
        return judge_for_another(order, reporter, worker.name, worker.address)
    # Also after an error: `stop` waits until each run that began has left.
    finally:
        worker.log_event(topic, {"left": order.job.key})


def judge_for_another(order: Order, reporter: Reporter, worker: object, address: str) -> Parcel | NodeFailure:
    """Judge a submission for a batch on another machine.

    Args:
        order: the order of the run.
        reporter: receives the progress.
        worker: the name of the worker, for the user.
        address: the worker's in the cluster.
    """
    parcels: list[Parcel] = []
    incidents: list[bytes] = []
    name = f"{reporter.node} (worker {worker})"
    problem: HaetError
    try:
        # The parcel is packed in the callback, while the files still exist.
        judge(order, None, reporter, lambda outcome: parcels.append(pack(outcome)), incidents.append)
        return parcels[0]
    except NodeProblem as error:
        problem = NodeProblem(f"node {name}: {error.message}", error.hint, address, code=error.code)
    except EnvironmentProblem as error:
        problem = EnvironmentProblem(f"node {name}: {error.message}", error.hint, code=error.code)
    except InternalFault as fault:
        problem = InternalFault(f"node {name}: {fault.message}", fault.hint, code=fault.code)
    # Returned and not raised, because the incidents travel with it.
    return NodeFailure(problem, tuple(incidents))


def _event(message: StageReached) -> dict[str, Any]:
    """The message in types that an event can carry: texts, floats, and integers below 2⁶³."""
    event = asdict(message)
    # Operations have no upper limit, so they travel as text.
    if message.tick is not None and message.tick.operations is not None:
        event["tick"]["operations"] = str(message.tick.operations)
    return event


def _message(event: dict[str, Any]) -> StageReached:
    tick = event["tick"]
    if tick and tick["operations"] is not None:
        tick = tick | {"operations": int(tick["operations"])}
    return StageReached(event["key"], event["node"], event["stage"], Tick(**tick) if tick else None)
