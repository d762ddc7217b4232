"""Where in a training a call happens: its phase, and the module that it belongs to."""

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from haet_eval.remote.client.phase import (
    BACKWARD,
    FORWARD,
    INPUT,
    NO_GRAPH_TASK,
    OPTIMIZER,
    OTHER,
    PhaseTracker,
    graph_task,
)

_sequence_number: Any = torch._C._autograd._get_sequence_nr
_node: Any = torch._C._current_autograd_node
_MOST_EVENTS: Final = 1 << 18

OUTSIDE: Final = ""
"""The module of a call that no module made."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A phase, as an index into PHASES, and the path of a module, as in `ResNet.layer1.0.conv1`.

    `thread` tells the threads of autograd apart: each adds to counts of its own. There is one object for each
    place, so that it is a fast key.
    """

    phase: int
    module: str
    thread: int = 0


class Places:
    """Follows modules and optimizers of this process while it is installed.

    `now` is the place of a call that is made now, unless autograd makes it.

    Forward, a call belongs to the innermost module that is being called. Backward, it belongs to the module
    that made the node of the graph: nodes are numbered in the order in which they are made, and each entry
    into a module and each exit is noted with the next number. So a module may be entered any number of times.
    """

    def __init__(self) -> None:
        self.phases = PhaseTracker()
        self._stack: list[tuple[str, dict[int, str], bool]] = []
        self._numbers: list[int] = []
        self._modules: list[str] = []
        self._owners: dict[int, str] = {}
        self._names: WeakKeyDictionary[torch.nn.Module, dict[int, str]] = WeakKeyDictionary()
        self._known: dict[tuple[int, str, int], Place] = {}
        self._undo: list[Callable[[], object]] = []
        self._thread = 0
        self.now = self._place(self.phases.begun, OUTSIDE)

    def backward(self) -> Place:
        """The place of a call that autograd makes now."""
        phase = self.phases.current()
        if self.now.phase != OTHER:
            self._move()
        return self._place(phase, self._module_of_node())

    def install(self) -> None:
        """Begin to follow."""
        self._thread = threading.get_ident()
        before = register_optimizer_step_pre_hook(lambda *_: self._begin(OPTIMIZER))
        after = register_optimizer_step_post_hook(lambda *_: self._begin(INPUT))
        call = torch.nn.Module.__call__

        def watched(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return call(module, *args, **kwargs)
            self._enter(module)
            try:
                return call(module, *args, **kwargs)
            finally:
                self._leave()

        kind: Any = torch.nn.Module
        kind.__call__ = watched
        self._undo = [before.remove, after.remove, lambda: setattr(kind, "__call__", call)]

    def remove(self) -> None:
        """Stop following."""
        while self._undo:
            self._undo.pop()()

    def _enter(self, module: torch.nn.Module) -> None:
        if not self._stack:
            self.phases.enter(FORWARD)
            names = self._names_below(module)
            path = names[id(module)]
        else:
            outer, names, _ = self._stack[-1]
            path = names.get(id(module)) or f"{outer}.{type(module).__name__}"
        self._stack.append((path, names, graph_task() != NO_GRAPH_TASK))
        self._move()
        self._note(path)

    def _leave(self) -> None:
        self._stack.pop()
        self._move()
        self._note(self.now.module)

    def _begin(self, phase: int) -> None:
        self.phases.enter(phase)
        self._move()

    def _move(self) -> None:
        self.now = self._place(self.phases.begun, self._stack[-1][0] if self._stack else OUTSIDE)

    def _names_below(self, root: torch.nn.Module) -> dict[int, str]:
        """The path of each module below a root; the owners of parameters are noted along the way."""
        if root in self._names:
            return self._names[root]
        names = self._names[root] = {}
        bare = getattr(root, "_orig_mod", root)  # without the wrapper of torch.compile
        for path, module in root.named_modules(prefix=type(bare).__name__):
            name = names[id(module)] = path.replace("._orig_mod", "")
            for parameter in module._parameters.values():
                if parameter is not None:
                    self._owners[id(parameter)] = name
        return names

    def _note(self, path: str) -> None:
        """From the next node of the graph on, nodes are made by this module."""
        number = _sequence_number()
        if self._numbers and self._numbers[-1] == number:
            self._modules[-1] = path
            return
        if len(self._numbers) >= _MOST_EVENTS:  # graphs of long ago have been used
            del self._numbers[: _MOST_EVENTS // 2], self._modules[: _MOST_EVENTS // 2]
        self._numbers.append(number)
        self._modules.append(path)

    def _module_of_node(self) -> str:
        if self._stack and self._stack[-1][2]:  # a part of forward that checkpointing computes again
            return self._stack[-1][0]
        node = _node()
        if node is None:
            return OUTSIDE
        variable = getattr(node, "variable", None)
        if variable is not None:  # sums up the gradient of a parameter
            return self._owners.get(id(variable), OUTSIDE)
        place = bisect_right(self._numbers, node._sequence_nr()) - 1
        return self._modules[place] if place >= 0 else OUTSIDE

    def _place(self, phase: int, module: str) -> Place:
        key = phase, module, threading.get_ident() if phase == BACKWARD else 0
        place = self._known.get(key)
        if place is None:
            place = self._known[key] = Place(*key)
        return place
