"""What is known of an operator stands in one place: its entry, in the file of its family."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import pytest
import torch

from haet_eval import operators
from haet_eval.counter.work import computes
from haet_eval.operators import plain
from haet_eval.operators.checking import sizes
from haet_eval.operators.checking.call import Call
from haet_eval.operators.schema import Operator, parse
from haet_eval.operators.table import (
    allowed_operators,
    each,
    entries,
    lookup,
    overloads,
    present_price,
    priced_operators,
)
from haet_eval.remote.client.in_parts import parts_of
from haet_eval.remote.executor.guards import GUARDS
from tests.attacks.execution import overload_of

MATTERING = {
    torch.Tag.pointwise: "pointwise",
    torch.Tag.nondeterministic_seeded: "random",
    torch.Tag.dynamic_output_shape: "dynamic",
    torch.Tag.data_dependent_output: "dynamic",
    torch.Tag.inplace_view: "inplace_view",
}


def known(name: str) -> Operator:
    operator = lookup(name)
    assert operator is not None
    return operator


@pytest.mark.parametrize("name", sorted(allowed_operators()))
def test_a_schema_and_its_tags_are_what_the_installed_pytorch_says(name: str) -> None:
    operator, theirs = known(name), overload_of(name)
    said = parse(str(theirs._schema))
    assert (operator.name, operator.parameters, operator.returns) == (
        said.name,
        said.parameters,
        said.returns,
    )
    assert operator.tags == {word for tag, word in MATTERING.items() if tag in theirs.tags}


def test_what_may_be_called_has_a_price() -> None:
    assert allowed_operators() <= priced_operators()


def test_what_has_a_price_and_may_not_be_called_is_the_one_list_and_nothing_else() -> None:
    listed = {plain._with_out(name) for name in plain.WITH_OUT.split()}
    for suffixes, names in plain.OTHER_OVERLOADS.items():
        listed |= set(overloads(names, suffixes))
    for names in plain.LIKE.values():
        listed |= {full for name in names.split() for full in plain._named(name)}
    assert priced_operators() - allowed_operators() == listed


def test_every_price_can_run() -> None:
    """The judge prices what may be called, and the counter what is work and is not counted by its parts."""
    counted = {
        name
        for name in priced_operators() - allowed_operators()
        if computes(overload_of(name))
        and not all(parts_of(overload_of(name), one) for one in ("cpu", "cuda"))
    }
    running = {present_price(name) for name in allowed_operators() | counted}
    assert not [name for name in priced_operators() if present_price(name) not in running]


def test_every_entry_has_checks_or_the_reason_why_it_needs_none() -> None:
    assert not [name for name, entry in entries().items() if bool(entry.checks) == bool(entry.unchecked)]


def modules() -> Iterator[ModuleType]:
    yield sizes
    for module in iter_modules(operators.__path__, "haet_eval.operators."):
        yield import_module(module.name)


def test_every_check_belongs_to_an_entry() -> None:
    used = {check for entry in entries().values() for check in entry.checks}
    for module in modules():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            taken = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
            if function.__module__ == module.__name__ and not name.startswith("_") and taken == [Call]:
                assert function in used, f"{module.__name__}.{name}"


def test_entries_and_executor_name_the_same_guards() -> None:
    assert {known(name).facts.guard for name in allowed_operators()} == {None, *GUARDS}


def test_facts_name_parameters_that_there_are() -> None:
    for name in allowed_operators():
        operator = known(name)
        parameters = {parameter.name for parameter in operator.parameters}
        assert operator.facts.writes <= parameters
        assert not operator.facts.literal or operator.facts.literal & parameters, name


def test_a_text_of_schemas_is_read_line_by_line() -> None:
    text = """
    relu abs.out(Tensor self) -> Tensor
    max(Tensor self, int dim,
        bool keepdim=False) -> (Tensor values, Tensor indices)
    """
    assert list(each(text)) == [
        ("aten.relu.default", "aten::relu(Tensor self) -> Tensor"),
        ("aten.abs.out", "aten::abs.out(Tensor self) -> Tensor"),
        (
            "aten.max.default",
            "aten::max(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        ),
    ]


def test_an_unknown_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="not tags"):
        parse("aten::relu(Tensor self) -> Tensor : pointless")
