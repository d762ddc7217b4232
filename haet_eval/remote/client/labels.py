"""Which line of the submission makes a call of a new kind, and in which module that is."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from haet_eval.remote.client.own_code import OwnCode
from haet_eval.remote.messages import LABEL_CHARACTERS, Labelled, sendable


class Labeller:
    """Labels the templates of a training. A call that repeats one costs nothing here.

    Args:
        code: the submission's own.
        modules: returns those that the calling thread is calling, the outermost first.
        tell: is given each message.
    """

    def __init__(
        self, code: OwnCode, modules: Callable[[], Sequence[torch.nn.Module]], tell: Callable[[bytes], None]
    ) -> None:
        self._code = code
        self._modules = modules
        self._tell = tell

    def label(self, template: int) -> None:
        """A call is about to be made that is the first of this template."""
        frame = self._code.frame()
        line = f"{self._code.relative(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else ""
        # Cut after the escapes, which are longer than what they stand for: the host refuses longer texts.
        line, module = (sendable(text)[:LABEL_CHARACTERS] for text in (line, _path(self._modules())))
        self._tell(Labelled(template=template, line=line, module=module).encode())


def _path(modules: Sequence[torch.nn.Module]) -> str:
    """The innermost module by the names of those around it, as in `Net.layers.0`."""
    outermost = [type(module).__name__ for module in modules[:1]]
    return ".".join([*outermost, *(_name(inner, outer) for outer, inner in pairwise(modules))])


def _name(inner: torch.nn.Module, outer: torch.nn.Module) -> str:
    """What a module is called in another one; its class if it is not one of its children."""
    children = vars(outer).get("_modules", {})
    return next((name for name, child in children.items() if child is inner), type(inner).__name__)
