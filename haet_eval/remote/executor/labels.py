"""From logits to labels."""

from typing import Final

import torch

NO_LABEL: Final = -1
"""Of an image whose logits are all NaN: nothing was predicted, and it cannot be right."""


def labels_of(logits: torch.Tensor) -> torch.Tensor:
    """The class of the greatest logit, int64 [N], for logits [N, classes]; NO_LABEL if no logit is a number.

    An infinite logit is a number: -inf is an honest way to mask a class.
    """
    return logits.argmax(-1).to(torch.int64).masked_fill(logits.isnan().all(-1), NO_LABEL)
