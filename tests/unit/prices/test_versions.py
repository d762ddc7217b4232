"""A record is priced under the version of the standard that it names, whatever later ones have changed."""

import gzip
import json
from functools import cache
from pathlib import Path

import pytest

from haet_eval.counting.bill import bill
from haet_eval.counting.histogram import Histogram, HistogramEntry
from haet_eval.operators.pricing.evaluate import computes_nothing, price_of
from haet_eval.operators.signature import Signature, tensors_in
from haet_eval.operators.standard import STANDARD, VERSIONS, current, nearest, under
from haet_eval.operators.table import former_prices, price_function, superseded

PRICED = Path(__file__).parents[2] / "fixtures" / "prices_of_version_1.json.gz"
"""Calls of every family that torch made, with the prices that the code of version 1 gave them in its time."""


@cache
def priced_by_version_1() -> tuple[tuple[Signature, int | None], ...]:
    rows = json.loads(gzip.decompress(PRICED.read_bytes()))
    entries = [{**row["signature"], "calls": {"forward": number}} for number, row in enumerate(rows, 1)]
    document = json.dumps({"version": 1, "entries": entries}).encode()
    found = {entry.total_calls: entry.signature for entry in Histogram.from_json(document)}
    return tuple(
        (found[number], None if row["price"] is None else int(row["price"]))
        for number, row in enumerate(rows, 1)
    )


def test_the_prices_of_version_1_stay_what_they_were() -> None:
    with under(1):
        changed = [
            (signature, price, price_of(signature))
            for signature, price in priced_by_version_1()
            if price_of(signature) != price
        ]
    assert not changed


def test_the_calls_of_version_1_try_every_price_that_has_changed_since() -> None:
    operators = {signature.operator for signature, _ in priced_by_version_1()}
    with under(1):
        tried = {price_function(operator) for operator in operators}
    assert not [name for (name, _), price in former_prices().items() if price not in tried]


def of_one_width(signature: Signature) -> bool:
    """Whether every tensor is of float32 or complex64: nothing is cast, and nothing wide or narrow."""
    metas = (*tensors_in(tuple(signature.arguments.values())), *tensors_in(signature.outputs))
    return {meta.dtype for meta in metas} <= {"float32", "complex64"}


def test_of_float32_only_superseded_operators_and_empty_results_have_another_price() -> None:
    former = {name for name, _ in former_prices()}
    for signature, price in priced_by_version_1():
        if signature.operator not in former and not computes_nothing(signature) and of_one_width(signature):
            assert price_of(signature) == price, signature


def test_the_version_holds_for_the_block_and_no_longer() -> None:
    assert current() == STANDARD == max(VERSIONS)
    with under(1):
        assert current() == 1
    assert current() == STANDARD
    with pytest.raises(KeyError), under(1):
        raise KeyError
    assert current() == STANDARD


def test_an_unknown_version_has_no_prices() -> None:
    with pytest.raises(ValueError, match="no prices of version 99"), under(99):
        pass
    assert nearest(99) == STANDARD
    assert nearest(1) == 1


def test_a_bill_names_its_version() -> None:
    signature, price = max(
        (row for row in priced_by_version_1() if row[0].operator == "aten.linalg_qr.default"),
        key=lambda row: row[1] or 0,
    )
    entries = [HistogramEntry(signature, (2, 0, 0, 0, 0, 0))]
    with under(1):
        then = bill(entries)
    now = bill(entries)
    assert price is not None
    assert (then.standard, then.total) == (1, 2 * price)
    assert now.standard == STANDARD
    assert now.total > then.total


def test_a_former_price_needs_a_present_one_and_is_bound_once() -> None:
    with pytest.raises(ValueError, match="no present one"):
        superseded(1, "aten.unheard_of.default")(lambda _: 0)
    with pytest.raises(ValueError, match="priced twice"):
        superseded(1, "aten.linalg_qr.default")(lambda _: 0)
