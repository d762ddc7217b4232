"""The template, judged as it is."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.submission.starter import start_submission
from tests.fixtures.cifar import write_cifar10


@pytest.mark.slow
def test_it_qualifies_on_the_digits_as_it_is(tmp_path: Path) -> None:
    start_submission(tmp_path / "mine", "digits", None, "testers")
    request = Request(
        tmp_path / "mine", data_dir=tmp_path / "data", results=tmp_path / "results", sandbox="process"
    )
    record = evaluate(request).record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.evaluation is not None
    assert record.evaluation.accuracy > 0.97
    assert len(record.reports) == 6


@pytest.mark.slow
def test_with_another_task_in_its_manifest_it_trains_on_cifar(tmp_path: Path) -> None:
    start_submission(tmp_path / "mine", "digits", None, "testers")
    manifest, code = tmp_path / "mine" / "haet.toml", tmp_path / "mine" / "submission.py"
    manifest.write_text(manifest.read_text("utf-8").replace('task = "digits"', 'task = "cifar10"'), "utf-8")
    # The wide network's settings, on data as small as a test's.
    small = code.read_text("utf-8").replace("> 10_000", "> 10").replace("epochs=24", "epochs=1")
    code.write_text(small, "utf-8")
    write_cifar10(tmp_path / "data", train_per_class=5, test_per_class=1)
    request = Request(
        tmp_path / "mine", data_dir=tmp_path / "data", results=tmp_path / "results", sandbox="process"
    )
    record = evaluate(request).record
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason
    assert record.training is not None
    assert record.training.parameters is not None
    assert record.training.parameters.total > 6_000_000
    assert record.training.operations.uncounted == ()
