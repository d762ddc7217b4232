"""Calls of everything in torch's own database of operators and optimizers, as it really executes them."""

import itertools
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from haet_eval.operators.signature import Signature
from tests.oracle.recording import Recording

FLOAT_SAMPLES = 2
OTHER_DTYPES = (torch.int64, torch.bool, torch.complex64)

CUDA_ONLY = "jiterator"
SPARSE = ("sparse.", "to_sparse")  # no strides, hence no signature
PROFILER = "profiler."
WITHOUT_OUT = {"equal", "_batch_norm_with_update", "histogramdd"}
WITHOUT_IN_PLACE = {"float_power"}  # the result is float64
SPARSE_OPTIMIZERS = {"SparseAdam"}


@cache
def swept() -> dict[str, list[Signature]]:
    """Every overload met, with the signatures that it was called with."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recording = Recording()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _sweep_operators(recording)
        _sweep_optimizers(recording)
    torch.set_num_threads(threads)
    found: dict[str, list[Signature]] = {}
    for signature in of_tensors(recording.signatures):
        found.setdefault(signature.operator, []).append(signature)
    return found


def of_tensors(signatures: list[Signature]) -> Iterator[Signature]:
    return (signature for signature in signatures if not signature.operator.startswith(PROFILER))


def _sweep_operators(recording: Recording) -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    operator: Any
    for operator in op_db:
        if operator.name.startswith((CUDA_ONLY, *SPARSE)):
            continue
        supported = operator.supported_dtypes("cpu")
        if torch.float32 in supported:
            _run_float(recording, operator)
        for dtype in OTHER_DTYPES:
            if dtype in supported:
                for sample in itertools.islice(_samples(operator, dtype), 1):
                    with recording:
                        operator(sample.input, *sample.args, **sample.kwargs)


def _run_float(recording: Recording, operator: Any) -> None:
    samples = _samples(operator, torch.float32, requires_grad=operator.supports_autograd)
    for sample in itertools.islice(samples, FLOAT_SAMPLES):
        with recording:
            _backward(operator(sample.input, *sample.args, **sample.kwargs), sample)
    first = next(_samples(operator, torch.float32))
    if operator.inplace_variant is not None and operator.name not in WITHOUT_IN_PLACE:
        target = first.input.clone()
        with recording:
            operator.inplace_variant(target, *first.args, **first.kwargs)
    if operator.supports_out and operator.name not in WITHOUT_OUT:
        out = operator(first.input, *first.args, **first.kwargs)
        with recording:
            operator(first.input, *first.args, **first.kwargs, out=out)


def _samples(operator: Any, dtype: torch.dtype, *, requires_grad: bool = False) -> Iterator[Any]:
    """Sample inputs; `sample_inputs` itself looks through the stack of the test for each of them."""
    return iter(operator.sample_inputs_func(operator, "cpu", dtype, requires_grad))


def _backward(outputs: Any, sample: Any) -> None:
    results = _differentiable(outputs)
    inputs = _differentiable((sample.input, sample.args, sample.kwargs))
    if results and inputs:
        gradients = [torch.ones_like(result) for result in results]
        torch.autograd.grad(results, inputs, gradients, allow_unused=True)


def _differentiable(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]


def _sweep_optimizers(recording: Recording) -> None:
    from torch.testing._internal.common_optimizers import optim_db

    optimizer: Any
    for optimizer in optim_db:
        if optimizer.optim_cls.__name__ in SPARSE_OPTIMIZERS:
            continue
        for variant in optimizer.optim_inputs_func(device="cpu"):
            for implementation in _implementations(optimizer):
                _take_two_steps(recording, optimizer.optim_cls, {**variant.kwargs, **implementation})


def _implementations(optimizer: Any) -> Iterator[dict[str, bool]]:
    foreach = "foreach" in optimizer.supported_impls
    yield {"foreach": False} if foreach else {}
    if foreach:
        yield {"foreach": True}
    if "cpu" in optimizer.supports_fused_on:
        yield {"fused": True}


def _take_two_steps(recording: Recording, optimizer: Any, options: dict[str, Any]) -> None:
    if options.get("foreach") and isinstance(options.get("lr"), torch.Tensor):
        return  # torch wants a CUDA graph for that
    parameters = [torch.randn(3, 2, requires_grad=True) for _ in range(2)]
    for parameter in parameters:
        parameter.grad = torch.randn(3, 2)
    with recording:
        steps = optimizer(parameters, **options)
        for _ in range(2):
            steps.step(lambda: parameters[0].square().sum())
