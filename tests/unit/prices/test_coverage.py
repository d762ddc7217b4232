"""Counting where windows fall, without visiting every place."""

from hypothesis import given
from hypothesis import strategies as st

from haet_eval.counting.prices.coverage import Axis

small = st.integers(1, 7)


@given(small, small, small, small, st.integers(0, 5), st.integers(1, 4))
def test_agrees_with_visiting_every_place(
    length: int, windows: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    axis = Axis(length, windows, kernel, stride, padding, dilation)
    places = [w * stride + k * dilation - padding for w in range(windows) for k in range(kernel)]
    inside = [place for place in places if 0 <= place < length]
    assert axis.landed() == len(inside)
    assert axis.touched() == len(set(inside))


def test_a_very_long_axis_takes_no_time() -> None:
    axis = Axis(length=10**15, windows=10**12, kernel=3, stride=7, dilation=2)
    assert axis.touched() == axis.landed() == 3 * 10**12
