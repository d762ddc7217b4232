"""A call that failed, in words that hold no value of any tensor."""

import re
from collections.abc import Sequence
from typing import Any, Final

import torch

from haet_eval.operators.checking.validation import written_parameters
from haet_eval.operators.table import lookup
from haet_eval.remote.executor.kernel import compile_kernel
from haet_eval.remote.executor.outcome import Mismatch
from haet_eval.remote.handles import span_elements
from haet_eval.remote.wire import AnswerStatus, Definition

_ADDRESSES: Final = re.compile(r"0[xX][0-9a-fA-F]+|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b")
"""Numbers in base 16, with or without a prefix: in a text about shapes only addresses have this form."""

_DIGITS: Final = re.compile(r"(?<![A-Za-z_])-?\d+(\.\d+)?(e[+-]?\d+)?")
"""Numbers; a digit that ends a word, as in `mat1`, is part of a name."""

_HIDDEN: Final = " (# stands for a number that may be data.)"
# The stand-ins take as much memory as the inputs, so large calls are not tried again.
_MOST_STAND_IN_BYTES: Final = 1 << 26


class FailedCall(Exception):
    """A call failed: the text is for the contestant and holds no value of any tensor.

    It holds no address either: an address would show an attacker where the executor's code and memory are,
    and so undo the randomisation of its address space.
    """

    def __init__(self, status: AnswerStatus, text: str) -> None:
        self.status = status
        self.text = without_addresses(text)
        super().__init__(self.text)


def without_addresses(text: str) -> str:
    """The text with every address of memory blanked."""
    return _ADDRESSES.sub("#", text)


def without_values(error: Exception) -> str:
    """The text of a kernel's error with every number blanked: it may be a value of a tensor."""
    return _DIGITS.sub("#", without_addresses(_first_line(error)))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def late(name: str, error: Exception) -> FailedCall:
    """A call of a settled template has failed. The submission did not wait for it and has gone on."""
    if isinstance(error, Mismatch):
        return mismatch(name, error)
    return FailedCall(
        AnswerStatus.FATAL,
        f"{name} failed: {without_values(error)}. (# stands for a number that may be data. Calls "
        "run ahead of their results: the line named is the one at which this was noticed; the call was made "
        "before.)",
    )


def mismatch(name: str, error: Mismatch) -> FailedCall:
    """The tensors are no longer what the meter takes them for."""
    return FailedCall(
        AnswerStatus.MISMATCH,
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
) -> FailedCall:
    """Why the first call of a template has failed.

    If the call fails on shapes alone, its text holds no value and may be shown whole. The submission may then
    handle the error and go on, unless the operator writes to its inputs: it may have written some of them.
    If it fails in the same words on tensors of other values, these words hold no value either.
    """
    meta = torch.device("meta")
    shapes = [torch.empty_strided(t.size(), t.stride(), dtype=t.dtype, device=meta) for t in inputs]
    try:
        # A device without values: if the call fails here as well, its text cannot hold one. And without a
        # generator: one of a CPU does not fit, and the complaint about that would be shown as the reason.
        compile_kernel(definition, meta, lambda _: None)(shapes, floats)
    # The operator has no kernel for shapes alone, so nothing is known.
    except NotImplementedError:
        pass
    except Exception as shape_error:
        status = AnswerStatus.FATAL if _writes(definition.operator, operator) else AnswerStatus.REFUSED
        return FailedCall(status, f"{definition.operator}: {shape_error}")
    text = _first_line(error)
    if not _is_same_for_other_values(definition, inputs, floats, error):
        hidden = without_values(error)
        text = hidden + _HIDDEN if hidden != without_addresses(text) else hidden
    return FailedCall(AnswerStatus.FATAL, f"{definition.operator} failed: {text}")


def _is_same_for_other_values(
    definition: Definition, inputs: Sequence[torch.Tensor], floats: Sequence[float], error: Exception
) -> bool:
    """Whether the call fails in the same words on tensors of zeros, and on tensors of ones."""
    if sum(_span(tensor) * tensor.element_size() for tensor in inputs) > _MOST_STAND_IN_BYTES:
        return False
    device = inputs[0].device if inputs else torch.device("cpu")
    # Two values, as a text that names a 0 or a 1 may agree with one of them by chance.
    for value in (0, 1):
        others = [_filled(tensor, value) for tensor in inputs]
        try:
            compile_kernel(definition, device, lambda _: torch.Generator(device))(others, floats)
        except Exception as other:
            if str(other) != str(error):
                return False
        else:
            return False
    return True


def _filled(tensor: torch.Tensor, value: int) -> torch.Tensor:
    """A tensor of the same layout that holds this value everywhere."""
    memory = torch.full((_span(tensor),), value, dtype=tensor.dtype, device=tensor.device)
    return memory.as_strided(tensor.size(), tensor.stride())


def _span(tensor: torch.Tensor) -> int:
    return span_elements(tuple(tensor.size()), tuple(tensor.stride()))


def _writes(name: str, operator: Any) -> bool:
    """Whether it may write to inputs; `native_batch_norm` does so although its schema does not say so."""
    allowed = lookup(name)
    # A refused call is not counted. If it could write a part of its inputs first, that work would be free.
    return bool(operator._schema.is_mutable or (allowed and written_parameters(allowed)))
