"""One evaluation to make: its identity, and the order that travels to the machine that makes it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from haet_eval.competition import Budgets
from haet_eval.record import AuditKind, Sandbox


@dataclass(frozen=True, slots=True)
class Identity:
    """Two evaluations are the same if all of these fields are equal; a batch makes no evaluation twice.

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
        """SHA-256 of all fields."""
        # The key names a file and travels in events, so it has a fixed length and no special characters.
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def identity_of(document: Mapping[str, Any]) -> Identity | None:
    """The identity of the evaluation that a record's document is of; None if it names no rules."""
    rules, environment = document["competition"], document["environment"]
    if rules is None:
        return None
    audits = (document.get("audit"), document.get("second_audit"))
    return Identity(
        submission=document["submission"]["sha256"],
        competition=rules["digest"],
        seed=environment["seed"],
        runs=len(document.get("runs") or [None]),
        sandbox=environment["sandbox"],
        device=environment["device"],
        haet_eval=environment["haet_eval"],
        audits=tuple((audit["kind"], audit["split_seed"]) for audit in audits if audit),
    )


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A submission that can be read, with the rules and options for its evaluation.

    Attributes:
        label: the name of the submission for the user.
        path: its path on the machine that plans.
        competition: name of built-in rules, or path of a file on the machine that plans.
        exclusive: whether no other run may use the machine meanwhile, because time or energy is ranked.
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
    """A job with everything that another machine needs for it.

    Attributes:
        archive: the zip; the digest of its content is `job.identity.submission`.
        rules: the text of an organizer's own competition file; None if the rules are built in.
        rules_folder: the folder of relative paths in the rules, the same on every machine.
        data_dir: folder of the data sets on the machine of the run; None for the user's data folder.
        test_data: the secret test set on the machine of the run, if there is one.
        sources: digest of the sources from which the sandbox image must have been built.
        image: digest of the required sandbox image; None if any image of these sources is allowed.
        checkpoint_seconds: the time between two checkpoints of a training; None for none.
        run_dir: the folder of the checkpoints on the machine of the run; None for the results folder there.
    """

    job: BatchJob
    archive: bytes
    rules: str | None
    rules_folder: Path | None
    data_dir: Path | None
    test_data: Path | None
    sources: str
    image: str | None
    checkpoint_seconds: float | None = None
    run_dir: Path | None = None
