"""Counting one's own training in this process: ordinary PyTorch on any device, at the prices of the judge."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ModuleNotFoundError(
        "OperationCounter counts PyTorch, which is not installed: pip install 'haet-eval[local]'",
        name="torch",
    )

from haet_eval.counter.counter import OperationCounter, Uncounted

__all__ = ["OperationCounter", "Uncounted"]
