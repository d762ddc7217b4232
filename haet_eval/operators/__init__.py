"""The operators: a file for each family, with the schema, the price, the checks and the facts of each.

The prices are the counting standard in executable form. Nothing in here needs torch.
"""
