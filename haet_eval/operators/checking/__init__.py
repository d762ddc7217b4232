"""A call is held against its schema, then against the checks of its operator."""
