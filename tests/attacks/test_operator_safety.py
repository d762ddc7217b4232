"""What safety.toml says of each allowed operator is what its kernel does on every recorded call."""

from collections.abc import Iterator
from functools import cache
from itertools import count

import pytest
import torch

from haet_eval.operators.schema import Operator
from haet_eval.operators.table import allowed_operators, lookup
from haet_eval.remote.wire import Atom, Definition, Tag, Value
from tests.attacks.executed_calls import ExecutedCall, Variant, executed_calls
from tests.attacks.observed import INPUT, NEW, UNTIDY, VIEW, Seen, observed
from tests.attacks.operator_classes import classes_of, safety, traits_of

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


ONE_TEMPLATE = (Variant.ELSEWHERE, Variant.SHARED)
"""A template does not tell these from PLAIN."""


def schema_of(name: str) -> Operator:
    operator = lookup(name)
    assert operator is not None
    return operator


def test_every_operator_is_in_one_class_that_is_explained() -> None:
    used = set()
    for name in allowed_operators():
        (found,) = classes_of(schema_of(name))
        used.add(found)
    assert used == safety()["classes"].keys()
    assert {t for n in allowed_operators() for t in traits_of(schema_of(n))} == safety()["traits"].keys()
    for part in ("classes", "traits"):
        assert all(entry.keys() == {"what", "why", "check"} for entry in safety()[part].values())
    assert all(entry.keys() == {"does", "why"} for entry in safety()["exceptions"].values())


@cache
def seen_calls(name: str) -> tuple[tuple[Seen | None, ...], ...]:
    """What was seen of each recorded call in each variant; values change until one succeeds."""
    for values in count():
        calls = zip(*(executed_calls(name, variant, values=values) for variant in Variant), strict=True)
        rows = (*(tuple(map(observed, row)) for row in calls), *_by_hand(name))
        if any(seen for row in rows for seen in row):
            return rows
        assert values < 20, f"no recorded call of {name} succeeds"
    raise AssertionError


SQUEEZED: dict[str, dict[str, Value]] = {
    "aten.squeeze_.default": {},
    "aten.squeeze_.dim": {"dim": 0},
    "aten.squeeze_.dims": {"dim": (0,)},
}


def _by_hand(name: str) -> Iterator[tuple[Seen | None, ...]]:
    """Squeezing a transposed tensor: those that were recorded are contiguous."""
    if name in SQUEEZED:
        plain, lazy = (torch.ones(1, 3, 4).transpose(1, 2) for _ in range(2))
        yield observed(_on(name, plain)), None, None, observed(_on(name, torch._neg_view(lazy)))


def _on(name: str, tensor: torch.Tensor) -> ExecutedCall:
    arguments = {"self": Atom(Tag.TENSOR, 0), **SQUEEZED.get(name, {})}
    return ExecutedCall(Definition(name, arguments, 1, ()), torch.Generator(), [tensor])


def done(operator: Operator) -> set[str]:
    """What its kernel does besides its class, in the words of safety.toml."""
    (kind,) = classes_of(operator)
    found = set()
    for row in seen_calls(operator.name):
        for seen in filter(None, row):
            found |= _besides(operator, kind, seen)
        plain, lazy = row[0], row[-1]
        if plain and lazy and (plain.outputs, _shapes(plain)) != (lazy.outputs, _shapes(lazy)):
            found.add("layout-by-bits")
    return found | ({"draws-by-value"} if operator.random and _draws_by_value(operator.name) else set())


def _besides(operator: Operator, kind: str, seen: Seen) -> set[str]:
    marked = any(returned.written for returned in operator.returns)
    found = set()
    if UNTIDY in seen.outputs:
        found.add("untidy")
    if VIEW in seen.outputs and kind != "view":
        found.add("shares")
    if INPUT in seen.outputs and not marked:
        found.add("returns-input")
    if not seen.inputs_kept and kind != "in-place-view":
        found.add("resizes")
    if kind == "view" and NEW in seen.outputs:
        found.add("copies")
    return found


def _shapes(seen: Seen) -> list[object]:
    return [layout[:2] for layout in seen.layouts]


def _draws_by_value(name: str) -> bool:
    states: dict[int, bytes] = {}
    for place, call in _calls_with_other_values(name):
        if observed(call):
            both = (torch.default_generator.get_state(), call.generator.get_state())
            state = b"".join(one.numpy().tobytes() for one in both)
            if states.setdefault(place, state) != state:
                return True
    return False


def _calls_with_other_values(name: str) -> Iterator[tuple[int, ExecutedCall]]:
    if name == "aten.poisson.default":  # few of the rates that are made up for it are valid
        yield from ((0, _on(name, torch.full((8,), rate))) for rate in (1.0, 50.0))
    for values in range(4):
        yield from enumerate(executed_calls(name, values=values))


@pytest.mark.parametrize("kind", sorted(safety()["classes"]))
def test_kernels_do_what_their_class_and_their_exceptions_say(kind: str) -> None:
    operators = [schema_of(name) for name in allowed_operators() if classes_of(schema_of(name)) == [kind]]
    exceptions = safety()["exceptions"]
    said = {o.name: set(exceptions[o.name]["does"]) for o in operators if o.name in exceptions}
    assert {o.name: does for o in operators if (does := done(o))} == said


def test_exceptions_are_allowed_operators() -> None:
    assert safety()["exceptions"].keys() <= allowed_operators()


def test_meter_knows_every_operator_that_draws_by_value() -> None:
    exceptions = safety()["exceptions"].items()
    known = {name for name in allowed_operators() if schema_of(name).facts.draws_by_value}
    assert {name for name, entry in exceptions if "draws-by-value" in entry["does"]} == known


@pytest.mark.parametrize("variant", ONE_TEMPLATE)
def test_calls_of_one_template_have_one_outcome(variant: Variant) -> None:
    """Unless outputs are made tidy anyway, or their shapes depend on data."""
    differ = set()
    for name in allowed_operators():
        for row in seen_calls(name):
            first, second = row[0], row[list(Variant).index(variant)]
            if first and second and (first.outputs, first.layouts) != (second.outputs, second.layouts):
                differ.add(name)
    dynamic = {name for name in allowed_operators() if "dynamic" in traits_of(schema_of(name))}
    untidy = {name for name, entry in safety()["exceptions"].items() if "untidy" in entry["does"]}
    assert differ - dynamic - untidy == set()
