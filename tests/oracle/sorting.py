"""Sorting, searching, distinct values, by comparisons."""

from tests.oracle.counted import Counted, Tally, maximum, minimum


def merge_sort(values: list[Counted]) -> list[Counted]:
    if len(values) < 2:
        return values
    middle = len(values) // 2
    left, right = merge_sort(values[:middle]), merge_sort(values[middle:])
    merged = []
    while left and right:
        merged.append((left if left[0].greater(right[0]).value == 0 else right).pop(0))
    return merged + left + right


def binary_search(boundaries: list[Counted], value: float) -> int:
    low, high = 0, len(boundaries)
    while low < high:
        middle = (low + high) // 2
        if boundaries[middle].greater(value).value:
            high = middle
        else:
            low = middle + 1
    return low


def runs(tally: Tally, count: int, width: int, *, ranks: bool, lengths: bool) -> None:
    """Compare neighbouring slices of so many elements; number the runs, and count them."""
    for _ in range(count - 1):
        equal = tally.scalar()
        for place in range(width):
            same = minimum(tally.scalar(), 1)
            equal = same if place == 0 else maximum(equal, same)
        if ranks:
            tally.scalar() + equal
        if lengths:
            tally.scalar() + equal


def longest_run(tally: Tally, count: int) -> None:
    """Of a sorted row: compare with the neighbour, lengthen, keep the longest."""
    for _ in range(count - 1):
        length = tally.scalar().greater(tally.scalar()) + tally.scalar()
        maximum(length, tally.scalar())


def contains(tally: Tally, count: int) -> None:
    """Whether a value is among others: comparisons and disjunctions."""
    found = [tally.scalar().greater(tally.scalar()) for _ in range(count)]
    for x in found[1:]:
        maximum(found[0], x)
