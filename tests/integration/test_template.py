"""The template, judged as it is."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation import Request, evaluate
from haet_eval.starter import start_submission


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
