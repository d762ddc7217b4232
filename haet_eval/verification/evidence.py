"""What there is to check a record against: its artefacts, the rules, the data."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from haet_eval.competition import Competition, Task, load_competition
from haet_eval.dataset import Dataset, load_dataset, load_task_data
from haet_eval.errors import HaetError, UsageProblem
from haet_eval.record import Artifact, CompetitionInfo, Record
from haet_eval.store import Store
from haet_eval.verification.check import Check, differs, holds, same, unchecked


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look. `competition` is a file with the rules, None for the built-in ones.

    `test_data` is the test set, where that is secret.
    """

    store: Store
    data_dir: Path
    competition: str | None = None
    test_data: Path | None = None


@dataclass(slots=True)
class Evidence:
    """What was found and is what the record names; nothing else is kept here.

    Attributes:
        files: artefacts by what they are: `trace`, `histogram`, `weights`, `native weights`,
            `predictions`.
        dataset: where there is one before anything is gathered, it is not looked for elsewhere.
    """

    files: dict[str, Path] = field(default_factory=dict)
    competition: Competition | None = None
    dataset: Dataset | None = None

    def task(self, record: Record) -> Task | None:
        """The record's task under its rules, None where these are not at hand."""
        return self.competition.tasks.get(record.submission.task or "") if self.competition else None

    def gather(self, record: Record, sources: Sources) -> Iterator[Check]:
        """Find it all, and say of each piece whether it is what the record names."""
        for name, artifact in _artifacts(record).items():
            yield self._take_file(name, artifact, sources.store)
        yield self._take_rules(record, sources)
        yield self._take_data(record, sources)

    def _take_file(self, name: str, artifact: Artifact, store: Store) -> Check:
        path = store.artifact_path(artifact)
        if path is None:
            return unchecked(name, f"{artifact.sha256[:16]}… is not in {store.artifacts}")
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return unchecked(name, f"{path} cannot be read: {error.strerror}")
        if digest != artifact.sha256:
            return differs(name, f"{path} was changed after it was written: its digest is another")
        self.files[name] = path
        return same(name, artifact.bytes, path.stat().st_size, f"{path.name[:16]}… is there and unchanged")

    def _take_rules(self, record: Record, sources: Sources) -> Check:
        if record.competition is None:
            return unchecked("competition", "the record names none")
        name = record.competition.name
        try:
            rules = load_competition(sources.competition or name)
        except UsageProblem as problem:
            return unchecked("competition", f"{problem.message}; --competition FILE names its rules")
        if rules.digest != record.competition.digest:
            return differs("competition", f"the rules of {rules.name} at hand are not those of the record")
        self.competition = rules
        if not _states_what_ranks(record, record.competition, rules):
            return differs(
                "competition", f"the rules of {name} rank and award otherwise than the record says"
            )
        return holds("competition", f"the rules of {name} are the same today")

    def _load_data(self, record: Record, name: str, sources: Sources) -> Dataset:
        task = self.task(record)
        if task is None or self.competition is None:
            return load_dataset(name, sources.data_dir)
        return load_task_data(task, sources.data_dir, self.competition.folder, sources.test_data)

    def _take_data(self, record: Record, sources: Sources) -> Check:
        if record.dataset is None:
            return unchecked("data set", "the record names none")
        stated = record.dataset
        if self.dataset is not None:
            return same("data set", stated.digest, self.dataset.digest, "drawn anew, it is the same")
        try:
            found = self._load_data(record, stated.name, sources)
        except HaetError as problem:
            return unchecked("data set", f"{problem.message}; {problem.hint}".rstrip("; "))
        if found.digest == stated.digest:
            self.dataset = found
            kind = "the published one" if found.official else "not the published one"
            return same("data set", stated.official, found.official, f"{stated.name} is the same, {kind}")
        if stated.official and found.official:
            return differs("data set", f"the record's {stated.name} is not the published one, as it says")
        return unchecked("data set", f"the {stated.name} at hand is not the one of the record")


def _states_what_ranks(record: Record, stated: CompetitionInfo, rules: Competition) -> bool:
    """Whether the record repeats the rules that leaderboards go by; older ones do not say how many win."""
    return (
        stated.ranking == rules.ranking
        and stated.accuracy_intervals == rules.accuracy_intervals
        and stated.awards in (None, rules.awards)
        and (record.evaluation is None or record.evaluation.metric == rules.metric)
    )


def _artifacts(record: Record) -> dict[str, Artifact]:
    training, native, evaluation = record.training, record.native, record.evaluation
    named = {
        "trace": record.trace,
        "histogram": training.histogram if training else None,
        "weights": training.model if training else None,
        "native weights": native.model if native else None,
        "predictions": evaluation.predictions if evaluation else None,
    }
    return {name: artifact for name, artifact in named.items() if artifact is not None}
