"""Counting: what was executed (histogram), what it costs (prices), how large the model is."""
