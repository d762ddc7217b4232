"""What moves data is free; what moves and adds is priced by what it adds."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from tests.oracle.recording import operations

aten = torch.ops.aten

FREE: dict[str, Callable[[torch.Tensor], Any]] = {
    "view": lambda x: x.view(-1),
    "reshape of a transpose": lambda x: x.t().reshape(-1),
    "slice": lambda x: x[1:, ::2],
    "select": lambda x: x[0],
    "expand": lambda x: x[None].expand(3, 4, 6),
    "cast to a wider dtype": lambda x: x.double(),
    "clone": lambda x: x.clone(),
    "copy": lambda x: x.copy_(x),
    "fill": lambda x: x.fill_(2.0),
    "zero": lambda x: x.zero_(),
    "cat": lambda x: torch.cat([x, x]),
    "stack": lambda x: torch.stack([x, x]),
    "split": lambda x: x.split_with_sizes([2, 2]),
    "unbind": lambda x: x.unbind(),
    "chunk": lambda x: x.chunk(2),
    "pad": lambda x: F.pad(x, (1, 1)),
    "reflect": lambda x: F.pad(x[None], (1, 1), mode="reflect"),
    "replicate": lambda x: F.pad(x[None], (1, 1), mode="replicate"),
    "circular": lambda x: F.pad(x[None], (1, 1), mode="circular"),
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1, 0),
    "rot90": lambda x: x.rot90(),
    "repeat": lambda x: x.repeat(2, 2),
    "tril": lambda x: x.tril(),
    "windows": lambda x: x.unfold(0, 2, 1),
    "im2col": lambda x: F.unfold(x[None, None], 2),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x.view(4, 2, 3), 2),
    "factories": lambda x: (
        torch.zeros(3),
        torch.ones_like(x),
        torch.full((2,), 3.0),
        torch.arange(5),
        torch.linspace(0, 1, 5),
        torch.eye(3),
        x.new_empty(2),
    ),
    "read back": lambda x: x[0, 0].item(),
}


@pytest.mark.parametrize("name", FREE)
def test_moving_is_free(name: str) -> None:
    assert operations(lambda: FREE[name](torch.ones(4, 6))) == 0


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@settings(max_examples=10, deadline=None)
@given(length=st.integers(3, 6), left=st.integers(-1, 2), right=st.integers(-1, 2))
def test_backward_of_padding(mode: str, length: int, left: int, right: int) -> None:
    x = torch.arange(float(2 * length)).view(1, 2, length).requires_grad_()
    y = F.pad(x, (left, right), mode=mode)
    landed = Counter(y.detach().flatten().tolist())
    assert operations(lambda: torch.autograd.backward(y, torch.ones_like(y))) == y.numel() - len(landed)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(3, 8), left=st.integers(-16, 7), right=st.integers(-16, 7))
def test_backward_of_a_reflection_that_a_crop_cuts(length: int, left: int, right: int) -> None:
    assume(max(left, right) < length and length + left + right > 0)
    gradient, x = torch.ones(1, length + left + right), torch.zeros(1, length)
    landed = torch.ops.aten.reflection_pad1d_backward(gradient, x, [left, right])
    expected = int((landed - 1).clamp(0).sum())
    assert (
        operations(lambda: torch.ops.aten.reflection_pad1d_backward(gradient, x, [left, right])) == expected
    )


def test_backward_of_padding_an_image() -> None:
    x = torch.rand(2, 3, 5, 5, requires_grad=True)
    y = F.pad(x, (1, 2, 1, 0), mode="reflect")
    assert operations(lambda: torch.autograd.backward(y, torch.ones_like(y))) == y.numel() - x.numel()


@settings(max_examples=10, deadline=None)
@given(size=st.integers(1, 4), step=st.integers(1, 3))
def test_backward_of_windows(size: int, step: int) -> None:
    x = torch.arange(14.0).view(2, 7).requires_grad_()
    y = x.unfold(1, size, step)
    landed = len(set(y.detach().flatten().tolist()))
    g = torch.ones_like(y)
    assert operations(lambda: torch.autograd.backward(y, g)) == y.numel() - landed


@settings(max_examples=10, deadline=None)
@given(
    kernel=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 1),
    stride=st.integers(1, 3),
)
def test_col2im(kernel: int, dilation: int, padding: int, stride: int) -> None:
    x = torch.arange(1.0, 51.0).view(2, 1, 5, 5)
    columns = F.unfold(x, kernel, dilation, padding, stride)
    landed = [value for value in columns.flatten().tolist() if value]
    program = lambda: F.fold(columns, (5, 5), kernel, dilation, padding, stride)  # noqa: E731
    assert operations(program) == len(landed) - len(set(landed))


def test_a_range_between_data_is_computed() -> None:
    ends = torch.rand(2)
    assert operations(lambda: torch.linspace(ends[0], ends[1], 10)) == 22
