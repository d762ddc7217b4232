"""Counting: the executed calls (histogram), their costs (prices), the size of the model (parameters)."""
