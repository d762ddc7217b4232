"""A call that computes no element costs nothing; what fills an output from nothing costs what that costs."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from haet_eval.operators.pricing.evaluate import SIZED_BY_DATA, price_of
from haet_eval.operators.signature import Argument, TensorMeta
from tests.oracle.recording import operations
from tests.unit.prices.sweep import swept


def _emptied(value: Argument) -> Argument:
    if isinstance(value, TensorMeta):
        return replace(value, shape=(0, *value.shape[1:]), stride=value.stride or (1,))
    return tuple(map(_emptied, value)) if isinstance(value, tuple) else value


def test_no_operator_charges_for_empty_results() -> None:
    """Whatever goes in; but for those that have to search before they know that nothing comes out."""
    for signatures in swept().values():
        for signature in signatures[:3]:
            empty = replace(signature, outputs=tuple(map(_emptied, signature.outputs)))
            tensors = [one for one in empty.outputs if isinstance(one, TensorMeta | tuple)]
            if tensors and signature.operator.split(".")[1] not in SIZED_BY_DATA:
                assert price_of(empty) in (0, None), signature


none, row, channels = torch.empty(0, 4), torch.ones(4), torch.ones(3)

COMPUTES_NOTHING: dict[str, Callable[[], object]] = {
    "product of no rows": lambda: none @ torch.ones(4, 5),
    "transposed convolution of no images": lambda: F.conv_transpose1d(
        torch.empty(0, 3, 9), torch.ones(3, 2, 5), torch.ones(2)
    ),
    "batch norm of no images, in evaluation": lambda: F.batch_norm(torch.empty(0, 3), channels, channels),
    "renorm of empty slices": lambda: torch.renorm(none, 2, 1, 1.0),
    "pseudo-inverse of no columns": lambda: torch.linalg.pinv(torch.empty(5, 0)),
    "no places between two numbers": lambda: torch.linspace(torch.ones(()), torch.zeros(()), 0),
    "softmax of no rows": lambda: none.softmax(1),
}

FILLS_AN_OUTPUT: dict[str, tuple[Callable[[], object], int]] = {
    "sums of nothing are constants": (lambda: none.sum(0), 0),
    "products of no terms are constants": (lambda: torch.empty(2, 0) @ torch.empty(0, 3), 0),
    "to which a bias is added": (lambda: F.linear(torch.empty(2, 0), torch.empty(3, 0), channels), 2 * 3),
    "means of nothing divide": (lambda: none.mean(0), 4),
    "norms of nothing take roots": (lambda: torch.linalg.vector_norm(none, dim=0), 4),
    "a mean loss of nothing divides": (lambda: F.mse_loss(none, none), 1),
}

SEARCHES: dict[str, tuple[Callable[[], object], int]] = {
    "nonzero": (lambda: torch.zeros(7).nonzero(), 7),
    "a mask": (lambda: torch.ones(7)[torch.zeros(7, dtype=torch.bool)], 7),
    "masked_select": (lambda: torch.masked_select(row, torch.zeros(4, dtype=torch.bool)), 4),
}


@pytest.mark.parametrize("name", COMPUTES_NOTHING)
def test_what_computes_no_element_costs_nothing(name: str) -> None:
    assert operations(COMPUTES_NOTHING[name]) == 0


@pytest.mark.parametrize("name", FILLS_AN_OUTPUT)
def test_an_empty_input_costs_what_the_filled_output_costs(name: str) -> None:
    call, price = FILLS_AN_OUTPUT[name]
    assert operations(call) == price


@pytest.mark.parametrize("name", SEARCHES)
def test_what_finds_nothing_has_searched(name: str) -> None:
    call, price = SEARCHES[name]
    assert operations(call) == price
