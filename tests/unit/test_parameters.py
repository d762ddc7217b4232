"""The parameters of a model: every stored number once."""

from hypothesis import given
from hypothesis import strategies as st

from haet_eval.counting.parameters import StoredTensor, count_parameters

FLOAT = 4


def tensor(storage: str, start: int, length: int, role: str = "trainable") -> StoredTensor:
    """A float32 tensor of `length` elements from element `start` of a storage."""
    return StoredTensor(storage, start * FLOAT, (start + length) * FLOAT, FLOAT, role)


def test_tied_weights_are_counted_once() -> None:
    assert count_parameters([tensor("embedding", 0, 100), tensor("embedding", 0, 100)]).total == 100


def test_overlapping_views_are_counted_by_what_they_cover() -> None:
    assert count_parameters([tensor("big", 0, 60), tensor("big", 40, 60)]).total == 100


def test_separate_tensors_add_up_by_role() -> None:
    count = count_parameters(
        [tensor("weight", 0, 10), tensor("frozen", 0, 20, "frozen"), tensor("mean", 0, 5, "buffer")]
    )
    assert (count.trainable, count.frozen, count.buffers, count.total) == (10, 20, 5, 35)


def test_a_buffer_that_shares_a_parameters_memory_is_a_parameter() -> None:
    count = count_parameters([tensor("weight", 0, 10, "buffer"), tensor("weight", 0, 10)])
    assert (count.trainable, count.buffers) == (10, 0)


def test_a_number_counts_once_whatever_its_width() -> None:
    half = StoredTensor("half", 0, 20, 2, "trainable")
    double = StoredTensor("double", 0, 80, 8, "trainable")
    assert count_parameters([half, double]).trainable == 10 + 10


spans = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50), st.integers(0, 20)), max_size=8)


@given(spans)
def test_the_count_is_that_of_the_distinct_elements(chosen: list[tuple[str, int, int]]) -> None:
    elements = {(name, start + i) for name, start, length in chosen for i in range(length)}
    tensors = [tensor(name, start, length) for name, start, length in chosen]
    assert count_parameters(tensors).total == len(elements)


@given(spans)
def test_the_order_of_the_tensors_does_not_matter(chosen: list[tuple[str, int, int]]) -> None:
    tensors = [tensor(name, start, length) for name, start, length in chosen]
    assert count_parameters(tensors) == count_parameters(reversed(tensors))


@given(spans=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_each_byte_of_a_storage_counts_once_in_any_order(spans: list[tuple[int, int]]) -> None:
    tensors = [StoredTensor("one", start, start + length, 1, "buffer") for start, length in spans]
    covered = {byte for start, length in spans for byte in range(start, start + length)}
    assert count_parameters(tensors).total == len(covered)
