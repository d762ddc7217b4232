"""How a batch drives its runs: what it sends to a site, and what it makes of what comes back."""

from pathlib import Path
from typing import Any

import pytest

from haet_eval.batch import run
from haet_eval.batch.events import Event, NotStored
from haet_eval.batch.job import Order
from haet_eval.batch.ledger import Ledger
from haet_eval.batch.plan import BatchPlan, Options, make_plan
from haet_eval.batch.run import BatchSettings, Reporting, RunningBatch
from haet_eval.batch.sources import SubmissionSource
from haet_eval.cli.batch_table import tell_end
from haet_eval.cli.batch_view import headline
from haet_eval.errors import EnvironmentProblem
from haet_eval.evaluation.keeping import KeptElsewhere
from haet_eval.evaluation.request import WrittenRecord
from haet_eval.runtimes.image_files import build_context
from haet_eval.store import Store
from haet_eval.submission import load_submission
from haet_eval.submission.packing import pack_submission
from tests.fixtures.submissions import write_competition, write_submission

TRAIN = "def train(task):\n    return Linear()"


class Watched:
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


class FailingSite:
    """A site whose every run ends with an error, and that keeps the orders."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem
        self.orders: list[Order] = []

    def slots(self) -> int:
        return 1

    def judge(self, order: Order) -> WrittenRecord:
        self.orders.append(order)
        raise self.problem

    def stop(self) -> None: ...
    def close(self) -> None: ...


def batch_of(folder: Path, *paths: Path, **options: Any) -> tuple[BatchPlan, RunningBatch, Watched, Ledger]:
    store, watched = Store(folder / "results"), Watched()
    ledger = Ledger(store)
    plan = make_plan(map(SubmissionSource, paths), Options(sandbox="process", **options), ledger)
    settings = BatchSettings(store.directory, None, None, 0, build_context().digest, None)
    return plan, RunningBatch(plan, settings, ledger, Reporting(watched)), watched, ledger


def test_a_result_that_is_kept_elsewhere_is_judged_and_not_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, batch, watched, ledger = batch_of(tmp_path, write_submission(tmp_path / "a", TRAIN))
    kept = KeptElsewhere("the disk is full; the record is kept in /kept", "Take it in.", code="kept")
    summary = batch.run(lambda: FailingSite(kept))
    (event,) = summary.given_up
    assert isinstance(event, NotStored)
    assert event in watched.events
    assert headline(event).endswith("judged, but not stored: the disk is full; the record is kept in /kept")
    assert ledger.failure_of(plan.jobs[0].identity) is None
    tell_end(summary)
    said = capsys.readouterr().err
    assert "Not stored:" in said
    assert "Take it in." in said
    assert "tries these again" not in said


def test_a_failure_on_our_side_is_given_up_and_remembered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, batch, _, ledger = batch_of(tmp_path, write_submission(tmp_path / "a", TRAIN))
    summary = batch.run(lambda: FailingSite(EnvironmentProblem("no disk", "buy one", code="disk")))
    failure = ledger.failure_of(plan.jobs[0].identity)
    assert failure is not None
    assert failure.message == "no disk"
    tell_end(summary)
    said = capsys.readouterr().err
    assert "Not judged:" in said
    assert "tries these again" in said


@pytest.mark.parametrize("zipped", [True, False])
def test_the_bytes_that_are_sent_are_those_whose_digest_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    path = folder = write_submission(tmp_path / "a", TRAIN)
    if zipped:
        path = tmp_path / "a.zip"
        pack_submission(folder, path)
    _, batch, _, _ = batch_of(tmp_path, path)
    planned = load_submission(path).archive

    def load_and_change(*arguments: Any) -> Any:
        found = load_submission(*arguments)
        if zipped:
            path.write_bytes(b"another")
        else:
            (folder / "submission.py").write_text("another")
        return found

    monkeypatch.setattr(run, "load_submission", load_and_change)
    site = FailingSite(EnvironmentProblem("no disk", code="disk"))
    batch.run(lambda: site)
    (order,) = site.orders
    assert order.archive == planned


@pytest.mark.parametrize("changed", ["a/submission.py", "rules.toml"])
def test_files_that_were_changed_after_the_plan_are_not_sent(tmp_path: Path, changed: str) -> None:
    rules = tmp_path / "rules.toml"
    write_competition(rules)
    folder = write_submission(tmp_path / "a", TRAIN)
    plan, batch, _, _ = batch_of(tmp_path, folder, competition=str(rules))
    assert plan.jobs
    path = tmp_path / changed
    path.write_text(path.read_text().replace("0.", "0.0") + "\n# changed\n")
    site = FailingSite(EnvironmentProblem("no disk", code="disk"))
    (given,) = batch.run(lambda: site).given_up
    assert "was changed after the batch had been planned" in given.reason
    assert not site.orders
