"""`haet-eval confirm`, as an organizer runs it: failed and next entries, kept runs, exit status."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from haet_eval.errors import ExitCode, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Content, Parameters, Record, complexity, seal
from haet_eval.store import Store
from tests.fixtures.pretrained import write_pretrained
from tests.fixtures.submissions import write_competition, write_submission

PATIENCE_SECONDS = 240

HONEST = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))

    def forward(self, images):
        return self.layers(images[:, 0, ::4, ::4].flatten(1).float() / 255)

def train(task):
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(80):
        loss = nn.functional.cross_entropy(model(task.images), task.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model
"""


class Contest:
    """Results of a competition with one award, and the program that confirms its podium."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules = write_competition(folder / "rules.toml", threshold=0.85, wall_seconds=120)
        self.rules.write_text(self.rules.read_text().replace("awards = 3", "awards = 1"))
        self.results = folder / "results"
        self.submissions = folder / "submissions"

    def judge(self, submission: Path) -> Record:
        rules = str(self.rules)
        record = evaluate(Request(submission, self.folder, self.results, rules, sandbox="process")).record
        assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
        return record

    def command(self) -> list[str]:
        program = [sys.executable, "-m", "haet_eval.cli.main", "confirm", str(self.results)]
        options = ("--competition", str(self.rules), "--submissions", str(self.submissions))
        return [*program, *options, "--sandbox", "process", "--jobs", "2", "--json"]

    def confirm(self) -> tuple[int, Any, str]:
        """The exit status, the document, and the messages meanwhile."""
        done = subprocess.run(
            self.command(),
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr

    def interrupt_after(self, text: str) -> str:
        """Start, press Ctrl-C after this message, and return all messages."""
        told = self.folder / "told.txt"
        with told.open("w") as stderr:
            process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=stderr)
            patience = time.monotonic() + PATIENCE_SECONDS
            while text not in told.read_text():
                assert process.poll() is None, told.read_text()
                assert time.monotonic() < patience, told.read_text()
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_SECONDS) == ExitCode.INTERRUPTED
        return told.read_text()


def forged(record: Record) -> Record:
    """A record that says that its model has one parameter, sealed anew."""
    assert record.training is not None
    one = Parameters(total=1, trainable=1, frozen=0, buffers=0)
    training = record.training.model_copy(update={"parameters": one})
    facts = {name: getattr(record, name) for name in Content.model_fields}
    earlier = record.created_at - timedelta(days=1)  # so that it is the record that counts
    cheaper = complexity(training, record.evaluation)
    changes = {"training": training, "complexity": cheaper, "created_at": earlier}
    return seal(Content(**facts | changes))


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    """First comes a pretrained entry, then a forged record of an honest one, then its true record."""
    contest = Contest(tmp_path_factory.mktemp("contest"))
    contest.judge(write_pretrained(contest.submissions / "pretrained", contest.folder, name="pretrained"))
    honest = contest.judge(write_submission(contest.submissions / "honest", HONEST, name="honest"))
    Store(contest.results).add(forged(honest))
    return contest


@pytest.fixture(scope="module")
def settled(contest: Contest) -> tuple[str, tuple[int, Any, str]]:
    """The messages before an interruption, and the result of a second start."""
    return contest.interrupt_after("pretrained: perturbed replay holds"), contest.confirm()


def test_what_falls_is_replaced_until_the_podium_is_full(
    contest: Contest, settled: tuple[str, tuple[int, Any, str]]
) -> None:
    _, (status, document, told) = settled
    assert status == ExitCode.QUALIFIED, told
    assert json.loads((contest.results / "rehearsal-practice" / "confirmed.json").read_text()) == document
    assert (contest.results / "rehearsal-practice" / "index.html").read_text().count("<details") == 3
    pretrained, forgery, honest = document["entries"]
    assert [entry["name"] for entry in document["entries"]] == ["pretrained", "honest", "honest"]
    assert [entry["held"] for entry in document["entries"]] == [False, False, True]
    assert document["confirmed"] == [honest["record_id"]]
    assert document["full"]
    fallen = {check["name"] for check in pretrained["checks"] if not check["held"]}
    assert "audit disguise" in fallen
    assert fallen <= {"audit disguise", "audit resplit"}
    assert [(check["name"], check["held"]) for check in forgery["checks"]] == [("verify", False)]
    assert [check["name"] for check in honest["checks"] if check["held"]] == [
        "verify",
        "replay",
        "perturbed replay",
        "rerun",
        "audit resplit",
        "audit disguise",
        "other seeds",
    ]


def test_no_check_is_made_twice_after_an_interruption(settled: tuple[str, tuple[int, Any, str]]) -> None:
    before, (_, document, after) = settled
    first = document["entries"][0]["record_id"][:8]
    for check in ("verify", "replay", "perturbed replay"):
        line = f"{first} pretrained: {check}: started"
        assert line in before
        assert line not in after
    assert f"{first} pretrained: audit disguise" in after


def test_a_podium_that_is_not_full_has_status_1(
    contest: Contest, settled: tuple[str, tuple[int, Any, str]]
) -> None:
    """And nothing is made again."""
    honest = settled[1][1]["confirmed"][0]
    (path,) = contest.results.glob(f"*{honest}.json")
    path.rename(path.with_suffix(".elsewhere"))
    try:
        status, document, told = contest.confirm()
    finally:
        path.with_suffix(".elsewhere").rename(path)
    assert status == ExitCode.NOT_QUALIFIED
    assert (document["confirmed"], document["full"]) == ([], False)
    assert "started" not in told


def test_a_submission_that_is_not_here_leaves_its_entry_undecided(
    contest: Contest, settled: tuple[str, tuple[int, Any, str]]
) -> None:
    """Nobody falls for that, and nobody takes the place."""
    moved = contest.folder / "elsewhere"
    contest.submissions.rename(moved)
    contest.submissions.mkdir()
    findings = contest.results / "rehearsal-practice" / "findings"
    findings.rename(contest.folder / "findings")
    try:
        status, document, _ = contest.confirm()
    finally:
        shutil.rmtree(findings)
        (contest.folder / "findings").rename(findings)
        contest.submissions.rmdir()
        moved.rename(contest.submissions)
    assert status == ExitCode.ENVIRONMENT
    assert document["confirmed"] == []
    (entry,) = document["entries"]
    assert "no submission has the digest" in entry["undecided"]
