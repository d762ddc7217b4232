"""The findings on each entry so far: a confirmation that is started again does not repeat these checks."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from haet_eval import __version__
from haet_eval.atomic import Draft
from haet_eval.errors import EnvironmentProblem
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.record import Sandbox
from haet_eval.reports.confirmation import EntryCheck
from haet_eval.seeds import drawn_seed


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds of an entry, drawn at random when its checks begin, so that nobody can prepare for them."""

    resplit: int
    disguise: int
    others: int


# The classes themselves take values of any kind.
_FINDINGS: Final = TypeAdapter(list[EntryCheck])
_SEEDS: Final = TypeAdapter(Seeds)


class Notebook:
    """A file for each record, written again after each check.

    Findings of other rules, another sandbox, another device or another version are not used.

    Args:
        folder: takes the files.
        rules: the digest of the competition's rules.
        sandbox: where the runs are made.
        device: that of the kernels; None for that of each record.
    """

    def __init__(self, folder: Path, rules: str, sandbox: Sandbox, device: str | None) -> None:
        self._folder = folder
        self._circumstances = {
            "rules": rules,
            "sandbox": sandbox,
            "device": device,
            "haet_eval": __version__,
        }
        self._seeds: dict[str, Seeds] = {}
        self._findings: dict[str, dict[str, EntryCheck]] = {}

    def seeds(self, record_id: str) -> Seeds:
        """The seeds of this record."""
        # Seeds are written before they are used: a confirmation that is started again must not draw new ones
        # until it likes the outcome.
        self._open(record_id)
        return self._seeds[record_id]

    def found(self, record_id: str) -> dict[str, EntryCheck]:
        """The findings on this record, by the check's name."""
        self._open(record_id)
        return dict(self._findings[record_id])

    def add(self, record_id: str, finding: EntryCheck) -> None:
        """Keep a finding.

        Raises:
            EnvironmentProblem: the folder cannot be written.
        """
        self._open(record_id)
        self._findings[record_id][finding.name] = finding
        self._write(record_id)

    def _open(self, record_id: str) -> None:
        if record_id in self._seeds:
            return
        try:
            document = json.loads(read_file(self._path(record_id), MAX_TEXT_BYTES))
            # Findings under other circumstances say nothing about these, so the seeds are drawn anew as well.
            if document["circumstances"] == self._circumstances:
                # All is read before anything is kept, so a damaged file leaves no half of it behind.
                findings = _FINDINGS.validate_python(document["findings"])
                self._seeds[record_id] = _SEEDS.validate_python(document["seeds"])
                self._findings[record_id] = {finding.name: finding for finding in findings}
                return
        # KeyError and TypeError: JSON of another shape, such as that of an earlier version.
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass  # the file is missing or damaged: the checks are made again
        self._seeds[record_id] = Seeds(*(drawn_seed() for _ in range(3)))
        self._findings[record_id] = {}
        self._write(record_id)

    def _write(self, record_id: str) -> None:
        document = {
            "circumstances": self._circumstances,
            "seeds": asdict(self._seeds[record_id]),
            "findings": [asdict(finding) for finding in self._findings[record_id].values()],
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # A run behind a finding may have taken hours: the file is replaced whole, or the old one stays.
            with Draft(self._folder) as draft:
                draft.write(json.dumps(document, indent=2).encode())
                draft.replace(self._path(record_id))
        except OSError as error:
            raise EnvironmentProblem(
                f"{self._folder} cannot be written: {error.strerror}",
                "Check the folder and the free space.",
                code="results-not-writable",
            ) from None

    def _path(self, record_id: str) -> Path:
        return self._folder / f"{record_id}.json"
