"""Schemas are read as PyTorch means them."""

import pytest

from haet_eval.operators.schema import parse
from haet_eval.operators.table import allowed_operators, lookup
from tests.attacks.execution import overload_of


def test_reads_types_lists_defaults_and_keywords() -> None:
    operator = parse(
        "aten::max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, "
        "int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)"
    )
    assert operator.name == "aten.max_pool2d_with_indices.default"
    assert operator.base == "max_pool2d_with_indices"
    assert [(p.name, p.default) for p in operator.parameters if p.has_default] == [
        ("stride", ()),
        ("padding", (0, 0)),
        ("dilation", (1, 1)),
        ("ceil_mode", False),
    ]
    assert len(operator.returns) == 2


def test_reads_aliases_and_writes() -> None:
    operator = parse("aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)")
    own, other, alpha = operator.parameters
    assert (own.alias, own.written, other.alias, alpha.keyword_only) == ("a", True, None, True)
    assert operator.returns[0].written


def test_reads_lists_with_absent_entries() -> None:
    operator = parse("aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor")
    indices = operator.parameter("indices")
    assert (indices.is_list, indices.optional_items, indices.optional) == (True, True, False)


@pytest.mark.parametrize(
    "text",
    ["", "aten::f", "aten::f(Tensor self)", "aten::f(Storage s) -> Tensor", "aten::f(Tensor) -> Tensor"],
)
def test_refuses_text_that_is_not_a_schema(text: str) -> None:
    with pytest.raises(ValueError, match=r"schema|type|parameter"):
        parse(text)


@pytest.mark.parametrize("name", sorted(allowed_operators()))
def test_agrees_with_pytorch(name: str) -> None:
    operator = lookup(name)
    assert operator is not None
    schema = overload_of(name)._schema
    assert [p.name for p in operator.parameters] == [a.name for a in schema.arguments]
    assert [p.keyword_only for p in operator.parameters] == [a.kwarg_only for a in schema.arguments]
    for ours, theirs in zip(operator.parameters, schema.arguments, strict=True):
        assert ours.has_default == theirs.has_default_value()
        wanted = theirs.default_value
        assert ours.default == (tuple(wanted) if isinstance(wanted, list) else wanted)
        assert ours.written == (theirs.alias_info is not None and theirs.alias_info.is_write)
