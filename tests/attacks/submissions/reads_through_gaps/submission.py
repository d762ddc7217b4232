"""Looks for freed training images in the gaps between the elements of an output.

A template is defined on a tensor with a gap that fills its storage, and called on one in a larger storage.
An output that is laid out anew, gap and all, would show memory that no kernel has written. `variant.py` names
the operator.
"""

import torch
from honest import Network
from variant import OPERATOR

BYTES = 8192
MARK = 512
TRIES = 60


def gapped(size):
    return torch.zeros(size, dtype=torch.uint8).as_strided((2, 1), (BYTES - 1, 1), 0)


def output(tensor):
    aten, one = torch.ops.aten, torch.zeros(1, dtype=torch.uint8)
    match OPERATOR:
        case "slice_scatter":
            return aten.slice_scatter(tensor, one.view(1, 1), 0, 0, 1)
        case "select_scatter":
            return aten.select_scatter(tensor, one, 0, 0)
        case "diagonal_scatter":
            return aten.diagonal_scatter(tensor, one)
        case "as_strided_scatter":
            return aten.as_strided_scatter(tensor, one, (1,), (1,), 0)
        case "_foreach_copy":
            return aten._foreach_copy([tensor], [torch.zeros(2, 1, dtype=torch.uint8)])[0]


def seen(tensor):
    """All bytes that the meter believes the output's memory to have; none of them depends on data."""
    return output(tensor).as_strided((BYTES,), (1,), 0).tolist()


def train(task):
    output(gapped(BYTES))
    tensor = gapped(3 * BYTES)
    found = 0
    for _ in range(TRIES):
        image = task.images[0].flatten()[: BYTES - 2 * MARK]
        secret = torch.nn.functional.pad(image, (MARK, BYTES - MARK - len(image)), value=101)
        del secret
        found += seen(tensor).count(101) > MARK
    task.report(found=found)
    return Network(task.num_classes)
