"""The trace of a run that goes on: up to the checkpoint, each entry must be that of the earlier trace."""

import struct
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.remote import wire
from haet_eval.remote.meter import Meter
from haet_eval.remote.packed import Broken
from haet_eval.remote.trace import Kind, TraceWriter
from haet_eval.remote.wire import Code, WireError

DEPARTED: Final = "run-departed"
"""The code of the failure that ends an attempt to go on; no record has it."""

_SIZES: Final = {
    Code.SELECT: wire.SELECT.size,
    Code.SLICE: wire.SLICE.size,
    Code.SEED: wire.SEED.size,
    Code.SAVE_STATE: wire.STATE.size,
    Code.LOAD_STATE: wire.STATE.size,
    Code.PHASE: wire.PHASE.size,
}
_OF_QUESTIONS: Final = (Kind.QUESTION, Kind.REFUSED)


class _StreamRecord(NamedTuple):
    name: str
    content: bytes


class ComparedTrace(TraceWriter):
    """Writes a trace, and compares it with an earlier one until that ends.

    Args:
        path: the file to write.
        header: the facts at its beginning.
        earlier: the entries of the earlier trace, its header among them.

    Raises:
        SubmissionFailure: from `add`, with the code DEPARTED: an entry differs.
    """

    def __init__(self, path: Path, header: dict[str, Any], earlier: Iterator[tuple[Kind, bytes]]) -> None:
        self._earlier = earlier
        # A question is looked at twice: before its answer, and when the meter adds it to the trace after
        # that.
        self._ahead: list[tuple[Kind, bytes]] = []
        self._meter: Meter | None = None
        super().__init__(path, header)

    def follow(self, meter: Meter) -> None:
        """The meter whose entries these are: it knows what the calls in them are called."""
        self._meter = meter

    def add(self, kind: Kind, body: bytes) -> None:
        expected = self._expected()
        # Cleared before the comparison: one entry of the earlier trace stands against one of the new one.
        self._ahead.clear()
        # Behind the end of the earlier trace the run is new, and every entry is right.
        if expected is not None and expected != (kind, body):
            raise departed(self._difference(*expected, kind, body))
        super().add(kind, body)

    def compare_question(self, record: bytes) -> None:
        """Compare a question before it gets its earlier answer, which would not fit another one.

        Raises:
            SubmissionFailure: with the code DEPARTED: it is another question.
        """
        expected = self._expected()
        if expected is not None and (expected[0] not in _OF_QUESTIONS or expected[1] != record):
            raise departed(self._difference(*expected, Kind.QUESTION, record))

    def _expected(self) -> tuple[Kind, bytes] | None:
        """The entry that the earlier trace has at this place; None at its end."""
        try:
            if not self._ahead:
                self._ahead += islice(self._earlier, 1)
        except Broken as error:
            raise departed(f"its earlier trace cannot be read: {error}") from None
        return self._ahead[0] if self._ahead else None

    def _difference(self, old_kind: Kind, old: bytes, kind: Kind, body: bytes) -> str:
        if self._meter is None or kind is Kind.HEADER:
            return "its trace begins with other facts"
        before, now = (
            list(_records(self._meter, one, part)) for one, part in ((old_kind, old), (kind, body))
        )
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(before, now, strict=False))
        same = len(list(alike))
        # The meter adds an entry before it charges its records, so those of this entry are not in the sum
        # yet.
        number = self._meter.charges.messages + same + 1
        was, came = (one[same].name if same < len(one) else "another one" for one in (before, now))
        if was == came:
            return f"record {number:,}, {came}, has other tensors or numbers than before"
        return f"record {number:,} is {came}, and was {was} before"


def departed(what: str) -> SubmissionFailure:
    """The failure that ends an attempt to go on."""
    return SubmissionFailure(Verdict.FAILED, f"The run cannot go on: {what}.", code=DEPARTED)


def _records(meter: Meter, kind: Kind, body: bytes) -> Iterator[_StreamRecord]:
    """The records of an entry. Those of an earlier trace may end in bytes that are not understood."""
    try:
        if kind is not Kind.PASSED:
            yield _StreamRecord(_question_name(meter, kind, body), body)
            return
        position = 0
        while position < len(body):
            name, end = _name_and_end(meter, body, position)
            yield _StreamRecord(name, body[position:end])
            position = end
    except (WireError, struct.error, ValueError, IndexError):
        return


def _name_and_end(meter: Meter, body: bytes, position: int) -> tuple[str, int]:
    code = Code(body[position])
    if code in _SIZES:
        return code.name, position + _SIZES[code]
    if code is Code.UPLOAD:
        return code.name, wire.decode_upload(body, position)[2]
    _, number = wire.COUNTED.unpack_from(body, position)
    if code is Code.FREE:
        return code.name, position + wire.COUNTED.size + 8 * number
    template = meter.templates[number] if number < len(meter.templates) else None
    # The earlier trace may call a template that this run has not defined. Its length is unknown then, so the
    # rest counts as one record.
    return (template.operator.name, position + template.record.size) if template else (code.name, len(body))


def _question_name(meter: Meter, kind: Kind, body: bytes) -> str:
    if kind not in _OF_QUESTIONS:
        return kind.name
    match body[0]:
        case Code.DEFINE:
            return wire.decode_definition(wire.definition_in(body)).operator
        case Code.DYNAMIC:
            return str(meter.templates[wire.COUNTED.unpack_from(body)[1]].operator.name)
        case code:
            return Code(code).name
