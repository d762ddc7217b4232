"""Of all windows the validators refuse none that PyTorch's kernels take."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch

from haet_eval.counter.signatures import signature_of
from tests.attacks.execution import overload_of
from tests.unit.operators.test_validation import refused

# Along one axis; the other ones have windows of one element.
KERNELS, STRIDES, PADDINGS, DILATIONS = (0, 1, 2, 3, 5), (1, 2), (-1, 0, 1, 2, 3, 4), (1, 2, 3)


def flat(plane: int) -> Iterator[tuple[Any, ...]]:
    """Kernel, stride, padding and dilation, for so many dimensions."""
    ones, zeros = (1,) * (plane - 1), (0,) * (plane - 1)
    for kernel, stride, padding, dilation in product(KERNELS, STRIDES, PADDINGS, DILATIONS):
        yield (kernel, *ones), (stride, *ones), (padding, *zeros), (dilation, *ones)


def calls(name: str) -> Iterator[dict[str, Any]]:
    plane = 3 if "3d" in name else 2
    for length, (kernel, stride, padding, dilation) in product((1, 4, 5), flat(plane)):
        window = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        shown = torch.rand(1, 2, length, *(2,) * (plane - 1))
        if name == "im2col":
            yield {"self": shown, **window}
        elif name == "convolution":
            del window["kernel_size"]
            rest = {"bias": None, "output_padding": (0,), "groups": 1}
            for transposed in (False, True):
                yield (
                    {"input": shown, "weight": torch.rand(2, 2, *kernel), "transposed": transposed}
                    | window
                    | rest
                )
        else:
            for ceil in (False, True):
                yield {"self": shown, "ceil_mode": ceil, **window}


def taken(name: str, given: dict[str, Any]) -> bool:
    try:
        overload_of(f"aten.{name}")(**given)
    except (RuntimeError, ValueError):
        return False
    return True


@pytest.mark.parametrize(
    "name",
    [
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
        "avg_pool2d",
        "avg_pool3d",
        "im2col",
        "convolution",
    ],
)
def test_no_window_that_the_kernel_takes_is_refused(name: str) -> None:
    overload, both = f"{name}.default", 0
    for given in calls(name):
        if "avg" in name and given.pop("dilation") != (1,) * (3 if "3d" in name else 2):
            continue
        if taken(overload, given):
            arguments = signature_of(overload_of(f"aten.{overload}"), (), given, ()).arguments
            assert not refused(overload, arguments), given
            both += 1
    assert both > 20
