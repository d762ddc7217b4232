"""What OperationCounter costs for each operator, beside plain PyTorch and a mode that does nothing.

The three train on tiny tensors, turn by turn in one process. Usage: `python -m scripts.bench.counter`
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, Final

import torch

from haet_eval import OperationCounter
from scripts.bench import tiny
from scripts.bench.compare import NullMode

# Many short rounds: on a busy machine at least one of them is undisturbed.
_ROUNDS: Final = 60
_WARM_UP: Final = 4
_STEPS: Final = 40


def _seconds(step: Callable[[], None], mode: AbstractContextManager[Any]) -> float:
    """CPU seconds of one step."""
    with mode:
        for _ in range(_WARM_UP):
            step()
        began = time.process_time()
        for _ in range(_STEPS):
            step()
        return (time.process_time() - began) / _STEPS


def main() -> None:
    torch.set_num_threads(1)
    # Kernels on such tensors take next to nothing, so the cost of the counter shows.
    images, labels = torch.zeros(8, 3, 8, 8, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64)
    step = tiny.training(SimpleNamespace(images=images, labels=labels))
    null = NullMode()  # type: ignore[no-untyped-call]
    with null:
        step()
    calls = null.calls
    modes: dict[str, AbstractContextManager[Any]] = {
        "plain PyTorch": nullcontext(),
        "null mode": null,
        # One counter for all rounds: it has seen each call before, as in a long training.
        "OperationCounter": OperationCounter(),
    }
    least = dict.fromkeys(modes, float("inf"))
    for _ in range(_ROUNDS):
        # Turn by turn, so that a slow minute of the machine hits all of them.
        for name, mode in modes.items():
            least[name] = min(least[name], _seconds(step, mode))
    print(f"{calls} operators in a step{'µs an operator':>24}{'over the null mode':>22}")
    for name, seconds in least.items():
        over = (seconds - least["null mode"]) / calls * 1e6
        print(f"{name:<22}{seconds / calls * 1e6:24.2f}{over:22.2f}")


if __name__ == "__main__":
    main()
