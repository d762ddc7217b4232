"""The counts of an OperationCounter as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from haet_eval.counter.counter import OperationCounter

_NOTE: Final = (
    "This count is for your own work. It proves nothing about code of somebody else, which can change it."
)


def table(counter: OperationCounter, depth: int, rows: int) -> str:
    """Total, phases, modules and operators; then what has a price of its own, and what has none."""
    operators = {name: line.operations for name, line in counter.by_operator.items()}
    whole = sum(operators.values())
    standard = counter.bill.standard
    uncounted = counter.uncounted
    lines = [
        f"{whole:,} operations{' and more' if uncounted else ''}, under counting standard {standard}",
        f"{counter.multiply_adds:,} multiply-adds in matrix products, convolutions and attention",
        # All phases, however few rows are asked for: there are six.
        *_section("phase", counter.by_phase, whole, len(counter.by_phase)),
        *_section("module", _cut(counter.by_module, depth), whole, rows),
        *_section("operator", operators, whole, rows),
    ]
    if counter.nonstandard:
        own = {name: line.operations for name, line in counter.nonstandard.items()}
        lines += _section("priced by you, not by the standard", own, whole, len(own))
    if uncounted:
        lines += ["", "without a price, and not in the total:"]
        for name, line in uncounted.items():
            shapes = f", as in {line.shapes[0]}" if line.shapes else ""
            lines.append(f"  {name}: {line.calls:,} calls{shapes}. {line.hint}")
    return "\n".join([*lines, "", _NOTE])


def _cut(modules: Mapping[str, int], depth: int) -> dict[str, int]:
    """Modules whose paths begin alike, joined: so many parts of a path are distinguished."""
    joined: defaultdict[str, int] = defaultdict(int)
    for path, operations in modules.items():
        joined[".".join(path.split(".")[:depth]) or "(no module)"] += operations
    return joined


def _section(title: str, counts: Mapping[str, int], whole: int, rows: int) -> Iterator[str]:
    dearest = sorted(((n, name) for name, n in counts.items() if n), key=lambda pair: (-pair[0], pair[1]))
    # A title without lines would look like a fault.
    if not dearest:
        return
    shown, rest = dearest[:rows], dearest[rows:]
    if rest:
        shown.append((sum(n for n, _ in rest), f"({len(rest)} more)"))
    width = max(len(title), *(len(name) for _, name in shown))
    digits = max(len("operations"), *(len(f"{n:,}") for n, _ in shown))
    yield ""
    yield f"{title:<{width}}  {'operations':>{digits}}   share"
    for operations, name in shown:
        yield f"{name:<{width}}  {operations:>{digits},}  {operations / whole:6.1%}"
