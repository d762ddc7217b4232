"""Counting where windows fall, without visiting every place."""

from hypothesis import given, settings
from hypothesis import strategies as st

from haet_eval.operators.pricing.coverage import Axis, floor_sum

small = st.integers(1, 9)


@settings(max_examples=500)
@given(small, small, small, small, st.integers(0, 5), st.integers(1, 6))
def test_agrees_with_visiting_every_place(
    length: int, windows: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    axis = Axis(length, windows, kernel, stride, padding, dilation)
    places = [w * stride + k * dilation - padding for w in range(windows) for k in range(kernel)]
    inside = [place for place in places if 0 <= place < length]
    assert axis.landed() == len(inside)
    assert axis.touched() == len(set(inside))


@given(st.integers(0, 20), st.integers(0, 30), st.integers(0, 30), small)
def test_a_sum_of_quotients_agrees_with_adding_them(
    terms: int, factor: int, offset: int, divisor: int
) -> None:
    assert floor_sum(terms, factor, offset, divisor) == sum(
        (factor * i + offset) // divisor for i in range(terms)
    )


def test_an_axis_with_huge_windows_and_a_huge_kernel() -> None:
    size = 2**40
    assert Axis(length=10**15, windows=10**12, kernel=3, stride=7, dilation=2).touched() == 3 * 10**12
    assert Axis(length=2 * size - 1, windows=size, kernel=size).touched() == 2 * size - 1
    assert Axis(length=2 * size - 1, windows=size, kernel=size).landed() == size**2
    assert Axis(length=size, windows=size, kernel=size, stride=2, dilation=4).touched() == size // 2
