"""Program: which of PyTorch's own samples make other calls under one mode of autograd than under another.

Each sample runs on plain tensors under a mode that takes operators apart as the submission's process does.
Prints a JSON object: how many samples ran, and for each operator that differs its calls in the three modes.
PyTorch's collection of samples changes global flags, so that this needs a process of its own.
"""

import json
import sys
import warnings
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from haet_eval.operators.table import lookup
from haet_eval.remote.client.dispatch import _in_other_words

_MODES = (torch.enable_grad, torch.no_grad, torch.inference_mode)
_FREE = tuple(f"aten.{name}.default" for name in ("detach", "detach_", "alias", "lift_fresh", "clone"))
"""They cost nothing: second names that autograd keeps, and copies that settle a lazy conjugate."""


class _Recording(TorchDispatchMode):
    """Decomposes operators that are not on the list, and notes the calls that result."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        others = _in_other_words(func) if lookup(str(func)) is None else None
        if others is not None:
            with self:
                return others(*args, **(kwargs or {}))
        if str(func) not in _FREE:
            self.calls.append(str(func))
        return func(*args, **(kwargs or {}))


def _calls(operator: Any, mode: Any) -> list[str] | None:
    torch.manual_seed(0)
    dtype = torch.float32 if torch.float32 in operator.dtypes else torch.int64
    sample = next(iter(operator.sample_inputs("cpu", dtype, requires_grad=False)), None)
    if sample is None:
        return None
    recording = _Recording()
    with mode(), recording:
        try:
            operator.op(sample.input, *sample.args, **sample.kwargs)
        except Exception as error:
            recording.calls.append(type(error).__name__)
    return recording.calls


def main() -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    ran, different = 0, {}
    for operator in op_db:
        if not {torch.float32, torch.int64} & set(operator.dtypes):
            continue
        found = [_calls(operator, mode) for mode in _MODES]
        ran += found[0] is not None
        if found[1:] != found[:1] * 2:
            different[operator.formatted_name] = found
    json.dump({"ran": ran, "different": different}, sys.stdout)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
