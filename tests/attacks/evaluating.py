"""Evaluates the attacks in `submissions/` as what they pretend to be: submissions."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

from haet_eval.counting.histogram import Histogram
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from haet_eval.runtimes.folder import abandoned_folders

SUBMISSIONS = Path(__file__).parent / "submissions"
SHARED = ("haet.toml", "honest.py")


@dataclass(frozen=True)
class Attack:
    """What became of an attack."""

    record: Record
    results: Path
    path: Path

    @property
    def histogram(self) -> Histogram:
        """The calls of the training."""
        training = self.record.training
        assert training is not None
        return Histogram.from_json(self._artifact(training.histogram.sha256).read_bytes())

    @property
    def trace_path(self) -> Path:
        assert self.record.trace is not None
        return self._artifact(self.record.trace.sha256)

    def _artifact(self, sha256: str) -> Path:
        (found,) = self.results.rglob(f"*{sha256}*")
        return found

    @property
    def operations(self) -> int:
        assert self.record.training is not None
        return self.record.training.operations.total

    @property
    def output(self) -> str:
        """What the submission printed, and its traceback."""
        return self.record.log.head + self.record.log.tail


def evaluate_attack(
    name: str,
    folder: Path,
    replacing: tuple[str, str] = ("", ""),
    *,
    files: Mapping[str, str] = MappingProxyType({}),
    split_seed: int | None = None,
) -> Attack:
    """Evaluate `submissions/<name>` and make sure that nothing is left of it.

    Args:
        name: of the attack.
        folder: where the submission, the results and the data go.
        replacing: a line of the attacks' competition file, and what to put in its place.
        files: more files of the submission, by name.
        split_seed: to audit it with.
    """
    source = folder / name
    shutil.copytree(SUBMISSIONS / name, source)
    for shared in SHARED:
        shutil.copy(SUBMISSIONS / shared, source)
    for path, text in files.items():
        (source / path).write_text(text)
    rules = (SUBMISSIONS / "competition.toml").read_text()
    assert replacing[0] in rules
    competition = folder / "competition.toml"
    competition.write_text(rules.replace(*replacing) if replacing[0] else rules)
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    request = Request(
        source,
        folder / "data",
        folder / "results",
        str(competition),
        sandbox="process",
        split_seed=split_seed,
    )
    outcome = evaluate(request)
    left = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
    assert not left
    assert not list(abandoned_folders())
    return Attack(outcome.record, folder / "results", outcome.path)
