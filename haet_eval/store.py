"""A results directory: one file for each record, never changed, and artefacts named by their digest."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from haet_eval.atomic import Draft, remove_leftovers
from haet_eval.errors import EnvironmentProblem, HaetError, UsageProblem
from haet_eval.files import exists, open_file, read_file
from haet_eval.listing import Listing, explain_fault, list_records, record_files
from haet_eval.ranking import place
from haet_eval.record import MAX_RECORD_BYTES, Artifact, Record, from_unambiguous_json, to_json
from haet_eval.results_folder import ARTIFACT_SUFFIXES, ARTIFACTS, artifact_name, record_name
from haet_eval.spelling import suggested_path

MAX_ARTIFACT_BYTES: Final = 4 * 1024**3
"""The limit of an artefact's file: twice the limit of a trace."""

_CHUNK_BYTES: Final = 1024 * 1024
_WHERE_RECORDS_ARE: Final = "Records are the .json files of a results directory, as an evaluation wrote them."


class RecordTooLarge(HaetError):
    """A record cannot be kept. This is an error of its own so that nobody makes it again."""


class Store:
    """A results directory, which many processes on many machines may write to at once.

    Attributes:
        directory: the folder of the records.
        artifacts: the folder of the artefacts.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.artifacts = directory / ARTIFACTS
        self._taken: set[str] = set()

    def prepare(self) -> None:
        """Make the directory, check that it can be written, and remove drafts of killed writers.

        Raises:
            EnvironmentProblem: the directory cannot be made or written.
        """
        with self._writing():
            for directory in (self.directory, self.artifacts):
                directory.mkdir(parents=True, exist_ok=True)
                # Here and not at the end of a run: a writer that is killed cannot tidy up.
                remove_leftovers(directory)  # writes a file there, too

    def add(self, record: Record) -> Path:
        """Write a record. A second call with the same record changes nothing.

        Returns:
            The file of the record.

        Raises:
            EnvironmentProblem: the record cannot be written.
            RecordTooLarge: no reader would read it.
        """
        target = self.directory / file_name(record)
        document = to_json(record).encode("ascii")
        if len(document) > MAX_RECORD_BYTES:
            raise RecordTooLarge(
                f"the record {record.record_id} has {len(document):,} bytes, and may have"
                f" {MAX_RECORD_BYTES:,}",
                "Report this: no submission should be able to make its record that large.",
                code="record-too-large",
            )
        with self._writing():
            self.directory.mkdir(parents=True, exist_ok=True)
            with Draft(self.directory) as draft:
                draft.write(document)
                try:
                    # Not `replace`: a record is never changed. The name contains its id, which is a digest,
                    # so a file of that name is this record.
                    draft.create(target)
                except FileExistsError:
                    return target
        return target

    def ranked(self, record: Record) -> Record:
        """The record with its rank among the records here; without a rank if they cannot be listed."""
        try:
            return place(record, self.listing().records.values())
        # A rank is shown beside a result that is already stored, so a broken folder must not hide the result.
        except UsageProblem:
            return record

    def take_in(self, other: "Store") -> None:
        """Copy the artefacts of another directory. Artefacts that are whole here are renewed instead.

        Then a record that names them can be added: `haet-eval clean` removes no artefact that was just
        renewed.

        Raises:
            EnvironmentProblem: the artefacts cannot be written here.
        """
        # The caller adds the record after this, so no record ever names an artefact that is not there.
        for path in sorted(other.artifacts.glob("*")):
            target = self.artifacts / path.name
            # Renewed first: between a check and a renewal `haet-eval clean` could remove the file.
            # Each is read once: a record of many runs takes in those of all earlier runs after each of them.
            if _renewed(target) and (path.name in self._taken or _is_whole(target)):
                self._taken.add(path.name)
                continue
            try:
                self.put_artifact(path, path.name.partition(".")[2])
            except EnvironmentProblem:
                if not _is_whole(target):  # else it is another user's, in a folder where only its owner may
                    raise
            self._taken.add(path.name)

    def put_artifact(self, data: bytes | Path, suffix: str) -> Artifact:
        """Keep bytes, or a copy of a file, as `artifacts/<sha256>.<suffix>`.

        Raises:
            EnvironmentProblem: the artefact cannot be written.
        """
        digest, size = hashlib.sha256(), 0
        with self._writing():
            self.artifacts.mkdir(parents=True, exist_ok=True)
            with Draft(self.artifacts) as draft:
                for chunk in _chunks(data):
                    digest.update(chunk)
                    size += len(chunk)
                    draft.write(chunk)
                # The name is the digest, so a file that is replaced has the same content, or was damaged.
                draft.replace(self.artifacts / artifact_name(digest.hexdigest(), suffix))
        return Artifact(sha256=digest.hexdigest(), bytes=size)

    def artifact_path(self, artifact: Artifact) -> Path | None:
        """The file of an artefact; None if it does not exist. Neither its kind nor its content is checked."""
        # A record names the digest only. The suffix follows from the kind, which a reader may not know.
        usual = (self.artifacts / artifact_name(artifact.sha256, suffix) for suffix in ARTIFACT_SUFFIXES)
        return next(filter(exists, usual), None)

    def unchanged_path(self, artifact: Artifact) -> Path | None:
        """The file of an artefact that is too large for the memory; None if it does not exist.

        Raises:
            UsageProblem: the file cannot be read, or its content has another digest.
        """
        path = self.artifact_path(artifact)
        if path is None:
            return None
        try:
            with open_file(path, MAX_ARTIFACT_BYTES) as file:
                # A trace may have 2 GiB, so it is read in pieces.
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(path, error) from None
        if digest != artifact.sha256:
            raise _changed(path)
        return path

    def read_artifact(self, artifact: Artifact) -> bytes | None:
        """The content of an artefact; None if its file does not exist.

        Raises:
            UsageProblem: the file cannot be read, or its content has another digest.
        """
        path = self.artifact_path(artifact)
        if path is None:
            return None
        try:
            data = read_file(path, MAX_ARTIFACT_BYTES)
        except OSError as error:
            raise _unreadable(path, error) from None
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise _changed(path)
        return data

    def listing(self) -> Listing:
        """Summaries of all records, and the files that are broken.

        Raises:
            UsageProblem: the directory does not exist or cannot be read.
        """
        with self._reading():
            return list_records(self.directory)

    def record_files(self) -> Iterator[Path]:
        """The files of all records, broken ones too, each record once, in the order of names.

        Raises:
            UsageProblem: the directory does not exist or cannot be read.
        """
        with self._reading():
            yield from record_files(self.directory)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # A similar name is no help if the folder exists and only its rights are wrong.
            meant = "" if self.directory.exists() else suggested_path(self.directory)
            raise UsageProblem(
                f"{self.directory} cannot be read: {error.strerror}{meant}",
                "Name a results directory; `haet-eval SUBMISSION --results DIR` makes one.",
                code="results-unreadable",
            ) from None

    def find(self, beginning: str) -> Path:
        """The file of the record whose id has this beginning.

        Raises:
            UsageProblem: no record has it, or more than one.
        """
        matches = [
            path for path, entry in self.listing().records.items() if entry.record_id.startswith(beginning)
        ]
        if len(matches) == 1:
            return matches[0]
        found = f"{len(matches)} records" if matches else "no record"
        raise UsageProblem(
            f"{found} in {self.directory} with an id that begins with {beginning!r}",
            f"`haet-eval leaderboard --all {self.directory}` lists them.",
            code="record-id",
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        # Most results fail for want of space or rights, in any of these writes: one message serves them all.
        except OSError as error:
            taken = self._in_the_way()
            first = f"Move away {taken}" if taken else "Check its owner and the free space"
            raise EnvironmentProblem(
                f"the results directory {self.directory} cannot be written: "
                f"{f'{taken} is not a folder' if taken else error.strerror}",
                f"{first}, or choose another one with --results.",
                code="results-not-writable",
            ) from error

    def _in_the_way(self) -> Path | None:
        """What has the name of one of the store's folders and is not a folder; None if nothing has."""
        # Checked by name: a link that leads nowhere has it as well, and no file can be put into either.
        for folder in (self.directory, self.artifacts):
            if os.path.lexists(folder) and not folder.is_dir():
                return folder
        return None


def _unreadable(path: Path, error: OSError) -> UsageProblem:
    return UsageProblem(f"{path} cannot be read: {error.strerror}", code="record-unreadable")


def _changed(path: Path) -> UsageProblem:
    return UsageProblem(
        f"{path} was changed after it was written: its digest is another", code="artifact-changed"
    )


def find_record(name: str, results: Path) -> Path:
    """The record with that file name, or the record in `results` whose id has that beginning.

    Raises:
        UsageProblem: no record has it, or more than one.
    """
    path = Path(name)
    if exists(path):
        return path
    # It looks like a file and cannot be the beginning of an id, so a search among the records would mislead.
    if "/" in name or path.suffix:
        raise UsageProblem(
            f"there is no record {name}{suggested_path(path)}",
            f"Name a file, or the beginning of an id; `haet-eval leaderboard --all {results}` lists ids.",
            code="record-missing",
        )
    return Store(results).find(name)


def read_record(path: Path) -> Record:
    """Read one record and check it against its digest.

    Raises:
        UsageProblem: there is no such file, or it is no sound record.
    """
    return read_sealed(path)[0]


def read_listed(path: Path) -> tuple[Record, bytes]:
    """Read a record that was listed a moment ago, as `read_sealed` does.

    Raises:
        EnvironmentProblem: it was removed since.
        UsageProblem: it is no sound record any more.
    """
    try:
        return read_sealed(path)
    except UsageProblem:
        if os.path.lexists(path):
            raise
        raise EnvironmentProblem(
            f"{path} was removed after it was listed", "Run the command again.", code="record-removed"
        ) from None


def read_sealed(path: Path) -> tuple[Record, bytes]:
    """Read one record and check it against its digest; also return the bytes of its file.

    Raises:
        UsageProblem: the file does not exist, or it is not a sound record.
    """
    try:
        content = read_file(path, MAX_RECORD_BYTES)
        # The bytes are returned as well, because a signature is of the file and not of its meaning.
        return from_unambiguous_json(content), content
    except OSError as error:
        raise UsageProblem(
            f"{path} cannot be read: {error.strerror}", _WHERE_RECORDS_ARE, code="record-unreadable"
        ) from None
    except ValueError as error:
        raise UsageProblem(
            f"{path} is no sound record: {explain_fault(error)}", _WHERE_RECORDS_ARE, code="record-invalid"
        ) from None


def file_name(record: Record) -> str:
    """The name of the record's file in the store. It follows from the record alone."""
    title = f"{record.submission.team or ''} {record.submission.name or ''}"
    return record_name(record.created_at, title, record.record_id)


def _renewed(path: Path) -> bool:
    """Set the file's time to now, by its file system's clock. False if that fails, or the file is missing."""
    try:
        # `clean` compares with a new file by the same clock; the clock of this machine may be wrong.
        os.utime(path)
    except OSError:
        return False
    return True


def _is_whole(path: Path) -> bool:
    """Whether an artefact has the digest that its name says: a disk's fault or a user may have damaged it."""
    try:
        with open_file(path, MAX_ARTIFACT_BYTES) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == path.name.partition(".")[0]
    except OSError:
        return False


def _chunks(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
