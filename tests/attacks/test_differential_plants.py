"""The differential fuzz finds faults: here some are planted in the real meter and executor, one by one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from haet_eval.operators import table
from haet_eval.remote.executor import executor, expectation, kernel
from haet_eval.remote.executor.model import keep_model
from haet_eval.remote.meter import Meter
from tests.attacks.differential.report import Note
from tests.attacks.differential.visits import hostile

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    """As in the executor's process."""
    with torch.no_grad():
        yield


def found(operator: str) -> set[str]:
    """The kinds of findings of a few visits."""
    visits = [hostile(operator, seed, 8, Note()) for seed in range(4)]
    return {finding.kind for seen in visits for finding in seen.findings.values()}


def unwritten_memory_is_shown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kernel, "_UNINITIALISED", frozenset())


def taint_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    apply = Meter._apply

    def forget(meter: Meter, *arguments: Any) -> None:
        first = meter.next_handle
        apply(meter, *arguments)
        for number, handle in meter._handles.living.items():
            handle.storage.tainted &= number < first

    patch.setattr(Meter, "_apply", forget)


def places_in_storages_are_added(patch: pytest.MonkeyPatch) -> None:
    for name in table.allowed_operators() - {"aten.view.dtype"}:
        operator = table.lookup(name)
        if operator is not None and operator.facts.exact:
            added = replace(operator, facts=replace(operator.facts, exact=False))
            patch.setitem(table._OPERATORS, name, added)


def nothing_is_checked(patch: pytest.MonkeyPatch) -> None:
    places_in_storages_are_added(patch)

    def trust(self: expectation.Expectation, result: Any, *_: Any) -> list[torch.Tensor]:
        return [result]

    patch.setattr(expectation.Expectation, "_settle_view", trust)


def slices_are_copies(patch: pytest.MonkeyPatch) -> None:
    def copied(tensor: torch.Tensor, dimension: int, start: int, end: int, step: int) -> torch.Tensor:
        view: torch.Tensor = torch.ops.aten.slice(tensor, dimension, start, end, step)
        return view.clone()

    patch.setattr(executor, "sliced", copied)


def model_is_copied_tensor_by_tensor(patch: pytest.MonkeyPatch) -> None:
    def copied(*arguments: Any) -> dict[int, torch.Tensor]:
        return {number: tensor.clone() for number, tensor in keep_model(*arguments).items()}

    patch.setattr(executor, "keep_model", copied)


@pytest.mark.parametrize(
    ("plant", "operator", "kind"),
    [
        (unwritten_memory_is_shown, "aten.empty.memory_format", "data shows"),
        (taint_is_forgotten, "aten.add.Tensor", "define: taint"),
        (taint_is_forgotten, "aten.relu.default", "data shows"),
        (places_in_storages_are_added, "aten.view_as_complex.default", "call mismatched"),
        (nothing_is_checked, "aten.view_as_complex.default", "call ok: difference"),
        (slices_are_copies, "aten.add.Tensor", "other record: difference"),
        (model_is_copied_tensor_by_tensor, "aten.expand.default", "seal: difference"),
    ],
)
def test_planted_fault_is_found(
    plant: Plant, operator: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(operator) == set()
    plant(monkeypatch)
    assert kind in found(operator)
