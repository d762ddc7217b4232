"""Coefficients written as numbers: multiplying by a literal 1 or −1 is free."""

from haet_eval.operators.signature import Argument


def multiplies(coefficient: Argument) -> int:
    """1 if a product with this coefficient is an operation, 0 if the coefficient is a literal 1 or −1."""
    return int(coefficient not in (1, -1))
