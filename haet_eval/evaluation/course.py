"""The course of a counted training over its parts: it takes checkpoints, and goes on at one."""

import hashlib
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from haet_eval import __version__
from haet_eval.atomic import Draft
from haet_eval.errors import SubmissionFailure, UsageProblem, Verdict
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.watch import Spent, Watch
from haet_eval.files import open_file
from haet_eval.record import Resumed, TrainingPart
from haet_eval.remote.answers import AnswersWriter, read_answers
from haet_eval.remote.books import Table
from haet_eval.remote.checkpoint import (
    MAX_CHECKPOINT_BYTES,
    Beginning,
    CheckpointFacts,
    CheckpointFile,
    write_checkpoint,
)
from haet_eval.remote.connection import Connection
from haet_eval.remote.departure import DEPARTED, ComparedTrace
from haet_eval.remote.kept_link import KeptLink
from haet_eval.remote.messages import StateFollows
from haet_eval.remote.meter import Meter, StreamPoint
from haet_eval.remote.packed import Broken, PackedWriter, Snapshot
from haet_eval.remote.trace import TraceWriter, read_trace
from haet_eval.remote.wire import AnswerStatus
from haet_eval.resumable import KEPT_CHECKPOINTS, RunFacts, RunHome, find_home, make_home

_LOOKED_AT: Final = 0.1
_PATIENCE: Final = 0.1
"""Parts of the time between two checkpoints: how long to look for few tensors, and to wait for them."""
_AS_GOOD: Final = 1.25

_NEVER: Final = float("inf")
_CHUNK_BYTES: Final = 1 << 20
_CATCH_UP_SECONDS: Final = 300.0
"""A submission may take this long to come to the checkpoint once more, or as long as it took before."""


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """What a run begins with, and what its folder keeps, so that it can go on from there alone.

    Attributes:
        submission: its name.
        request: the request of the evaluation, as JSON.
        rules: an organizer's own competition file; None if the rules are built in.
    """

    submission: str
    request: dict[str, Any]
    rules: bytes | None


@dataclass
class CheckpointPlan:
    """Where the checkpoints of an evaluation go, how often they are taken, and whether its runs go on.

    Attributes:
        base: the folder of the runs.
        every_seconds: the time between two checkpoints of a training.
        archive: the submission's zip as it was read: the folder or file may change while the training runs.
        resume: go on with a run of the same identity that was interrupted, if there is one.
        named: the run that the user wants to go on with.
        varied: what of a run's identity differs between the runs of the evaluation: the seed of several runs,
            the data of audits.
        ended: the folders of runs that are over: they are removed when their record is written.
        kept: how many checkpoints of a run are kept.
        interrupted: the folder of the run that was interrupted, if that one can go on.
    """

    base: Path
    every_seconds: float
    resume: bool
    origin: RunOrigin
    archive: bytes = b""
    named: RunHome | None = None
    varied: frozenset[str] = frozenset()
    kept: int = KEPT_CHECKPOINTS
    ended: list[RunHome] = field(default_factory=list)
    interrupted: RunHome | None = None

    def discard(self) -> None:
        """The records of the runs that are over are written."""
        while self.ended:
            self.ended.pop().remove()

    def give_up(self) -> None:
        """The interrupted run does not go on, because the record will be written without it."""
        if self.interrupted:
            self.ended.append(self.interrupted)
            self.interrupted = None


class Course:
    """One training, from its first part to its last.

    Args:
        plan: of the evaluation.
        identity: what must be the same where it goes on.
        cpu: the name of this machine's processor.
        heard: receives notes.
    """

    def __init__(
        self, plan: CheckpointPlan, identity: Mapping[str, str | int | None], cpu: str, heard: Heard
    ) -> None:
        self.plan = plan
        self.cpu = cpu
        self.heard = heard
        self.restarts = 0
        self._identity = dict(identity)
        self._attempt: Attempt | None = None
        self._begins_again = False
        self.home = self._home_of_before()
        if self.home:
            with suppress(UsageProblem):
                self.restarts = self.home.facts().restarts

    def _home_of_before(self) -> RunHome | None:
        """The folder of the run that goes on, locked; None if none does.

        Raises:
            UsageProblem: a run was named that cannot go on here.
        """
        plan = self.plan
        if not plan.resume:
            return None
        if plan.named:
            stated = plan.named.facts().identity
            apart = sorted(
                name for name in {*stated, *self._identity} if stated.get(name) != self._identity.get(name)
            )
            if not apart:
                return _locked(plan.named)
            # A folder that differs in this alone belongs to another run of the same evaluation. That is no
            # mistake: this run looks for a folder of its own.
            if not plan.varied.issuperset(apart):
                raise _other(plan.named, apart, stated, self._identity)
        return find_home(plan.base, self._identity)

    def attempt(self, folder: Path, header: Mapping[str, object]) -> "Attempt":
        """Begin a part, at the newest sound checkpoint if there is one. `folder` takes temporary files."""
        earlier = self.newest(folder)
        self._attempt = Attempt(self, folder, dict(header), earlier)
        return self._attempt

    def newest(self, folder: Path) -> "Earlier | None":
        """The newest checkpoint that is sound, if the run goes on and has one."""
        # After a departure they are of another training, and some may be left that could not be removed.
        if self.home is None or self._begins_again:
            return None
        paths = self.home.checkpoints()
        for path in paths:
            try:
                return Earlier(path, self.home, folder)
            except (Broken, OSError) as error:
                why = error.strerror if isinstance(error, OSError) else error
                before = "" if path == paths[-1] else " The one before it is tried."
                self.heard.note(f"The checkpoint {path} is refused: {why}.{before}")
        if paths:
            self.heard.note("The run has no checkpoint that can be used: it begins from its beginning.")
        return None

    def departed(self, failure: SubmissionFailure | None) -> bool:
        """Whether the training did other things than before: then it begins from its beginning."""
        if failure is None or failure.verdict is Verdict.INTERRUPTED or self._attempt is None:
            return False
        # A failure on the way back is not the submission's verdict either: the earlier part had come further.
        if failure.code != DEPARTED and not self._attempt.is_behind:
            return False
        self.heard.note(
            f"{failure.reason} The training is not deterministic, or its process was disturbed:"
            " it begins from its beginning."
        )
        self.restarts += 1
        self._begins_again = True
        if self.home:
            with suppress(OSError, UsageProblem):
                # A second attempt at these checkpoints would depart at the same place again.
                self.home.keep_newest(frozenset(), newest=0)
                self.home.put_facts(self.home.facts().model_copy(update={"restarts": self.restarts}))
        return True

    def over(self, *, interrupted: bool) -> None:
        """The training and its prediction are over, or were interrupted."""
        if self.home is None:
            return
        if interrupted and not self.home.checkpoints():
            self.home.remove()
        elif interrupted:
            self.plan.interrupted = self.home
            self.home.unlock()
        else:
            # The folder stays, and stays locked, until the record is written: a machine that dies before then
            # needs it.
            self.plan.ended.append(self.home)

    def a_home(self) -> RunHome:
        """The folder of the run, which this makes if it is missing. Raises OSError."""
        if self.home is None:
            origin = self.plan.origin
            facts = RunFacts(
                haet_eval=__version__,
                created_at=datetime.now(UTC),
                host=platform.node(),
                submission=origin.submission,
                identity=self._identity,
                request=origin.request,
                restarts=self.restarts,
            )
            self.home = make_home(self.plan.base, facts, self.plan.archive, origin.rules)
        return self.home


def _locked(home: RunHome) -> RunHome:
    if not home.lock():
        raise UsageProblem(
            f"the run {home.name} is under way in another process",
            "Wait for its end, or stop that process.",
            code="run-busy",
        )
    return home


def _other(
    home: RunHome, apart: list[str], stated: Mapping[str, object], here: Mapping[str, object]
) -> UsageProblem:
    listed = ", ".join(
        f"{name} {str(here.get(name))[:20]} instead of {str(stated.get(name))[:20]}" for name in apart
    )
    return UsageProblem(
        f"the run {home.name} cannot go on here: {listed}",
        "Resume it on a machine with the same, or evaluate the submission again.",
        code="run-elsewhere",
    )


class Earlier:
    """A checkpoint of an earlier part, with the trace and the answers up to there in temporary files.

    Raises:
        Broken: it cannot be used; the text says why.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, home: RunHome, folder: Path) -> None:
        self._file = CheckpointFile(path, home.name)
        self.checkpoint = self._file.facts
        try:
            # Both are checked whole before the run begins: damage that shows here costs one checkpoint, and
            # later it would cost all progress. The order is that of the ends in the checkpoint
            # (`_following`).
            self.trace_path = self._whole(self.checkpoint.trace, home, folder / "earlier-trace")
            answers = self._whole(self.checkpoint.answers, home, folder / "earlier-answers")
        except BaseException:
            self._file.close()
            raise
        self._answers = read_answers(answers)
        self.on_joined: Callable[[], None] = lambda: None

    def _whole(self, beginning: Beginning, home: RunHome, target: Path) -> Path:
        """Put together a file from its beginning in the run's folder and its end in the checkpoint."""
        digest = hashlib.sha256()
        with (
            # The name comes from a file, but its schema admits no path that leads out of the folder.
            open_file(home.path / beginning.name, MAX_CHECKPOINT_BYTES) as source,
            target.open("wb") as whole,
        ):
            for part in _first_bytes(source, beginning.name, beginning.file_bytes):
                digest.update(part)
                whole.write(part)
            tail = self._file.read(beginning.tail_bytes)
            digest.update(tail)
            whole.write(tail)
        if digest.hexdigest() != beginning.sha256:
            raise Broken(f"{beginning.name} was changed or cut short")
        return target

    @property
    def entries(self) -> int:
        return self.checkpoint.entries

    @property
    def facts(self) -> StateFollows:
        return self.checkpoint.state

    def answer(self) -> tuple[AnswerStatus, bytes]:
        found = next(self._answers, None)
        if found is None:
            raise Broken("it holds fewer answers than the trace has questions")
        return found

    def block(self, count: int) -> bytes:
        return self._file.read(count)

    def joined(self) -> None:
        self.close()
        self.on_joined()

    def close(self) -> None:
        self._file.close()


class Attempt:
    """A part of a training: its trace, its answers, and its checkpoints.

    Args:
        course: of the training.
        folder: for temporary files.
        header: the facts at the beginning of the trace.
        earlier: the checkpoint to begin at.
    """

    def __init__(self, course: Course, folder: Path, header: dict[str, Any], earlier: Earlier | None) -> None:
        self._course = course
        self._earlier = earlier
        self._link: KeptLink | None = None
        self._started = datetime.now(UTC)
        self._catch_up_seconds = 0.0
        self._due = _NEVER
        self._fewest_bytes = _NEVER
        self._sent = 0.0
        self._before = earlier.checkpoint.parts if earlier else ()
        self._stalls = 0
        self.accelerator: str | None = None
        self.trace = (
            ComparedTrace(folder / "trace", header, read_trace(earlier.trace_path))
            if earlier
            else TraceWriter(folder / "trace", header)
        )
        self.answers = AnswersWriter(folder / "answers")
        # Names of this part alone: the folder may hold the streams of an earlier part, which its checkpoint
        # needs.
        token = secrets.token_hex(8)
        self._copies = (_Copy(self.trace, f"trace-{token}"), _Copy(self.answers, f"answers-{token}"))
        self._streams: tuple[frozenset[str], ...] = (
            (frozenset({earlier.checkpoint.trace.name, earlier.checkpoint.answers.name}),) if earlier else ()
        )

    def connect(self, connection: Connection, meter: Meter, watch: Watch) -> KeptLink:
        """The link to the executor."""
        self._meter, self._watch = meter, watch
        compared = self.trace if isinstance(self.trace, ComparedTrace) else None
        if compared:
            compared.follow(meter)
        self._link = KeptLink(connection, meter, self.answers, self, self._earlier, compared)
        return self._link

    def close(self) -> None:
        """Finish the file of answers, and give up the earlier checkpoint if the run did not come to it."""
        self.answers.close()
        if self._earlier:
            self._earlier.close()

    # The clock of the training.

    @property
    def is_behind(self) -> bool:
        """Whether the submission has not come to the checkpoint yet."""
        return self._link is not None and self._link.share is not None

    @property
    def share(self) -> float | None:
        """How much of the way to the checkpoint is done; None if it is done."""
        return self._link.share if self._link else None

    def begin(self, stage: Callable[[str], None], budget_seconds: float, accelerator: str | None) -> None:
        """The training begins now. `stage` is called with the stage that this is, here and later."""
        assert self._link is not None
        self._link.begin()
        self.accelerator = accelerator
        if self._earlier is None:
            stage("train")
            self._watch.begin("train", budget_seconds)
            self._due = time.monotonic() + self._course.plan.every_seconds
            return

        def joined() -> None:
            assert self._earlier is not None
            self._catch_up_seconds = self._watch.elapsed_seconds
            self._watch.go_on("train", budget_seconds, self._spent_before)
            # How often the submission waits for room depends on the machine's speed, so the way back adds
            # nothing to it (decision 0140).
            self._meter.charges.stalls = self._earlier.checkpoint.stalls
            self._due = time.monotonic() + self._course.plan.every_seconds
            stage("train")

        self._earlier.on_joined = joined
        stage("catch up")
        self._watch.begin("catch up", max(_CATCH_UP_SECONDS, self._spent_before.wall_seconds))

    @property
    def _spent_before(self) -> Spent:
        return Spent(
            sum(part.wall_seconds for part in self._before),
            sum(part.paused_seconds for part in self._before),
            sum(part.submission_cpu_seconds or 0.0 for part in self._before),
        )

    def spent(self) -> tuple[Spent, Resumed | None]:
        """What the training has used so far, and its parts if there are several."""
        before, watch = self._spent_before, self._watch
        spent = Spent(watch.elapsed_seconds, watch.paused_seconds, watch.submission_cpu_seconds or 0.0)
        if self.is_behind:
            # The way back is charged to no budget: the training has used what its earlier parts have used.
            self._catch_up_seconds = watch.elapsed_seconds
            spent = before
        parts = (*self._before, self._part(spent, None))
        several = len(parts) > 1 or self._course.restarts
        return spent, Resumed(parts=parts, restarts=self._course.restarts) if several else None

    def _part(self, spent: Spent, peak_memory_bytes: int | None) -> TrainingPart:
        """This part, of all that was spent."""
        before = self._spent_before
        return TrainingPart(
            started_at=self._started,
            host=platform.node(),
            cpu=self._course.cpu,
            accelerator=self.accelerator,
            wall_seconds=max(0.0, spent.wall_seconds - before.wall_seconds),
            paused_seconds=max(0.0, spent.paused_seconds - before.paused_seconds),
            catch_up_seconds=self._catch_up_seconds,
            submission_cpu_seconds=max(0.0, spent.cpu_seconds - before.cpu_seconds),
            peak_memory_bytes=peak_memory_bytes,
        )

    # Checkpoints.

    def is_due(self, tensor_bytes: int) -> bool:
        """Whether the time has come, and few tensors live.

        Between a forward and a backward pass many times as many live as between two steps. So a checkpoint
        waits for a moment as good as the best of the last while, but not for long.
        """
        now, every = time.monotonic(), self._course.plan.every_seconds
        if now < self._due - _LOOKED_AT * every:
            return False
        self._fewest_bytes = min(self._fewest_bytes, tensor_bytes)
        if now < self._due:
            return False
        return tensor_bytes <= _AS_GOOD * self._fewest_bytes or now > self._due + _PATIENCE * every

    def begin_checkpoint(self, point: StreamPoint, table: Table) -> "_RequestedCheckpoint | None":
        # Without every answer no run could come back to this place.
        fault = self.answers.end
        # The file has more than the tensors in it, and one above the limit could not be read again.
        if table.stored_bytes > MAX_CHECKPOINT_BYTES // 2:
            fault = f"the tensors take {table.stored_bytes:,} bytes, too many for one"
        if fault:
            self._due = _NEVER
            self._course.heard.note(f"No checkpoints from here on: {fault}.")
            return None
        # No other one is due until the executor has answered, which may take minutes.
        self._due = self._fewest_bytes = _NEVER
        self._sent = time.monotonic()
        cpu_seconds = self._watch.submission_cpu_seconds or 0.0
        # All of this is taken down at the mark: when the executor's state arrives, the stream has moved on.
        snapshots = self.trace.snapshot(), self.answers.snapshot()
        return _RequestedCheckpoint(self, point, table, snapshots, self._meter.charges.stalls, cpu_seconds)

    def keep(self, taking: "_RequestedCheckpoint", state: StateFollows, blocks: Iterator[bytes]) -> None:
        """Write a checkpoint. If it cannot be written, the run goes on without it."""
        left = _Once(blocks)
        try:
            self._write(taking, state, left)
        except (OSError, Broken) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._course.heard.note(f"A checkpoint could not be written: {why}. The run goes on without it.")
            # The executor sends these blocks in any case. What stays unread would be taken for its next
            # answers.
            for _ in left:
                pass
        # From the place of this checkpoint, not from its end: the executor may come there much later
        # (decision 0140).
        self._due = self._sent + self._course.plan.every_seconds

    def _write(self, taking: "_RequestedCheckpoint", state: StateFollows, blocks: Iterator[bytes]) -> None:
        # The executor has needed the time until now to come to the mark. The submission returns to the mark,
        # so its processor time is the one at the mark.
        spent = Spent(self._watch.elapsed_seconds, self._watch.paused_seconds, taking.cpu_seconds)
        home = self._course.a_home()
        # The streams are on the disk before the checkpoint that names them.
        trace, answers = (
            copy.extend(home.path, snapshot)
            for copy, snapshot in zip(self._copies, taking.snapshots, strict=True)
        )
        facts = CheckpointFacts(
            haet_eval=__version__,
            run=home.name,
            entries=taking.point.entries,
            operations=taking.point.operations,
            stalls=taking.stalls,
            trace=trace,
            answers=answers,
            storage_bytes=taking.table.stored_bytes,
            state=state,
            parts=(*self._before, self._part(spent, state.peak_memory_bytes)),
        )
        with Draft(home.path) as draft:
            write_checkpoint(draft, facts, _following(taking.snapshots, blocks))
            draft.replace(home.next_checkpoint())
        # Two checkpoints are kept: this one, and the one before it, which may be of the earlier part.
        self._streams = (*self._streams[-1:], frozenset({trace.name, answers.name}))
        home.keep_newest(frozenset().union(*self._streams), self._course.plan.kept)


class _Once:
    """Blocks that are taken once, by whoever asks first. A generator would be closed with its first user."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._blocks)


@dataclass(frozen=True, slots=True)
class _RequestedCheckpoint:
    """A checkpoint for whose state the executor was asked, with the facts about this place of the stream."""

    attempt: Attempt
    point: StreamPoint
    table: Table
    snapshots: tuple[Snapshot, Snapshot]
    stalls: int
    cpu_seconds: float

    def write(self, facts: StateFollows, blocks: Iterator[bytes]) -> None:
        self.attempt.keep(self, facts, blocks)


class _Copy:
    """A copy of a growing file, in the folder of the run.

    Args:
        writer: writes the file.
        name: the copy's.
    """

    def __init__(self, writer: PackedWriter, name: str) -> None:
        self._writer = writer
        self._name = name
        self._copied_bytes = 0
        self._digest = hashlib.sha256()

    def extend(self, folder: Path, snapshot: Snapshot) -> Beginning:
        """Copy the new bytes up to the snapshot. Raises OSError."""
        # Place and digest advance only if all bytes were written: a failed try is made again from the same
        # place.
        digest = self._digest.copy()
        with self._writer.path.open("rb") as source, _opened(folder / self._name) as target:
            source.seek(self._copied_bytes)
            target.truncate(self._copied_bytes)  # an earlier try may have written more
            target.seek(self._copied_bytes)
            for part in _first_bytes(source, self._name, snapshot.file_bytes - self._copied_bytes):
                digest.update(part)
                target.write(part)
            target.flush()
            # The checkpoint that names these bytes is synced too; after a power cut it must not be there
            # alone.
            os.fsync(target.fileno())
        self._copied_bytes, self._digest = snapshot.file_bytes, digest
        whole = digest.copy()
        whole.update(snapshot.tail)
        return Beginning(
            name=self._name,
            file_bytes=snapshot.file_bytes,
            tail_bytes=len(snapshot.tail),
            sha256=whole.hexdigest(),
        )


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+b")


def _first_bytes(file: IO[bytes], name: str, count: int) -> Iterator[bytes]:
    while count > 0:
        part = file.read(min(_CHUNK_BYTES, count))
        if not part:
            # A file that is opened by its descriptor has a number as its name.
            raise Broken(f"{name} is cut short")
        count -= len(part)
        yield part


def _following(snapshots: tuple[Snapshot, Snapshot], blocks: Iterator[bytes]) -> Iterator[bytes]:
    for snapshot in snapshots:
        yield snapshot.tail
    yield from blocks
