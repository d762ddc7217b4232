"""Reads all training images through a view that the meter is to take for new memory without data.

As in `shapes_that_are_not_there`, but with `unsafe_split`: a view of a plain tensor, a copy of a negated one.
"""

import torch
from honest import Network

WINDOW = 1 << 15


def prepare():
    negated = torch._neg_view(torch.zeros(WINDOW, dtype=torch.uint8))
    torch._C._set_neg(negated, False)
    torch.unsafe_split(negated, WINDOW)


def read(pixels):
    """All values of a uint8 tensor of one dimension."""
    values = []
    for part in pixels.split(WINDOW):
        written = torch.zeros(WINDOW, dtype=torch.uint8)
        seen = torch.unsafe_split(written, WINDOW)[0]
        written[: len(part)].copy_(part)
        values += seen.tolist()[: len(part)]
    return values


def train(task):
    prepare()
    values = read(task.images[:, 0, ::4, ::4].flatten())
    task.report(values=len(values), largest=max(values))
    return Network(task.num_classes)
