"""Subclasses of nn.Parameter: their handles have the methods and attributes of both classes."""

from functools import cache
from typing import Any

from torch import nn

from haet_eval.remote.client.tensor import RemoteTensor


def install_parameter_classes() -> None:
    """Let the constructor of a subclass return an instance of it, as it does for ordinary tensors."""
    replaced: Any = nn.Parameter
    make = replaced.__new__

    def new(kind: Any, *args: Any, **kwargs: Any) -> Any:
        made = make(kind, *args, **kwargs)
        # For a tensor that is no plain one, PyTorch's constructor detaches it and returns it as it is.
        if kind is not nn.Parameter and type(made) is RemoteTensor:
            made.__class__ = _with_handle(kind)
        return made

    replaced.__new__ = new


@cache
def _with_handle(kind: Any) -> Any:
    # RemoteTensor comes first, so that its methods win over nn.Parameter's of the same name.
    return type(kind)(kind.__name__, (RemoteTensor, kind), {"__module__": kind.__module__})
