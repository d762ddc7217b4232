"""What the executor would run on a GPU, seen without one: which kernels there are, and what they return."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

from haet_eval.operators.signature import Argument, TensorMeta
from haet_eval.operators.table import allowed_operators
from haet_eval.remote.executor.gpu import ON_GPU
from haet_eval.remote.executor.kernel import compile_kernel, overload
from haet_eval.remote.wire import ANY_FLOAT, Atom, Definition, Tag, Value
from tests.attacks.recorded_calls import RecordedCall, recorded_calls

pytestmark = [
    pytest.mark.skipif(torch.version.cuda is None, reason="this PyTorch was built without CUDA"),
    pytest.mark.filterwarnings("ignore"),
]

UNKNOWN = {
    *("_batch_norm_no_update", "_batch_norm_with_update", "_dirichlet_grad", "_sample_dirichlet", "binomial"),
    *("_fused_adagrad_", "_fused_adam_", "_fused_adamw_", "_fused_sgd_", "_standard_gamma_grad", "geqrf"),
}
"""Operators whose kernels say only when they run what they return."""

OTHER_OUTPUTS = {
    # the statistics of batch norm in evaluation, and in float32 beside bfloat16; layer norm's likewise
    *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
    *("native_layer_norm", "log_sigmoid_forward"),  # the latter has no buffer on a GPU
}
"""Operators that return another shape or dtype. The outcome describes it, so the submission knows it."""

TAGS = {
    "ScalarType": Tag.DTYPE,
    "MemoryFormat": Tag.FORMAT,
    "Layout": Tag.LAYOUT,
    "Device": Tag.DEVICE,
    "Generator": Tag.GENERATOR,
}


def test_every_operator_has_a_kernel_or_something_instead() -> None:
    for name in allowed_operators() - ON_GPU.keys():
        registered = torch._C._dispatch_has_computed_kernel_for_dispatch_key
        assert registered(overload(name).name(), "CUDA"), name


@pytest.mark.slow
def test_kernels_stay_on_the_gpu_and_return_what_those_of_the_cpu_do() -> None:
    surprises = {}
    for name, calls in recorded_calls().items():
        base = name.split(".")[1]
        if base in UNKNOWN:
            continue
        with FakeTensorMode():
            try:
                expected = [(t.shape, t.dtype) for t in _run(calls[0], "cpu")]
            except (RuntimeError, NotImplementedError, IndexError):
                continue  # what it returns depends on data, or it says no more without any
            found = _run(calls[0], "cuda")
            shapes = [(t.shape, t.dtype) for t in found]
            if any(t.device.type != "cuda" for t in found) or (
                shapes != expected and base not in OTHER_OUTPUTS
            ):
                surprises[name] = (expected, found)
    assert not surprises


def _run(call: RecordedCall, device: str) -> list[torch.Tensor]:
    writer = _Writer(call, device)
    definition = Definition(call.operator, writer.arguments, len(writer.tensors), ())
    kernel = compile_kernel(definition, torch.device(device), lambda _: torch.Generator(device))
    return [
        leaf for leaf in tree_leaves(kernel(writer.tensors, writer.floats)) if isinstance(leaf, torch.Tensor)
    ]


class _Writer:
    """A recorded call in the words of the wire."""

    def __init__(self, call: RecordedCall, device: str) -> None:
        self.tensors: list[torch.Tensor] = []
        self.floats: list[float] = []
        self._device = device
        kinds = {parameter.name: parameter.type for parameter in call.schema().parameters}
        self.arguments = {
            name: self._value(value, kinds[name])
            for name, value in call.arguments.items()
            if kinds[name] != "Generator"
        }

    def _value(self, value: Argument, kind: str) -> Value:
        if isinstance(value, TensorMeta):
            self.tensors.append(_tensor(value, self._device))
            return Atom(Tag.TENSOR, len(self.tensors) - 1)
        if isinstance(value, tuple):
            return tuple(self._value(item, kind) for item in value)
        if isinstance(value, float):
            self.floats.append(value)
            return Atom(Tag.FLOAT, ANY_FLOAT)
        if isinstance(value, str) and kind in TAGS:
            return Atom(TAGS[kind], value)
        assert value is None or isinstance(value, bool | int | complex | str)
        return value


def _tensor(meta: TensorMeta, device: str) -> torch.Tensor:
    steps = zip(meta.shape, meta.stride, strict=True)
    length = meta.offset + 1 + sum((size - 1) * step for size, step in steps) if meta.numel else meta.offset
    memory = torch.empty(length, dtype=getattr(torch, meta.dtype), device=device)
    return memory.as_strided(meta.shape, meta.stride, meta.offset)
