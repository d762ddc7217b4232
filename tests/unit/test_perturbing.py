"""Which calls of a training get no noise in a perturbed replay."""

from hypothesis import given
from hypothesis import strategies as st

from haet_eval.verification.perturbing import SPARED_PERCENT, spared


@given(st.lists(st.integers(0, 2**60), max_size=60))
def test_spared_templates_are_the_smallest_and_have_a_bounded_part_of_the_work(operations: list[int]) -> None:
    chosen = spared(operations)
    assert 100 * sum(operations[number] for number in chosen) <= SPARED_PERCENT * sum(operations)
    largest = max((operations[number] for number in chosen), default=0)
    others = [count for number, count in enumerate(operations) if number not in chosen and count]
    assert all(count >= largest for count in others)


@given(st.lists(st.integers(0, 2**60), max_size=60))
def test_template_without_a_price_is_never_spared(operations: list[int]) -> None:
    assert all(operations[number] for number in spared(operations))


def test_cutting_the_work_into_many_templates_does_not_spare_more_of_it() -> None:
    cut = [10] * 1000
    assert sum(cut[number] for number in spared(cut)) == 100
