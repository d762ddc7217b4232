"""Reports never end a training, are kept whole, and show the first value that is not finite; so do logits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.reported import HISTORY_BYTES, SHOWN_REPORTS, Reported
from haet_eval.evaluation.request import Request
from haet_eval.progress import Silent
from haet_eval.record import MAX_RECORD_BYTES, Record
from haet_eval.remote.executor.labels import labels_of
from haet_eval.store import Store
from haet_eval.verification.check import Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.replaying import ReplayPlace, check_replay
from haet_eval.verification.verify import verify
from tests.fixtures.submissions import write_competition, write_submission


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., Record]:
    def run(code: str, observer: Notes | None = None, **options: Any) -> Record:
        folder = write_submission(tmp_path / "it", code)
        request = Request(folder, tmp_path, tmp_path / "results", sandbox="process", **options)
        return evaluate(request, observer).record

    return run


def history(record: Record, folder: Path) -> list[dict[str, Any]]:
    assert record.history is not None
    content = Store(folder / "results").read_artifact(record.history)
    assert content is not None
    return [json.loads(line) for line in content.splitlines()]


def test_reports_of_many_values_are_kept_as_numbers(judge: Callable[..., Record], tmp_path: Path) -> None:
    record = judge(
        """
        def train(task):
            task.report(**{f"class{number}": number / 40 for number in range(40)})
            task.report(epoch=3, loss=torch.tensor(0.25), best=True, big=2**60, odd="caf" + chr(0xdce9))
            task.report(**{"n" * 200: "t" * 900, **{f"v{number}": number for number in range(2000)}})
            return Linear()
        """
    )
    assert record.status.verdict is Verdict.BELOW_THRESHOLD
    many, few, cut = record.reports
    assert many == {f"class{number}": number / 40 for number in range(40)}
    assert few == {"epoch": 3, "loss": 0.25, "best": "True", "big": str(2**60), "odd": "caf\\udce9"}
    assert cut["n" * 100 + "…"] == "t" * 500 + "…"
    assert cut["…"] == "1,001 more values"
    assert len(cut) == 1001
    assert history(record, tmp_path) == [many, few, cut]


def test_a_long_history_is_an_artefact_with_its_ends_in_the_record(
    judge: Callable[..., Record], tmp_path: Path
) -> None:
    record = judge(
        """
        def train(task):
            for epoch in range(250):
                task.report(epoch=epoch, loss=1 / (epoch + 1))
            return Linear()
        """
    )
    epochs = [report["epoch"] for report in record.reports]
    assert epochs == [*range(100), *range(150, 250)]
    assert record.history is not None
    assert (record.history.reports, record.history.kept) == (250, 250)
    assert [line["epoch"] for line in history(record, tmp_path)] == list(range(250))


def test_the_parts_of_a_history_are_bounded_in_bytes(tmp_path: Path) -> None:
    reported, values = Reported(), {f"value{number}": "x" * 500 for number in range(1000)}
    for _ in range(3 * SHOWN_REPORTS):
        reported.add(values)
    kept = reported.put(Store(tmp_path))
    assert kept is not None
    assert kept.bytes <= HISTORY_BYTES
    assert 0 < kept.kept < kept.reports == 3 * SHOWN_REPORTS
    assert len(json.dumps(reported.shown)) < MAX_RECORD_BYTES / 8


def test_the_first_loss_that_is_not_finite_is_named(judge: Callable[..., Record]) -> None:
    observer = Notes()
    record = judge(
        """
        def train(task):
            task.report(best=float("inf"), loss=1.0)
            task.report(loss=torch.tensor(float("inf")))
            task.report(loss=float("nan"))
            return Linear()
        """,
        observer,
    )
    assert record.not_finite is not None
    assert record.not_finite.model_dump() == {"report": 2, "name": "loss", "value": "inf"}
    told = [note for note in observer.notes if "not finite" in note]
    assert told == ["Report 2: loss is inf, the first that is not finite."]


NAN = """
def train(task):
    model = Linear()
    def forward(images):
        logits = model.head(images.flatten(1).float())
        return {logits}
    model.forward = forward
    return model
"""


def test_logits_that_are_nan_cannot_be_right(judge: Callable[..., Record], tmp_path: Path) -> None:
    rules = write_competition(tmp_path / "rules.toml", threshold=0.05)
    record = judge(NAN.format(logits="logits * float('nan')"), competition=str(rules))
    evaluation = record.evaluation
    assert evaluation is not None
    assert (evaluation.correct, evaluation.nan_images) == (0, evaluation.total)
    assert (record.status.verdict, record.status.code) == (Verdict.BELOW_THRESHOLD, "logits-nan")
    assert f"The logits of {evaluation.total:,} test images contain NaN" in record.status.reason


BRIGHT = "(images.flatten(1).float().mean(1, keepdim=True) > images.float().mean())"
SOME_NAN = f"torch.where({BRIGHT} & (torch.arange(10) == 3), {{value}}, logits)"


def test_a_logit_that_is_nan_makes_the_image_wrong_and_a_replay_confirms_it(
    judge: Callable[..., Record], tmp_path: Path
) -> None:
    """Class 3 is NaN for some images. For PyTorch NaN is the greatest: they would all be of class 3."""
    rules = write_competition(tmp_path / "rules.toml", threshold=0.99)
    record = judge(NAN.format(logits=SOME_NAN.format(value="float('nan')")), competition=str(rules))
    evaluation = record.evaluation
    assert evaluation is not None
    assert 0 < evaluation.nan_images < evaluation.total
    store = Store(tmp_path / "results")
    labels = (store.read_artifact(evaluation.predictions) or b"").split()
    assert labels.count(b"-1") == evaluation.nan_images
    assert record.status.code == "logits-nan"
    assert f"The logits of {evaluation.nan_images:,} test images contain NaN" in record.status.reason
    verification, (part,) = verify(store.find(record.record_id), Sources(store, tmp_path))
    assert verification.believable
    checks = check_replay(part.record, part.evidence, ReplayPlace("process"))
    (again,) = (check for check in checks if check.subject == "predictions again")
    assert again.result is Result.HOLDS


def test_plus_infinity_is_a_number(judge: Callable[..., Record], tmp_path: Path) -> None:
    rules = write_competition(tmp_path / "rules.toml", threshold=0.01)
    record = judge(NAN.format(logits=SOME_NAN.format(value="float('inf')")), competition=str(rules))
    assert record.evaluation is not None
    assert record.evaluation.nan_images == 0
    assert b"3" in (Store(tmp_path / "results").read_artifact(record.evaluation.predictions) or b"").split()


def test_records_of_version_1_keep_the_class_of_the_first_nan() -> None:
    nan = float("nan")
    logits = torch.tensor([[0.0, nan, 9.0], [nan, nan, nan], [1.0, 2.0, float("-inf")]])
    assert labels_of(logits, nan_is_greatest=True).tolist() == [1, 0, 1]
    assert labels_of(logits).tolist() == [-1, -1, 1]


@pytest.mark.parametrize(
    "logits",
    [
        "torch.where(torch.arange(10) == 3, logits, float('-inf'))",
        "torch.full_like(logits, float('-inf'))",
    ],
)
def test_a_mask_of_minus_infinity_is_honest(
    judge: Callable[..., Record], tmp_path: Path, logits: str
) -> None:
    rules = write_competition(tmp_path / "rules.toml", threshold=0.05)
    record = judge(NAN.format(logits=logits), competition=str(rules))
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.evaluation is not None
    assert record.evaluation.nan_images == 0
