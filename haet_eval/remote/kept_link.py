"""A link to the executor that keeps its answers and takes checkpoints, and that can begin at one.

A run that goes on begins anew in the submission's process, and what it sends is compared with the earlier
trace. Up to the checkpoint the executor is not asked: the answers are those of before. At the checkpoint it
takes up the stored state, and from there on the link is like any other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import ValidationError

from haet_eval.errors import EnvironmentProblem, SubmissionFailure
from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.answers import AnswersWriter
from haet_eval.remote.books import Table, table_of
from haet_eval.remote.connection import Connection
from haet_eval.remote.departure import ComparedTrace, departed
from haet_eval.remote.executor_link import ExecutorLink
from haet_eval.remote.handles import Storage
from haet_eval.remote.messages import Laid, PlaceTensors, Recall, Restore, StateFollows, TakeState
from haet_eval.remote.meter import Meter, Question, StreamPoint
from haet_eval.remote.packed import Broken
from haet_eval.remote.wire import BLOCK_BYTES, AnswerStatus, Channel, Code

# A run may have a million tensors. In parts, neither side holds the text of all of them at once.
_PLACED_AT_ONCE: Final = 4096


class Taking(Protocol):
    """A checkpoint that is being taken: the executor has been asked for its state."""

    def write(self, facts: StateFollows, blocks: Iterator[bytes]) -> None:
        """Keep the state. All blocks must be taken, also if they cannot be written."""


class Checkpoints(Protocol):
    """Decides when to take checkpoints, and keeps them."""

    def is_due(self, tensor_bytes: int) -> bool:
        """Whether a checkpoint should be taken now, with tensors of so many bytes."""

    def begin_checkpoint(self, point: StreamPoint, table: Table) -> Taking | None:
        """Take a checkpoint of this place of the stream; None if there can be none."""


class Stored(Protocol):
    """A checkpoint to begin at, with the answers up to there."""

    @property
    def entries(self) -> int:
        """How many entries the trace has up to there."""

    @property
    def facts(self) -> StateFollows:
        """What the executor announced of its state."""

    def answer(self) -> tuple[AnswerStatus, bytes]:
        """The next answer."""

    def block(self, count: int) -> bytes:
        """The next bytes of the state."""

    def joined(self) -> None:
        """The executor has taken up the state, and the run goes on."""


@dataclass(frozen=True, slots=True)
class _FirstCall:
    """The first call of a template: its definition, its inputs before it, and its outcome."""

    definition: bytes
    inputs: tuple[TensorMeta, ...]
    outcome: bytes


class KeptLink(ExecutorLink):
    """As ExecutorLink. `share` is how much of the way to the checkpoint a run that goes on has done.

    Args:
        connection: to the executor.
        meter: its books describe the executor's tensors.
        answers: takes the answers.
        checkpoints: takes the checkpoints.
        stored: the checkpoint to begin at, if there is one.
        trace: the trace that is compared up to there.
    """

    def __init__(
        self,
        connection: Connection,
        meter: Meter,
        answers: AnswersWriter,
        checkpoints: Checkpoints,
        stored: Stored | None = None,
        trace: ComparedTrace | None = None,
    ) -> None:
        super().__init__(connection)
        self._meter = meter
        self._answers = answers
        self._checkpoints = checkpoints
        self._stored = stored
        self._trace = trace
        self._settled: list[_FirstCall] = []
        self._data: dict[int, Storage] = {}
        self._is_taking = False

    def begin(self) -> None:
        """The executor has its data, and nothing else."""
        # The storages are kept, not their ids: the id of one that was freed could pass to another storage.
        # The numbers are those that a fresh executor gives to the same data.
        self._data = {number: handle.storage for number, handle in self._meter.living.items()}

    @property
    def share(self) -> float | None:
        """From 0 to 1 while a run that goes on has not reached the checkpoint; None after that."""
        return self._meter.point.entries / self._stored.entries if self._stored else None

    # The stream.

    def pass_on(self, records: bytes) -> None:
        if self._stored is None:
            super().pass_on(records)

    def ask(self, forward: bytes, question: Question) -> tuple[AnswerStatus, bytes]:
        if self._stored is None:
            status, body = super().ask(forward, question)
        else:
            status, body = self._answer_again(self._stored, question)
        # Earlier answers are written again: the next checkpoint needs all of them in the file of this part.
        self._answers.add(status, body)
        return status, body

    def _answer_again(self, stored: Stored, question: Question) -> tuple[AnswerStatus, bytes]:
        if self._trace is not None:
            self._trace.compare_question(question.record)
        # Taken before the answer: the meter will change the metadata of inputs in place.
        before = tuple(handle.meta for handle in question.inputs)
        try:
            status, body = stored.answer()
        except Broken as error:
            raise departed(f"its answers cannot be read: {error}") from None
        if question.code is Code.DEFINE and status is AnswerStatus.OK:
            self._settled.append(_FirstCall(wire.definition_in(question.record), before, body))
        return status, body

    def compare_inventory(self, expected: bytes) -> None:
        if self._stored is None:
            super().compare_inventory(expected)

    def mark(self, point: StreamPoint) -> None:
        if self._stored is not None:
            # These calls were executed before the checkpoint was taken.
            self.executed = point
            if point.entries > self._stored.entries:
                raise departed("it does not come by its checkpoint")
            # Equal streams have their marks at equal places, and the checkpoint was taken at a mark.
            if point.entries == self._stored.entries:
                self._take_up(self._stored)
                self._stored = None
        # The answer with the state stands for the answer to the mark.
        elif self._is_taking or not self._is_due() or not self._take(point):
            super().mark(point)

    # Taking a checkpoint.

    def _is_due(self) -> bool:
        # The books are sealed before the executor is: it would send the storages as they were. A run goes on
        # only within its training.
        return not self._meter.is_sealed and self._checkpoints.is_due(self._meter.tensor_bytes)

    def _take(self, point: StreamPoint) -> bool:
        table = table_of(self._meter.living, self._meter.next_handle, self._data)
        taking = self._checkpoints.begin_checkpoint(point, table)
        if taking is None:
            return False
        # It stays so if an earlier call has failed: the executor then sends no state, and the run takes no
        # more checkpoints.
        self._is_taking = True
        # The table is the meter's. So its books say which bytes belong to which storage, and the executor
        # cannot.
        self._command(TakeState(storages=tuple(held.handle for held in table.stored)).encode())
        self.await_state(point, lambda found: self._write(taking, table, found))
        return True

    def _write(self, taking: Taking, table: Table, found: bytes) -> None:
        """Receive the state of the executor; `found` announces it."""
        try:
            facts = StateFollows.model_validate_json(found)
        except ValidationError:
            raise EnvironmentProblem(
                "The executor's answer is no StateFollows message.", code="executor-answer"
            ) from None
        self._is_taking = False
        taking.write(facts, self.blocks(table.stored_bytes + state_bytes(facts)))

    # Beginning at one.

    def _take_up(self, stored: Stored) -> None:
        """Give the executor the state of the checkpoint, by the meter's books.

        The books follow from the trace, so the checkpoint can only change values of tensors and generators.
        """
        stalls = self._connection.stalls
        table = table_of(self._meter.living, self._meter.next_handle, self._data)
        facts = stored.facts
        storages = tuple((held.size_bytes, held.data) for held in table.storages)
        self._command(
            Restore(
                next=table.next, storages=storages, generators=facts.generators, states=facts.states
            ).encode()
        )
        # The order is that of StateFollows: the bytes have no other label.
        sizes = [held.size_bytes for held in table.stored]
        for size in (*sizes, *(count for _, count in facts.generators), *facts.states):
            self._send_state(size, stored.block)
        for start in range(0, max(len(table.tensors), 1), _PLACED_AT_ONCE):
            end = start + _PLACED_AT_ONCE
            self._command(
                PlaceTensors(tensors=table.tensors[start:end], last=end >= len(table.tensors)).encode()
            )
        # After the tensors: a template needs no tensor of the run, but later records name it by its place in
        # this order.
        for settled in self._settled:
            inputs = tuple(map(_laid, settled.inputs))
            self._command(Recall(definition_bytes=len(settled.definition), inputs=inputs).encode())
            self._send(Channel.BLOCK, settled.definition + settled.outcome)
        self._settled.clear()
        self._check_taken_up(table)
        self._connection.stalls = stalls  # the submission did not wait for room, but for us
        stored.joined()

    def _send_state(self, size: int, block: Callable[[int], bytes]) -> None:
        for start in range(0, size, BLOCK_BYTES):
            self._send(Channel.BLOCK, block(min(BLOCK_BYTES, size - start)))

    def _check_taken_up(self, table: Table) -> None:
        try:
            super().compare_inventory(table.taken)
            self.catch_up()
        except SubmissionFailure as failure:
            # The submission has no part in this. The run can still be judged, from its beginning.
            raise departed(f"the executor has not taken up the checkpoint: {failure.reason}") from None


def state_bytes(facts: StateFollows) -> int:
    """Bytes of the states of generators."""
    return sum(count for _, count in facts.generators) + sum(facts.states)


def _laid(meta: TensorMeta) -> Laid:
    return meta.dtype, meta.shape, meta.stride, meta.offset, meta.bits
