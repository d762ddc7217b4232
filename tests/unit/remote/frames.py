"""Builds frames as a client would, for tests that play the submission's part by hand."""

import struct
from collections.abc import Mapping

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.wire import Atom, Code, Definition, Fresh, Outcome, Tag, Value

TENSOR = Atom(Tag.TENSOR)


def a_float(number: float) -> Atom:
    """An open float argument of that number's class."""
    return Atom(Tag.FLOAT, wire.float_class(number))


def define(
    operator: str, arguments: Mapping[str, Value], handles: tuple[int, ...], floats: tuple[float, ...] = ()
) -> bytes:
    """A DEFINE record with its first call."""
    head = wire.encode_definition(Definition(operator, dict(arguments), len(handles), ()))
    return wire.COUNTED.pack(Code.DEFINE, len(head)) + head + _values(handles, floats)


def call(
    template: int, handles: tuple[int, ...], floats: tuple[float, ...] = (), code: Code = Code.CALL
) -> bytes:
    """A CALL or DYNAMIC record."""
    return wire.COUNTED.pack(code, template) + _values(handles, floats)


def read(handle: int) -> bytes:
    return wire.READ.pack(Code.READ, handle)


def free(*handles: int) -> bytes:
    return struct.pack(f"<BI{len(handles)}Q", Code.FREE, len(handles), *handles)


def upload(shape: tuple[int, ...], raw: bytes, dtype: str = "float32") -> bytes:
    return wire.encode_upload(TensorMeta(shape, wire.contiguous_stride(shape), 0, dtype), raw)


def fresh(*shape: int, dtype: str = "float32", alias: int = -1, offset: int = 0) -> Fresh:
    """A new contiguous tensor."""
    return Fresh(TensorMeta(shape, wire.contiguous_stride(shape), offset, dtype), alias)


def outcome(*outputs: Value, changed: tuple[tuple[int, TensorMeta], ...] = ()) -> bytes:
    """The executor's answer to a call."""
    return wire.encode_outcome(Outcome(outputs, changed))


def _values(handles: tuple[int, ...], floats: tuple[float, ...]) -> bytes:
    return struct.pack(f"<{len(handles)}Q{len(floats)}d", *handles, *floats)
