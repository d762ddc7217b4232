"""Optimizers without PyTorch's compiler, which nothing here is compiled with.

Their methods import it only to tell it where its graphs end, which takes a second and 80 MiB.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import _compile
from torch.optim import Optimizer, optimizer


def install_eager_optimizers() -> None:
    """Replace, in torch.optim, the wrappers of methods that call the compiler by ones that do not."""
    for name, method in list(vars(Optimizer).items()):
        if _is_made_by(method, _compile._disable_dynamo):
            # `functools.wraps` has left the method there as it is without the compiler.
            setattr(Optimizer, name, method.__wrapped__)
    for kind in _subclasses(Optimizer):
        step = vars(kind).get("step")
        if _is_made_by(step, optimizer._use_grad_for_differentiable):
            kind.step = _with_gradients_as_asked(step.__wrapped__)
    replaced: Any = optimizer
    # For optimizers that the submission defines with PyTorch's decorator.
    replaced._use_grad_for_differentiable = _with_gradients_as_asked


def _is_made_by(method: Any, decorator: Callable[..., Any]) -> bool:
    """Whether it is a function that stands in the decorator's source."""
    code = getattr(method, "__code__", None)
    # An inner function has no name that is PyTorch's alone. Its code object is a constant of the outer one.
    return code is not None and code in decorator.__code__.co_consts


def _subclasses(kind: type[Any]) -> Iterator[Any]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


def _with_gradients_as_asked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that autograd records only if the optimizer is differentiable."""

    @functools.wraps(step)
    def stepped(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, *args, **kwargs)

    return stepped
