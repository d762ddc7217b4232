"""Leads known calls past Python: loads the compiled hit path, and tells it what the Python client learns.

A call that it knows is done in C++, byte for byte as `Dispatcher._again` does it. Every other call comes to
the dispatcher as before, which then describes the call. A kernel of the dispatch key Python stands in front
of each allowed operator. Without them all calls come to the dispatcher.
"""

from __future__ import annotations

import os
from enum import IntEnum
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec
from typing import TYPE_CHECKING, Any, Final

import torch

from haet_eval.operators.signature import CONJUGATE, NEGATIVE, SPECIAL_FLOATS
from haet_eval.operators.table import allowed_operators, lookup
from haet_eval.remote.client.calls import CallResult, Input, KnownCall, NewOutput
from haet_eval.remote.client.compiled.build import MODULE, VARIABLE
from haet_eval.remote.client.link import FLUSH_BYTES, FLUSH_RECORDS
from haet_eval.remote.client.mode import RemoteMode
from haet_eval.remote.client.phase import BACKWARD, OTHER
from haet_eval.remote.client.tensor import Handle, RemoteTensor
from haet_eval.remote.wire import Code

if TYPE_CHECKING:
    from haet_eval.remote.client.dispatch import Dispatcher


class _Treatment(IntEnum):
    """What a kernel does; the numbers are those of kernel.h."""

    LOOK_UP = 0
    DETACH = 1
    NUMBER = 2
    SELECT = 3
    SLICE = 4
    PYTHON = 5


_OF_THE_DISPATCHER: Final = {
    "aten.detach.default": _Treatment.DETACH,
    "aten.select.int": _Treatment.SELECT,
    "aten.slice.Tensor": _Treatment.SLICE,
    "aten._local_scalar_dense.default": _Treatment.NUMBER,
    "aten.lift_fresh.default": _Treatment.PYTHON,
    "aten.detach_.default": _Treatment.PYTHON,
}
"""Operators that the dispatcher treats in ways of its own."""

_NOT_DESCRIBED: Final = 0


class _CannotDescribe(Exception):
    """A result that is no tensor."""


class Hits:
    """The compiled hit path of one dispatcher.

    Args:
        core: the compiled module.
        dispatcher: all that it does not know is done by this.
    """

    def __init__(self, core: Any, dispatcher: Dispatcher) -> None:
        self._core = core
        link = dispatcher.link
        # Before `attach`, which switches the lookup on: until then every kernel goes on to Python.
        core.register_kernels(_kernels())
        core.attach(
            {
                "link": link,
                "phases": dispatcher.phases,
                "dispatcher": dispatcher,
                "flush": link.flush,
                "acquire": link.lock.acquire,
                "release": link.lock.release,
                "tensor_type": RemoteTensor,
                "handle_type": Handle,
                "mode_type": RemoteMode,
                "call_code": int(Code.CALL),
                "free_code": int(Code.FREE),
                "phase_code": int(Code.PHASE),
                "select_code": int(Code.SELECT),
                "slice_code": int(Code.SLICE),
                "other_phase": OTHER,
                "backward_phase": BACKWARD,
                "flush_records": FLUSH_RECORDS,
                "flush_bytes": FLUSH_BYTES,
                "special_floats": list(SPECIAL_FLOATS),
            }
        )

    def learn(self, func: Any, known: KnownCall, tensors: list[RemoteTensor], floats: list[float]) -> None:
        """The dispatcher has done this call: from now on its like is known."""
        if known.compiled is None:
            known.compiled = self._described(known, len(tensors), len(floats))
        if known.compiled != _NOT_DESCRIBED:
            self._core.learn(known.compiled, func.name(), tensors, floats)

    def stop(self) -> None:
        """Let the dispatcher see every call from now on."""
        self._core.stop()

    def counts(self) -> tuple[int, dict[str, int]]:
        """How many calls were done here, and how many of each operator were left to the dispatcher."""
        hits, left = self._core.counts()
        return hits, left

    def _described(self, known: KnownCall, tensors: int, floats: int) -> int:
        # An answer is needed, or Python changes a wrapper, or the offset is not in the key of C++.
        if known.dynamic or known.view or known.exact:
            return _NOT_DESCRIBED
        try:
            results = [] if known.returns == "nothing" else [_result(result) for result in known.results]
        except _CannotDescribe:
            return _NOT_DESCRIBED
        description: int = self._core.describe(
            known.number, tensors, floats, known.mirror, list(known.forgets), results
        )
        return description


def attach(dispatcher: Dispatcher) -> None:
    """Use the compiled hit path if this process was given one that fits. Nothing else depends on it."""
    # Its absence is not an error anywhere here (decision 0150).
    core = _loaded(os.environ.pop(VARIABLE, ""))  # what the submission sees is the same with and without it
    if core is not None:
        dispatcher.hits = Hits(core, dispatcher)


def _loaded(path: str) -> Any:
    """The compiled module; None if this process was given no file, or one for another PyTorch."""
    if not path.startswith("/"):  # nothing, or 0
        return None
    # By path and not by sys.path, on which the submission's folder is as well.
    loader = ExtensionFileLoader(MODULE, path)
    try:
        core = module_from_spec(ModuleSpec(MODULE, loader, origin=path))
        loader.exec_module(core)
    # Another version of Python, say. The run is right without it, only slower.
    except (ImportError, OSError):
        return None
    # Layouts of PyTorch's objects differ between versions. A wrong one would crash later, at any place.
    return core if core.torch_version == torch.__version__ else None


def _kernels() -> list[tuple[str, str, int]]:
    """Each operator that has a kernel: its name, its overload, and what the kernel does."""
    kernels = []
    # Operators that are not allowed have parts or are refused: these are first calls each time.
    for name in sorted(allowed_operators() | _OF_THE_DISPATCHER.keys()):
        _, base, overload = name.split(".")
        kernels.append((base, "" if overload == "default" else overload, int(_treatment(name))))
    return kernels


def _treatment(name: str) -> _Treatment:
    operator = lookup(name)
    if name in _OF_THE_DISPATCHER or operator is None:
        return _OF_THE_DISPATCHER[name]
    # Their keys hold offsets or the value of floats, or they change metadata in place.
    special = operator.facts.exact or operator.facts.literal or operator.inplace_view
    return _Treatment.PYTHON if special else _Treatment.LOOK_UP


def _result(result: CallResult) -> Any:
    """A result as `describe` of module.cpp takes it."""
    match result:
        case NewOutput(layout=layout):
            bits = bool(layout.bits & CONJUGATE), bool(layout.bits & NEGATIVE)
            place = (result.offset, result.alias, result.dtype)
            return (layout, layout.shape, layout.stride, *place, *bits)
        case Input():
            return result.position
        case None:
            return None
        case list():
            return [_result(item) for item in result]
        case _:
            raise _CannotDescribe
