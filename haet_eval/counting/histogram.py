"""The histogram of a training: how often each distinct call was made, in each phase."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isinf
from typing import Any, Final, TypeVar

from haet_eval.operators.signature import (
    ANY,
    CONJUGATE,
    NEGATIVE,
    AnyFloat,
    Argument,
    Signature,
    TensorMeta,
)

PHASES: Final = ("initialisation", "input", "forward", "backward", "optimizer", "other")
"""The phase of a training in which a call happened. It only informs: the submission's process states it."""


_BITS: Final = {"conjugate": CONJUGATE, "negative": NEGATIVE}
_SHOWN_CHARACTERS: Final = 40
_Typed = TypeVar("_Typed")
_FLOATS: Final[dict[str, AnyFloat | float]] = {"any": ANY, "inf": inf, "-inf": -inf}

NO_TRAINING: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What prices may raise for calls that no training makes. A histogram of others can hold any."""


@dataclass(frozen=True, slots=True)
class HistogramEntry:
    """One distinct call and how often it was made in each of PHASES."""

    signature: Signature
    calls: tuple[int, ...]

    @property
    def total_calls(self) -> int:
        return sum(self.calls)


class Histogram:
    """Entries in canonical order, equal signatures merged, so that equal trainings give equal bytes."""

    def __init__(self, entries: Iterable[tuple[Signature, Sequence[int]]]) -> None:
        merged: dict[str, HistogramEntry] = {}
        for signature, calls in entries:
            if not any(calls):
                continue
            # A text and not the signature itself: Python takes 1, 1.0 and True for equal, and their prices
            # differ.
            key = json.dumps(_signature_to_json(signature), sort_keys=True)
            known = merged.get(key)
            before = known.calls if known else (0,) * len(PHASES)
            merged[key] = HistogramEntry(signature, tuple(a + b for a, b in zip(before, calls, strict=True)))
        # The digest of this document is in the record, so the order must not depend on the order of the
        # calls.
        self._entries = tuple(merged[key] for key in sorted(merged))

    def __iter__(self) -> Iterator[HistogramEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def to_json(self) -> bytes:
        """Canonical JSON: the same histogram gives the same bytes."""
        rows = [
            _signature_to_json(entry.signature)
            | {"calls": {phase: n for phase, n in zip(PHASES, entry.calls, strict=True) if n}}
            for entry in self
        ]
        return json.dumps({"version": 1, "entries": rows}, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Histogram":
        """Inverse of `to_json`.

        Raises:
            ValueError: not a histogram of this version.
        """
        try:
            document = json.loads(data)
            if document["version"] != 1:
                raise ValueError(f"a histogram of version {document['version']}")
            return cls(_entry_from_json(row) for row in document["entries"])
        # A histogram is a file of others: a missing key, a list in place of an object and a list that is
        # nested too deeply end up here.
        except NO_TRAINING as error:
            raise ValueError(f"not a histogram: {error}") from None


# The meter bounds the sum of these. An attacker made a histogram of 759 MB by eight calls on 65,000 tensors,
# which are 26 KB on the wire.
def described_bytes(signature: Signature) -> int:
    """How long a call is in a histogram, within a few percent; for a list of 65,000 tensors some MiB."""
    named = sum(len(name) + _length(value) for name, value in signature.arguments.items())
    return len(signature.operator) + named + _length(signature.outputs)


def _length(value: Argument) -> int:
    match value:
        case TensorMeta():
            return _tensor_length(value)
        case tuple():
            return 2 + sum(_length(item) + 2 for item in value)
        case _:
            return len(str(value)) + 2


# The meter waits for the description of a list of 65,000 tensors, many of which are often alike.
@lru_cache(1 << 14)
def _tensor_length(meta: TensorMeta) -> int:
    return len(json.dumps(_argument_to_json(meta)))


def _entry_from_json(row: dict[str, Any]) -> tuple[Signature, tuple[int, ...]]:
    arguments = {name: _argument_from_json(value) for name, value in row["arguments"].items()}
    outputs = tuple(_argument_from_json(value) for value in _typed(list, row["outputs"]))
    calls = dict.fromkeys(PHASES, 0)
    for phase, count in row["calls"].items():
        if phase not in calls:
            raise ValueError(f"there is no phase {phase!r}")
        calls[phase] = _count(count)
    return Signature(_typed(str, row["operator"]), arguments, outputs), tuple(calls.values())


def _typed(kind: type[_Typed], value: Any) -> _Typed:
    # Exactly: Python counts True among its integers.
    if type(value) is not kind:
        raise TypeError(f"{str(value)[:_SHOWN_CHARACTERS]} is no {kind.__name__}")
    return value


def _count(value: Any) -> int:
    """A number of things."""
    count = _typed(int, value)
    if count < 0:
        raise ValueError(f"{count} is no number of anything")
    return count


def _signature_to_json(signature: Signature) -> dict[str, Any]:
    return {
        "operator": signature.operator,
        "arguments": {name: _argument_to_json(value) for name, value in signature.arguments.items()},
        "outputs": [_argument_to_json(value) for value in signature.outputs],
    }


def _argument_to_json(value: Argument) -> Any:
    match value:
        case TensorMeta():
            plain = {
                "dtype": value.dtype,
                "offset": value.offset,
                "shape": value.shape,
                "stride": value.stride,
            }
            return plain | {name: True for name, bit in _BITS.items() if value.bits & bit}
        case AnyFloat():
            return {"float": "any"}
        case tuple():
            return [_argument_to_json(item) for item in value]
        case complex():
            return {"complex": [value.real, value.imag]}
        # JSON has no infinity, and Python would write a word that other readers refuse.
        case float() if isinf(value):
            return {"float": "inf" if value > 0 else "-inf"}
        case _:
            return value


def _argument_from_json(value: Any) -> Argument:
    if isinstance(value, list):
        return tuple(_argument_from_json(item) for item in value)
    if not isinstance(value, dict):
        return value  # type: ignore[no-any-return]  # null, boolean, number or text
    # A tensor has neither of these two keys.
    if "float" in value:
        return _FLOATS[value["float"]]
    if "complex" in value:
        return complex(*map(float, value["complex"]))
    bits = sum(bit for name, bit in _BITS.items() if _typed(bool, value.get(name, False)))
    shape = tuple(map(_count, _typed(list, value["shape"])))
    stride = tuple(_typed(int, step) for step in _typed(list, value["stride"]))
    return TensorMeta(shape, stride, _typed(int, value["offset"]), _typed(str, value["dtype"]), bits)
