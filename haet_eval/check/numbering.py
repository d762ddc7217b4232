"""Records for an executor whose tensors and calls have other numbers than the meter's."""

import struct
from collections.abc import Iterable, Sequence

from haet_eval.remote import wire
from haet_eval.remote.executor_link import ExecutorLink
from haet_eval.remote.wire import AnswerStatus, Code, Fresh, flatten


class Numbering:
    """Writes records with the executor's own numbers, and knows which number comes next.

    Args:
        link: to the executor.
        tensors: the number that the executor gives to its next tensor.
        templates: the number that it gives to its next template.
    """

    def __init__(self, link: ExecutorLink, tensors: int, templates: int) -> None:
        self._link = link
        self._buffer = bytearray()
        self.tensors = tensors
        self.templates = templates

    def write(self, record: bytes, made: int = 0) -> int:
        """A record that waits for no answer and makes so many tensors; returns the number of the first."""
        self._buffer += record
        first = self.tensors
        self.tensors += made
        return first

    def call(self, layout: struct.Struct, template: int, values: Sequence[float], made: int) -> int:
        """A call of a template that is known; returns the number of the first tensor that it makes."""
        return self.write(layout.pack(Code.CALL, template, *values), made)

    def free(self, numbers: Sequence[int]) -> None:
        """Forget these tensors."""
        if numbers:
            self.write(wire.COUNTED.pack(Code.FREE, len(numbers)) + packed(numbers))

    def flush(self) -> None:
        """Send the records that were written."""
        if self._buffer:
            self._link.pass_on(bytes(self._buffer))
            self._buffer.clear()

    def ask(self, record: bytes, inputs: int = 0) -> tuple[AnswerStatus, bytes]:
        """Put a question; `inputs` are the tensors that a DEFINE or DYNAMIC record gives to its call."""
        # The buffer goes first: the question may name tensors that its records make.
        self._link.pass_on(bytes(self._buffer) + record)
        self._buffer.clear()
        status, body = self._link.answer()
        # The executor gives numbers only to what succeeded. A READ makes no tensor.
        if status is AnswerStatus.OK and record[0] != Code.READ:
            self.templates += record[0] == Code.DEFINE
            self.tensors += made_in(body, inputs)
        return status, body


def made_in(body: bytes, inputs: int) -> int:
    """How many new tensors an outcome has."""
    outputs = wire.decode_outcome(body, inputs).outputs
    return sum(isinstance(value, Fresh) for value in flatten(outputs))


def definition_of(record: bytes) -> tuple[bytes, int]:
    """The head of a DEFINE record, and where the numbers of its tensors begin."""
    start = wire.COUNTED.size + wire.COUNTED.unpack_from(record)[1]
    return record[:start], start


def renumbered(record: bytes, start: int, numbers: Iterable[int]) -> bytes:
    """The record with these numbers of tensors from `start` on."""
    raw = packed(tuple(numbers))
    return record[:start] + raw + record[start + len(raw) :]


def packed(numbers: Sequence[int]) -> bytes:
    """Numbers of tensors as they stand in a record."""
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def numbers_in(record: bytes, start: int, count: int) -> tuple[int, ...]:
    """The numbers of tensors that stand there in a record."""
    return struct.unpack_from(f"<{count}Q", record, start)
