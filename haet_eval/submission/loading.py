"""A contestant's submission: its files, its digest, and its manifest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from haet_eval.archive import ArchiveLimits, pack, pack_compressed, pack_folder, unpack
from haet_eval.archive.names import shown
from haet_eval.errors import InvalidSubmission, UsageProblem
from haet_eval.submission.entrypoint import check_entrypoint
from haet_eval.submission.manifest import MANIFEST_NAME, Manifest, read_manifest


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission that passed every check that does not run it.

    Attributes:
        module, function: what to import and what to call; from the entrypoint `submission:train`.
        files: relative posix path -> content, sorted, `haet.toml` included.
        sha256: of the canonical zip of `files`; the same for a folder and any zip of it.
        archive: the submitted file as it was read; for a folder, the zip that was made of it.
        compressed_bytes: size of a compressed zip of `files`; on every machine the same within a few bytes.
        source_bytes: sum of the files' sizes.
    """

    name: str
    team: str
    task: str
    description: str
    paper: str | None
    module: str
    function: str
    files: Mapping[str, bytes]
    sha256: str
    archive: bytes = field(compare=False, repr=False)
    compressed_bytes: int
    source_bytes: int

    @property
    def archive_bytes(self) -> int:
        """Size of `archive`."""
        return len(self.archive)

    @property
    def archive_sha256(self) -> str:
        """SHA-256 of `archive`."""
        return hashlib.sha256(self.archive).hexdigest()


def load_submission(path: Path, limits: ArchiveLimits = ArchiveLimits()) -> Submission:  # noqa: B008 frozen
    """Read a submission from a zip file or a folder. Nothing is written, imported or run.

    Left out, and no part of the digest: hidden files, `__pycache__`, `__MACOSX`, `venv` and the like.

    Raises:
        InvalidSubmission: the archive, the manifest or the entrypoint breaks a rule.
        UsageProblem: there is no such file or folder, or it may not be read.
    """
    submission = load_unfinished(path, limits)
    check_entrypoint(submission.files, submission.module, submission.function)
    return submission


def load_unfinished(path: Path, limits: ArchiveLimits) -> Submission:
    """As `load_submission`, of a submission whose entrypoint may be missing or broken.

    Raises:
        InvalidSubmission: the archive or the manifest breaks a rule.
        UsageProblem: there is no such file or folder, or it may not be read.
    """
    try:
        archive = _read(path, limits)
    except OSError as error:
        inside = f"{error.filename}: " if error.filename and Path(error.filename) != path else ""
        raise UsageProblem(
            f"The submission {path} cannot be read: {inside}{error.strerror or error}.",
            "Name a .zip file or a folder that exists and that you may read.",
            code="submission-unreadable",
        ) from None
    files = unpack(archive, limits)
    manifest = _find_manifest(files)
    module, _, function = manifest.entrypoint.partition(":")
    # The digest is that of the files and not of the archive, so that a folder and each zip of it have the
    # same.
    canonical = pack(files)
    return Submission(
        name=manifest.name,
        team=manifest.team,
        task=manifest.task,
        description=manifest.description or "",
        paper=manifest.paper,
        module=module,
        function=function,
        files=MappingProxyType(files),
        sha256=hashlib.sha256(canonical).hexdigest(),
        archive=archive,
        compressed_bytes=len(pack_compressed(files)),
        source_bytes=sum(map(len, files.values())),
    )


def _read(path: Path, limits: ArchiveLimits) -> bytes:
    """The zip as it is, or the one that the folder would be; a little more than the limit at most."""
    if path.is_dir():
        return pack_folder(path, limits)
    # Before it is opened: opening a pipe waits for a writer.
    if path.exists() and not path.is_file():
        raise UsageProblem(
            f"{path} is neither a file nor a folder.", "Name a .zip file or a folder.", code="submission-kind"
        )
    with path.open("rb") as stream:
        # One byte more than allowed is enough to refuse the file, whatever its size.
        return stream.read(limits.archive_bytes + 1)


def _find_manifest(files: Mapping[str, bytes]) -> Manifest:
    if MANIFEST_NAME in files:
        return read_manifest(files[MANIFEST_NAME])
    raise InvalidSubmission(
        f"There is no {MANIFEST_NAME} at the top of the submission. {_manifest_instead(files)}",
        code="manifest-missing",
    )


def _manifest_instead(files: Mapping[str, bytes]) -> str:
    """What to do about a missing manifest, judged by the files that are there."""
    for path in files:
        folder, _, name = path.rpartition("/")
        if not folder and name.casefold().removesuffix(".txt") == MANIFEST_NAME:
            return f"There is {shown(path)}: rename it to {MANIFEST_NAME}."
        if folder and name == MANIFEST_NAME:
            return f"Found {shown(path)}: move the files of {shown(folder + '/')} to the top."
    tables = [shown(path) for path in files if path.casefold().endswith(".toml")]
    if tables:
        return f"Found {', '.join(tables[:5])}: rename the manifest to {MANIFEST_NAME}."
    return "`haet-eval new FOLDER` writes one to copy from."
