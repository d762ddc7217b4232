"""An inventory is equal for equal tables of tensors, and differs for every other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.operators.signature import NEGATIVE, TensorMeta
from haet_eval.remote.inventory import INVENTORY_BYTES, inventory, totals

META = TensorMeta((2, 3), (3, 1), 0, "float32")
ROWS = [(1, META, 0, "a", 24), (2, META, 0, "b", 24), (5, META, 2, "a", 24)]


def test_inventory_states_tensors_and_bytes_of_each_storage_once() -> None:
    taken = inventory(ROWS)
    assert len(taken) == INVENTORY_BYTES
    assert totals(taken) == (3, 48)


def test_identity_of_storages_does_not_matter() -> None:
    renamed = [(number, meta, offset, ord(name), size) for number, meta, offset, name, size in ROWS]
    assert inventory(renamed) == inventory(ROWS)


OTHERS = {
    "number": (6, META, 2, "a", 24),
    "offset": (5, META, 3, "a", 24),
    "storage": (5, META, 2, "b", 24),
    "storage of its own": (5, META, 2, "c", 24),
    "bytes": (5, META, 2, "a", 28),
    "shape": (5, replace(META, shape=(3, 2)), 2, "a", 24),
    "strides": (5, replace(META, stride=(1, 2)), 2, "a", 24),
    "dtype": (5, replace(META, dtype="int32"), 2, "a", 24),
    "lazy bit": (5, replace(META, bits=NEGATIVE), 2, "a", 24),
    "dimensions": (5, replace(META, shape=(2, 3, 1), stride=(3, 1, 1)), 2, "a", 24),
}


@pytest.mark.parametrize("row", OTHERS.values(), ids=OTHERS)
def test_inventory_changes_with_each_field(row: tuple[int, TensorMeta, int, str, int]) -> None:
    assert inventory([*ROWS[:2], row]) != inventory(ROWS)


@given(st.sets(st.integers(0, 2), max_size=2))
def test_inventory_changes_with_each_missing_tensor(missing: set[int]) -> None:
    left = [row for place, row in enumerate(ROWS) if place not in missing]
    assert (inventory(left) == inventory(ROWS)) == (not missing)
