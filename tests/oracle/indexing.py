"""Reading and writing at places that depend on data."""

from collections.abc import Sequence

from tests.oracle.counted import (
    Counted,
    Tally,
    choose,
    dot,
    floor,
    maximum,
    minimum,
    read,
    sqrt,
    total,
    where,
    write,
)


def reads(tally: Tally, count: int) -> None:
    table = tally.tensor([3])
    for _ in range(count):
        read(table, tally.scalar())


def writes(tally: Tally, count: int) -> None:
    table = tally.tensor([3])
    for _ in range(count):
        write(table, tally.scalar(), tally.scalar())


def accumulations(tally: Tally, count: int, *, scaled: bool = False) -> None:
    table = tally.tensor([3])
    for _ in range(count):
        value = tally.scalar() * 3 if scaled else tally.scalar()
        write(table, tally.scalar(), table[0] + value)


def means(tally: Tally, places: int, count: int) -> None:
    """Sums and numbers of values at each place, divided."""
    accumulations(tally, count)
    accumulations(tally, count)
    for _ in range(places):
        tally.scalar() / tally.scalar()


def mask(tally: Tally, count: int) -> None:
    """Test each element."""
    for _ in range(count):
        tally.scalar().greater(0)


def masked_scatter(tally: Tally, count: int) -> None:
    source, rank = tally.tensor([3]), tally.scalar()
    for _ in range(count):
        rank = rank + tally.scalar()
        where(rank, read(source, rank), tally.scalar())


def frequencies(tally: Tally, indices: int, width: int) -> None:
    """Divide the gradient's rows by how often their index occurs."""
    accumulations(tally, indices)
    for _ in range(indices):
        often = read(tally.tensor([3]), tally.scalar())
        for _ in range(width):
            tally.scalar() / often


def renorm(tally: Tally, rows: int, width: int, order: float) -> None:
    table = tally.tensor([3])
    for _ in range(rows):
        row = [read(table, tally.scalar()) for _ in range(width)]
        norm = _norm(row, order)
        factor = choose(norm, 1, 1 / (norm + 1e-7), 1)
        for x in row:
            write(table, tally.scalar(), x * factor)


def _norm(row: Sequence[Counted], order: float) -> Counted:
    if order == 1:
        return total([abs(x) for x in row])
    if order == 2:
        return sqrt(dot(row, row))
    return total([abs(x) ** order for x in row]) ** (1 / order)


def bags(tally: Tally, indices: int, width: int, *, weighted: bool = False, divided: int = 0) -> None:
    """Rows added to their bags from zero; so many elements are divided at the end."""
    table = tally.tensor([3])
    for _ in range(indices * width):
        value = read(table, tally.scalar())
        tally.scalar() + (value * tally.scalar() if weighted else value)
    for _ in range(divided):
        tally.scalar() / tally.scalar()


def running_positions(tally: Tally, repeats: int, written: int) -> None:
    total(tally.tensor([repeats]))
    writes(tally, written)


def histogram(tally: Tally, count: int, *, automatic: bool) -> None:
    values = tally.tensor([count])
    bins, low, high = tally.tensor([3]), tally.scalar(), tally.scalar()
    scale: Counted = tally.scalar()
    if automatic:
        for x in values[1:]:
            low, high = minimum(low, x), maximum(high, x)
        scale = 3 / (high - low)
    for x in values:
        inside = minimum(maximum(x, low), high).operation(1)
        place = minimum(floor((x - low) * scale), 2)
        write(bins, place, bins[0] + inside.value * 3)
