"""The contract of a site, which makes runs: this machine or a cluster."""

from typing import Protocol

from haet_eval.batch.job import Order
from haet_eval.evaluation.request import WrittenRecord


class SiteLost(Exception):
    """No more runs are possible: the batch was stopped, or the cluster is gone. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Site(Protocol):
    """Makes runs over an executor of `concurrent.futures`."""

    def slots(self) -> int:
        """How many runs may be under way now."""

    def judge(self, order: Order) -> WrittenRecord:
        """Make a run and wait until its record is in the results folder. May be called from any thread.

        Raises:
            HaetError: the submission could not be judged.
            SiteLost: no submission can be judged here any more.
        """

    def stop(self) -> None:
        """End the running evaluations; the callers that wait for them get SiteLost."""

    def close(self) -> None:
        """Release everything that the site holds."""
