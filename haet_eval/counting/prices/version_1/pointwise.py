"""The test for NaN of complex numbers, without the disjunction of its two tests."""

from haet_eval.counting.prices.pointwise import per_element
from haet_eval.counting.prices.table import overloads, superseded

superseded(1, *overloads("isnan", ".default .out"))(per_element(1, 2))
