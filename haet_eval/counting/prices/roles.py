"""What an operand is for: the width of an integer is paid for if it is computed with, not if it says where.

The role follows from the operator and the parameter's name, never from where a tensor came from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from haet_eval.counting.signature import Signature, TensorMeta, tensors_in


@dataclass(frozen=True, slots=True)
class Role:
    """Parameters whose integers are not computed with; `operators` are base names, all of them if empty."""

    parameters: str
    why: str
    operators: str = ""


ROLES: Final = (
    Role(
        "index indices sorter repeats offsets lengths offset2bag bag_size maximum_indices", "index operands"
    ),
    Role("pivots LU_pivots", "index operands: which rows were exchanged"),
    Role("self", "index operand: which count goes up", "bincount"),
    Role("mask condition is_target", "truth values that choose"),
    Role(
        "target",
        "class labels of a loss",
        "nll_loss nll_loss_forward nll_loss_backward nll_loss2d nll_loss2d_forward nll_loss2d_backward "
        "multi_margin_loss multi_margin_loss_backward multilabel_margin_loss_forward "
        "multilabel_margin_loss_backward",
    ),
    Role("state_steps growth_tracker", "step counters"),
    Role("info reserve", "error codes and a workspace"),
    Role("self", "it is only written", "bernoulli_"),
    Role("out", "it is only written"),
)


def _exempt() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for role in ROLES:
        for parameter in role.parameters.split():
            found.setdefault(parameter, set()).update(role.operators.split() or ("",))
    return {parameter: frozenset(operators) for parameter, operators in found.items()}


_EXEMPT: Final = _exempt()
_NONE: Final = frozenset[str]()


def is_exempt(operator: str, parameter: str) -> bool:
    """Whether this parameter of an overload such as `aten.index.Tensor` is no value that is computed with."""
    operators = _EXEMPT.get(parameter, _NONE)
    return "" in operators or operator.split(".")[1] in operators


def values(signature: Signature) -> Iterator[TensorMeta]:
    """The tensors of a call that are computed with, in the order of the parameters."""
    for name, argument in signature.arguments.items():
        if not is_exempt(signature.operator, name):
            yield from tensors_in(argument)
