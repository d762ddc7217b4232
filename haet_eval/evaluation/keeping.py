"""Keeps the results of an evaluation: among temporary files until it is over, then in the results folder."""

import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from shlex import quote

from haet_eval.errors import EnvironmentProblem, ExitCode, HaetError, UsageProblem, Verdict
from haet_eval.evaluation.request import Assignment, Request
from haet_eval.record import Record, artifacts_of
from haet_eval.results_folder import INTERRUPTED_RUNS
from haet_eval.runtimes.folder import RunFolder
from haet_eval.store import Store, read_record


class KeptElsewhere(HaetError):
    """The submission was judged, but the results folder cannot be written. The record is kept elsewhere.

    This is an error of its own so that nobody judges the submission again: that would waste the work.
    """

    exit_code = ExitCode.ENVIRONMENT


class _AtHand(Store):
    """A store among the temporary files."""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # The store's own message blames the results folder, and these files lie elsewhere.
            raise EnvironmentProblem(
                f"temporary files cannot be written to {self.directory.parent}: {error.strerror}",
                "Make room there, or set TMPDIR to another folder.",
                code="no-temporary-folder",
            ) from error


class Keeping:
    """The results of one evaluation on their way to the results folder.

    All files are written among the temporary files first, so that a failing disk of results loses nothing.

    Attributes:
        store: takes the artefacts.
    """

    def __init__(self, folder: RunFolder, results: Store) -> None:
        self.store: Store = _AtHand(folder.path / "kept")
        self._results = results
        self._runs: Store | None = None
        self._not_kept: list[Record] = []

    def finish(self, record: Record) -> Path:
        """Put the record into the results, after its artefacts. Returns its file.

        Raises:
            KeptElsewhere: the results cannot be written; the message names the folder with all files.
            EnvironmentProblem: that folder cannot be written either.
        """
        try:
            # Artefacts first: no record ever names a file that is missing.
            self._results.take_in(self.store)
            path = self._results.add(record)
        except EnvironmentProblem as problem:
            raise self._elsewhere(record, problem) from problem
        # After an interruption the finished runs are still needed: the same request goes on with the others.
        if self._runs and record.status.verdict is not Verdict.INTERRUPTED:
            shutil.rmtree(self._runs.directory, ignore_errors=True)
            with suppress(OSError):
                self._runs.directory.parent.rmdir()  # unless another evaluation has runs there
        return path

    def _elsewhere(self, record: Record, problem: EnvironmentProblem) -> HaetError:
        runs = self._not_kept if record.status.verdict is Verdict.INTERRUPTED else []
        folder = self._moved([record], runs)
        if folder is None:
            return problem
        return KeptElsewhere(
            f"{problem.message}; the record and its artefacts are kept in {folder}",
            f"{problem.hint} Then take them in: {self._command(folder)}",
            code="results-kept-elsewhere",
        )

    def runs_elsewhere(self) -> tuple[str, str] | None:
        """Keep the finished runs elsewhere that the results did not take, when a later run has failed.

        Returns:
            What names the place, and the command that takes them in; None without such runs, or if that place
            cannot be written either.
        """
        folder = self._moved([], self._not_kept) if self._not_kept else None
        if folder is None:
            return None
        where = (
            f"the results directory {self._results.directory} did not take the runs that are over;"
            f" they ({len(self._not_kept)}) are kept in {folder}"
        )
        return where, (
            "When it can be written, take them in; then the same command goes on after them:"
            f" {self._command(folder)}"
        )

    def _moved(self, records: list[Record], runs: list[Record]) -> Path | None:
        """Keep records, and finished runs, in a folder beside the temporary files; None if that fails."""
        folder = Path(tempfile.gettempdir()) / f"haet-eval.kept-{(records or runs)[0].record_id}"
        try:
            for record in records:
                self.store.add(record)
            for run in runs:
                self._runs_below(self.store.directory).add(run)
            # Out of the folder of the run, which is removed at the end of the evaluation.
            self.store.directory.rename(folder)
            # The folder of the run kept other users out. The new place is one that they can list.
            folder.chmod(0o700)
        except (EnvironmentProblem, OSError):
            return None
        return folder

    def _runs_below(self, directory: Path) -> Store:
        assert self._runs is not None
        # The same path below the folder as below the results, so that one copy puts runs and records in
        # place.
        return _AtHand(directory / self._runs.directory.relative_to(self._results.directory))

    def _command(self, folder: Path) -> str:
        return f"cp -r {quote(str(folder))}/. {quote(str(self._results.directory))}/"

    # Several runs: each is kept when it is over, so that a fault in a later one does not lose it.

    def finished_runs(
        self, request: Request, assignment: Assignment, software: Mapping[str, str | None]
    ) -> dict[int, Record]:
        """Finished runs, by their seed, of an earlier evaluation with the same request and software.

        That evaluation failed on our side, or was stopped, before all of its runs were over.
        """
        key = _key(request, assignment, software)
        self._runs = Store(self._results.directory / INTERRUPTED_RUNS / key)
        found = {}
        for path in self._runs.directory.glob("*.json"):
            with suppress(UsageProblem):  # a damaged file is not a run: that run is made again
                record = read_record(path)
                # The record of all runs names the artefacts of each, so a run without them cannot be taken.
                if all(self._results.artifact_path(artifact) for _, artifact in artifacts_of(record)):
                    found[record.environment.seed] = record
        return found

    def keep_run(self, record: Record) -> None:
        """Keep a run that is over. If the results fail, the end of the evaluation says so.

        Runs that the results did not take before are tried again.
        """
        assert self._runs is not None
        self._not_kept.append(record)
        with suppress(EnvironmentProblem):
            self._results.take_in(self.store)
            while self._not_kept:
                self._runs.add(self._not_kept[0])
                # One by one, so that the list has exactly the runs that the results lack.
                del self._not_kept[0]


def _key(request: Request, assignment: Assignment, software: Mapping[str, str | None]) -> str:
    """A digest of everything that the runs of one record have in common."""
    common = (
        assignment.submission.sha256,
        assignment.competition.digest,
        assignment.submission.task,
        assignment.dataset.digest,
        request.sandbox,
        request.device,
        request.count,
        astuple(request.metering),
        request.hosts,
        sorted(software.items()),
        # The record of all runs states one machine.
        platform.node(),
    )
    return hashlib.sha256(json.dumps(common).encode()).hexdigest()[:16]
