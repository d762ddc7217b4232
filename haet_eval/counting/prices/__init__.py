"""Version 1 of the counting standard, in executable form: one file per family of operators."""

from haet_eval.counting.prices import (  # noqa: F401  (importing a family binds its prices)
    activations,
    convolution,
    dropout,
    foreach,
    losses,
    matmul,
    movement,
    norms,
    optimizers,
    pointwise,
    reductions,
    scans,
    softmax,
)
