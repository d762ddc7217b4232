"""Counting one's own training in this process: ordinary PyTorch on any device, at the prices of the judge."""

from haet_eval.counter.counter import OperationCounter, Uncounted

__all__ = ["OperationCounter", "Uncounted"]
