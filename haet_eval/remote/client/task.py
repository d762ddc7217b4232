"""What `train(task)` is given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Task:
    """The training data and the terms of the run.

    Attributes:
        images: uint8, [N, C, H, W]; [N, 3, 32, 32] of CIFAR and of the digits.
        labels: int64, [N], from 0 to num_classes − 1.
        num_classes: how many classes there are.
        seed: what torch, random and numpy were seeded with before `train` was called.
        device: the device that tensors belong on.
        time_budget_seconds: wall time that the training may take.
    """

    images: torch.Tensor
    labels: torch.Tensor
    num_classes: int
    seed: int
    device: torch.device
    time_budget_seconds: float
    _tell: Callable[[dict[str, str]], None] = field(repr=False, default=lambda _: None)
    _keep: Callable[[torch.nn.Module], None] = field(repr=False, default=lambda _: None)

    def report(self, **values: Any) -> None:
        """Show values of the running training, as in `task.report(epoch=3, loss=0.41)`.

        They appear on the screen and in the record. A tensor of one element is read back, and charged.
        With the number of epochs that are over and of all of them, as in `task.report(epoch=3, epochs=10)`,
        the screen shows the percentage that is done and about how long the rest takes.
        """
        self._tell({name: _shown(value) for name, value in values.items()})

    def checkpoint(self, model: torch.nn.Module) -> None:
        """Mark this model as the best so far.

        Where the competition says that a checkpoint counts when the time is over, the model as it is now is
        kept, and judged if `train` has not returned by then. In other competitions this does nothing.
        """
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"task.checkpoint was given {type(model).__name__}; it takes a torch.nn.Module")
        self._keep(model)


def _shown(value: Any) -> str:
    number = value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value
    text = f"{number:.6g}" if isinstance(number, float) else str(number)
    return text[:_SHOWN_CHARACTERS]
