"""The operators: a file for each family, with the schema, the price, the checks and the facts of each.

The prices are the counting standard in executable form. Nothing in here needs torch.
"""

from haet_eval.operators import plain, version_1  # noqa: F401  (importing them fills the table)
