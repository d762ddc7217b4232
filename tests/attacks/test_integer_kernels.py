"""No kernel divides by a float that became the integer 0, or is ended by an integer in another way."""

import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from math import prod
from random import Random

import pytest
import torch

from haet_eval.operators.checking.validation import Refused
from haet_eval.operators.signature import Argument, TensorMeta
from haet_eval.operators.table import allowed_operators
from haet_eval.remote.executor.guards import BadValue, guarded
from tests.attacks.execution import run, with_real_origins
from tests.attacks.recorded_calls import RecordedCall, recorded_calls
from tests.unit.operators.test_validation import refused

CALLS = 3
DTYPES = ("int32", "int64")
FLOATS = (0.0, 0.5)
SECONDS = 300


def of_integers(call: RecordedCall, dtype: str, number: float) -> RecordedCall:
    """The call with every tensor of that dtype and that number for every float."""

    def changed(value: Argument) -> Argument:
        if isinstance(value, tuple):
            return tuple(changed(item) for item in value)
        if isinstance(value, TensorMeta):
            return replace(value, dtype=dtype)
        return number if isinstance(value, float) else value

    arguments = {name: changed(value) for name, value in call.arguments.items()}
    return replace(call, arguments=arguments, values={})


def accepted_calls(name: str) -> Iterator[tuple[RecordedCall, Random, dict[str, torch.Tensor]]]:
    for recorded, dtype, number in product(recorded_calls()[name][:CALLS], DTYPES, FLOATS):
        chance = Random(0)
        torch.manual_seed(0)
        call, made = with_real_origins(of_integers(recorded, dtype, number), chance)
        with suppress(Refused):
            call.check()
            yield call, chance, made


def attack(names: Sequence[str], note: int) -> None:
    """The life of a child: make all accepted calls, and write down each operator before its turn."""
    signal.alarm(SECONDS)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in names:
        os.write(note, f"{name}\n".encode())
        for call, chance, made in accepted_calls(name):
            with suppress(Exception):  # a kernel may refuse integers, in whatever words
                run(call, chance, made)
    os._exit(0)


def ended_by(names: Sequence[str]) -> tuple[str, str] | None:
    """The first operator that ended a child process, and the signal."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        attack(names, write)
    os.close(write)
    with os.fdopen(read) as notes:
        tried = notes.read().split()
    _, status = os.waitpid(child, 0)
    return (tried[-1], signal.Signals(os.WTERMSIG(status)).name) if os.WIFSIGNALED(status) else None


def takes_a_float(name: str) -> bool:
    return any(
        isinstance(value, float)
        for call in recorded_calls()[name][:CALLS]
        for value in call.arguments.values()
    )


@pytest.mark.slow
def test_no_accepted_call_on_integers_ends_the_process() -> None:
    assert ended_by([name for name in sorted(allowed_operators()) if takes_a_float(name)]) is None


LEAST = {torch.int32: -(2**31), torch.int64: -(2**63)}
aten = torch.ops.aten
ROUNDED = [getattr(aten, name) for name in ("div", "div_")]
WHOLE = [
    getattr(aten, f"{name}{mark}") for name in ("floor_divide", "remainder", "fmod") for mark in ("", "_")
]


def quotients(dtype: torch.dtype) -> Iterator[tuple[object, tuple[object, ...], dict[str, str]]]:
    """All divisions of the least integer by -1: by a tensor, by a number, and by numbers that become -1."""
    bits = torch.iinfo(dtype).bits
    least, one = torch.full((2,), LEAST[dtype], dtype=dtype), torch.full((2,), -1, dtype=dtype)
    numbers = [-1] if bits == 64 else [-1, 2**bits - 1, 2**40 - 1]
    tensors = [one, *(torch.tensor(number) for number in numbers)]
    for packet in ROUNDED:
        for mode in ("trunc", "floor"):
            for divisor in tensors:
                yield packet.Tensor_mode, (least.clone(), divisor), {"rounding_mode": mode}
            for number in numbers:
                yield packet.Scalar_mode, (least.clone(), number), {"rounding_mode": mode}
    for packet in WHOLE:
        by_tensor = packet.Tensor if "Tensor" in packet.overloads() else packet.default
        for divisor in tensors:
            yield by_tensor, (least.clone(), divisor), {}
        for number in numbers:
            yield packet.Scalar, (least.clone(), number), {}


@pytest.mark.parametrize("dtype", LEAST, ids=str)
def test_the_least_integer_divided_by_minus_one_is_refused(dtype: torch.dtype) -> None:
    for operator, arguments, named in quotients(dtype):
        child = os.fork()
        if child == 0:
            with suppress(BadValue):
                guarded(operator)(*arguments, **named)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, (operator, arguments[1], named)


def test_other_divisions_of_integers_are_let_pass() -> None:
    least, narrow = torch.tensor([-(2**31)], dtype=torch.int32), torch.tensor(255, dtype=torch.uint8)
    assert guarded(aten.floor_divide.default)(least, narrow).item() == -(2**31) // 255
    assert guarded(aten.floor_divide.Scalar)(least + 1, -1).item() == 2**31 - 1


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("backward", [False, True])
def test_integers_are_not_pooled_with_a_divisor_of_minus_one(dimensions: int, backward: bool) -> None:
    shape = (1, 1, *[2] * dimensions)
    stride = tuple(prod(shape[place + 1 :]) for place in range(len(shape)))

    def arguments(dtype: str, divisor: int) -> dict[str, Argument]:
        image = TensorMeta(shape, stride, 0, dtype)
        window: dict[str, Argument] = {"kernel_size": (1,) * dimensions, "stride": (1,) * dimensions}
        window |= {"padding": (0,) * dimensions, "ceil_mode": False, "count_include_pad": True}
        gradient: dict[str, Argument] = {"grad_output": image} if backward else {}
        return {**gradient, "self": image, **window, "divisor_override": divisor}

    name = f"avg_pool{dimensions}d{'_backward' if backward else ''}.default"
    assert refused(name, arguments("int64", -1))
    assert not refused(name, arguments("int64", -2))
    assert not refused(name, arguments("float32", -1))
