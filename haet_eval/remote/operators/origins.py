"""Which operators are validated by where their tensors come from, and so at every call."""

from typing import Final

from haet_eval.remote.operators.schema import Operator

_BY_ORIGIN: Final = frozenset(
    {
        "max_pool2d_with_indices_backward",
        "max_pool3d_with_indices_backward",
        "adaptive_max_pool2d_backward",
        "adaptive_max_pool3d_backward",
    }
)
_BY_STORAGE: Final = frozenset({"as_strided", "as_strided_", "as_strided_copy", "as_strided_scatter"})


def needs_origins(operator: Operator) -> bool:
    """Whether validating a call of this operator asks for origins or for sizes of storages."""
    return operator.base in _BY_ORIGIN | _BY_STORAGE
