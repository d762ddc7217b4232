"""The backward of max pooling, without the additions of overlapping windows."""

from haet_eval.counting.prices.table import overloads, superseded
from haet_eval.counting.signature import Signature


@superseded(
    1,
    *overloads(
        "adaptive_max_pool2d_backward adaptive_max_pool3d_backward fractional_max_pool2d_backward "
        "fractional_max_pool3d_backward max_pool2d_with_indices_backward max_pool3d_with_indices_backward",
        ".default .grad_input",
    ),
)
def _max_pool_backward(s: Signature) -> int:
    """Each gradient goes to the place of its maximum."""
    return s.tensor("grad_output").numel
