"""What an executor says of a failed call names no address of its memory."""

import pytest
import torch

from haet_eval.remote.executor.failure import FailedCall, explained, late, without_values
from haet_eval.remote.executor.kernel import compile_kernel, overload
from haet_eval.remote.wire import AnswerStatus, Atom, Definition, Tag, Value

ADDRESS = "7f3a5c00d2e0"


@pytest.mark.parametrize(
    "written", [f"0x{ADDRESS}", f"0X{ADDRESS.upper()}", ADDRESS, f"0x{ADDRESS}>", "0x10"]
)
def test_a_failure_names_no_address(written: str) -> None:
    failure = FailedCall(AnswerStatus.REFUSED, f"aten.set_: storage at {written} of 4 elements")
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
    assert FailedCall(AnswerStatus.REFUSED, text).text == text


NUMBERS = Definition("aten.mm.default", {"self": Atom(Tag.TENSOR, 0), "mat2": Atom(Tag.TENSOR, 1)}, 2, ())
TARGETS = Definition(
    "aten.nll_loss_forward.default",
    {
        "self": Atom(Tag.TENSOR, 0),
        "target": Atom(Tag.TENSOR, 1),
        "weight": None,
        "reduction": 1,
        "ignore_index": -100,
    },
    2,
    (),
)


def failure_of(definition: Definition, *inputs: torch.Tensor) -> str:
    run = compile_kernel(definition, torch.device("cpu"), lambda _: torch.Generator())
    with pytest.raises((RuntimeError, IndexError)) as raised:
        run(inputs, [])
    return explained(definition, overload(definition.operator), inputs, [], raised.value).text


def test_the_generator_of_a_call_is_not_blamed_for_its_failure() -> None:
    arguments: dict[str, Value] = {
        "self": Atom(Tag.TENSOR, 0),
        "lambd": -1.0,
        "generator": Atom(Tag.GENERATOR, 4),
    }
    definition = Definition("aten.exponential_.default", arguments, 1, ())
    run = compile_kernel(definition, torch.device("cpu"), lambda _: torch.Generator())
    with pytest.raises(RuntimeError) as raised:
        run([torch.zeros(3)], [])
    text = explained(definition, overload(definition.operator), [torch.zeros(3)], [], raised.value).text
    assert "lambda" in text
    assert "generator" not in text


def test_numbers_that_depend_on_no_value_are_shown() -> None:
    images = torch.arange(24, dtype=torch.uint8).view(4, 6)
    text = failure_of(NUMBERS, images, torch.rand(6, 2))
    assert "#" not in text


def test_a_value_of_a_tensor_is_hidden_and_the_mask_is_explained() -> None:
    text = failure_of(TARGETS, torch.rand(3, 10), torch.tensor([2, 48151, 3]))
    assert "48151" not in text
    assert "Target #" in text
    assert "# stands for a number" in text


@pytest.mark.parametrize("value", [10, 3, 1, 0])
def test_a_value_is_hidden_if_it_is_a_size_too(value: int) -> None:
    text = failure_of(TARGETS, torch.rand(3, 10)[:, :value], torch.full((3,), value))
    assert f"Target {value}" not in text


def test_digits_of_names_are_no_values() -> None:
    error = RuntimeError("mat1 and mat2 at -5: 7.5e3 of 12, x_3")
    assert without_values(error) == "mat1 and mat2 at #: # of #, x_3"
