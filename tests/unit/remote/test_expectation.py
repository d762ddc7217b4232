"""The check after each call: whatever a kernel does otherwise than in the first call of its template shows.

No operator does such things on purpose, so functions that do stand in for kernels.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from haet_eval.remote.executor.cut import selected, sliced
from haet_eval.remote.executor.expectation import Expectation, places
from haet_eval.remote.executor.kernel import overload
from haet_eval.remote.executor.outcome import Mismatch, describe, is_tidy, returned_values, tidied
from haet_eval.remote.wire import Atom, Tag

Kernel = Callable[[Sequence[torch.Tensor]], Any]


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    """As in the executor's process."""
    with torch.no_grad():
        yield


def settled(operator: str, kernel: Kernel, inputs: Sequence[torch.Tensor]) -> Expectation:
    """What is expected of every call after this first one."""
    before = places(inputs)
    values = tidied(kernel(inputs), inputs)
    order = range(len(inputs))
    describe(overload(operator), returned_values(overload(operator), values), inputs, before, order)
    return Expectation(overload(operator), values, inputs, before, order)


def call(expected: Expectation, kernel: Kernel, inputs: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    seen = expected.look(inputs)
    return expected.settle(kernel(inputs), inputs, seen)


def pair() -> list[torch.Tensor]:
    return [torch.arange(6.0).reshape(2, 3), torch.ones(2, 3)]


def grown(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, its storage made larger behind its back."""
    tensor.untyped_storage().resize_(4096)
    return tensor


def moved(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, now in another memory."""
    lies: torch.Tensor = torch.ops.aten.set_(tensor, tensor.clone())
    return lies


def negated(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, with its lazy bit set in place."""
    torch._C._set_neg(tensor, True)
    return tensor


def part_of_workspace(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return (tensors[0] + tensors[1]).new_zeros(40)[7:13].view(2, 3)


ADD: Kernel = lambda t: t[0] + t[1]  # noqa: E731
NEW_MEMORY: dict[str, Kernel] = {
    "the input itself": lambda t: t[0],
    "a view of the input": lambda t: t[0].view(2, 3),
    "a view of the other input": lambda t: t[1][:],
    "another shape": lambda t: (t[0] + t[1]).t(),
    "another dtype": lambda t: (t[0] + t[1]).double(),
    "not a tensor": lambda _: None,
    "two tensors": lambda t: [t[0] + t[1], t[0] + t[1]],
    "an input reshaped": lambda t: (t[0].t_(), torch.zeros(2, 3))[1],
    "an input moved": lambda t: (moved(t[0]), torch.zeros(2, 3))[1],
    "an input's memory grown": lambda t: (grown(t[1]), torch.zeros(2, 3))[1],
    "an input shifted": lambda t: (t[0].as_strided_((2, 2), (3, 1), 1), torch.zeros(2, 3))[1],
    "an input negated": lambda t: (negated(t[0]), torch.zeros(2, 3))[1],
}


@pytest.mark.parametrize("kernel", NEW_MEMORY.values(), ids=NEW_MEMORY)
def test_output_in_new_memory_stays_one(kernel: Kernel) -> None:
    expected = settled("aten.add.Tensor", ADD, pair())
    assert [one.tolist() for one in call(expected, ADD, pair())] == [[[1, 2, 3], [4, 5, 6]]]
    with pytest.raises(Mismatch):
        call(expected, kernel, pair())


VIEWS: dict[str, Kernel] = {
    "another view": lambda t: t[0].view(3, 2),
    "a later part": lambda t: t[0].as_strided((3, 2), (1, 3), 0),
    "the input itself": lambda t: t[0].t_(),
    "a copy": lambda t: t[0].t().clone(),
    "another memory": lambda _: torch.zeros(2, 3).t(),
    "negated": lambda t: torch._neg_view(t[0].t()),
}


@pytest.mark.parametrize("kernel", VIEWS.values(), ids=VIEWS)
def test_view_stays_that_view(kernel: Kernel) -> None:
    expected = settled("aten.t.default", lambda t: t[0].t(), [torch.zeros(2, 3)])
    inside = torch.zeros(10)[4:].view(2, 3)
    (view,) = call(expected, lambda t: t[0].t(), [inside])
    assert view.storage_offset() == 4
    if kernel is not VIEWS["a later part"]:
        with pytest.raises(Mismatch):
            call(expected, kernel, [torch.zeros(2, 3)])
    with pytest.raises(Mismatch):
        call(expected, kernel, [torch.zeros(10)[4:].view(2, 3)])


def test_operator_in_place_returns_its_input_and_nothing_else() -> None:
    expected = settled("aten.add_.Tensor", lambda t: t[0].add_(t[1]), pair())
    assert not call(expected, lambda t: t[0].add_(t[1]), pair())
    for kernel in (lambda t: t[0] + t[1], lambda t: t[1], lambda t: t[0].add_(t[1])[:]):
        with pytest.raises(Mismatch):
            call(expected, kernel, pair())


def test_lists_have_as_many_tensors_as_before_each_with_its_memory() -> None:
    def split(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return list(torch.split(tensors[0], 2))

    def copies(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [part.clone() for part in torch.split(tensors[0], 2)]

    views = settled("aten.split.Tensor", split, [torch.zeros(4)])
    news = settled("aten.split_copy.Tensor", copies, [torch.zeros(4)])
    assert len(call(views, split, [torch.zeros(9)[3:7]])) == len(call(news, copies, [torch.zeros(4)])) == 2
    with pytest.raises(Mismatch):
        call(views, copies, [torch.zeros(4)])
    with pytest.raises(Mismatch):
        call(news, split, [torch.zeros(4)])
    with pytest.raises(Mismatch):
        call(news, lambda t: copies(t)[:1], [torch.zeros(4)])
    with pytest.raises(Mismatch):
        call(views, lambda t: list(reversed(split(t))), [torch.zeros(4)])


def test_outputs_that_share_new_memory_get_their_own() -> None:
    def shared(_: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return list(torch.split(torch.arange(4.0), 2))

    expected = settled("aten.split_copy.Tensor", shared, [torch.zeros(4)])
    fresh = call(expected, shared, [torch.zeros(4)])
    assert [one.tolist() for one in fresh] == [[0, 1], [2, 3]]
    assert all(is_tidy(one) for one in fresh)


def test_part_of_a_workspace_becomes_memory_of_its_own() -> None:
    first = tidied(part_of_workspace(pair()), pair())
    assert is_tidy(first)
    expected = settled("aten.add.Tensor", ADD, pair())
    (fresh,) = call(expected, part_of_workspace, pair())
    assert is_tidy(fresh)


def test_output_with_gaps_is_made_dense_in_the_first_call_and_in_every_other() -> None:
    def gapped(size: int) -> list[torch.Tensor]:
        return [torch.zeros(size).as_strided((2,), (size // 2 - 1,), 0)]

    def with_gaps(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.empty_strided((2,), (7,)).copy_(tensors[0])

    first = tidied(with_gaps(gapped(16)), gapped(16))
    assert first.untyped_storage().nbytes() == 8
    expected = settled("aten.clone.default", with_gaps, gapped(16))
    (fresh,) = call(expected, with_gaps, gapped(16))
    assert fresh.stride() == (1,)
    assert fresh.untyped_storage().nbytes() == 8


def test_new_memory_laid_out_otherwise_is_copied_into_the_expected_layout() -> None:
    expected = settled("aten.add.Tensor", ADD, pair())
    (fresh,) = call(expected, lambda t: torch._neg_view((t[0] + t[1]).t().clone().t()), pair())
    assert fresh.stride() == (3, 1)
    assert not fresh.is_neg()
    assert fresh.tolist() == [[-1, -2, -3], [-4, -5, -6]]


def test_one_tensor_given_twice_is_like_two() -> None:
    expected = settled("aten.add.Tensor", ADD, pair())
    one = torch.ones(2, 3)
    (fresh,) = call(expected, ADD, [one, one])
    assert fresh.tolist() == [[2, 2, 2], [2, 2, 2]]
    with pytest.raises(Mismatch):
        call(expected, lambda t: t[1], [one, one])


def test_empty_tensors_have_no_address_and_are_watched_all_the_same() -> None:
    def moves(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        moved(tensors[0])
        return torch.zeros(0)

    def empty() -> list[torch.Tensor]:
        return [torch.zeros(4)[2:2]]

    expected = settled("aten.relu.default", lambda t: t[0].relu(), empty())
    assert len(call(expected, lambda t: t[0].relu(), empty())) == 1
    with pytest.raises(Mismatch):
        call(expected, moves, empty())


CHANGES: dict[str, tuple[str, Kernel]] = {
    "t_": ("aten.t_.default", lambda t: t[0].t_()),
    "as_strided_": ("aten.as_strided_.default", lambda t: t[0].as_strided_((2,), (1,), 1)),
    "set_": ("aten.set_.source_Tensor", lambda t: torch.ops.aten.set_(t[0], t[1])),
}


@pytest.mark.parametrize("name", CHANGES)
def test_operators_that_change_metadata_change_it_as_before(name: str) -> None:
    operator, kernel = CHANGES[name]

    def fresh() -> list[torch.Tensor]:
        return [torch.zeros(2, 3), torch.zeros(8)[2:]]

    expected = settled(operator, kernel, fresh())
    call(expected, kernel, fresh())
    for other in (
        lambda t: t[0],
        lambda t: moved(t[0]),
        lambda t: kernel([t[1], t[0]]),
        lambda t: kernel(t).as_strided_((1,), (1,), 0),
    ):
        with pytest.raises(Mismatch):
            call(expected, other, fresh())


def test_first_call_may_not_change_an_input_that_its_schema_leaves_alone() -> None:
    with pytest.raises(Mismatch, match="changed input 0"):
        settled("aten.addbmm_.default", lambda t: t[0].resize_(5, 7), [torch.ones(1, 1)])
    with pytest.raises(Mismatch, match="changed input 1"):
        settled("aten.t_.default", lambda t: (t[1].t_(), t[0].t_())[1], [torch.ones(2, 3), torch.ones(2, 3)])


def test_tensors_of_other_kinds_are_refused() -> None:
    with pytest.raises(Mismatch, match="dispatch keys"):
        settled("aten.relu.default", lambda t: t[0].to_sparse(), [torch.ones(2)])


def test_trace_of_version_2_distinguishes_memory_but_not_lazy_bits() -> None:
    inputs = [torch.ones(3)]
    before = places(inputs)
    values = inputs[0] + 1
    expected = Expectation(overload("aten.add.Scalar"), values, inputs, before, [0], legacy=True)
    negated = [torch._neg_view(torch.ones(3))]
    (fresh,) = call(expected, lambda t: t[0] + 1, negated)
    assert fresh.tolist() == [0, 0, 0]
    with pytest.raises(Mismatch):
        call(expected, lambda t: t[0], negated)


@pytest.mark.parametrize("base", [torch.arange(24.0).reshape(4, 6), torch._neg_view(torch.arange(6.0))])
def test_select_and_slice_are_as_their_numbers_say(base: torch.Tensor) -> None:
    last = base.dim() - 1
    assert torch.equal(selected(base, last, 2), base.select(last, 2))
    assert torch.equal(sliced(base, last, 1, 5, 2), base[..., 1:5:2])
    assert torch.equal(sliced(base, 0, 3, 3, 1), base[3:3])


def test_select_outside_a_tensor_raises() -> None:
    with pytest.raises((IndexError, RuntimeError)):
        selected(torch.zeros(2), 0, 5)


def test_output_given_as_an_input_as_well_stays_the_output() -> None:
    add_out = overload("aten.add.out")

    def run(tensors: Sequence[torch.Tensor]) -> Any:
        return add_out(tensors[0], tensors[1], out=tensors[2])

    def given(same: int) -> list[torch.Tensor]:
        tensors = [torch.ones(3), torch.ones(3), torch.zeros(3)]
        tensors[2] = tensors[same]
        return tensors

    inputs = given(0)
    before = places(inputs)
    expected = Expectation(add_out, run(inputs), inputs, before, written=(2,))
    assert describe(add_out, (inputs[2],), inputs, before, written=(2,)).outputs == (Atom(Tag.INPUT, 2),)
    for same in range(3):
        assert not call(expected, run, given(same))


SHARED = ((0, 1, 2), (0, 0, 2), (0, 1, 0), (0, 1, 1), (0, 0, 0))
"""How three inputs may share tensors: at each place the first place that has the same tensor."""


@pytest.mark.parametrize("first", SHARED)
@pytest.mark.parametrize("later", SHARED)
def test_inputs_may_share_tensors_in_another_way_than_those_of_the_first_call(
    first: tuple[int, ...], later: tuple[int, ...]
) -> None:
    def given(shared: tuple[int, ...], wrong: int = -1) -> list[torch.Tensor]:
        tensors = [torch.ones(3, dtype=torch.float64 if place == wrong else None) for place in range(3)]
        return [tensors[place] for place in shared]

    def run(tensors: Sequence[torch.Tensor]) -> Any:
        return torch.addcmul(*tensors)

    expected = settled("aten.addcmul.default", run, given(first))
    (result,) = call(expected, run, given(later))
    assert result.equal(torch.full((3,), 2.0))
    for wrong in set(later):
        with pytest.raises(Mismatch):
            call(expected, lambda _: torch.full((3,), 2.0), given(later, wrong))
    with pytest.raises(Mismatch):
        call(expected, lambda tensors: tensors[0], given(later))
