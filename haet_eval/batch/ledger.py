"""The books of batches in a results folder: finished evaluations, failures on our side, and the lock."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from haet_eval.atomic import Draft
from haet_eval.batch.job import Identity, identity_of
from haet_eval.errors import EnvironmentProblem, Verdict
from haet_eval.files import MAX_TEXT_BYTES, read_file
from haet_eval.locks import lacks_locks
from haet_eval.record import MAX_RECORD_BYTES
from haet_eval.results_folder import BATCHES
from haet_eval.store import Store


@dataclass(frozen=True, slots=True)
class GivenUpEvaluation:
    """Why an evaluation was given up."""

    path: str
    message: str
    hint: str


_FAILURE: Final[TypeAdapter[GivenUpEvaluation]] = TypeAdapter(GivenUpEvaluation)


class Ledger:
    """A folder `.haet-batch` next to the records holds the lock, and a file for each failure.

    Finished evaluations need no book: their records are the proof.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.directory / BATCHES
        self._records: dict[str, list[Path]] | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """In this block no other batch works on these results. The lock ends with the process in any case.

        Raises:
            EnvironmentProblem: another batch works on them, or the folder cannot be written or locked.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # A second batch is refused at once, rather than made to wait or to share the list (decision
            # 0070).
            lock = FileLock(self._folder / "lock").acquire(timeout=0)
        except Timeout:
            raise EnvironmentProblem(
                f"another batch is at work on {self._store.directory}",
                "Wait for its end, or name another folder with --results.",
                code="batch-busy",
            ) from None
        except OSError as error:
            # Another message, because the advice on a folder that cannot be written would not help.
            if lacks_locks(error):
                raise EnvironmentProblem(
                    f"the file system of {self._folder} offers no locks ({error.strerror}),"
                    " which keep two batches apart",
                    "Name a folder on another disk with --results, or mount this one with locks.",
                    code="results-without-locks",
                ) from None
            raise EnvironmentProblem(
                f"{self._folder} cannot be written: {error.strerror}",
                "Name another folder with --results.",
                code="results-not-writable",
            ) from None
        with lock:
            yield

    def record_of(self, identity: Identity) -> Path | None:
        """The record of an evaluation of this identity, if it was judged. It may have more audits."""
        for path, document in self._judgements_of(identity.submission):
            found = identity_of(document)
            if found is None:
                continue
            # A record with more audits than asked for answers the same question, so it counts as this
            # evaluation.
            audits = tuple(audit for audit in found.audits if audit in identity.audits)
            if replace(found, audits=audits) == identity:
                return path
        return None

    def record_of_invalid(self, submission: str, reason: str) -> Path | None:
        """The record that refuses a submission for this reason, if there is one."""
        for path, document in self._judgements_of(submission):
            status = document["status"]
            if (status["verdict"], status["reason"]) == (Verdict.INVALID_SUBMISSION.value, reason):
                return path
        return None

    def failure_of(self, identity: Identity) -> GivenUpEvaluation | None:
        """Why the last batch gave this evaluation up, if it did."""
        try:
            # Checked by types: the class itself takes any values, and whoever shows them expects texts.
            return _FAILURE.validate_json(read_file(self._failure_path(identity), MAX_TEXT_BYTES))
        # The file only explains a failure. If it is damaged, the evaluation is simply a new one.
        except (OSError, ValueError):
            return None

    def put_failure(self, identity: Identity, failure: GivenUpEvaluation) -> None:
        """Keep the reason for giving an evaluation up, if the results can be written."""
        path = self._failure_path(identity)
        # A batch must not end because it cannot take down why a submission failed.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with Draft(path.parent) as draft:
                draft.write(json.dumps(asdict(failure), indent=2).encode())
                draft.replace(path)

    def forget_failure(self, identity: Identity) -> None:
        with suppress(OSError):
            self._failure_path(identity).unlink()

    def _failure_path(self, identity: Identity) -> Path:
        return self._folder / "failures" / f"{identity.key}.json"

    def _judgements_of(self, submission: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The records that judge this submission, as documents."""
        for path in self._records_of(submission):
            document = _document(path)
            # An interrupted evaluation judged nobody (decision 0082). A rerun never ranks, so a submission
            # that has no other record is still to be judged.
            if document and not (document["status"]["verdict"] == "interrupted" or document.get("rerun_of")):
                yield path, document

    def _records_of(self, submission: str) -> list[Path]:
        # Read once for each plan: a batch of many submissions would otherwise list the folder for each of
        # them.
        if self._records is None:
            self._records = defaultdict(list)
            records = self._store.listing().records if self._store.directory.is_dir() else {}
            for path, entry in records.items():
                self._records[entry.submission_sha256].append(path)
        return self._records.get(submission, [])


def _document(path: Path) -> dict[str, Any] | None:
    """The record's document; None if it was removed or damaged since the listing has checked it."""
    try:
        document = json.loads(read_file(path, MAX_RECORD_BYTES))
    except (OSError, ValueError):
        return None
    assert isinstance(document, dict)
    return document
