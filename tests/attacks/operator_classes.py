"""The classes and traits that haet_eval/operators/safety.toml explains, from schema and tags."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from haet_eval import operators
from haet_eval.operators.checking.validation import written_parameters
from haet_eval.operators.schema import Operator

SAFETY = Path(operators.__file__).parent / "safety.toml"


@cache
def safety() -> dict[str, Any]:
    """What safety.toml says; its exceptions by operator."""
    said = tomllib.loads(SAFETY.read_text(encoding="utf-8"))
    entries = [(name, entry) for entry in said["exceptions"] for name in entry.pop("operators")]
    assert len(dict(entries)) == len(entries)
    return {**said, "exceptions": dict(entries)}


def classes_of(operator: Operator) -> list[str]:
    """Every class whose rule the operator fulfils; there must be one."""
    marked = {parameter.name for parameter in operator.parameters if parameter.written}
    hidden = written_parameters(operator) - marked
    moves = operator.inplace_view or operator.base == "set_"
    views = [returned for returned in operator.returns if returned.alias and not returned.written]
    rules = {
        "functional": not written_parameters(operator) and not views,
        "view": not written_parameters(operator) and len(views) == len(operator.returns) == 1,
        "in-place": bool(marked) and not operator.piecewise and not moves and not hidden,
        "in-place-list": operator.piecewise and not operator.returns,
        "in-place-view": moves and bool(marked) and not operator.piecewise,
        "hidden-write": bool(hidden) and not marked,
    }
    return [name for name, holds in rules.items() if holds]


def traits_of(operator: Operator) -> frozenset[str]:
    """The traits that an operator has beside its class."""
    traits = {"random": operator.random, "dynamic": operator.dynamic, "exact": operator.facts.exact}
    return frozenset(name for name, holds in traits.items() if holds)
