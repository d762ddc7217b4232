"""Inputs made up for one call, so that an executor without data can say what the call returns."""

import struct
from collections.abc import Iterable
from typing import Final

from haet_eval.remote import wire
from haet_eval.remote.executor_link import ExecutorLink
from haet_eval.remote.handles import Handle, size_bytes
from haet_eval.remote.meter import Question
from haet_eval.remote.wire import Atom, Code, Definition, Fresh, Status, Tag, Value, flatten

_ANY_INPUT: Final = 1 << 16


class StandIns:
    """Puts definitions to an executor that holds no tensors; their inputs are made for the purpose.

    Integers are zeros, an index and a class number that every tensor has; all else is ones, so that masks
    select everything. `next_handle` is the number that the executor gives to its next tensor.
    """

    def __init__(self, link: ExecutorLink, next_handle: int) -> None:
        self._link = link
        self._next = next_handle

    def define(self, question: Question) -> tuple[Status, bytes]:
        """The answer to a definition: what the call returns, for inputs of these shapes."""
        first = self._next
        made = {id(handle): self._make(handle) for handle in question.inputs}
        numbers = _numbers(made[id(handle)] for handle in question.inputs)
        start = wire.COUNTED.size + wire.COUNTED.unpack_from(question.record)[1]
        record = question.record[:start] + numbers + question.record[start + len(numbers) :]
        answer = self._ask(record)
        freed = range(first, self._next)
        self._link.pass_on(wire.COUNTED.pack(Code.FREE, len(freed)) + _numbers(freed))
        return answer

    def _make(self, handle: Handle) -> int:
        meta = handle.meta
        elements = size_bytes(handle.layout, handle.offset) // wire.ITEM_BYTES[meta.dtype]
        memory: dict[str, Value] = {
            "size": (elements,),
            "fill_value": int(not meta.dtype.startswith(("int", "uint"))),
            "dtype": Atom(Tag.DTYPE, meta.dtype),
            "device": Atom(Tag.DEVICE),
        }
        view: dict[str, Value] = {
            "self": Atom(Tag.TENSOR),
            "size": meta.shape,
            "stride": meta.stride,
            "storage_offset": meta.offset,
        }
        return self._call("aten.as_strided.default", view, self._call("aten.full.default", memory))

    def _call(self, operator: str, arguments: dict[str, Value], *inputs: int) -> int:
        head = wire.encode_definition(Definition(operator, arguments, len(inputs), ()))
        made = self._next
        self._ask(wire.COUNTED.pack(Code.DEFINE, len(head)) + head + _numbers(inputs))
        return made

    def _ask(self, record: bytes) -> tuple[Status, bytes]:
        self._link.pass_on(record)
        status, body = self._link.answer()
        if status is Status.OK:
            outputs = wire.decode_outcome(body, _ANY_INPUT).outputs
            self._next += sum(isinstance(value, Fresh) for value in flatten(outputs))
        return status, body


def _numbers(handles: Iterable[int]) -> bytes:
    numbers = tuple(handles)
    return struct.pack(f"<{len(numbers)}Q", *numbers)
