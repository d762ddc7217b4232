"""The request of an evaluation, its check against the rules, its assignment, and its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from haet_eval.competition import Budgets, Competition, Ranking, Task
from haet_eval.dataset import Dataset
from haet_eval.energy.choice import Choice
from haet_eval.errors import UsageProblem
from haet_eval.record import PHASE_OF_RANKING, AuditKind, Record, Sandbox
from haet_eval.submission import Submission

CHECKPOINT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Metering:
    """How to measure energy. `choice` None means `auto` if energy is ranked, and no measurement otherwise."""

    choice: Choice | None = None
    cpu_watts: float | None = None

    def meters(self, ranking: Ranking) -> Choice | None:
        """The meters of a run under rules with this ranking."""
        return self.choice or ("auto" if ranking in PHASE_OF_RANKING else None)


AS_RANKED: Final = Metering()


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how. `competition` and `task` are None if the manifest's task decides.

    Several `runs` differ in their seeds, which are derived from `seed`. With a `split_seed`, the first run is
    audited: the submission is trained once more, on the split that this seed draws. With a `disguise_seed`,
    it is trained once more in the disguise that this seed draws. `count` also runs the counted training if
    the competition asks only for a native one. `test_data` is the test set, if that is secret. `rules_folder`
    is the folder of relative paths in the rules, if it is not the folder of the rules themselves. `hosts` are
    the machines of the nodes, one for each, if not this machine. `received_at` is when the organizer received
    the submission, and `archive_name` the name of its file, if `submission` is a copy. `rerun_of` is the id
    of the record that is repeated.

    A counted training takes a checkpoint after each `checkpoint_seconds`, or none if that is None. They go to
    a folder of the run's own in `run_dir`, or in `runs` in the results. With `resume`, runs of the same
    request that were interrupted go on; `resumed_run` is the folder of the run that the user has named.
    Without `incidents` no file is written about a failure on our side: the results are soon removed.
    """

    submission: Path
    data_dir: Path
    results: Path
    competition: str | None = None
    task: str | None = None
    sandbox: Sandbox = "docker"
    seed: int = 0
    device: str = "cpu"
    runs: int = 1
    split_seed: int | None = None
    disguise_seed: int | None = None
    count: bool = False
    test_data: Path | None = None
    rules_folder: Path | None = None
    metering: Metering = AS_RANKED
    hosts: tuple[str, ...] = ()
    received_at: datetime | None = None
    archive_name: str | None = None
    rerun_of: str | None = None
    checkpoint_seconds: float | None = CHECKPOINT_SECONDS
    run_dir: Path | None = None
    resume: bool = False
    resumed_run: Path | None = None
    incidents: bool = True

    @property
    def audits(self) -> Mapping[AuditKind, int]:
        """The seed of each requested audit."""
        seeds: Mapping[AuditKind, int | None] = {"resplit": self.split_seed, "disguise": self.disguise_seed}
        return {kind: seed for kind, seed in seeds.items() if seed is not None}


@dataclass(frozen=True, slots=True)
class Assignment:
    """A submission with its rules and its data."""

    submission: Submission
    competition: Competition
    task: Task
    budgets: Budgets
    dataset: Dataset

    @property
    def iterations(self) -> int:
        """How often to predict the test images: one pass uses too little energy for a good measurement."""
        rules = self.competition
        return rules.inference_iterations if rules.ranking == "inference_energy" else 1


@dataclass(frozen=True, slots=True)
class WrittenRecord:
    """The record, and the file with it."""

    record: Record
    path: Path


def check_options(request: Request, rules: Competition) -> None:
    """Raises UsageProblem for options of native runs if the competition counts."""
    metering = request.metering
    given = {
        "--count": request.count,
        "--energy": metering.choice is not None,
        "--cpu-watts": metering.cpu_watts is not None,
        "--hosts": bool(request.hosts),
    }
    for option, is_given in given.items():
        if is_given and rules.runner == "counted":
            raise UsageProblem(
                f"{option} needs a competition that ranks time or energy, and {rules.name} counts operations",
                f"Leave {option} out, or name another competition with --competition.",
                code="option-runner",
            )
    if request.split_seed is not None and request.test_data is not None:
        raise UsageProblem(
            "--audit resplit trains on images of the test set with their labels, and --test-data is secret",
            "Leave it out: it looks for labels of test sets that are known. --audit disguise shows none.",
            code="audit-secret",
        )
    if request.hosts:
        _check_hosts(request, rules)


def _check_hosts(request: Request, rules: Competition) -> None:
    """Raises UsageProblem if the nodes cannot run on the named hosts."""
    if request.sandbox != "process":
        raise UsageProblem(
            "--hosts starts processes on other machines, not containers",
            "Add --sandbox process; such records are not official. Without --hosts all nodes are here.",
            code="hosts-sandbox",
        )
    if len(request.hosts) != rules.nodes:
        raise UsageProblem(
            f"--hosts names {len(request.hosts)} hosts, and {rules.name} trains on {rules.nodes} nodes",
            "Name a host for each node; one host may be named more than once.",
            code="hosts-number",
        )
    if request.metering.meters(rules.ranking) not in (None, "none"):
        raise UsageProblem(
            "energy is measured on this machine, and --hosts trains on others",
            "Add --energy none, or leave --hosts out.",
            code="hosts-energy",
        )
