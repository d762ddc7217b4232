"""Without `--competition` the task decides which rules there are, and so how large an archive may be."""

import secrets
from pathlib import Path

import pytest

from haet_eval.check.preparation import read_submission
from haet_eval.competition import load_competition
from haet_eval.errors import InvalidSubmission
from haet_eval.evaluation.request import Request
from haet_eval.evaluation.unpack import unpack
from haet_eval.progress import Silent

_MANIFEST = '[submission]\nname = "A"\nteam = "B"\ntask = "cifar10"\ndescription = "C"\n'


@pytest.fixture(params=[None, "haet2021"], ids=["by the task", "by name"])
def request_for_much(request: pytest.FixtureRequest, tmp_path: Path) -> Request:
    """A submission within the default limits, and larger than the rules of its task allow."""
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "haet.toml").write_text(_MANIFEST)
    (folder / "submission.py").write_text("def train(task):\n    pass\n")
    allowed = load_competition("haet2021").limits.archive_bytes
    (folder / "knowledge.txt").write_text(secrets.token_hex(allowed))
    return Request(folder, tmp_path, tmp_path / "results", sandbox="process", competition=request.param)


def test_an_evaluation_refuses_a_larger_one(request_for_much: Request) -> None:
    unpacked = unpack(request_for_much, Silent())
    assert unpacked.failure is not None
    assert unpacked.failure.code == "zip-too-large"
    assert unpacked.competition is not None
    assert unpacked.competition.name == "haet2021"


def test_a_check_refuses_a_larger_one(request_for_much: Request) -> None:
    with pytest.raises(InvalidSubmission, match="larger than 65536 bytes"):
        read_submission(request_for_much)
