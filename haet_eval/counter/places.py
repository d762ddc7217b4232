"""Where in a training a call happens: its phase, and the module that it belongs to."""

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.weak import WeakTensorKeyDictionary

from haet_eval.counting.histogram import PHASES
from haet_eval.remote.client.phase import (
    BACKWARD,
    FORWARD,
    INITIALISATION,
    INPUT,
    NO_GRAPH_TASK,
    OPTIMIZER,
    OTHER,
    graph_task,
)

_sequence_number: Any = torch._C._autograd._get_sequence_nr
_node: Any = torch._C._current_autograd_node
_MOST_EVENTS: Final = 1 << 18

_Names: TypeAlias = WeakKeyDictionary[torch.nn.Module, str]

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

    `now` is the place of a call that is made now, unless autograd makes it. `installed` says whether it
    follows.

    Forward, a call belongs to the innermost module that is being called. Backward, it belongs to the module
    that made the node of the graph: nodes are numbered in the order in which they are made, and each entry
    into a module and each exit is noted with the next number. So a module may be entered any number of times.
    """

    def __init__(self) -> None:
        self.installed = False
        self._phase = INITIALISATION
        self._stack: list[tuple[str, _Names, bool]] = []
        self._numbers: list[int] = []
        self._modules: list[str] = []
        # Weak keys and not identities, which later objects get again.
        self._owners: Any = WeakTensorKeyDictionary()
        self._names: WeakKeyDictionary[torch.nn.Module, _Names] = WeakKeyDictionary()
        self._known: list[dict[str, Place]] = [{} for _ in PHASES]
        self._known_backward: dict[tuple[str, int], Place] = {}
        self._undo: list[Callable[[], object]] = []
        self.now = self._place(OUTSIDE)

    def backward(self) -> Place:
        """The place of a call that autograd makes now."""
        # What follows autograd, such as the clipping of gradients, is `other` until the next event.
        if self.now.phase != OTHER:
            self._begin(OTHER)
        # Threads of autograd add to the counts of one call at the same time, and an addition to an entry of a
        # dictionary is not atomic. With an entry for each thread no count is lost.
        key = self._module_of_node(), threading.get_ident()
        return self._known_backward.get(key) or self._known_backward.setdefault(key, Place(BACKWARD, *key))

    def install(self) -> None:
        """Begin to follow."""
        self.installed = True
        before = register_optimizer_step_pre_hook(lambda *_: self._begin(OPTIMIZER))
        after = register_optimizer_step_post_hook(lambda *_: self._begin(INPUT))
        call, get_ident = torch.nn.Module.__call__, threading.get_ident
        enter, leave, thread = self._enter, self._leave, get_ident()

        def watched(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            # There is one stack, which other threads would mix up. Their calls are counted without a module
            # of their own.
            if get_ident() != thread:
                return call(module, *args, **kwargs)
            enter(module)
            try:
                return call(module, *args, **kwargs)
            finally:
                leave()

        kind: Any = torch.nn.Module
        kind.__call__ = watched
        self._undo = [before.remove, after.remove, lambda: setattr(kind, "__call__", call)]

    def remove(self) -> None:
        """Stop following."""
        self.installed = False
        while self._undo:
            self._undo.pop()()

    def _enter(self, module: torch.nn.Module) -> None:
        if not self._stack:
            self._phase = FORWARD
            names = self._names_below(module)
            path = names[module]
        else:
            outer, names, _ = self._stack[-1]
            # A module that was made, or put in, after the first call of its root has no path there.
            path = names.get(module) or f"{outer}.{type(module).__name__}"
        self._stack.append((path, names, graph_task() != NO_GRAPH_TASK))
        self._move(path)

    def _leave(self) -> None:
        self._stack.pop()
        self._move(self._stack[-1][0] if self._stack else OUTSIDE)

    def _begin(self, phase: int) -> None:
        self._phase = phase
        self.now = self._place(self.now.module)

    def _move(self, path: str) -> None:
        """From the next node of the graph on, nodes are made by this module."""
        self.now = self._known[self._phase].get(path) or self._place(path)
        numbers, number = self._numbers, _sequence_number()
        # No node was made since the last event, so the newer module owns what comes.
        if numbers and numbers[-1] == number:
            self._modules[-1] = path
            return
        if len(numbers) >= _MOST_EVENTS:  # graphs of long ago have been used
            del numbers[: _MOST_EVENTS // 2], self._modules[: _MOST_EVENTS // 2]
        numbers.append(number)
        self._modules.append(path)

    def _names_below(self, root: torch.nn.Module) -> _Names:
        """The path of each module below a root; the owners of parameters are noted along the way."""
        if root in self._names:
            return self._names[root]
        names = self._names[root] = WeakKeyDictionary()
        bare = getattr(root, "_orig_mod", root)  # without the wrapper of torch.compile
        for path, module in root.named_modules(prefix=type(bare).__name__):
            name = names[module] = path.replace("._orig_mod", "")
            for parameter in module._parameters.values():
                if parameter is not None:
                    self._owners[parameter] = name
        return names

    def _module_of_node(self) -> str:
        if self._stack and self._stack[-1][2]:  # a part of forward that checkpointing computes again
            return self._stack[-1][0]
        node = _node()
        if node is None:
            return OUTSIDE
        variable = getattr(node, "variable", None)
        if variable is not None:  # sums up the gradient of a parameter
            return str(self._owners.get(variable, OUTSIDE))
        place = bisect_right(self._numbers, node._sequence_nr()) - 1
        return self._modules[place] if place >= 0 else OUTSIDE

    def _place(self, module: str) -> Place:
        known = self._known[self._phase]
        return known.get(module) or known.setdefault(module, Place(self._phase, module))
