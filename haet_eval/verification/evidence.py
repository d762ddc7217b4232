"""The evidence for the checks of a record: its artefacts, the rules, the data."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from haet_eval.competition import (
    Competition,
    Task,
    builtin_competitions,
    builtin_in_version_1,
    load_competition,
)
from haet_eval.dataset import Dataset, dataset_names, load_dataset, load_task_data
from haet_eval.errors import HaetError, Verdict
from haet_eval.files import open_file
from haet_eval.record import Artifact, CompetitionInfo, DatasetInfo, Record
from haet_eval.remote.weights import MAX_WEIGHTS_BYTES
from haet_eval.spelling import quoted
from haet_eval.store import MAX_ARTIFACT_BYTES, Store
from haet_eval.verification.check import Check, differs, holds, same, stated, unchecked

_MAX_LINES_BYTES: Final = 64 * 1024**2
_MOST_BYTES: Final[Mapping[str, int]] = {
    "histogram": _MAX_LINES_BYTES,
    "predictions": _MAX_LINES_BYTES,
    "weights": MAX_WEIGHTS_BYTES,
}
"""Size limits of artefacts that are read into memory as a whole."""

_DataKey = tuple[str, Task | None, Path | None]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look. `competition` is a file with the rules; None for the built-in ones.

    `test_data` is the test set, if that is secret. `loaded` keeps the last data set, because many records
    have the same one.
    """

    store: Store
    data_dir: Path
    competition: str | None = None
    test_data: Path | None = None
    loaded: dict[_DataKey, Dataset] = field(default_factory=dict)

    def rules(self, name: str, schema_version: int) -> Competition | None:
        """The rules of that name, or those of the file; None if no rules have that name.

        Records of schema version 1 were judged by the rules as 0.1.0 read them. The name in a record is never
        used as a path: a hostile record could otherwise choose its own rules.

        Raises:
            UsageProblem: the file cannot be read, or holds no valid rules.
        """
        # A file stands for built-in rules only if it has their name. So one `--competition` fits a folder
        # with records of several competitions.
        given = load_competition(self.competition) if self.competition else None
        if given is not None and (given.name == name or name not in builtin_competitions()):
            return given.as_in_version_1() if schema_version == 1 else given
        if name not in builtin_competitions():
            return None
        return builtin_in_version_1(name) if schema_version == 1 else load_competition(name)

    def dataset(self, name: str, task: Task | None, folder: Path | None) -> Dataset:
        """The data set of a task, or the published one of that name.

        Raises:
            HaetError: the data set cannot be loaded.
        """
        key = (name, task, folder)
        if key not in self.loaded:
            # One data set at a time: several of them may not fit into memory together.
            self.loaded.clear()
            self.loaded[key] = (
                load_dataset(name, self.data_dir)
                if task is None
                else load_task_data(task, self.data_dir, folder, self.test_data)
            )
        return self.loaded[key]


@dataclass(slots=True)
class Evidence:
    """The evidence that was found and has the digests that the record names; nothing else is kept here.

    Attributes:
        files: artefacts by their kind: `trace`, `histogram`, `weights`, `native weights`, `predictions`.
        dataset: the data set. If it is given before `gather`, no other one is loaded.
    """

    files: dict[str, Path] = field(default_factory=dict)
    competition: Competition | None = None
    dataset: Dataset | None = None

    def task(self, record: Record) -> Task | None:
        """The record's task under its rules; None if the rules are not here."""
        return self.competition.tasks.get(record.submission.task or "") if self.competition else None

    def gather(self, record: Record, sources: Sources) -> Iterator[Check]:
        """Find all pieces, and check for each whether it has the digest that the record names."""
        for name, artifact in named_artifacts(record).items():
            yield self._take_file(name, artifact, sources.store)
        # The rules come before the data, because they say which data set the task has and in which folder.
        yield self._take_rules(record, sources)
        yield self._take_data(record, sources)

    def _take_file(self, name: str, artifact: Artifact, store: Store) -> Check:
        path = store.artifact_path(artifact)
        if path is None:
            # A record that names a file claims that the file exists. A missing file is never agreement
            # (decision 0060).
            return differs(name, f"{artifact.sha256[:16]}… is missing: it is not in {store.artifacts}")
        try:
            with open_file(path, _MOST_BYTES.get(name, MAX_ARTIFACT_BYTES)) as file:
                # The size is compared first: it is quick, and a file that was cut off gets a line that says
                # so.
                size = path.stat().st_size
                if size != artifact.bytes:
                    return differs(name, f"{path} has {size:,} bytes, the record says {artifact.bytes:,}")
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return differs(name, f"{path} cannot be read: {error.strerror}")
        if digest != artifact.sha256:
            return differs(name, f"{path} was changed after it was written: its digest is another")
        # Only files with the right digest are evidence. The other checks then report that something is
        # missing.
        self.files[name] = path
        return holds(name, f"{path.name[:16]}… is there and unchanged")

    def _take_rules(self, record: Record, sources: Sources) -> Check:
        subject, named = "competition", record.competition
        if named is None:
            if record.status.stage == "unpack":
                return stated(subject, "the record names none: the submission was refused before")
            return differs(subject, "the record names none, and a run began")
        rules = sources.rules(named.name, record.schema_version)
        if rules is None:
            return _without_rules(subject, named)
        if rules.name != named.name:
            return differs(subject, f"the record says {named.name}, the rules here are {rules.name}")
        if rules.digest != named.digest:
            return differs(subject, f"the rules of {rules.name} here are not those of the record")
        # The digest is right, so these are the rules. They serve as evidence even if the record misquotes
        # them below.
        self.competition = rules
        if not _states_what_ranks(record, named, rules):
            return differs(
                subject, f"the rules of {named.name} rank and award otherwise than the record says"
            )
        # A submission can be refused because its manifest names no task of the competition. Its record says
        # that name.
        if self.task(record) is None and record.status.verdict is not Verdict.INVALID_SUBMISSION:
            return differs(subject, f"{named.name} has no task {quoted(str(record.submission.task))}")
        return holds(subject, f"the rules of {named.name} are the same today")

    def _take_data(self, record: Record, sources: Sources) -> Check:
        subject, named = "data set", record.dataset
        if named is None:
            if record.status.stage == "unpack":
                return stated(subject, "the record names none: no run began")
            return differs(subject, "the record names none, and a run began")
        task = self.task(record)
        if task is not None and task.dataset != named.name:
            return differs(subject, f"the record says {named.name}, the rules say {task.dataset}")
        # An audit's data were drawn again and given to this evidence. No folder holds them.
        if self.dataset is not None:
            found = self.dataset
            return same(subject, named, _info(found), "drawn anew, it is the same")
        if task is None and named.name not in dataset_names():
            return unchecked(
                subject, f"there is no published data set {quoted(named.name)}; its rules are needed"
            )
        folder = self.competition.folder if self.competition else None
        try:
            found = sources.dataset(named.name, task, folder)
        except HaetError as problem:
            return unchecked(subject, problem.with_hint)
        if found.digest == named.digest:
            self.dataset = found
            kind = "the published one" if found.official else "not the published one"
            return same(subject, named.official, found.official, f"{named.name} is the same, {kind}")
        # There is only one published set of each name, so two digests cannot both be official.
        if named.official and found.official:
            return differs(subject, f"the record's {named.name} is not the published one, as it says")
        return unchecked(subject, f"the {named.name} here is not the one of the record")


def _without_rules(subject: str, named: CompetitionInfo) -> Check:
    """The check if no rules have that name. If the same rules have another name, the record's is wrong."""
    for name in builtin_competitions():
        # Otherwise a renamed competition would pass as one whose rules are not here, which accuses nobody.
        if named.digest in (load_competition(name).digest, builtin_in_version_1(name).digest):
            return differs(subject, f"the record says {named.name}, its digest is that of {name}")
    return unchecked(
        subject,
        f"there are no built-in rules {quoted(named.name)}; --competition FILE names an organizer's own",
    )


def _info(data: Dataset) -> DatasetInfo:
    return DatasetInfo(name=data.name, digest=data.digest, official=data.official)


def _states_what_ranks(record: Record, stated: CompetitionInfo, rules: Competition) -> bool:
    """Whether the record repeats the rules that leaderboards use; older records lack the number of awards."""
    return (
        stated.ranking == rules.ranking
        and stated.accuracy_intervals == rules.accuracy_intervals
        and stated.awards in (None, rules.awards)
        and stated.judging_digest in (None, _judging_digest(record, rules))
        and (stated.judging_digest is not None or record.schema_version == 1 or record.dataset is None)
        and stated.counts == rules.runs.counts
        and stated.entries_per_team == rules.entries_per_team
        and (stated.opens, stated.closes) == rules.window()
        and stated.threshold in (None, _threshold(record, rules))
        and (record.evaluation is None or record.evaluation.metric == rules.metric)
    )


def _judging_digest(record: Record, rules: Competition) -> str | None:
    task = record.submission.task
    return rules.judging_digest(task) if task in rules.tasks else None


def _threshold(record: Record, rules: Competition) -> float | None:
    task = record.submission.task
    return rules.tasks[task].threshold if task in rules.tasks else None


def named_artifacts(record: Record) -> dict[str, Artifact]:
    """The artefacts of one run by their kind, as in `Evidence.files`."""
    training, native, evaluation = record.training, record.native, record.evaluation
    named = {
        "trace": record.trace,
        "histogram": training.histogram if training else None,
        "weights": training.model if training else None,
        "labels": training.labels if training else None,
        "native weights": native.model if native else None,
        "predictions": evaluation.predictions if evaluation else None,
        "reports": record.history,
    }
    return {name: artifact for name, artifact in named.items() if artifact is not None}
