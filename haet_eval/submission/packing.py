"""Makes the zip that a contestant submits."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from haet_eval.archive import ArchiveLimits, pack_compressed
from haet_eval.atomic import write_output
from haet_eval.competition import competition_for_task, load_competition
from haet_eval.errors import UsageProblem, output_not_writable
from haet_eval.files import real_path
from haet_eval.submission.loading import Submission, load_submission


@dataclass(frozen=True, slots=True)
class Packed:
    """A zip that was written to `path`, its size and SHA-256, and the limits that it keeps."""

    path: Path
    bytes: int
    sha256: str
    submission: Submission
    limits: ArchiveLimits


def pack_submission(folder: Path, output: Path | None = None, competition: str | None = None) -> Packed:
    """Write the compressed zip of a submission; its files have the same digest on every machine.

    If only a compressed zip is within the limits, it is compressed.

    Args:
        folder: the submission.
        output: the zip; None for one next to the folder, with its name. An existing file is replaced.
        competition: the competition whose rules to check; None for the one that has the submission's task.

    Raises:
        InvalidSubmission: the evaluator would refuse the zip, with the same message.
        UsageProblem: the folder cannot be read, or `output` lies in it.
        EnvironmentProblem: the zip cannot be written.
    """
    path = output or _beside(folder)
    if real_path(folder) in real_path(path).parents:
        raise UsageProblem(
            f"{path} would lie in the submission, where the next zip would have to hold it.",
            "Name a file outside of the folder.",
            code="pack-inside",
        )
    rules = load_competition(competition) if competition else None
    limits = rules.limits.for_archives() if rules else ArchiveLimits()
    submission = load_submission(folder, limits)
    rules = rules or load_competition(competition_for_task(submission.task))
    # Raises the error that the evaluator would raise for a task that the rules do not have.
    rules.task(submission.task)
    archive = pack_compressed(submission.files)
    try:
        write_output(path, archive)
    except OSError as error:
        raise output_not_writable(path, error, ", or choose another file with -o") from None
    return Packed(path, len(archive), hashlib.sha256(archive).hexdigest(), submission, limits)


def _beside(folder: Path) -> Path:
    """`mine` -> `mine.zip`; for the folder that one is in, the name that it has above."""
    # `.` and `..` have no name that a zip could get.
    if folder.name in ("", ".."):
        folder = real_path(folder)
    return folder.with_name(f"{folder.name}.zip")
