"""A call that failed, in words that hold no value of any tensor."""

import re
from collections.abc import Sequence
from typing import Any, Final

import torch

from haet_eval.remote.executor.kernel import compile_kernel
from haet_eval.remote.executor.outcome import Mismatch
from haet_eval.remote.operators.allowed import lookup
from haet_eval.remote.operators.validation import written_parameters
from haet_eval.remote.wire import Definition, Status

_ADDRESSES: Final = re.compile(r"0[xX][0-9a-fA-F]+|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b")
"""Numbers in base 16, with or without a prefix: in a text about shapes only addresses have this form."""

_DIGITS: Final = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")


class Failure(Exception):
    """A call failed: the text is for the contestant and holds no value of any tensor.

    It holds no address either: an address would show an attacker where the executor's code and memory are,
    and so undo the randomisation of its address space.
    """

    def __init__(self, status: Status, text: str) -> None:
        self.status = status
        self.text = without_addresses(text)
        super().__init__(self.text)


def without_addresses(text: str) -> str:
    """The text with every address of memory blanked."""
    return _ADDRESSES.sub("#", text)


def without_values(error: Exception) -> str:
    """The text of a kernel's error with every number blanked: it may be a value of a tensor."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return _DIGITS.sub("#", without_addresses(first))


def late(name: str, error: Exception) -> Failure:
    """A call of a settled template has failed. The submission did not wait for it and has gone on."""
    if isinstance(error, Mismatch):
        return mismatch(name, error)
    return Failure(
        Status.FATAL,
        f"{name} failed: {without_values(error)}. (Numbers are hidden, as they may be data. Calls "
        "run ahead of their results: the line named is where this was noticed; the call was made before.)",
    )


def mismatch(name: str, error: Mismatch) -> Failure:
    """The tensors are no longer what the meter takes them for."""
    return Failure(
        Status.MISMATCH,
        f"Tensor mismatch: {name} did not do to its tensors what it was counted for: {error}. The count of "
        "this run cannot be trusted, so the run ends. If the code is ordinary PyTorch, this is a fault of "
        "haet-eval: please report it with the submission.",
    )


def explained(
    definition: Definition,
    operator: Any,
    inputs: Sequence[torch.Tensor],
    floats: Sequence[float],
    error: Exception,
) -> Failure:
    """Why the first call of a template has failed.

    If the call fails on shapes alone, its text holds no value and may be shown whole. The submission may then
    handle the error and go on, unless the operator writes to its inputs: it may have written some of them.
    """
    meta = torch.device("meta")
    shapes = [torch.empty_strided(t.size(), t.stride(), dtype=t.dtype, device=meta) for t in inputs]
    try:
        compile_kernel(definition, meta, lambda _: torch.Generator())(shapes, floats)
    except NotImplementedError:
        pass
    except Exception as shape_error:
        status = Status.FATAL if _writes(definition.operator, operator) else Status.REFUSED
        return Failure(status, f"{definition.operator}: {shape_error}")
    return Failure(Status.FATAL, f"{definition.operator} failed: {without_values(error)}")


def _writes(name: str, operator: Any) -> bool:
    """Whether it may write to inputs; `native_batch_norm` does so although its schema does not say so."""
    allowed = lookup(name)
    return bool(operator._schema.is_mutable or (allowed and written_parameters(allowed)))
