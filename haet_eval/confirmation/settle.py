"""Goes down the provisional ranking until as many entries hold as there are awards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from haet_eval.batch.events import Checked, RunStarted
from haet_eval.batch.run import BatchSettings, BatchSummary, Reporting
from haet_eval.confirmation.checks import RECORD_CHECKS, RUN_CHECKS, Case, Undecided, finding, look_at
from haet_eval.confirmation.notebook import Notebook
from haet_eval.confirmation.podium import Podium
from haet_eval.confirmation.runs import AwaitedRun, NamedCompetition, OpenSite, make_all, make_run
from haet_eval.errors import Verdict
from haet_eval.ranking import Entry
from haet_eval.record import AuditKind, Record, Sandbox
from haet_eval.reports.confirmation import EntryCheck, Examined, SettledPool
from haet_eval.store import read_record
from haet_eval.verification.evidence import Sources
from haet_eval.verification.replaying import ReplayPlace


@dataclass(frozen=True, slots=True)
class ConfirmationSettings:
    """The settings of the checks.

    Attributes:
        paths: the file of each record, by its id.
        submissions: the submissions that are here, by their digests.
        batch: the settings of the runs; their records go to its results.
        device: the device of the kernels; None for that of each record.
    """

    rules: NamedCompetition
    paths: Mapping[str, Path]
    submissions: Mapping[str, Path]
    sources: Sources
    sandbox: Sandbox
    device: str | None
    notebook: Notebook
    batch: BatchSettings
    reporting: Reporting
    open_site: OpenSite


@dataclass(frozen=True, slots=True)
class PoolOutcome:
    """The result of a pool, and of its last batch of runs. If that gave runs up, the pool is not settled."""

    settled: SettledPool
    summary: BatchSummary


def settle(podium: Podium, setting: ConfirmationSettings) -> PoolOutcome:
    """Examine the first entries, and the next ones in place of those that fail, until the podium is full.

    Raises:
        HaetError: the checks cannot be made here.
        KeyboardInterrupt: the user stopped the checks; the same call continues with the remaining ones.
    """
    # The numbers that the leaderboard has.
    places = {place.entry.record_id: place.position for place in podium.places}
    examined: list[Examined] = []
    summary = BatchSummary()
    # One round makes the runs of all places that are open, as one batch: an entry each would leave nodes
    # idle.
    while missing := podium.awards - sum(one.held for one in examined):
        following = list(islice(_next(podium, examined), missing))
        # An undecided entry may still hold, so nobody is examined in its place: awards are not given twice.
        if not following or any(one.undecided for one in examined):
            break
        checker = _Checker(setting)
        summary = checker.check(following)
        examined += [checker.examined(entry, places[entry.record_id]) for entry in following]
    # Further records of a submission that fell come in a later round, and may belong to an earlier place.
    in_order = sorted(examined, key=lambda one: one.position)
    return PoolOutcome(SettledPool(podium.pool, podium.awards, tuple(in_order)), summary)


def _next(podium: Podium, examined: Sequence[Examined]) -> Iterator[Entry]:
    """The entries to examine next, each submission once.

    A submission that has passed or failed is not examined again. If only its record is not sound, the
    submission has not failed: anybody may forge a record of someone else's submission.
    """
    over = {one.entry.record_id for one in examined}
    settled = {
        one.entry.submission_sha256
        for one in examined
        # Findings of runs are about the submission. Findings of the first checks are about the record alone.
        if one.undecided or any(finding.name in RUN_CHECKS for finding in one.findings)
    }
    for entry in podium.entries:
        if entry.record_id not in over and entry.submission_sha256 not in settled:
            settled.add(entry.submission_sha256)
            yield entry


class _Checker:
    """Makes the checks of some entries, except those that were made before."""

    def __init__(self, setting: ConfirmationSettings) -> None:
        self._setting = setting
        self._notebook = setting.notebook
        self._undecided: dict[str, str] = {}

    def check(self, entries: Sequence[Entry]) -> BatchSummary:
        """Check the records first; then the runs of all entries with sound records, as one batch."""
        # Runs are dear, and a record that is forged must not cost any.
        sound = [entry for entry in entries if self._is_sound(entry)]
        runs = {entry.record_id: self._runs(entry) for entry in sound}
        summary, record_of = make_all(
            [run for some in runs.values() for run in some],
            self._setting.batch,
            self._setting.reporting,
            self._setting.open_site,
        )
        for entry in sound:
            found: dict[str, Record | None] = {run.of: record_of(run) for run in runs[entry.record_id]}
            self._conclude(entry, found)
        return summary

    def examined(self, entry: Entry, position: int) -> Examined:
        """The findings on an entry so far."""
        found = self._notebook.found(entry.record_id)
        names = [name for name in (*RECORD_CHECKS, *RUN_CHECKS) if name in found]
        findings = [found[name] for name in names]
        lacking = [name for name in (*RECORD_CHECKS, *RUN_CHECKS) if name not in found]
        undecided = self._undecided.get(entry.record_id, "")
        # If a check has failed, those that were not made no longer matter.
        if lacking and not undecided and all(one.held for one in findings):
            undecided = f"{', '.join(lacking)} failed on our side; start again"
        return Examined(entry, position, tuple(findings), undecided)

    def _is_sound(self, entry: Entry) -> bool:
        """Whether all checks of the record itself hold; the first failure ends them.

        A check that could not be made is not kept: the next start makes it again.
        """
        setting, name = self._setting, entry.record_id
        case = Case(setting.paths[name], setting.sources, ReplayPlace(setting.sandbox, setting.device))
        for check, look in RECORD_CHECKS.items():
            # Found by an earlier start: replays of long trainings are not repeated.
            found = self._notebook.found(name).get(check)
            if found is None:
                setting.reporting.tell(RunStarted(_label(entry, check), 1))
                try:
                    found = finding(check, look_at(case, look))
                except Undecided as reason:
                    self._undecided[name] = f"{check} could not be made: {reason}"
                    return False
                self._add(entry, found)
            if not found.held:
                return False
        if entry.submission_sha256 not in setting.submissions:
            digest = entry.submission_sha256
            self._undecided[name] = (
                f"no submission has the digest {digest[:16]}…; --submissions DIR says where"
            )
            return False
        return True

    def _runs(self, entry: Entry) -> list[AwaitedRun]:
        """The runs that the remaining checks need."""
        setting, name = self._setting, entry.record_id
        left = [check for key, check in RUN_CHECKS.items() if key not in self._notebook.found(name)]
        # All audits, though some may be concluded: they are part of the key of the run, which is then found
        # again.
        audits: list[AuditKind] = [
            check.audit for check in RUN_CHECKS.values() if check.audit and not self._is_secret(check.audit)
        ]
        record = read_record(setting.paths[name])
        return [
            make_run(
                of,
                record,
                setting.submissions[entry.submission_sha256],
                self._notebook.seeds(name),
                audits,
                setting.rules,
                setting.sandbox,
                setting.device,
            )
            # Three checks share one run, so each run is planned once.
            for of in dict.fromkeys(check.of for check in left)
        ]

    def _conclude(self, entry: Entry, found: Mapping[str, Record | None]) -> None:
        setting, name = self._setting, entry.record_id
        record = read_record(setting.paths[name])
        task = setting.rules.competition.task(record.submission.task or "")
        for key, check in RUN_CHECKS.items():
            # Without a finding here the entry stays undecided, and the next start makes the run again.
            again = found.get(check.of)
            if key in self._notebook.found(name):
                continue
            # The split would put secret test images and their labels into the submission's training set.
            if check.audit and self._is_secret(check.audit):
                self._add(
                    entry, EntryCheck(key, True, "not made: it would give away labels of the secret test set")
                )
            elif again is not None and not _is_ours(again, check.audit):
                self._add(entry, finding(key, check.conclude(record, again, task)))

    def _is_secret(self, kind: AuditKind) -> bool:
        return kind == "resplit" and self._setting.batch.test_data is not None

    def _add(self, entry: Entry, found: EntryCheck) -> None:
        self._notebook.add(entry.record_id, found)
        label = _label(entry, found.name)
        self._setting.reporting.tell(Checked(label, found.held, found.detail))


def _is_ours(again: Record, audit: AuditKind | None) -> bool:
    """Whether the run failed on our side: it was interrupted, or it predicted and yet lacks this audit."""
    return again.status.verdict is Verdict.INTERRUPTED or (
        audit is not None
        and again.evaluation is not None
        and audit not in [found.kind for found in again.audits]
    )


def _label(entry: Entry, check: str) -> str:
    return f"{entry.record_id[:8]} {entry.name}: {check}"
