"""Where runs are made: the contract that this machine and a cluster keep."""

from typing import Protocol

from haet_eval.batch.job import Order
from haet_eval.evaluation.request import Outcome


class SiteLost(Exception):
    """Nothing more can be run: the batch was stopped, or the cluster is gone. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Site(Protocol):
    """Makes runs over an executor of `concurrent.futures`."""

    def slots(self) -> int:
        """How many runs may be under way now."""

    def judge(self, order: Order) -> Outcome:
        """Make a run and wait for its record, which is in the results folder then. From any thread.

        Raises:
            HaetError: the submission could not be judged.
            SiteLost: nor can any other.
        """

    def stop(self) -> None:
        """End the runs that are under way; what waits for them gets SiteLost."""

    def close(self) -> None:
        """Leave nothing behind."""
