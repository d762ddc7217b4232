"""The roofline: operators lie on the roof of a stated balance, as large as their share of the time."""

import math

import pytest

from haet_eval.reports.costs import OperatorTraffic
from haet_eval.reports.roofline import draw_roofline


def moving(operator: str, moved: int, intensity: float, balance: float = 20.0) -> OperatorTraffic:
    return OperatorTraffic(operator, 1, moved, 0, intensity, intensity < balance)


PRODUCT, RELU, COPY = moving("product", 100, 80.0), moving("relu", 300, 0.125), moving("copy", 100, 0.0)


def test_an_operator_below_the_balance_reaches_its_part_of_it_and_one_above_all() -> None:
    picture = draw_roofline([RELU, PRODUCT, moving("between", 1, 2.0)], 20.0)
    assert picture is not None
    relu, product, between = (
        next(s for s in picture.spots if s.text.startswith(n)) for n in ("relu", "pro", "bet")
    )
    (low_x, low_y), (ridge_x, ridge_y), (_, flat_y) = picture.roof
    assert product.y == ridge_y == flat_y
    assert low_x < relu.x < between.x < ridge_x < product.x
    slope = (ridge_y - low_y) / (ridge_x - low_x)
    for spot in (relu, between):
        assert spot.y == pytest.approx(low_y + slope * (spot.x - low_x), abs=0.2)


def test_the_time_is_that_of_arithmetic_or_of_memory() -> None:
    """On such a machine a byte takes as long as 20 operations: 100·80, 300·20 and 100·20."""
    picture = draw_roofline([RELU, PRODUCT, COPY], 20.0)
    assert picture is not None
    assert [spot.number for spot in picture.named] == [1, 2]
    assert (
        picture.spots[0].text
        == "product: 80 operations for each byte, bound by arithmetic, 50.0 % of the time"
    )
    assert (
        picture.spots[1].text == "relu: 0.125 operations for each byte, bound by memory, 37.5 % of the time"
    )
    assert picture.idle == "Operators that compute nothing take 12.5 % of it."
    assert picture.spots[0].radius / picture.spots[1].radius == pytest.approx(math.sqrt(50 / 37.5), rel=0.01)


def test_only_the_slowest_are_named_and_all_are_drawn() -> None:
    picture = draw_roofline([moving(f"operator{number}", 10 + number, 1.0) for number in range(30)], 20.0)
    assert picture is not None
    assert len(picture.spots) == 30
    assert [spot.text.partition(":")[0] for spot in picture.named] == [
        f"operator{29 - one}" for one in range(8)
    ]


@pytest.mark.parametrize("balance", [0.0, 20.0])
def test_where_nothing_computes_there_is_no_picture(balance: float) -> None:
    assert draw_roofline([COPY], balance) is None
    assert draw_roofline([PRODUCT], 0.0) is None


@pytest.mark.parametrize(("intensity", "balance"), [(1e-9, 20.0), (5.0, 5.0), (1e9, 1e-3)])
def test_all_of_the_picture_is_inside(intensity: float, balance: float) -> None:
    picture = draw_roofline([moving("one", 1, intensity, balance)], balance)
    assert picture is not None
    for x, y in (*picture.roof, *((spot.x, spot.y) for spot in picture.spots)):
        assert picture.left <= x <= picture.right
        assert picture.top <= y <= picture.bottom
    assert all(picture.left <= tick.at <= picture.right for tick in picture.across)
    assert all(picture.top <= tick.at <= picture.bottom for tick in picture.up)
