"""Watches the workers of a run, and finds out why it ended."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NoReturn

from haet_eval.errors import EnvironmentProblem, SubmissionFailure, Verdict
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.peers import HEARSAY_SECONDS, Peer
from haet_eval.interruption import check as check_interruption
from haet_eval.interruption import received
from haet_eval.remote.executor_link import ExecutorLost
from haet_eval.remote.relay import SubmissionLost
from haet_eval.runtimes.failures import judge_end, too_many_processes
from haet_eval.runtimes.interface import Role, Worker, WorkerLimits

EXECUTOR: Final = 1
"""The number of the executor in a counted run."""

START_SECONDS: Final = 120
GRACE_SECONDS: Final = 15.0
_END_SECONDS: Final = 10.0
_NAMES: Final = {"train": "training", "catch up": "way back to the checkpoint", "predict": "prediction"}
_POLL_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 5.0
"""A gap between two looks in which this process did not work either. A submission cannot cause such a gap."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the earlier parts of a run have used, in seconds: `cpu_seconds` by the submission's process."""

    wall_seconds: float = 0.0
    paused_seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass
class Watch:
    """Looks at a running stage a few times a second, and ends it when its time is over or a worker has ended.

    It is also the clock that decides whether a message came in time. If haet-eval itself is stopped (Ctrl-Z,
    a machine that sleeps) or waits long for a disk or the engine, a submission on handles waits for it. So
    this pause does not count as the submission's time.

    `cpu_allowance` returns the processor time, in seconds, that the submission's own process may have used by
    now; without it there is no limit.

    `earlier_cpu_seconds` are added to the processor time of the submission's process: what the earlier parts
    of a run that goes on have used, without the time in which this process did their work once more.

    Workers have numbers and are judged in the order of their start: the executor first, because the
    submission's process ends with it. Number 0 returns the model; `peers` are the other nodes. `limits` are
    those of the workers, by number; verdicts name them. `check_folder` raises EnvironmentProblem if the run's
    folder is gone.
    """

    workers: dict[int, tuple[Role, Worker]] = field(default_factory=dict)
    peers: dict[int, Peer] = field(default_factory=dict)
    limits: dict[int, WorkerLimits] = field(default_factory=dict)
    check_folder: Callable[[], None] = lambda: None
    stage: str = "train"
    budget_seconds: float = float(START_SECONDS)
    started: float = field(default_factory=time.monotonic)
    grace_seconds: float = 0.0
    cpu_allowance: Callable[[], float] | None = None
    submission_started: bool = False
    paused_seconds: float = 0.0
    earlier_cpu_seconds: float = 0.0
    _polled: float = 0.0
    _looked: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), time.process_time()))

    def begin(self, stage: str, budget_seconds: float) -> None:
        """A stage begins now and may take `budget_seconds`."""
        self.stage, self.budget_seconds = stage, budget_seconds
        self.grace_seconds = self.paused_seconds = 0.0
        self.started = time.monotonic()
        self._looked = self.started, time.process_time()
        self.submission_started = True

    def go_on(self, stage: str, budget_seconds: float, earlier: "Spent") -> None:
        """A stage goes on here that began in another part of the run."""
        self.begin(stage, budget_seconds)
        self.started -= earlier.wall_seconds + earlier.paused_seconds
        self.paused_seconds = earlier.paused_seconds
        # The property adds this number, so it is zero while the processor time of the way back is read.
        self.earlier_cpu_seconds = 0.0
        self.earlier_cpu_seconds = earlier.cpu_seconds - (self.submission_cpu_seconds or 0.0)

    @property
    def elapsed_seconds(self) -> float:
        """The time of the stage so far, without pauses."""
        return time.monotonic() - self.started - self.paused_seconds

    def is_over(self) -> bool:
        """Whether the stage has taken all its time."""
        self._notice_pause()
        return self.elapsed_seconds > self.budget_seconds

    def allow_grace(self) -> None:
        """There is a checkpoint: when the time is over, give the submission a moment to return it."""
        self.grace_seconds = GRACE_SECONDS

    def look(self) -> None:
        """Raises SubmissionFailure, EnvironmentProblem or KeyboardInterrupt if the stage must end."""
        # An interruption comes before any failure: a scheduler may send the same signal to the workers.
        check_interruption()
        # Before the time is compared: hours in which the machine slept would end the run by its time limit.
        self._notice_pause()
        if self.elapsed_seconds > self.budget_seconds + self.grace_seconds:
            self.overdue()
        if time.monotonic() - self._polled > _POLL_SECONDS:
            # A poll of a container is a call of the engine, so it comes once a second. Peers are only
            # variables.
            self._polled = time.monotonic()
            self.check_folder()
            self._check_workers()
            self.check_cpu()
        self._check_peers()

    @property
    def submission_cpu_seconds(self) -> float | None:
        """Processor time of the submission's own process so far; None if it is not known."""
        used = self.workers[0][1].cpu_seconds()
        return None if used is None else max(0.0, used + self.earlier_cpu_seconds)

    def check_cpu(self) -> None:
        """Raises SubmissionFailure if the submission computes too much in its own process."""
        # The import of PyTorch takes seconds of processor time, and the submission has not begun then.
        if self.cpu_allowance is None or not self.submission_started:
            return
        allowed, used = self.cpu_allowance(), self.submission_cpu_seconds
        if used is not None and used > allowed:
            raise SubmissionFailure(
                Verdict.LIMIT_CPU,
                f"The submission's own process used {used:,.1f} s of processor time, and it may use "
                f"{allowed:,.1f} s by now (submission_cpu_seconds, and more for operators that it calls). "
                "Compute on the task's tensors, which is counted, and not in Python or NumPy.",
                code="limit-cpu",
            )

    def _notice_pause(self) -> None:
        """Find out whether this process was stopped: since the last look it has neither worked nor looked."""
        looked, worked = self._looked
        # Work of this process between two looks, such as pricing a slow call, is no pause: a submission can
        # cause it (decision 0053).
        self._looked = time.monotonic(), time.process_time()
        idle = (self._looked[0] - looked) - (self._looked[1] - worked)
        if idle < _PAUSE_SECONDS:
            return
        self.paused_seconds += idle
        # Nodes on plain tensors do not wait for this process: they trained on during the pause.
        timed = any(role is Role.NATIVE for role, _ in self.workers.values())
        if timed or self.paused_seconds > self.budget_seconds:
            raise EnvironmentProblem(
                f"the evaluation stood still for {self.paused_seconds:,.0f} s, so its time is unknown",
                "Run it again, and let it run: no Ctrl-Z, no sleep, and a disk and an engine that answer.",
                code="paused",
            )

    def overdue(self) -> NoReturn:
        """The time of the stage is over."""
        if not self.submission_started:
            raise EnvironmentProblem(
                f"the workers did not start within {START_SECONDS} s",
                "The machine may be overloaded; try again.",
                code="start-too-slow",
            )
        what = _NAMES[self.stage]
        raise SubmissionFailure(
            Verdict.LIMIT_TIME,
            f"The {what} took longer than its budget of {self.budget_seconds:,.0f} s.",
            code="limit-time",
        )

    def end_of(self, number: int) -> SubmissionFailure:
        """Why the connection of this worker is lost: the failure of the submission.

        A connection breaks before its process has ended, so this waits a moment for the exit status.

        Raises:
            EnvironmentProblem: the submission did not cause the end.
        """
        deadline = time.monotonic() + _END_SECONDS
        try:
            while time.monotonic() < deadline:
                self._check_workers()
                time.sleep(0.05)
        except SubmissionFailure as failure:
            return failure
        if self.workers[number][0] is Role.EXECUTOR:
            raise EnvironmentProblem(
                "a worker closed its connection and went on running",
                "Run it again; `haet-eval doctor` may know more.",
                code="connection-lost",
            )
        return self._named(
            SubmissionFailure(
                Verdict.FAILED,
                "The submission's process closed its connection to the evaluator and went on running.",
                code="connection-closed",
            ),
            number,
        )

    def explained(self, failure: SubmissionFailure) -> SubmissionFailure:
        """The failure of number 0, or its cause: often node 0 only notices that another node has failed."""
        deadline = time.monotonic() + HEARSAY_SECONDS
        try:
            # A counted run has no peers and does not wait here.
            while self.peers and time.monotonic() < deadline:
                self._check_peers()
                time.sleep(0.05)
        except SubmissionFailure as other:
            return other
        return self._unless_refused_a_process(failure, 0)

    def _check_workers(self) -> None:
        """Raises an error if a worker has ended, unless it is a peer that had returned from `train`."""
        for number, (role, worker) in self.workers.items():
            end = worker.poll()
            if end is None:
                continue
            if peer := self.peers.get(number):
                # A peer may end after `train`, while node 0 still trains.
                if peer.has_finished():
                    continue
                # What it reported before its end says more than the end.
                self._check_report(number, peer)
            ended = judge_end(
                role, end, submission_started=self.submission_started, limits=self.limits.get(number)
            )
            raise self._named(ended, number) if isinstance(ended, SubmissionFailure) else ended

    def _check_peers(self) -> None:
        for number, peer in self.peers.items():
            self._check_report(number, peer)
            if peer.failure is not None:
                raise self.end_of(number)

    def _check_report(self, number: int, peer: Peer) -> None:
        """Raises the error of a peer, unless it is only that its connection is lost."""
        if isinstance(peer.failure, SubmissionFailure):
            raise self._unless_refused_a_process(self._named(peer.failure, number), number)
        if peer.failure is not None and not isinstance(peer.failure, SubmissionLost):
            raise peer.failure

    def _unless_refused_a_process(self, failure: SubmissionFailure, number: int) -> SubmissionFailure:
        """The limit behind the failure, if any: code that cannot start a process often fails otherwise."""
        if failure.verdict is Verdict.FAILED and self.workers[number][1].processes_exhausted():
            reason = too_many_processes(self.limits.get(number))
            return SubmissionFailure(
                Verdict.LIMIT_PROCESSES,
                f"{reason[0].upper()}{reason[1:]}. The submission reported: {failure.reason}",
                code="limit-processes",
            )
        return failure

    def _named(self, failure: SubmissionFailure, number: int) -> SubmissionFailure:
        """The failure with the number of its node, if there are several."""
        if self.workers[number][0] is not Role.NATIVE or len(self.workers) == 1:
            return failure
        return SubmissionFailure(failure.verdict, f"Node {number}: {failure.reason}", code=failure.code)


@dataclass
class Ending:
    """The end of a stage: with a failure, or without."""

    failure: SubmissionFailure | None = None


@contextmanager
def ending(watch: Watch, heard: Heard | None = None) -> Iterator[Ending]:
    """Leave the block when the submission fails in it, and keep the failure. An interruption goes to `heard`.

    Raises:
        EnvironmentProblem: our side has failed.
        KeyboardInterrupt: a signal interrupted the run, and there is no `heard`.
    """
    end = Ending()
    try:
        yield end
    except ExecutorLost:
        end.failure = watch.end_of(EXECUTOR)
    except SubmissionLost as lost:
        end.failure = watch.end_of(lost.node)
    except SubmissionFailure as failure:
        # What the submission reported may follow from another cause, which says more.
        end.failure = watch.explained(failure)
    # An interruption is an end like others: the count so far goes into the record (decision 0082).
    except KeyboardInterrupt:
        if heard is None:
            raise
        heard.note("Interrupted: stopping the workers. Once more leaves at once.")
        end.failure = interrupted()


def interrupted() -> SubmissionFailure:
    """The failure in the record of an evaluation that a signal has stopped."""
    signal = received()
    by = f" ({signal.name})" if signal else ""
    reason = f"The evaluation was interrupted{by}. This says nothing about the submission: evaluate it again."
    return SubmissionFailure(Verdict.INTERRUPTED, reason, code="interrupted")
