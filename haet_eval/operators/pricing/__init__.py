"""The price of a call: that of its family, then dtypes, complex numbers and lazy bits; shared arithmetic."""
