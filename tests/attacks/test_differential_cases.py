"""What the differential fuzz has found: ordinary calls that ended a run with a tensor mismatch, or worse."""

from collections.abc import Mapping, Sequence

import pytest
import torch

from haet_eval.remote import wire
from haet_eval.remote.executor import executor
from haet_eval.remote.wire import Atom, Code, Definition, Tag, Value, float_class
from tests.attacks.differential.world import Answer, Kind, World


def tensor(place: int) -> Atom:
    return Atom(Tag.TENSOR, place)


class Run(World):
    """One run, in which an operator is called."""

    def first(
        self,
        operator: str,
        arguments: Mapping[str, Value],
        tensors: Sequence[torch.Tensor],
        floats: Sequence[float] = (),
    ) -> Answer:
        """The call that defines the template."""
        classes = tuple(map(float_class, floats))
        definition = Definition(operator, dict(arguments), len(tensors), classes)
        return self.define(definition, self._numbers(tensors), floats)

    def again(self, first: Answer, tensors: Sequence[torch.Tensor], floats: Sequence[float] = ()) -> Answer:
        assert first.asked is not None
        return self.call(first.asked, self._numbers(tensors), floats)

    def _numbers(self, tensors: Sequence[torch.Tensor]) -> list[int]:
        """Handles; a tensor that is given twice has one."""
        numbers: dict[int, int] = {}
        for one in tensors:
            if id(one) not in numbers:
                numbers[id(one)] = self.put(one, tainted=False)
        return [numbers[id(one)] for one in tensors]


@pytest.fixture
def run() -> Run:
    return Run()


def test_out_may_be_an_input_in_the_first_call_and_none_in_the_second(run: Run) -> None:
    arguments = {"self": tensor(0), "other": tensor(1), "out": tensor(2)}
    one, two, three = torch.ones(3), torch.ones(3), torch.zeros(3)
    first = run.first("aten.add.out", arguments, (one, two, one))
    assert first.kind is Kind.OK, first.text
    assert run.again(first, (one, two, three)).kind is Kind.OK
    assert three.tolist() == [3, 3, 3]
    assert list(run.differences()) == []


def test_complex_view_of_another_part_of_a_tensor_is_another_template(run: Run) -> None:
    """Its offset counts complex numbers, that of its base real ones."""
    whole = torch.arange(8.0)
    first = run.first("aten.view_as_complex.default", {"self": tensor(0)}, (whole[:2],))
    assert first.kind is Kind.OK
    assert run.again(first, (whole[4:6],)).kind is Kind.CLOSED
    assert run.first("aten.view_as_complex.default", {"self": tensor(0)}, (whole[4:6],)).kind is Kind.OK
    assert list(run.differences()) == []


def test_addbmm_into_a_tensor_that_it_would_resize_is_refused(run: Run) -> None:
    arguments = {"self": tensor(0), "batch1": tensor(1), "batch2": tensor(2)}
    batches = torch.ones(2, 3, 4), torch.ones(2, 4, 5)
    for small in (torch.ones(()), torch.ones(1), torch.ones(1, 5)):
        assert run.first("aten.addbmm_.default", arguments, (small, *batches)).kind is Kind.REFUSED
    assert run.first("aten.addbmm_.default", arguments, (torch.ones(3, 5), *batches)).kind is Kind.OK
    assert list(run.differences()) == []


def test_negated_truth_values_cannot_be_made(run: Run) -> None:
    """PyTorch makes them, and raises when they are read: the executor ended, which counted as our fault."""
    answer = run.first("aten._neg_view.default", {"self": tensor(0)}, (torch.ones(2, dtype=torch.bool),))
    assert answer.kind is Kind.REFUSED


def test_tensor_that_cannot_be_read_ends_the_run_and_not_the_executor(run: Run) -> None:
    number = run.put(torch._neg_view(torch.ones(2, dtype=torch.bool)), tainted=False)
    answer = run.send(wire.READ.pack(Code.READ, number))
    assert answer.kind is Kind.FAILED
    assert answer.text.startswith("Reading a tensor back failed")


def test_output_that_cannot_be_copied_ends_the_run_and_not_the_executor(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that raises stands in for memory that is used up, which cannot be arranged here."""

    def used_up(*_: object) -> object:
        raise RuntimeError("can't allocate memory: you tried to allocate 4096 bytes")

    monkeypatch.setattr(executor, "tidied", used_up)
    answer = run.first("aten.relu.default", {"self": tensor(0)}, (torch.ones(2),))
    assert answer.kind is Kind.FAILED
    assert "allocate # bytes" in answer.text


def test_output_in_new_memory_has_no_gaps(run: Run) -> None:
    """The kernel copies all of the storage. What was copied out of a larger one had unwritten gaps."""
    arguments: dict[str, Value] = {"self": tensor(0), "src": tensor(1), "dim": 0, "index": 0}

    def stepped(storage: torch.Tensor) -> torch.Tensor:
        return storage.as_strided((50, 50), (200, 4))

    first = run.first("aten.select_scatter.default", arguments, (stepped(torch.ones(9997)), torch.ones(50)))
    assert first.kind is Kind.OK
    assert run.again(first, (stepped(torch.ones(20_000)), torch.ones(50))).kind is Kind.OK
    for number in (run.executor.next_handle - 1, 3):
        output = run.executor.tensors[number]
        assert output.stride() == (50, 1)
        assert output.untyped_storage().nbytes() == 4 * 50 * 50
    assert list(run.differences()) == []


def test_losses_whose_kernels_leave_the_result_unwritten_are_refused(run: Run) -> None:
    """What memory held before could be read back at no charge: here 4,000 bytes a call."""
    arguments = {"self": tensor(0), "target": tensor(1)}
    shapes = ((torch.rand(1000, 1), torch.rand(1000, 0)), (torch.rand(1), torch.rand(0)))
    for tensors in shapes:
        assert run.first("aten.binary_cross_entropy.default", arguments, tensors).kind is Kind.REFUSED
    empty = torch.rand(0, 5), torch.zeros(0, dtype=torch.int64)
    assert run.first("aten.multi_margin_loss.default", arguments, empty).kind is Kind.REFUSED


def test_least_squares_without_right_hand_sides_is_refused(run: Run) -> None:
    """It ended the process by a signal."""
    arguments: dict[str, Value] = {"self": tensor(0), "b": tensor(1), "driver": "gelss"}
    tensors = torch.rand(3, 2, 3, dtype=torch.complex64), torch.rand(3, 2, 0, dtype=torch.complex64)
    assert run.first("aten.linalg_lstsq.default", arguments, tensors).kind is Kind.REFUSED


def test_shape_that_a_mask_decides_is_refused(run: Run) -> None:
    """The first call told how many elements a mask selects, and nothing was charged for that."""
    arguments: dict[str, Value] = {"grad_output": tensor(0), "mask": tensor(1), "sizes": (-1, 1)}
    tensors = torch.rand(6), torch.tensor([True, False, True, True, False, False])
    assert run.first("aten.masked_scatter_backward.default", arguments, tensors).kind is Kind.REFUSED
