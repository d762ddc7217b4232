"""A call that the counter takes for an expected one has the key of that call."""

from typing import Any

import pytest
import torch

from haet_eval.counter.foreseen import Followers, Foreseen
from haet_eval.counter.keys import key_of

aten = torch.ops.aten
Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


def tensors() -> list[torch.Tensor]:
    """Tensors that differ in one thing each, seen from the first."""
    plain = torch.ones(4, 4)
    return [
        plain,
        torch.ones(4, 4),
        torch.ones(4, 1),
        torch.ones(16),
        torch.ones(4, 4, dtype=torch.float64),
        torch.ones(4, 4, dtype=torch.complex64),
        torch.ones(4, 4, dtype=torch.complex64).conj(),
        torch.ones(4, 4, dtype=torch.complex64).conj().imag,
        torch.ones(4, 4).t(),
        torch.ones(4, 8)[:, ::2],
        torch.ones(4, 1).expand(4, 4),
        torch.ones(4, 4, device="meta"),
        torch.ones(4, 4, requires_grad=True),
        torch.nn.Parameter(torch.ones(4, 4)),
        torch.ones(0, 4),
    ]


def calls() -> list[Call]:
    plain = torch.ones(4, 4)
    numbers = (1, 1.0, True, False, 0, 0.0, 2, 2.5, float("inf"), float("nan"), 1j, -1, 3.5)
    found: list[Call] = [(aten.add.Tensor, (one, plain), {}) for one in tensors()]
    found += [
        (aten.add.Tensor, (plain, one), {"alpha": number}) for one in tensors()[:3] for number in numbers
    ]
    found += [(aten.add.Tensor, (plain, plain), {"alpha": number}) for number in numbers]
    found += [(aten.add.Scalar, (plain, number), {}) for number in numbers]
    found += [(aten.sum.dim_IntList, (plain, dims), {}) for dims in ([0], [1], [0, 1], [], None)]
    found += [(aten.sum.dim_IntList, (plain, [0], keep), {}) for keep in (True, False)]
    found += [(aten.sum.dim_IntList, (plain, [0]), {"dtype": dtype}) for dtype in (torch.float64, None)]
    found += [(aten.cat.default, ([plain, *tensors()[:count]], 0), {}) for count in range(4)]
    found += [(aten.index.Tensor, (plain, [None, torch.tensor([0])]), {})]
    found += [(aten.index.Tensor, (plain, [torch.tensor([0])]), {})]
    found += [(aten._foreach_add.ScalarList, ([plain], [number]), {}) for number in numbers]
    found += [(aten.full.default, ([3], number), {}) for number in numbers]
    return found


def foreseen(call: Call) -> Foreseen[None] | None:
    followers = Followers[None]()
    followers.add(*call, None)
    return followers.newest[0] if followers.newest else None


def test_a_call_that_fits_has_the_same_key() -> None:
    fitting = 0
    for one in calls():
        expected = foreseen(one)
        for other in calls():
            if expected and other[0] is one[0] and expected.fits(*other[1:]):
                fitting += 1
                assert key_of(*one) == key_of(*other), (one, other)
    assert fitting > len(calls())


@pytest.mark.parametrize("call", calls()[:5] + calls()[-5:], ids=str)
def test_the_same_call_fits_again(call: Call) -> None:
    expected = foreseen(call)
    assert expected
    assert expected.fits(*call[1:])


def test_a_float_fits_as_any_other_float_of_its_kind() -> None:
    expected = foreseen((aten.add.Scalar, (torch.ones(2), 2.5), {}))
    assert expected
    assert expected.fits((torch.ones(2), 3.5), {})
    for other in (2, 0.0, 1.0, True, 2.5 + 0j):
        assert not expected.fits((torch.ones(2), other), {})


def test_calls_that_the_guard_cannot_distinguish_are_not_foreseen() -> None:
    twice = torch.ones(2)
    assert foreseen((aten.mul.Tensor, (twice, twice), {})) is None
    assert foreseen((aten.relu.default, (torch.ones(2, 2).to_sparse(),), {})) is None
    assert foreseen((aten.index.Tensor, (twice, [None, torch.tensor([0])]), {})) is None


def test_a_place_that_is_never_the_same_stops_to_learn() -> None:
    followers = Followers[None]()
    for size in range(100):
        followers.add(aten.relu.default, (torch.ones(size),), {}, None)
    assert followers.made < 100
    assert len(followers.newest) == 4
