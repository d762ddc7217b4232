"""What is asked of an evaluation, and what it gives."""

from dataclasses import dataclass
from pathlib import Path

from haet_eval.evaluation.metering import AS_RANKED, Metering
from haet_eval.record import Record, Sandbox


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how. `competition` and `task` are None where the manifest's task decides.

    Several `runs` differ in their seeds, which are derived from `seed`. With a `split_seed`, the first of
    them is audited: trained once more, on the split that this draws. `count` also runs the counted training
    where the competition asks for a native one only. `test_data` is the test set, where that is secret;
    `rules_folder` is what the paths in the rules are relative to, where that is not their own folder.
    `hosts` are the machines that the nodes run on, one for each, if not this one.
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
    count: bool = False
    test_data: Path | None = None
    rules_folder: Path | None = None
    metering: Metering = AS_RANKED
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The record, as it was written to `path`."""

    record: Record
    path: Path
