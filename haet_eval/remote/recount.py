"""The count as a pure function of the trace: no torch, no data, no stranger's code."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from haet_eval.counting.histogram import Histogram
from haet_eval.counting.parameters import ParameterCount
from haet_eval.errors import SubmissionFailure
from haet_eval.remote.charges import Budgets
from haet_eval.remote.messages import ModelTensor, Seal
from haet_eval.remote.meter import Accepted, Meter, Question
from haet_eval.remote.trace import BrokenTrace, Kind, read_trace
from haet_eval.remote.wire import Code, WireError

_ANY: Final = 1 << 62
_Entries: TypeAlias = Iterator[tuple[int, tuple[Kind, bytes]]]

_UNBOUNDED: Final = Budgets(_ANY, _ANY, _ANY, None, _ANY)


@dataclass(frozen=True, slots=True)
class Recount:
    """What a trace says: the calls, what was charged, and the parameters where a model came back."""

    header: dict[str, Any]
    histogram: Histogram
    parameters: ParameterCount | None
    readback_bytes: int
    upload_bytes: int
    messages: int


class Listener(Protocol):
    """Follows a recount. It hears of nothing that the meter has not let pass.

    `entry` is the place in the trace; the header is entry 0.
    """

    def passed(self, entry: int, records: bytes) -> None:
        """Records that want no answer."""

    def answered(self, entry: int, question: Question, outcome: bytes | None) -> None:
        """A question, and what the trace says the answer was; None where a value was read back."""

    def refused(self, entry: int, question: Question) -> None:
        """A question that the executor refused."""

    def sealed(self, entry: int, tensors: tuple[ModelTensor, ...], model_bytes: int) -> None:
        """The tensors of the returned model; the size of their values."""


class _Nobody:
    def passed(self, entry: int, records: bytes) -> None: ...
    def answered(self, entry: int, question: Question, outcome: bytes | None) -> None: ...
    def refused(self, entry: int, question: Question) -> None: ...
    def sealed(self, entry: int, tensors: tuple[ModelTensor, ...], model_bytes: int) -> None: ...


def recount(path: Path, listener: Listener | None = None) -> Recount:
    """Run the meter over a trace.

    Raises:
        BrokenTrace: the file is no trace, or holds what no meter would have let pass.
    """
    entries = enumerate(read_trace(path))
    header = _header(entries)
    walk = _Walk(Meter(_UNBOUNDED), listener or _Nobody())
    try:
        shape = tuple(int(size) for size in header["images"])
        walk.meter.load(shape, "uint8")
        walk.meter.load(shape[:1], "int64")
        for entry, (kind, body) in entries:
            walk.take(entry, kind, body, entries)
    except (WireError, SubmissionFailure, ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise BrokenTrace(f"the trace holds what no meter would have let pass: {error}") from None
    charges = walk.meter.charges
    return Recount(
        header=header,
        histogram=walk.meter.histogram(),
        parameters=walk.parameters,
        readback_bytes=charges.readback_bytes,
        upload_bytes=charges.upload_bytes,
        messages=charges.messages,
    )


def _header(entries: _Entries) -> dict[str, Any]:
    _, (kind, body) = next(entries, (0, (Kind.SEAL, b"")))
    try:
        header = json.loads(body) if kind is Kind.HEADER else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise BrokenTrace("the trace does not begin with a header")
    return header


def _is_one(kind: Kind, accepted: Accepted) -> bool:
    """Whether an entry of that kind holds what the meter found in it."""
    match kind:
        case Kind.PASSED:
            return accepted.question is None and accepted.refused is None
        case Kind.QUESTION:
            return accepted.question is not None and not accepted.forward
        case Kind.REFUSED:
            return (accepted.question or accepted.refused) is not None and not accepted.forward
        case _:
            return False


class _Walk:
    """Takes a meter through the entries of a trace, as the run took it."""

    def __init__(self, meter: Meter, listener: Listener) -> None:
        self.meter = meter
        self.parameters: ParameterCount | None = None
        self._listener = listener

    def take(self, entry: int, kind: Kind, body: bytes, entries: _Entries) -> None:
        if self.parameters is not None:
            raise BrokenTrace("the trace goes on after the model was returned")
        if kind is Kind.SEAL:
            tensors = Seal.model_validate_json(body).tensors
            self.parameters = self.meter.seal(tensors)
            self._listener.sealed(entry, tensors, self.meter.model_bytes(tensors))
            return
        accepted = self.meter.accept(body)
        if accepted.end < len(body) or not _is_one(kind, accepted):
            raise BrokenTrace("an entry of the trace is not what it says it is")
        if kind is Kind.PASSED:
            self._listener.passed(entry, accepted.forward)
        elif accepted.question is not None:
            self._ask(entry, kind, accepted.question, entries)

    def _ask(self, entry: int, kind: Kind, question: Question, entries: _Entries) -> None:
        if kind is Kind.REFUSED:
            self._listener.refused(entry, question)
            self.meter.refuse(question)
        elif question.code is Code.READ:
            self._listener.answered(entry, question, None)
            self.meter.answer(question, bytes(question.answer_bytes))
        else:
            _, (following, outcome) = next(entries, (entry, (Kind.HEADER, b"")))
            if following is not Kind.OUTCOME:
                raise BrokenTrace("a question of the trace has no answer")
            self._listener.answered(entry, question, outcome)
            self.meter.answer(question, outcome)
