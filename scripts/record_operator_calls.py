"""Record real calls of ATen operators below autograd: PyTorch's own sample inputs, forward and backward.

Usage: python scripts/record_operator_calls.py OUTPUT.json.gz [CALLS_PER_OVERLOAD]

Writes a JSON list of calls: {"operator", "arguments", "origins", "storage"}; what the fields mean is written
in tests/attacks/recorded_calls.py, which reads the file. Values are kept of small integer tensors only.
"""

import gzip
import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_methods_invocations import (
    foreach_binary_op_db,
    foreach_other_op_db,
    foreach_pointwise_op_db,
    foreach_reduce_op_db,
    foreach_unary_op_db,
    op_db,
)
from torch.testing._internal.common_optimizers import optim_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SMALL_NUMEL = 64
LARGEST_NUMEL = 200_000
SAMPLES_PER_OPERATOR = 24
DTYPES = (torch.float32, torch.complex64, torch.int64, torch.bool, torch.bfloat16)


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def place(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Where a tensor lies: two tensors with one place are the same elements in the same order."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


class Recorder(TorchDispatchMode):
    """Keeps distinct calls per overload, and where each tensor argument came from."""

    def __init__(self, calls_per_overload: int) -> None:
        super().__init__()
        self.calls_per_overload = calls_per_overload
        self.calls: dict[str, dict[str, Any]] = {}
        self.made: dict[tuple[Any, ...], tuple[torch.Tensor, int, dict[str, Any]]] = {}
        self.chance = random.Random(0)
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        call = None
        if func.namespace == "aten" and not any(unusual(x) for x in tree_leaves((args, kwargs))):
            call = self.describe(func, args, kwargs)
        result = func(*args, **kwargs)
        if call is not None:
            self.keep(call)
            outputs = result if isinstance(result, (tuple, list)) else (result,)
            for position, output in enumerate(outputs):
                if isinstance(output, torch.Tensor) and not unusual(output) and not func._schema.is_mutable:
                    made = {"operator": call["operator"], "output": position, "arguments": call["arguments"]}
                    self.made[place(output)] = (output, output._version, made)
        return result

    def describe(self, func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
        given = {p.name: v for p, v in zip(func._schema.arguments, args, strict=False)} | kwargs
        tensors = {n: v for n, v in given.items() if isinstance(v, torch.Tensor)}
        return {
            "operator": str(func),
            "arguments": {n: encode(v) for n, v in given.items()},
            "origins": {n: o for n, v in tensors.items() if (o := self.origin(v)) is not None},
            "storage": {n: v.untyped_storage().nbytes() for n, v in tensors.items()},
        }

    def origin(self, tensor: torch.Tensor) -> dict[str, Any] | None:
        found = self.made.get(place(tensor))
        return None if found is None or found[0]._version != found[1] else found[2]

    def keep(self, call: dict[str, Any]) -> None:
        """A fair sample of the distinct calls of each overload."""
        name = call["operator"]
        text = json.dumps(call)
        known = self.calls.setdefault(name, {})
        if text in known:
            return
        self.seen[name] += 1
        if len(known) >= self.calls_per_overload:
            if self.chance.random() > self.calls_per_overload / self.seen[name]:
                return
            del known[self.chance.choice(list(known))]
        known[text] = call


def unusual(value: Any) -> bool:
    if not isinstance(value, torch.Tensor):
        return False
    return (
        type(value) not in (torch.Tensor, torch.nn.Parameter)
        or value.layout is not torch.strided
        or value.is_quantized
        or value.device.type != "cpu"
        or value.numel() > LARGEST_NUMEL
    )


def encode(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        meta = {
            "shape": list(value.shape),
            "stride": list(value.stride()),
            "offset": value.storage_offset(),
            "dtype": dtype_name(value.dtype),
        }
        whole = not value.is_floating_point() and not value.is_complex()
        if whole and value.numel() <= SMALL_NUMEL:
            meta["values"] = value.reshape(-1).to(torch.int64).tolist()
        return {"tensor": meta}
    if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
        return {"word": dtype_name(value)}  # type: ignore[arg-type]
    if isinstance(value, torch.device):
        return {"word": str(value)}
    if isinstance(value, torch.Generator):
        return {"word": "generator"}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"cannot encode {type(value)}")


def backward(output: Any) -> None:
    leaves = [x for x in tree_leaves(output) if isinstance(x, torch.Tensor) and x.requires_grad]
    if leaves:
        total = sum((x.abs() if x.is_complex() else x).sum() for x in leaves)
        total.backward()  # type: ignore[union-attr]


def samples(info: OpInfo, dtype: torch.dtype) -> Iterable[SampleInput]:
    gradient = info.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
    return islice(info.sample_inputs("cpu", dtype, requires_grad=gradient), SAMPLES_PER_OPERATOR)


def call_forms(info: OpInfo, sample: SampleInput, recorder: Recorder) -> None:
    for form in (info.op, info.inplace_variant):
        if form is None:
            continue
        first = sample.input
        if form is info.inplace_variant and isinstance(first, torch.Tensor):
            first = first.detach().clone()
        try:
            with recorder:
                backward(form(first, *sample.args, **sample.kwargs))
        except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
            continue


def record_operators(recorder: Recorder) -> None:
    for info in op_db:
        for dtype in DTYPES:
            if not info.supports_dtype(dtype, "cpu"):
                continue
            try:
                for sample in samples(info, dtype):
                    call_forms(info, sample, recorder)
            except Exception as problem:
                print(f"{info.name} {dtype}: {type(problem).__name__}: {str(problem)[:80]}", file=sys.stderr)
            recorder.made.clear()


def record_lists(recorder: Recorder) -> None:
    """The operators on lists of tensors, that the optimizers use."""
    lists = foreach_unary_op_db + foreach_binary_op_db + foreach_pointwise_op_db
    for info in lists + foreach_reduce_op_db + foreach_other_op_db:
        for form in (info.method_variant, info.inplace_variant):
            for sample in islice(info.sample_inputs("cpu", torch.float32, noncontiguous=False), 0, 40, 4):
                attempt(recorder, form, sample)
        recorder.made.clear()


def attempt(recorder: Recorder, form: Any, sample: SampleInput) -> None:
    if form is None:
        return
    try:
        with recorder, torch.no_grad():
            form(sample.input, *sample.args, **sample.kwargs)
    except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
        return


def record_modules(recorder: Recorder) -> None:
    """Every module of torch.nn, in training and in evaluation."""
    for info in module_db:
        for training in (True, False):
            for given in info.module_inputs_func(info, "cpu", torch.float32, True, training):
                if given.forward_input is None:
                    continue
                try:
                    made = info.module_cls(*given.constructor_input.args, **given.constructor_input.kwargs)
                    with recorder:
                        made.train(training)
                        backward(made(*given.forward_input.args, **given.forward_input.kwargs))
                except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
                    continue
            recorder.made.clear()


def record_optimizers(recorder: Recorder) -> None:
    """Three steps of every optimizer, for-loop, foreach and fused, on tensors of several ranks."""
    for info in optim_db:
        for given in info.optim_inputs_func("cpu", torch.float32):
            for way in ({"foreach": False}, {"foreach": True}, {"fused": True}):
                parameters = [
                    torch.nn.Parameter(torch.randn(shape)) for shape in ((3, 5), (7,), (2, 3, 3, 3))
                ]
                for parameter in parameters:
                    parameter.grad = torch.randn_like(parameter)
                try:
                    with recorder:
                        optimizer = info.optim_cls(parameters, **{**given.kwargs, **way})
                        for _ in range(3):
                            optimizer.step(lambda: torch.tensor(1.0))
                except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
                    continue
            recorder.made.clear()


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recorder = Recorder(int(sys.argv[2]) if len(sys.argv) > 2 else 12)
    for record in (record_operators, record_lists, record_modules, record_optimizers):
        record(recorder)
    calls = [call for name in sorted(recorder.calls) for call in recorder.calls[name].values()]
    Path(sys.argv[1]).write_bytes(gzip.compress(json.dumps(calls, separators=(",", ":")).encode(), mtime=0))
    print(f"{len(calls)} calls of {len(recorder.calls)} overloads")


if __name__ == "__main__":
    main()
