"""What an executor says of a failed call names no address of its memory."""

import pytest
import torch

from haet_eval.remote.executor.failure import Failure, explained, late, without_values
from haet_eval.remote.wire import Atom, Definition, Status, Tag

ADDRESS = "7f3a5c00d2e0"


@pytest.mark.parametrize(
    "written", [f"0x{ADDRESS}", f"0X{ADDRESS.upper()}", ADDRESS, f"0x{ADDRESS}>", "0x10"]
)
def test_a_failure_names_no_address(written: str) -> None:
    failure = Failure(Status.REFUSED, f"aten.set_: storage at {written} of 4 elements")
    assert failure.text == str(failure)
    assert ADDRESS not in failure.text.lower()
    assert "0x" not in failure.text.lower()
    assert failure.text.endswith("of 4 elements")


def test_no_digit_of_an_address_is_left_of_a_late_failure() -> None:
    error = RuntimeError(f"<Storage object at 0x{ADDRESS}> has 12 bytes")
    assert without_values(error) == "<Storage object at #> has # bytes"
    assert "a5c" not in late("aten.add.Tensor", error).text


def test_the_first_call_of_a_template_names_no_address() -> None:
    definition = Definition("aten.relu.default", {"self": Atom(Tag.TENSOR, 0)}, 1, ())
    error = TypeError(f"got {object()}")
    text = explained(definition, torch.ops.aten.relu.default, [torch.zeros(2)], [], error).text
    assert text == "aten.relu.default failed: got <object object at #>"


def test_shapes_and_words_stay_as_they_are() -> None:
    text = "mat1 and mat2 shapes cannot be multiplied (12345678x3 and 4x5), feedback, deadbeef, addcdiv"
    assert Failure(Status.REFUSED, text).text == text
