"""One run of a batch, made on whatever machine this is."""

import gc
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from haet_eval.batch.job import Order
from haet_eval.batch.node import NodeProblem, check_node, reserved
from haet_eval.errors import EnvironmentProblem, HaetError
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.incidents import incidents
from haet_eval.progress import ReportValue, Tick
from haet_eval.runtimes.folder import RunFolder


class InternalFault(HaetError):
    """A fault of haet-eval itself. A second run would fail in the same way, so there are no retries."""


@dataclass(frozen=True, slots=True)
class StageReached:
    """A run, named by its job's key, came to a stage on this node, or is alive in that stage."""

    key: str
    node: str
    stage: str
    tick: Tick | None = None


Send: TypeAlias = Callable[[StageReached], None]


class Reporter:
    """An observer that sends messages, but at most one tick in this time."""

    def __init__(self, key: str, send: Send, seconds_between_ticks: float) -> None:
        self._key = key
        self._send = send
        self._seconds = seconds_between_ticks
        self._sent_seconds = 0.0
        self.node = platform.node()
        self.reached = "unpack"

    def stage(self, name: str, detail: str = "") -> None:  # noqa: ARG002 the signature is the observer's
        self.reached = name
        self._send(StageReached(self._key, self.node, name))

    def tick(self, tick: Tick) -> None:
        now = time.monotonic()
        # A training has many ticks a second, and each message costs the run time.
        if now - self._sent_seconds >= self._seconds:
            self._sent_seconds = now
            self._send(StageReached(self._key, self.node, tick.stage, tick))

    def report(self, values: Mapping[str, ReportValue]) -> None: ...
    def transfer(self, what: str, done_bytes: int, total_bytes: int | None) -> None: ...
    def note(self, text: str) -> None: ...


def judge(
    order: Order,
    results: Path | None,
    reporter: Reporter,
    take: Callable[[WrittenRecord], None],
    take_incident: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Make the run and pass on its outcome, while its folder still exists.

    Args:
        order: the order of the run.
        results: the folder for the record; None for one that is removed at the end.
        reporter: receives the progress.
        take: receives the outcome.
        take_incident: receives what is known of a failure on our side, if there is no folder for it.

    Raises:
        NodeProblem: this machine cannot make such a run.
        HaetError: the submission could not be judged.
    """
    # The lock comes before the folder, so a busy machine is found before anything is written. `_faults` is
    # the outermost and sees the errors of both.
    with _faults(reporter), reserved(alone=order.job.exclusive), RunFolder() as folder:
        competition = _competition(order, folder.path)
        # Before the archive is written: a node with other sources would judge by other rules.
        check_node(order, competition)
        # The name is a digest: a submission's own name is not used as a path here.
        archive = folder.path / f"{order.job.identity.submission}.zip"
        _put(archive, order.archive)
        request = _request(order, archive, competition, results or folder.path / "results")
        if results is None and order.run_dir is None:  # a checkpoint would be gone with the folder
            request = replace(request, checkpoint_seconds=None)
        try:
            # `take` is called inside the block, because the folder is removed at its end.
            take(evaluate(request, reporter))
        finally:
            # Only if the results are temporary. In a batch on this machine the incident already lies where it
            # belongs.
            for path in incidents(request.results) if results is None else ():
                with suppress(OSError):  # the error itself is worth more
                    take_incident(read_file(path, MAX_TEXT_BYTES))
    # Cycles keep the images of a run alive. Without this, the process took 209 MiB after eight runs, not 146.
    gc.collect()


def _competition(order: Order, folder: Path) -> str:
    if order.rules is None:
        return order.job.competition
    path = folder / "competition.toml"
    _put(path, order.rules.encode())
    return str(path)


def _put(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise EnvironmentProblem(
            f"temporary files cannot be written to {path.parent.parent}: {error.strerror}",
            "Make room there, or set TMPDIR to another folder.",
            code="no-temporary-folder",
        ) from None


def _request(order: Order, archive: Path, competition: str, results: Path) -> Request:
    from haet_eval.dataset import default_data_dir

    identity = order.job.identity
    audits = dict(identity.audits)
    return Request(
        submission=archive,
        data_dir=order.data_dir or default_data_dir(),
        results=results,
        competition=competition,
        test_data=order.test_data,
        rules_folder=order.rules_folder,
        task=order.job.task,
        sandbox=identity.sandbox,
        seed=identity.seed,
        device=identity.device,
        runs=identity.runs,
        received_at=order.job.received_at,
        archive_name=order.job.archive_name,
        split_seed=audits.get("resplit"),
        disguise_seed=audits.get("disguise"),
        checkpoint_seconds=order.checkpoint_seconds,
        run_dir=order.run_dir,
        # A batch that is started again goes on at the checkpoint without asking: the identity is the same.
        resume=True,
    )


@contextmanager
def _faults(reporter: Reporter) -> Iterator[None]:
    """Failures before untrusted code runs become the machine's; unexpected errors become our own fault."""
    try:
        yield
    except EnvironmentProblem as problem:
        # Until then no code of a submission has run, so the fault is the machine's, and another node may do
        # better (decision 0072).
        if reporter.reached == "unpack" and not isinstance(problem, NodeProblem):
            raise NodeProblem(problem.message, problem.hint, code=problem.code) from None
        raise
    except HaetError:
        raise
    except Exception as error:
        raise InternalFault(
            f"haet-eval itself failed: {type(error).__name__}: {error}",
            "evaluate this submission alone with HAET_DEBUG=1, and report what it prints",
            code="internal",
        ) from None
