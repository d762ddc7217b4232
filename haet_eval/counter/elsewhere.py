"""Work that PyTorch's dispatcher does not see: it is noted, so that a count is never silently too low.

Compiled code runs eagerly while a count is taken. Processes, graphs of CUDA and kernels of Triton cannot be
counted, so they are listed as uncounted.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from multiprocessing.process import BaseProcess
from typing import Any, Final

import torch

PROCESSES: Final = "processes that were started"
CUDA_GRAPHS: Final = "graphs of CUDA that were replayed"
TRITON: Final = "triton."
META: Final = "calls on the device meta"

HINTS: Final = {
    PROCESSES: "Work in other processes is not counted: use num_workers=0 in a DataLoader, or allow it.",
    META: "All calls were about shapes only. OperationCounter(meta=True) counts them.",
    CUDA_GRAPHS: "What a graph replays is not counted: run the training without CUDA graphs.",
}
TRITON_HINT: Final = (
    "A kernel of Triton is not an operator: give it a price, as in prices={{'{name}': operations}}, or one "
    "for the operator that calls it."
)

# Each thread has a value of its own here, so an operator that runs in one thread hides no kernel of another.
_inside: Final[ContextVar[bool]] = ContextVar("inside", default=False)


@contextmanager
def whole() -> Iterator[None]:
    """In this block an operator with a price of its own runs: kernels that it calls are in that price."""
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


class Elsewhere:
    """Notes such work while it is installed, and sees to it that nothing is compiled."""

    def __init__(self, enter_thread: Callable[[], Any]) -> None:
        self.noted: Counter[str] = Counter()
        self._enter_thread = enter_thread
        self._undo: list[Callable[[], object]] = []

    def install(self) -> None:
        """Begin to note."""
        self._run_eagerly()
        # The base class has `start` for fork, spawn and forkserver alike, so the workers of a DataLoader are
        # seen too.
        self._replace(BaseProcess, "start", PROCESSES)
        self._replace(torch.cuda.CUDAGraph, "replay", CUDA_GRAPHS)
        # Triton is missing on many machines. One that is imported during the count is not seen, as
        # docs/counting-your-training.md says.
        triton = sys.modules.get("triton.runtime.jit")
        if triton is not None:
            self._replace(triton.JITFunction, "run", TRITON)
        self._follow_threads()

    def remove(self) -> None:
        """Stop noting."""
        while self._undo:
            self._undo.pop()()

    def _run_eagerly(self) -> None:
        # Compiled code would run as fused kernels below the dispatcher, and no mode sees those.
        stance: Any = torch.compiler.set_stance("force_eager")
        stance.__enter__()
        self._undo.append(lambda: stance.__exit__(None, None, None))
        optimized = torch._C._get_graph_executor_optimize()
        torch._C._set_graph_executor_optimize(False)  # TorchScript would fuse operators into one kernel
        self._undo.append(lambda: torch._C._set_graph_executor_optimize(optimized))

    def _replace(self, owner: Any, name: str, what: str) -> None:
        method = getattr(owner, name)

        @wraps(method)
        def noting(self_: Any, *args: Any, **kwargs: Any) -> Any:
            if not _inside.get():
                self.noted[f"{what}{self_.fn.__name__}" if what == TRITON else what] += 1
            return method(self_, *args, **kwargs)

        setattr(owner, name, noting)
        self._undo.append(lambda: setattr(owner, name, method))

    def _follow_threads(self) -> None:
        """A mode belongs to one thread: threads that are started from now on enter one of their own."""
        kind: Any = threading.Thread
        # Not `run`, which subclasses replace: this is the method that every thread begins with.
        inner = kind._bootstrap_inner

        def bootstrap(thread: threading.Thread) -> None:
            with self._enter_thread():
                inner(thread)

        kind._bootstrap_inner = bootstrap
        self._undo.append(lambda: setattr(kind, "_bootstrap_inner", inner))


def is_elsewhere(name: str) -> bool:
    """Whether work of that name is noted here. An overload of a library `triton` has two dots."""
    return name in HINTS or (name.startswith(TRITON) and name.count(".") == 1)


def hint(what: str) -> str:
    """What to do about work that was noted."""
    return TRITON_HINT.format(name=what) if what.startswith(TRITON) else HINTS[what]
