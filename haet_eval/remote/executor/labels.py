"""From logits to labels."""

from typing import Final

import torch

NO_LABEL: Final = -1
"""The label of an image with a NaN among its logits: there is no prediction, so it cannot be right."""


def labels_of(logits: torch.Tensor, *, nan_is_greatest: bool = False) -> torch.Tensor:
    """The class of the greatest logit, int64 [N], for logits [N, classes]; NO_LABEL if any of them is NaN.

    An infinite logit is a number: -inf is an honest way to mask a class. With `nan_is_greatest` the class of
    the first NaN is the label, as in records of version 1.
    """
    # PyTorch's argmax takes NaN for the greatest number.
    labels = logits.argmax(-1).to(torch.int64)
    return labels if nan_is_greatest else labels.masked_fill(logits.isnan().any(-1), NO_LABEL)
