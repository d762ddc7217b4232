"""What `train(task)` is given."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from haet_eval.remote.client.made_up import is_marked
from haet_eval.remote.messages import REPORT_NAME, REPORT_TEXT, REPORT_VALUES

_EXACT_IN_JSON: Final = 2**53


@dataclass(frozen=True)
class SubmissionTask:
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
    _tell: Callable[[dict[str, int | float | str], tuple[str, ...]], None] = field(
        repr=False, default=lambda *_: None
    )
    _keep: Callable[[torch.nn.Module], None] = field(repr=False, default=lambda _: None)

    def report(self, **values: Any) -> None:
        """Show values of the running training, as in `task.report(epoch=3, loss=0.41)`.

        They appear on the screen; the record keeps the first and the last reports, and an artefact all of
        them, up to 8 MiB. A report holds up to 1,000 values, names of up to 100 and texts of up to 500
        characters; what is longer is cut, which ends no training. A tensor of up to 32 elements is read back,
        and charged, as if it were printed; of a larger one only the shape is shown. With the number of epochs
        that are over and of all of them, as in `task.report(epoch=3, epochs=10)`, the screen shows the
        percentage that is done and about how long the rest takes.
        """
        read = {name: _read(value) for name, value in values.items()}
        self._tell(_fitted(read), tuple(_cut(name, REPORT_NAME) for name in read if is_marked(read[name])))

    def checkpoint(self, model: torch.nn.Module) -> None:
        """Mark this model as the best so far.

        Where the competition says that a checkpoint counts when the time is over, the model as it is now is
        kept, and judged if `train` has not returned by then. In other competitions this does nothing.
        """
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"task.checkpoint was given {type(model).__name__}; it takes a torch.nn.Module")
        self._keep(model)


def _fitted(values: dict[str, Any]) -> dict[str, int | float | str]:
    """The values as they are sent: within the limits, with a note of how many were left out."""
    fitted = {_cut(name, REPORT_NAME): _shown(values[name]) for name in list(values)[:REPORT_VALUES]}
    left_out = len(values) - len(fitted)
    return fitted | ({"…": f"{left_out:,} more values"} if left_out else {})


def _read(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value


def _shown(number: Any) -> int | float | str:
    # JSON has no NaN and no infinity. They travel as text.
    if isinstance(number, float) and math.isfinite(number):
        return float(number)
    # True would be shown as 1. Beyond 2**53, readers of JSON that know only doubles see another number.
    if isinstance(number, int) and not isinstance(number, bool) and abs(number) < _EXACT_IN_JSON:
        return int(number)
    return _cut(_text(number), REPORT_TEXT)


def _text(value: Any) -> str:
    try:
        return str(value)
    except ValueError as error:  # Python writes no integer of more than 4,300 digits, nor a list of such
        return f"{type(value).__name__}: {error}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
