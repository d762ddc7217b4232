"""What the standard refuses, and what it says about it."""

import torch

from haet_eval.operators.refusals import unpriced
from haet_eval.operators.table import priced_operators


def test_a_refusal_gives_its_reason() -> None:
    assert unpriced("aten._to_sparse.default") == (
        "the work on a sparse tensor depends on where its values are, which no shape tells; "
        "use dense tensors, with a mask where zeros matter"
    )
    assert "logsumexp" in (unpriced("aten._ctc_loss.default") or "")


def test_priced_and_unknown_operators_are_not_refused() -> None:
    assert unpriced("aten.add.Tensor") is None
    assert unpriced("aten.unheard_of.default") is None


def test_no_operator_is_both_priced_and_refused() -> None:
    assert not [operator for operator in priced_operators() if unpriced(operator) is not None]


def test_every_operator_of_torch_is_priced_refused_or_a_composite() -> None:
    decided = priced_operators()
    assert not [name for name in own_operators() if name not in decided and unpriced(name) is None]


def own_operators() -> list[str]:
    """Every ATen overload that is no composite of others and names no dimensions."""
    found = []
    for full_name in torch._C._dispatch_get_all_op_names():
        operator, _, overload = full_name.removeprefix("aten::").partition(".")
        if not full_name.startswith("aten::") or overload not in overloads_in_python(operator):
            continue
        if not torch._C._dispatch_has_kernel_for_dispatch_key(full_name, "CompositeImplicitAutograd"):
            found.append(f"aten.{operator}.{overload or 'default'}")
    return found


def overloads_in_python(operator: str) -> list[str]:
    """Names of the overloads that a program can reach, the default one being empty."""
    packet = getattr(torch.ops.aten, operator, None)
    if packet is None:
        return []
    reachable = [name for name in packet.overloads() if "Dimname" not in str(getattr(packet, name)._schema)]
    return ["" if name == "default" else name for name in reachable]
