"""The count as a pure function of the trace: no torch, no data, no stranger's code."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from haet_eval.counting.histogram import Histogram
from haet_eval.counting.parameters import ParameterCount
from haet_eval.errors import SubmissionFailure
from haet_eval.remote.charges import Budgets
from haet_eval.remote.messages import Seal
from haet_eval.remote.meter import Accepted, Meter
from haet_eval.remote.trace import BrokenTrace, Kind, read_trace
from haet_eval.remote.wire import Code, WireError

_ANY: Final = 1 << 62
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


def recount(path: Path) -> Recount:
    """Run the meter over a trace.

    Raises:
        BrokenTrace: the file is no trace, or holds what no meter would have let pass.
    """
    entries = read_trace(path)
    header = _header(entries)
    meter = Meter(_UNBOUNDED)
    parameters = None
    try:
        shape = tuple(int(size) for size in header["images"])
        meter.load(shape, "uint8")
        meter.load(shape[:1], "int64")
        for kind, body in entries:
            if parameters is not None:
                raise BrokenTrace("the trace goes on after the model was returned")
            if kind is Kind.SEAL:
                parameters = meter.seal(Seal.model_validate_json(body).tensors)
            else:
                _take(meter, kind, body, entries)
    except (WireError, SubmissionFailure, KeyError, TypeError, ValueError) as error:
        raise BrokenTrace(f"the trace holds what no meter would have let pass: {error}") from None
    charges = meter.charges
    return Recount(
        header, meter.histogram(), parameters, charges.readback_bytes, charges.upload_bytes, charges.messages
    )


def _header(entries: Iterator[tuple[Kind, bytes]]) -> dict[str, Any]:
    kind, body = next(entries, (Kind.SEAL, b""))
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


def _take(meter: Meter, kind: Kind, body: bytes, entries: Iterator[tuple[Kind, bytes]]) -> None:
    accepted = meter.accept(body)
    question = accepted.question
    if not _is_one(kind, accepted):
        raise BrokenTrace("an entry of the trace is not what it says it is")
    if question is None:
        return
    if kind is Kind.REFUSED:
        meter.refuse(question)
        return
    if question.code is Code.READ:
        meter.answer(question, bytes(question.answer_bytes))
        return
    following, answer = next(entries, (Kind.HEADER, b""))
    if following is not Kind.OUTCOME:
        raise BrokenTrace("a question of the trace has no answer")
    meter.answer(question, answer)
