"""Prices of version 1 of the counting standard that version 2 has changed, for records that it priced."""

from haet_eval.counting.prices.version_1 import (  # noqa: F401  (importing a family binds its prices)
    dropout,
    linalg,
    losses,
    movement,
    pointwise,
    pooling,
    random,
    reductions,
    sorting,
)
