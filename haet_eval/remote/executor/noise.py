"""Noise on the results of arithmetic, for a perturbed replay: numbers packed into one do not survive it.

Docs: docs/decisions/0113-the-perturbed-replay.md.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch

from haet_eval.operators.table import MOVING, family_of, of_kind
from haet_eval.remote.executor.kernel import RunCall, overload
from haet_eval.remote.executor.outcome import (
    flat,
    new_tensors,
    storage_of,
    transformed,
    written_names,
    written_positions,
)
from haet_eval.remote.messages import Fit, Noise
from haet_eval.remote.template import written_inputs
from haet_eval.remote.wire import Definition

PRODUCTS: Final = frozenset({"matmul", "convolution", "attention", "distance", "rnn"})
"""Families of operators that are sums of products."""

_NOT_ARITHMETIC: Final = of_kind(*MOVING, "factory", "draw")
_EXACT: Final = frozenset({"ceil", "floor", "round", "sgn", "sign", "trunc"})
"""They return whole numbers, which are often indices. Their input has had noise already."""
_PARTS: Final = frozenset({"as_strided", "_conj", "_neg_view", "set_"})
"""Views that have a price."""
_BOUNDED: Final = frozenset(
    {"_safe_softmax", "_softmax", "cos", "hardsigmoid", "hardtanh", "sigmoid", "sin", "tanh"}
)
"""Functions within [-1, 1]: kernels that take probabilities refuse values outside."""
_LISTS: Final = frozenset({"_foreach_clone", "_foreach_copy", "_foreach_zero"}) | frozenset(
    f"_foreach_{name}" for name in _EXACT
)
_WRITES: Final = frozenset(
    {"index_copy", "index_fill", "index_put", "masked_fill", "masked_scatter", "put", "scatter"}
)
"""Operators that write a part of a tensor: noise on all of the tensor would grow with each write."""
_COUNTERS: Final = frozenset({"found_inf", "growth_tracker", "state_steps"})


class Perturbation:
    """Multiplies every floating-point result of arithmetic by 1 + ε·u, u uniform in [-1, 1], mean 0.

    It has a generator of its own, so that it does not change the draws of the training.
    """

    def __init__(self, noise: Noise, device: torch.device) -> None:
        self._noise = noise
        self._spared = frozenset(noise.spared)
        self._generator = torch.Generator(device=device).manual_seed(noise.seed)
        self.active = True

    def around(self, number: int, definition: Definition, run: RunCall) -> RunCall:
        """The kernel of this template with noise on its results.

        It is the kernel itself if the template is spared, or computes no floats.
        """
        # Decided once for a template, as this function wraps the kernel of every call.
        if number in self._spared or not self._reaches(definition):
            return run
        base = _base(definition.operator)
        written = _written(definition)

        def noisy(tensors: Sequence[torch.Tensor], floats: Sequence[float]) -> Any:
            result = run(tensors, floats)
            if self.active and not _is_counter(definition.operator, tensors):
                for tensor in _results(result, tensors, written):
                    self._disturb(tensor, bounded=base in _BOUNDED)
            return result

        return noisy

    def _reaches(self, definition: Definition) -> bool:
        operator, base = definition.operator, _base(definition.operator)
        # By family: a product may be called under many names.
        if self._noise.products_only:
            return family_of(operator) in PRODUCTS or base == "_foreach_mm"
        if operator in _NOT_ARITHMETIC or base in _PARTS | _LISTS:
            return False
        # With `decimals` it multiplies and divides, and its result is no whole number.
        if base in _EXACT and not operator.endswith(".decimals"):
            return False
        return base not in _WRITES or _accumulates(definition)

    def _disturb(self, tensor: torch.Tensor, *, bounded: bool) -> None:
        """In place, so that layout and memory stay what the template expects."""
        # The same memory without lazy bits: PyTorch has no real view of a tensor with them. What was written
        # through such a tensor had no noise.
        plain = torch._conj(tensor) if tensor.is_conj() else tensor
        plain = torch._neg_view(plain) if plain.is_neg() else plain
        real = torch.view_as_real(plain) if plain.is_complex() else plain
        if not real.is_floating_point() or _overlaps(real):
            return
        dtype = torch.float64 if real.dtype is torch.float64 else torch.float32
        factor = torch.rand(real.shape, generator=self._generator, dtype=dtype, device=real.device)
        factor.mul_(2).sub_(1).mul_(self._noise.scale)
        real.add_((real * factor).to(real.dtype))
        if bounded:
            real.clamp_(-1, 1)


def _accumulates(definition: Definition) -> bool:
    """Whether it adds to what is there, or multiplies it."""
    return definition.arguments.get("accumulate") is True or "reduce" in definition.arguments


def _base(operator: str) -> str:
    return operator.split(".")[1].removesuffix("_")


def _written(definition: Definition) -> tuple[int, ...]:
    """Positions of the inputs that it computes and writes, but for counters."""
    operator = overload(definition.operator)
    # Noise on a step counter would change the schedule and not the arithmetic.
    counters = written_inputs(definition, written_names(operator) & _COUNTERS)
    return tuple(place for place in written_positions(definition, operator) if place not in counters)


def _is_counter(operator: str, tensors: Sequence[torch.Tensor]) -> bool:
    """Whether single numbers are added to, as optimizers count their steps."""
    base = _base(operator)
    # Lists are counted with a number. Two lists of single numbers may be a tensor that was taken apart.
    counts = base == "add" or (base == "_foreach_add" and operator.endswith((".Scalar", ".ScalarList")))
    return counts and not any(tensor.dim() for tensor in tensors)


def _results(result: Any, inputs: Sequence[torch.Tensor], written: Sequence[int]) -> Iterator[torch.Tensor]:
    """New outputs, and inputs that were written; each memory once."""
    seen = {storage_of(tensor) for tensor in inputs}
    # A view of an input has the noise of the call that wrote that memory.
    for tensor in new_tensors(list(flat(result)), inputs):
        if storage_of(tensor) not in seen:
            yield tensor
    yield from {id(inputs[place]): inputs[place] for place in written}.values()


def _overlaps(tensor: torch.Tensor) -> bool:
    """Whether elements share memory, so that PyTorch refuses to write them."""
    return any(not stride and size > 1 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def fitted(result: Any, inputs: Sequence[torch.Tensor], fit: Fit | None) -> Any:
    """The new tensors of a call whose sizes follow from noisy values, with the sizes that the trace has.

    A tensor that is too long is cut; one that is too short is repeated from its beginning, or filled with
    zeros if it is empty.
    """
    if fit is None:
        return result
    layouts = iter(fit.layouts)
    new = {id(tensor) for tensor in new_tensors(result, inputs)}
    return transformed(result, lambda value: _fitted(value, *next(layouts)) if id(value) in new else value)


def _fitted(tensor: torch.Tensor, shape: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    if tuple(tensor.shape) == shape and tuple(tensor.stride()) == stride:
        return tensor
    found = torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
    if tensor.numel():
        found = tensor
        for axis, size in enumerate(shape):
            places = torch.arange(size, device=tensor.device) % tensor.shape[axis]
            found = found.index_select(axis, places)
    return torch.empty_strided(shape, stride, dtype=tensor.dtype, device=tensor.device).copy_(found)
