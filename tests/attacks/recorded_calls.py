"""Real operator calls, recorded by scripts/record_operator_calls.py, as the meter would see them.

A recorded call has the operator, the arguments by name, for tensor arguments their origin, and the bytes of
the storage they lie in. A tensor is written {"tensor": {shape, stride, offset, dtype, values?}}; dtypes and
other words of PyTorch's are {"word": name}; a complex number is {"complex": [real, imaginary]}.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from haet_eval.operators.checking.validation import ElementOrigin, bind, validate
from haet_eval.operators.schema import Operator
from haet_eval.operators.signature import ANY, SPECIAL_FLOATS, Argument, TensorMeta
from haet_eval.operators.table import lookup

CORPUS = Path(__file__).parent.parent / "fixtures" / "operator_calls.json.gz"


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """`arguments` has floats by value; `values` the elements of small integer tensors, by parameter."""

    operator: str
    arguments: Mapping[str, Argument]
    origins: Mapping[str, ElementOrigin] = field(default_factory=dict)
    storage_bytes: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def schema(self) -> Operator:
        operator = lookup(self.operator)
        assert operator is not None, self.operator
        return operator

    def check(self) -> None:
        """Bind and validate as the meter does.

        Raises:
            Refused: the call is not allowed.
        """
        operator = self.schema()
        bound = bind(operator, metered(operator, self.arguments))
        origins = {
            name: replace(origin, arguments=self._origin_arguments(origin))
            for name, origin in self.origins.items()
        }
        validate(operator, bound, origins, self.storage_bytes)

    def _origin_arguments(self, origin: ElementOrigin) -> Mapping[str, Argument]:
        maker = lookup(origin.operator)
        return {} if maker is None else bind(maker, metered(maker, origin.arguments))


def metered(operator: Operator, arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    """The arguments as the meter has them: floats that no price depends on are ANY."""
    literal = operator.facts.literal
    kinds = {parameter.name: parameter.type for parameter in operator.parameters}
    return {
        name: value if name in literal or kinds.get(name) == "Tensor" else _masked(value)
        for name, value in arguments.items()
    }


def _masked(value: Argument) -> Argument:
    if isinstance(value, tuple):
        return tuple(_masked(item) for item in value)
    return ANY if isinstance(value, float) and value not in SPECIAL_FLOATS else value


def decoded(value: Any) -> Argument:
    if isinstance(value, list):
        return tuple(decoded(item) for item in value)
    if not isinstance(value, dict):
        assert value is None or isinstance(value, (bool, int, float, str))
        return value
    if "tensor" in value:
        meta = value["tensor"]
        return TensorMeta(tuple(meta["shape"]), tuple(meta["stride"]), meta["offset"], meta["dtype"])
    return complex(*value["complex"]) if "complex" in value else str(value["word"])


def _decoded_call(entry: dict[str, Any]) -> RecordedCall:
    values = {
        name: tuple(value["tensor"]["values"])
        for name, value in entry["arguments"].items()
        if isinstance(value, dict) and "values" in value.get("tensor", {})
    }
    origins = {
        name: ElementOrigin(
            origin["operator"],
            origin["output"],
            {key: decoded(value) for key, value in origin["arguments"].items()},
            pristine=True,
        )
        for name, origin in entry["origins"].items()
    }
    arguments = {name: decoded(value) for name, value in entry["arguments"].items()}
    return RecordedCall(entry["operator"], arguments, origins, entry["storage"], values)


@cache
def recorded_calls(path: Path = CORPUS) -> dict[str, tuple[RecordedCall, ...]]:
    """The calls of each allowed overload."""
    calls: dict[str, list[RecordedCall]] = {}
    for entry in json.loads(gzip.decompress(path.read_bytes())):
        if lookup(entry["operator"]) is not None:
            calls.setdefault(entry["operator"], []).append(_decoded_call(entry))
    return {name: tuple(found) for name, found in calls.items()}
