"""How much of its training images a competition lets a submission read back.

A submission can train on values that it has read back in its own process, uncounted: 1,000 whole digits were
enough for 94 %. So the budget is compared with the compressed size of the images.
"""

import zlib
from typing import Final

import numpy as np

from haet_eval.competition import Budgets, Competition, Task
from haet_eval.data.arrays import Images
from haet_eval.errors import UsageProblem

MOST_PERCENT: Final = 1
"""The share of the compressed training images that needs no reason."""

_SAMPLED_IMAGES: Final = 1000
_LEVEL: Final = 6


def compressed_bytes(images: Images) -> int:
    """Size of the images as zlib stores them, in bytes; estimated from 1,000 evenly chosen ones of many.

    Args:
        images: uint8 [N, C, H, W].
    """
    count = len(images)
    chosen = images
    if count > _SAMPLED_IMAGES:
        chosen = images[np.linspace(0, count - 1, _SAMPLED_IMAGES).astype(np.int64)]
    return len(zlib.compress(chosen.tobytes(), _LEVEL)) * count // max(1, len(chosen))


def most_readback_bytes(images: Images) -> int:
    """The greatest `readback_bytes` that needs no reason."""
    return compressed_bytes(images) * MOST_PERCENT // 100


def budgets_with(rules: Competition, task: Task, images: Images, *, official: bool) -> Budgets:
    """The budgets of a task on its training images, which do not give these images away.

    A file that does not name `readback_bytes` gets the default, or as much of it as its images allow.
    Published data that are not the official ones, such as a small archive for a trial, pass without this
    check: the budget was set for the official data, and no record on others is awarded.

    Raises:
        UsageProblem: the file lets more than 1 % of the images be read back, and does not say why.
    """
    budgets = task.budgets
    own = task.data is not None or official
    # A native run holds the images themselves, so it has nothing to read back.
    if rules.runner == "native" or budgets.readback_reason is not None or not own:
        return budgets
    most = most_readback_bytes(images)
    if budgets.readback_bytes <= most:
        return budgets
    # The organizer has not chosen this number, so there is nothing to complain about.
    if "readback_bytes" not in budgets.model_fields_set:
        return budgets.model_copy(update={"readback_bytes": most})
    raise UsageProblem(
        f"competition {rules.name} lets {budgets.readback_bytes:,} bytes be read back, and "
        f"{MOST_PERCENT} % of its training images are {most:,} bytes, compressed",
        f"Set `readback_bytes` under [budgets] to {most:,} or less, leave it out, or say in "
        "`readback_reason` why it is more. What is read back can be trained on uncounted.",
        code="competition-readback",
    )
