"""The contents of a bundle: records, artefacts, signatures, rules and submissions, all checked first."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haet_eval.competition import (
    Competition,
    Limits,
    builtin_competitions,
    builtin_in_version_1,
    load_competition,
)
from haet_eval.competition.loading import builtin_text
from haet_eval.errors import SubmissionFailure, UsageProblem
from haet_eval.evaluation.unpack import unread_submission
from haet_eval.files import exists, open_file
from haet_eval.record import Artifact, Record, artifacts_of
from haet_eval.results_folder import SIGNATURE
from haet_eval.signing import PAYLOAD_TYPE, BadSignature, signature_path, signers
from haet_eval.store import MAX_ARTIFACT_BYTES, Store, read_record
from haet_eval.submission import load_submission, pack

RESULTS: Final = "results"
"""The folder of a bundle that is a results directory, for `haet-eval verify` and `leaderboard`."""

# The first end that fits counts, so `.dsse.json` comes before `.json`.
_MEDIA_TYPES: Final = {
    SIGNATURE: PAYLOAD_TYPE,
    ".json": "application/json",
    ".safetensors": "application/octet-stream",
    ".toml": "application/toml",
    ".trace": "application/octet-stream",
    ".txt": "text/plain",
    ".zip": "application/zip",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of a bundle: its path there, and the source of its bytes."""

    path: str
    source: Path | bytes
    title: str

    @property
    def media_type(self) -> str:
        """The media type, by the end of the name."""
        ends = (kind for end, kind in _MEDIA_TYPES.items() if self.path.endswith(end))
        return next(ends, "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Exported:
    """A record with its files. A file that it does not have, or that was not given, is None."""

    record: Record
    file: Piece
    artifacts: tuple[Piece, ...]
    signature: Piece | None
    rules: Piece | None
    submission: Piece | None

    @property
    def pieces(self) -> Iterator[Piece]:
        yield self.file
        yield from self.artifacts
        yield from filter(None, (self.signature, self.rules, self.submission))


def gather(
    paths: Iterable[Path], competition: str | None = None, submissions: Iterable[Path] = ()
) -> list[Exported]:
    """Find the files that records name, and check their digests.

    Args:
        paths: the records' files; their artefacts are in the same folder.
        competition: a file with rules that are not built in.
        submissions: folders or zips, each evaluated in at least one of the records.

    Raises:
        UsageProblem: a file is missing, was changed, or belongs to none of the records, or two records have
            files of one name.
    """
    paths = list(paths)
    _check_names(paths)
    records = {path: read_record(path) for path in paths}
    rules = {path: _rules(record, competition) for path, record in records.items()}
    # The rules say how large a submission may be. The default is for records without rules.
    limits = [*(found[0].limits for found in rules.values() if found), Limits()]
    handed_in = dict(_submission(path, limits) for path in submissions)
    unknown = handed_in.keys() - {record.submission.sha256 for record in records.values()}
    for digest in unknown:
        raise UsageProblem(
            f"a submission with the digest {digest[:16]}… belongs to none of the records",
            "Name the folder or the zip that was evaluated, unchanged.",
            code="export-submission",
        )
    return [
        Exported(
            record,
            Piece(f"{RESULTS}/{path.name}", path, f"record {record.record_id}"),
            tuple(_artifacts(path, record)),
            _signature(path, record),
            (found := rules[path]) and found[1],
            handed_in.get(record.submission.sha256),
        )
        for path, record in records.items()
    ]


def _check_names(paths: Iterable[Path]) -> None:
    """A bundle has one folder of records, so files of one name would replace each other."""
    named: dict[str, Path] = {}
    for path in paths:
        other = named.setdefault(path.name, path)
        # The same file by two paths is no conflict.
        if other != path and not path.samefile(other):
            raise UsageProblem(
                f"{other} and {path} have the same name, and a bundle has one folder of records",
                "Rename one of them, or export each to a bundle of its own.",
                code="export-names",
            )


def _artifacts(path: Path, record: Record) -> Iterator[Piece]:
    store, seen = Store(path.parent), set()
    missing = []
    for name, artifact in artifacts_of(record):
        # Several runs may share an artefact, such as a histogram.
        if artifact.sha256 in seen:
            continue
        seen.add(artifact.sha256)
        file = store.artifact_path(artifact)
        if file is None:
            # Collected: the user learns all that is missing at once.
            missing.append(f"{name} {artifact.sha256[:16]}…")
            continue
        _check_unchanged(file, artifact)
        yield Piece(f"{RESULTS}/artifacts/{file.name}", file, f"{name} of record {record.record_id}")
    if missing:
        raise UsageProblem(
            f"{path} names what is not in {store.artifacts}: {', '.join(missing)}",
            "An archive needs all that a record rests on: put the files back, or evaluate again.",
            code="artifact-missing",
        )


def _check_unchanged(file: Path, artifact: Artifact) -> None:
    try:
        with open_file(file, MAX_ARTIFACT_BYTES) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageProblem(f"{file} cannot be read: {error.strerror}", code="record-unreadable") from None
    if digest != artifact.sha256:
        raise UsageProblem(
            f"{file} was changed after it was written: its digest is another", code="record-changed"
        )


def _signature(path: Path, record: Record) -> Piece | None:
    file = signature_path(path)
    if not exists(file):
        return None
    try:
        # Whose signature it is does not matter here, only that it is one of this record.
        signers(path)
    except BadSignature as problem:
        raise UsageProblem(
            f"{file} is no signature of record {record.record_id}: {problem}",
            "Remove it, or put the right one there.",
            code="signature-invalid",
        ) from None
    return Piece(f"{RESULTS}/{file.name}", file, f"signature of record {record.record_id}")


def _rules(record: Record, competition: str | None) -> tuple[Competition, Piece] | None:
    """The rules that the record names, with their file; None if it names none."""
    applied = record.competition
    if applied is None:
        return None
    # The file that the user named comes first. The record's own name counts only if it is built in: it must
    # not be used as a path (decision 0060).
    for name in filter(None, (competition, applied.name)):
        if name == applied.name and name not in builtin_competitions():
            continue
        built_in = name in builtin_competitions()
        now = load_competition(name)
        # Records of schema version 1 name the digest that version 0.1.0 gave to the same rules.
        for rules in (now, builtin_in_version_1(name) if built_in else now.as_in_version_1()):
            if rules.digest != applied.digest:
                continue
            source = builtin_text(name, rules.version).encode() if built_in else Path(name)
            path = f"competitions/{rules.name}-{rules.digest[:16]}.toml"
            return rules, Piece(path, source, f"rules of the competition {rules.name}")
    raise UsageProblem(
        f"the rules of {applied.name} here are not those of record {record.record_id}",
        "--competition FILE names them; `haet-eval verify` says more.",
        code="competition-differs",
    )


def _submission(path: Path, limits: Iterable[Limits]) -> tuple[str, Piece]:
    """The digest of a submission, and its canonical zip; or the file itself, if it could not be read."""
    for bounds in limits:
        try:
            found = load_submission(path, bounds.for_archives())
        # Refused under these limits; those of another record may be wider.
        except SubmissionFailure:
            continue
        return found.sha256, _zip(found.sha256, pack(found.files))
    if path.is_dir():
        raise UsageProblem(
            f"the folder {path} cannot be read as a submission",
            "Name the zip handed in.",
            code="submission-unreadable",
        )
    # A record of an invalid submission names the digest of the zip as it was handed in.
    digest = unread_submission(path).sha256
    return digest, _zip(digest, path)


def _zip(digest: str, source: Path | bytes) -> Piece:
    return Piece(f"submissions/{digest}.zip", source, f"submission {digest[:16]}")
