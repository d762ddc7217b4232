"""Strategies for tiny tensors."""

from hypothesis import settings
from hypothesis import strategies as st

few = settings(max_examples=6, deadline=None)
"""A law holds or fails on tiny shapes: a few examples find it."""

extents = st.integers(1, 4)


def shapes(*, least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of so many dimensions, each of 1 to 4 elements."""
    return st.lists(extents, min_size=least, max_size=most).map(tuple)
