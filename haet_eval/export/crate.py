"""The metadata of a bundle: an RO-Crate that follows the profile for runs of a process."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from haet_eval.export.contents import Exported, Piece
from haet_eval.record import Record
from haet_eval.reports.text import printable

if TYPE_CHECKING:
    from rocrate.model import ContextEntity, File
    from rocrate.rocrate import ROCrate

METADATA: Final = "ro-crate-metadata.json"

_PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS: Final = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
_LICENSE: Final = {
    "@type": "CreativeWork",
    "name": "unknown",
    "description": "Nobody has stated a licence. Submissions are their authors' works.",
}


def metadata(exported: Sequence[Exported], pieces: Mapping[str, Piece]) -> bytes:
    """The text of `ro-crate-metadata.json`; the same for the same records.

    Args:
        exported: at least one.
        pieces: every file of the bundle by its path.
    """
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.2")
    crate.metadata.extra_terms.update(_TERMS)
    profile = {"@type": ["CreativeWork", "Profile"], "name": "Process Run Crate", "version": "0.5"}
    crate.root_dataset["conformsTo"] = crate.add(ContextEntity(crate, _PROFILE, properties=profile))
    # RO-Crate requires a licence, and only the authors of submissions could state one (decision 0064).
    crate.license = crate.add(ContextEntity(crate, "#licence-unknown", properties=_LICENSE))
    crate.name = "Evaluated training code"
    crate.description = "Records of haet-eval and what they rest on. README.md says how to check them."
    # No time of today: the same records must give the same bytes. The library would put the present time.
    crate.datePublished = max(one.record.created_at for one in exported).isoformat()
    files = {path: crate.add_file(**_file(piece)) for path, piece in pieces.items()}
    crate.root_dataset["mentions"] = [_run(crate, one, files) for one in exported]
    # Only the text is taken from the library. It would write the files with times and in an order of its own.
    document = crate.metadata.generate()
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _file(piece: Piece) -> dict[str, Any]:
    """The description of a file for the library, with its size and digest."""
    source = piece.source
    with source.open("rb") if isinstance(source, Path) else BytesIO(source) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = stream.seek(0, os.SEEK_END)
    properties = {
        "name": piece.title,
        "encodingFormat": piece.media_type,
        "contentSize": str(size),
        "sha256": digest,
    }
    return {
        # A new stream: the one above is at its end and closed.
        "source": source if isinstance(source, Path) else BytesIO(source),
        "dest_path": piece.path,
        "properties": properties,
    }


def _run(crate: "ROCrate", one: Exported, files: Mapping[str, "File"]) -> "ContextEntity":
    """The evaluation: its inputs, the software that ran it, its results."""
    record, status = one.record, one.record.status
    given = [files[piece.path] for piece in (one.submission, one.rules) if piece is not None]
    given += _data(crate, record)
    made = [files[piece.path] for piece in (one.file, *one.artifacts, one.signature) if piece is not None]
    return crate.add_action(
        _software(crate, record),
        f"#run-{record.record_id}",
        object=given,
        result=made,
        properties={
            "name": f"evaluation of {_handed_in(record)}",
            "description": f"Verdict: {status.verdict.value}. {printable(status.reason)}".strip(),
            "endTime": record.created_at.isoformat(),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )


def _handed_in(record: Record) -> str:
    """The submission by its digest: the submission itself may be missing in the bundle."""
    name = (
        f"{printable(record.submission.name or 'a submission')} · {printable(record.submission.team or '')}"
    )
    return f"{name} (sha256 {record.submission.sha256})"


def _data(crate: "ROCrate", record: Record) -> list["ContextEntity"]:
    """The data set by its digest: it is not in the bundle."""
    data = record.dataset
    if data is None:
        return []
    name = f"{data.name}, {'as published' if data.official else 'not as published'}"
    return [
        _entity(crate, f"#data-{data.digest}", {"@type": "Dataset", "name": name, "identifier": data.digest})
    ]


def _software(crate: "ROCrate", record: Record) -> "ContextEntity":
    """haet-eval, and the image of the sandbox that it ran in."""
    where = record.environment
    facts: dict[str, Any] = {
        "@type": "SoftwareApplication",
        "name": "haet-eval",
        "softwareVersion": where.haet_eval,
        "softwareRequirements": f"torch {where.torch or 'not used'}, Python {where.python}",
    }
    identifier = f"#haet-eval-{where.haet_eval}"
    if where.image_digest is not None:
        image = {"@type": "SoftwareApplication", "name": "sandbox image", "identifier": where.image_digest}
        facts["softwareAddOn"] = _entity(crate, f"#image-{where.image_digest.partition(':')[2]}", image)
        identifier += f"-{where.image_digest.partition(':')[2][:16]}"
    return _entity(crate, identifier, facts)


def _entity(crate: "ROCrate", identifier: str, facts: dict[str, Any]) -> "ContextEntity":
    from rocrate.model import ContextEntity

    # Records share data sets and images, and an entity must be in the crate once.
    known = crate.get(identifier)
    return known or crate.add(ContextEntity(crate, identifier, properties=facts))
