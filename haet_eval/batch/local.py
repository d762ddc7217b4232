"""Runs on this machine, in processes of their own."""

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Final

from haet_eval.batch import pool
from haet_eval.batch.failure import put_incident_of_lost_run
from haet_eval.batch.job import Order
from haet_eval.batch.judge import Reporter, StageReached, judge
from haet_eval.batch.pool import ProcessDied, ProcessPool
from haet_eval.batch.site import SiteLost
from haet_eval.evaluation.request import WrittenRecord
from haet_eval.runtimes.environment import VISIBLE_GPUS
from haet_eval.runtimes.leftovers import remove_leftovers

_SECONDS_BETWEEN_TICKS: Final = 0.5


class LocalSite:
    """Makes that many runs at once, on the GPUs that `shares` gives them."""

    def __init__(
        self,
        results: Path,
        jobs: int,
        gpus: Sequence[str],
        receive: Callable[[StageReached], None],
    ) -> None:
        self._results = results
        self._jobs = jobs
        self._stopped = False
        self._pool = ProcessPool(jobs, receive, shares(jobs, gpus))

    def slots(self) -> int:
        return self._jobs

    def judge(self, order: Order) -> WrittenRecord:
        try:
            return self._pool.submit(_judge, order, self._results).result()
        except (CancelledError, RuntimeError, ProcessDied) as error:
            # The process died because the batch was stopped, so this is no failure of the submission.
            if self._stopped:
                raise SiteLost("the batch was stopped") from None
            if isinstance(error, ProcessDied):
                put_incident_of_lost_run(order, self._results, error)
            raise

    def stop(self) -> None:
        # Set first: calls that end by the next line must see it.
        self._stopped = True
        self._pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        self._pool.shutdown()
        remove_leftovers()  # of runs whose process was killed


def shares(jobs: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """Variables of each run: the GPUs in turn, or all of them for a run alone, whose nodes take one each."""
    if jobs == 1 and gpus:
        return [{VISIBLE_GPUS: ",".join(gpus)}]
    # More runs than GPUs share them in turn. `places` allows that only if the user asks for it.
    return [{VISIBLE_GPUS: gpus[slot % len(gpus)]} if gpus else {} for slot in range(jobs)]


def _judge(order: Order, results: Path) -> WrittenRecord:
    outcomes: list[WrittenRecord] = []
    reporter = Reporter(order.job.key, pool.send, _SECONDS_BETWEEN_TICKS)
    judge(order, results, reporter, outcomes.append)
    return outcomes[0]
