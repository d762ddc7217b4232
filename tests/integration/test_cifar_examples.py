"""The CIFAR examples run the whole way on archives in CIFAR's own format; accuracy needs the real data."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from tests.fixtures.cifar import write_cifar10, write_cifar100

EXAMPLES = Path(__file__).parents[2] / "submissions"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "complexity_at_least"), [("cifar10-sprint", 10**11), ("cifar100-marathon", 10**12)]
)
def test_a_cifar_example_is_counted_and_scored(
    tmp_path: Path, example: str, complexity_at_least: int
) -> None:
    data = tmp_path / "data"
    write_cifar10(data, train_per_class=5, test_per_class=3)
    write_cifar100(data, train_per_class=1, test_per_class=1)
    request = Request(EXAMPLES / example, data_dir=data, results=tmp_path / "results", sandbox="process")
    record = evaluate(request).record
    assert record.status.verdict in (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD), record.status.reason
    assert record.competition is not None
    assert record.competition.name == "haet2021"
    assert record.dataset is not None
    assert not record.dataset.official
    assert record.training is not None
    assert record.training.operations.uncounted == ()
    assert record.complexity is not None
    assert record.complexity > complexity_at_least
    assert record.evaluation is not None
    assert record.evaluation.total in (30, 100)
