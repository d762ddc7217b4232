"""A differential fuzz: what the meter believes of every tensor, against what the executor holds.

`world` joins a real meter and a real executor in one process. `trial` defines a template with tensors that
lie in memory in one way, calls it again with tensors that lie otherwise, and compares after each record.
`fuzzer` does so for every allowed operator, in child processes that may crash.
"""
