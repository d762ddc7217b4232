"""One evaluation to be made: what it is known by, and what travels to where it is made."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from haet_eval.competition import Budgets
from haet_eval.record import AuditKind, Sandbox


@dataclass(frozen=True, slots=True)
class Identity:
    """Two evaluations are the same where all of this is; a batch makes none twice.

    Attributes:
        submission: digest of the submission, as in its record.
        competition: digest of the rules.
        haet_eval: version of the program.
        audits: the kind and the seed of each audit of the (first) run.
    """

    submission: str
    competition: str
    seed: int
    runs: int
    sandbox: Sandbox
    device: str
    haet_eval: str
    audits: tuple[tuple[AuditKind, int], ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Job:
    """A submission that can be read, with the rules and options that it is to be judged by.

    Attributes:
        label: what the user reads.
        path: where it lies on the machine that plans.
        competition: name of built-in rules, or path of a file on the machine that plans.
        exclusive: nothing else may run on the machine meanwhile, as time or energy is ranked.
        received_at: when the submission was received, if the list says so.
        archive_name: what the file or folder is called.
    """

    identity: Identity
    label: str
    path: Path
    name: str
    team: str
    task: str
    competition: str
    budgets: Budgets
    exclusive: bool
    received_at: datetime | None = None
    archive_name: str | None = None

    @property
    def key(self) -> str:
        return self.identity.key


@dataclass(frozen=True, slots=True)
class Order:
    """A job with all that another machine needs for it.

    Attributes:
        archive: the zip; the digest of its content is `job.identity.submission`.
        rules: the text of an organizer's own competition file; None where the rules are built in.
        rules_folder: what the paths in them are relative to, the same on every machine.
        data_dir: folder of the data sets where the run is made; None stands for the user's data folder.
        test_data: the secret test set where the run is made, if there is one.
        sources: digest of what the sandbox image must have been built from.
        image: digest of the sandbox image that must be used; None where any image of these sources may.
    """

    job: Job
    archive: bytes
    rules: str | None
    rules_folder: Path | None
    data_dir: Path | None
    test_data: Path | None
    sources: str
    image: str | None
