"""Failures of runs that another process or machine was to make, and the incidents of these."""

from dataclasses import dataclass
from pathlib import Path

from haet_eval.batch.job import Order
from haet_eval.errors import HaetError
from haet_eval.incidents import keep_incident, put_incident


@dataclass(frozen=True, slots=True)
class NodeFailure:
    """What comes back from a node that could not judge: the error, and the incidents that it has written."""

    problem: HaetError
    incidents: tuple[bytes, ...]

    def keep_incidents(self, results: Path) -> None:
        """Write the incidents into the results folder of the batch, if it can be written."""
        for document in self.incidents:
            keep_incident(results, document)


def put_incident_of_lost_run(order: Order, results: Path, error: HaetError) -> None:
    """Write an incident of a run whose process has died, so that the run could write none itself."""
    # The stage is unknown: the process that knew it is gone.
    identity = order.job.identity
    facts = {"submission": order.job.label, "sandbox": identity.sandbox, "device": identity.device}
    put_incident(results, error, {"stage": "unknown", **facts})
