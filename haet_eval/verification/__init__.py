"""Whether to believe a record: what holds, what differs, and what could not be checked."""
