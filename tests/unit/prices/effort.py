"""How much work a price is, counted and not timed: bytecode instructions, memory, digits of the result."""

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from haet_eval.operators.signature import Argument, Signature, TensorMeta


@dataclass(frozen=True, slots=True)
class Effort:
    """What a function took: `instructions` of Python's bytecode, and the most memory it held at a time."""

    instructions: int
    peak_bytes: int


class TooMuch(Exception):
    """The function was stopped: it had executed as many instructions as it may."""


def effort(function: Callable[[], object], most_instructions: int) -> Effort:
    """Run a function and count what it does.

    Raises:
        TooMuch: it executed more than `most_instructions`; it is not left to run on.
        Exception: whatever the function raises.
    """
    executed = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal executed
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            executed += 1
            if executed > most_instructions:
                raise TooMuch(f"stopped after {most_instructions:,} instructions")
        return trace

    before = sys.gettrace()
    tracemalloc.start()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return Effort(executed, peak)


def size_of(signature: Signature) -> int:
    """Arguments and outputs of a call, each item of a list and each dimension of a tensor counted."""
    return sum(map(_size, (*signature.arguments.values(), *signature.outputs)))


def _size(value: Argument) -> int:
    match value:
        case TensorMeta():
            return 1 + value.ndim
        case tuple():
            return 1 + sum(map(_size, value))
        case _:
            return 1
