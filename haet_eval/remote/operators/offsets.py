"""Which operators name places in a storage. Client and meter must agree on these operators."""

from typing import Final

_BASES: Final = frozenset(
    {"as_strided", "as_strided_", "as_strided_scatter", "set_", "view_as_complex", "view_as_real"}
)


def names_offsets(operator: str) -> bool:
    """Whether the offsets of its tensors are part of a template of this overload (`aten.as_strided.default`).

    The offset of its result is absolute, or in elements of another size than those of its input.
    """
    return operator == "aten.view.dtype" or operator.split(".")[1] in _BASES
