"""Which operators are validated by where their tensors come from, and so at every call."""

from typing import Final

from haet_eval.remote.operators.schema import Operator

_PARTS: Final = ("pool", "as_strided", "_backward", "_fused_", "unpool")


def needs_origins(operator: Operator) -> bool:
    """Whether validating a call of this operator asks for origins or for sizes of storages."""
    return any(part in operator.base for part in _PARTS)
