"""What `task.report` sends of the values that it is given."""

import math
from typing import Any

import pytest
import torch

from haet_eval.remote.client.task import SubmissionTask


def reported(value: Any) -> int | float | str:
    sent: list[dict[str, int | float | str]] = []
    nothing = torch.empty(0)
    task = SubmissionTask(
        nothing, nothing, 10, 0, torch.device("cpu"), 1.0, lambda values, _: sent.append(values)
    )
    task.report(value=value)
    return sent[0]["value"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3, 3),
        (True, "True"),
        (2**53, "9007199254740992"),
        (0.5, 0.5),
        (math.nan, "nan"),
        (torch.tensor(7), 7),
        (torch.tensor([1, 2]), "tensor([1, 2])"),
        ([1, "a"], "[1, 'a']"),
    ],
)
def test_a_value_is_sent_as_a_number_or_as_its_text(value: Any, shown: float | str) -> None:
    sent = reported(value)
    assert (type(sent), sent) == (type(shown), shown)


@pytest.mark.parametrize("value", [10**5000, [10**5000], -(10**5000)], ids=["one", "list", "negative"])
def test_an_integer_that_python_does_not_write_ends_no_training(value: Any) -> None:
    assert "4300 digits" in str(reported(value))
