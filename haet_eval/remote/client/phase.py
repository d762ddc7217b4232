"""The part of a training that is running. It is sent along with the calls and decides nothing."""

import threading
from typing import Any, Final

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from haet_eval.counting.histogram import PHASES

INITIALISATION: Final = PHASES.index("initialisation")
INPUT: Final = PHASES.index("input")
FORWARD: Final = PHASES.index("forward")
BACKWARD: Final = PHASES.index("backward")
OPTIMIZER: Final = PHASES.index("optimizer")
OTHER: Final = PHASES.index("other")

graph_task: Any = torch._C._current_graph_task_id
NO_GRAPH_TASK: Final = -1


class _Calling(threading.local):
    """The modules that this thread is calling: those of another thread are not around them."""

    def __init__(self) -> None:
        self.modules: list[torch.nn.Module] = []


class PhaseTracker:
    """Initialisation until a module is first called; then what the last event began.

    Calling a module begins `forward`, which the loss belongs to as well; autograd is `backward`, what
    follows it (clipping, say) `other`; `Optimizer.step` is `optimizer`, what follows it `input`.
    `begun` is the phase that the last event began.
    """

    __slots__ = ("_calling", "begun")  # the compiled hit path uses the latter as well

    def __init__(self) -> None:
        self.begun = INITIALISATION
        self._calling = _Calling()

    def modules(self) -> list[torch.nn.Module]:
        """Those that this thread is calling, the outermost first."""
        return self._calling.modules

    def current(self) -> int:
        """The phase of a call that is made now, as an index into PHASES."""
        if graph_task() != NO_GRAPH_TASK:
            # Nothing reports the end of a backward pass, so each of its calls says what follows it.
            self.begun = OTHER
            return BACKWARD
        return self.begun

    def install(self) -> None:
        """Watch modules and optimizers of this process from now on."""
        register_optimizer_step_pre_hook(lambda *_: self.enter(OPTIMIZER))
        register_optimizer_step_post_hook(lambda *_: self.enter(INPUT))
        call, calling = torch.nn.Module.__call__, self._calling

        def watched(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            modules = calling.modules
            # Only the outermost: modules called within another one, or in a hook of one, begin no phase.
            if not modules:
                self.enter(FORWARD)
            modules.append(module)
            try:
                return call(module, *args, **kwargs)
            finally:
                modules.pop()

        # Not global hooks: with any of them, PyTorch takes its slow path for every module.
        torch.nn.Module.__call__ = watched  # type: ignore[method-assign]

    def enter(self, phase: int) -> None:
        """Begin a phase."""
        self.begun = phase
