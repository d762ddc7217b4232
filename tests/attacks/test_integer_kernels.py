"""No kernel divides by a float that became the integer 0, or is ended by an integer in another way."""

import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from random import Random

import pytest
import torch

from haet_eval.counting.signature import Argument, TensorMeta
from haet_eval.remote.operators.allowed import allowed_operators
from haet_eval.remote.operators.validation import Refused
from tests.attacks.execution import run, with_real_origins
from tests.attacks.recorded_calls import RecordedCall, recorded_calls

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
