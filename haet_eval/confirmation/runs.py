"""The evaluations that checks need, as jobs of a batch: planned, found again, judged by its executor."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from haet_eval import __version__
from haet_eval.batch.capacity import exclusive
from haet_eval.batch.job import BatchJob, Identity
from haet_eval.batch.ledger import Ledger
from haet_eval.batch.plan import BatchPlan, Item, Options, SubmissionState
from haet_eval.batch.run import BatchSettings, BatchSummary, Reporting, RunningBatch
from haet_eval.batch.site import Site
from haet_eval.batch.sources import SubmissionSource
from haet_eval.competition import Competition
from haet_eval.confirmation.notebook import Seeds
from haet_eval.errors import InvalidSubmission, UsageProblem
from haet_eval.record import AuditKind, Record, Sandbox
from haet_eval.store import Store, read_record
from haet_eval.submission import ArchiveLimits, load_submission
from haet_eval.submission.manifest import MANIFEST_NAME

OpenSite: TypeAlias = Callable[[BatchPlan], Site]

OTHER_SEEDS = 2


@dataclass(frozen=True, slots=True)
class NamedCompetition:
    """A competition, by a built-in name or a path."""

    name: str
    competition: Competition


@dataclass(frozen=True, slots=True)
class AwaitedRun:
    """One evaluation for which some checks of an entry wait."""

    of: Literal["again", "other seeds"]
    job: BatchJob


def make_run(
    of: Literal["again", "other seeds"],
    record: Record,
    submission: Path,
    seeds: Seeds,
    audits: Iterable[AuditKind],
    rules: NamedCompetition,
    sandbox: Sandbox,
    device: str | None,
) -> AwaitedRun:
    """The same seed again with these audits, or two other seeds."""
    info, competition = record.submission, rules.competition
    task = info.task or ""
    drawn = {"resplit": seeds.resplit, "disguise": seeds.disguise}
    again = of == "again"
    identity = Identity(
        submission=info.sha256,
        # All of this makes the key by which a later start finds the record of this run again.
        competition=competition.digest,
        seed=record.environment.seed if again else seeds.others,
        runs=1 if again else OTHER_SEEDS,
        sandbox=sandbox,
        device=device or record.environment.device,
        haet_eval=__version__,
        # Other seeds are not audited: one audit of each kind is enough, and each is a whole training.
        audits=tuple((kind, drawn[kind]) for kind in audits) if again else (),
    )
    job = BatchJob(
        identity=identity,
        label=f"{record.record_id[:8]} {info.name}: {of}",
        path=submission,
        name=info.name or "",
        team=info.team or "",
        task=task,
        competition=rules.name,
        budgets=competition.budgets_for(task),
        exclusive=exclusive(competition),
    )
    return AwaitedRun(of, job)


def make_all(
    runs: Sequence[AwaitedRun], settings: BatchSettings, reporting: Reporting, open_site: OpenSite
) -> tuple[BatchSummary, Callable[[AwaitedRun], Record | None]]:
    """Make the runs that have no record yet. Returns the batch's summary, and a function to their records.

    Raises:
        EnvironmentProblem: the executor or the folder of the records cannot be used.
        KeyboardInterrupt: the user stopped the batch; finished runs are kept.
    """
    store = Store(settings.results)
    ledger = Ledger(store)
    # Two confirmations in one folder would otherwise make the same runs.
    with ledger.locked():
        plan = BatchPlan(tuple(_item(run.job, ledger) for run in runs))
        summary = RunningBatch(plan, settings, ledger, reporting).run(lambda: open_site(plan))
    # Read anew: the ledger above knows only the records from before the batch.
    records, now = Ledger(store), {label: outcome.record for label, outcome in summary.outcomes}

    def record_of(run: AwaitedRun) -> Record | None:
        path = records.record_of(run.job.identity)
        # An interrupted run has a record that the ledger does not take for done.
        return read_record(path) if path else now.get(run.job.label)

    return summary, record_of


def _item(job: BatchJob, ledger: Ledger) -> Item:
    done = ledger.record_of(job.identity)
    identity = job.identity
    options = Options(
        job.competition, job.task, identity.sandbox, identity.seed, identity.runs, identity.device
    )
    state = SubmissionState.DONE if done else SubmissionState.NEW
    return Item(_NamedSource(job.path, text=job.label), state, options, job.key, job, str(done or ""))


@dataclass(frozen=True, slots=True)
class _NamedSource(SubmissionSource):
    """A submission of which a batch makes several evaluations, each shown by a name of its own."""

    text: str = ""

    @property
    def label(self) -> str:
        return self.text


def find_submissions(folder: Path, *, deep: bool, limits: ArchiveLimits) -> dict[str, Path]:
    """The submissions in a folder by their digests: zips, and folders with a manifest.

    `deep` looks into folders of folders as well. Files that are not sound submissions are skipped.
    """
    # Below a results folder lie runs and artefacts, perhaps many: only a folder that was named is searched
    # through.
    zips = folder.rglob("*.zip") if deep else folder.glob("*.zip")
    manifests = folder.rglob(MANIFEST_NAME) if deep else folder.glob(f"*/{MANIFEST_NAME}")
    found: dict[str, Path] = {}
    for path in sorted([*zips, *(manifest.parent for manifest in manifests)]):
        try:
            found.setdefault(load_submission(path, limits).sha256, path)
        # A folder of entries holds many that broke a rule. They have no place, so nobody looks for them.
        except (InvalidSubmission, UsageProblem):
            continue
    return found
