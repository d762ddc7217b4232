"""Writes a bundle: a zip or a folder that appears whole or not at all, with equal bytes on every machine."""

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from haet_eval.archive.pack import EPOCH
from haet_eval.atomic import Draft, DraftFolder, remove_leftovers
from haet_eval.errors import EnvironmentProblem, UsageProblem, output_not_writable
from haet_eval.export.contents import Exported, Piece
from haet_eval.export.crate import METADATA, metadata

_README: Final = """\
# Records of haet-eval

`results/` has records and, below `artifacts/`, the files that they name by digest. `competitions/` has the
applied rules, and `submissions/` the code, if it was added. `ro-crate-metadata.json` lists all files
with sizes and SHA-256 digests. To check a record:

    haet-eval verify results/*.json

For rules that are not built in, add `--competition` and the file. `--replay` repeats a training from its
trace, and `haet-eval verify RECORD --rerun --submission ZIP` the whole evaluation.
"""


def write_bundle(exported: Sequence[Exported], target: Path) -> Mapping[str, Piece]:
    """Write records and their files to a zip, or to a folder if the name does not end in `.zip`, in any case.

    Nothing is compressed, and no time is kept: the same records give the same bytes.

    Returns:
        Its files by their paths.

    Raises:
        UsageProblem: `target` exists already.
        EnvironmentProblem: the extra `export` is not installed, or the bundle cannot be written.
    """
    # Asked first: nothing has been read or written yet.
    if find_spec("rocrate") is None:
        raise EnvironmentProblem(
            "a bundle needs one more library", "pip install 'haet-eval[export]'", code="extra-missing"
        )
    # An archive is for ever, so a bundle is never replaced (decision 0064).
    if target.exists():
        raise _exists(target)
    pieces = {piece.path: piece for one in exported for piece in one.pieces}
    pieces["README.md"] = Piece("README.md", _README.encode(), "how to check the records")
    described = Piece(METADATA, metadata(exported, pieces), "")
    whole = dict(sorted((pieces | {METADATA: described}).items()))
    try:
        # Each may be as large as a bundle, and nothing else looks for them in a folder of the user's.
        remove_leftovers(target.parent)
        (_write_zip if target.suffix.lower() == ".zip" else _write_folder)(target, whole)
    except FileExistsError:
        # Somebody made it while this bundle was written.
        raise _exists(target) from None
    except OSError as error:
        raise output_not_writable(target, error) from None
    return whole


def _exists(target: Path) -> UsageProblem:
    return UsageProblem(
        f"{target} is there already", "Name a file or folder that does not exist yet.", code="output-exists"
    )


def _write_zip(target: Path, pieces: Mapping[str, Piece]) -> None:
    with Draft(target.parent) as draft:
        # Stored: two builds of zlib compress differently, and the same records must give the same bytes.
        with zipfile.ZipFile(draft.file, "w", zipfile.ZIP_STORED) as archive:
            for path, piece in pieces.items():
                entry = zipfile.ZipInfo(path, EPOCH)
                entry.create_system = 3  # Unix, whatever the machine is
                entry.external_attr = 0o100644 << 16
                if isinstance(piece.source, bytes):
                    archive.writestr(entry, piece.source)
                    continue
                # A trace may exceed 4 GiB, and `zipfile` does not know the size of a stream beforehand.
                with piece.source.open("rb") as source, archive.open(entry, "w", force_zip64=True) as copy:
                    shutil.copyfileobj(source, copy)
        draft.create(target)


def _write_folder(target: Path, pieces: Mapping[str, Piece]) -> None:
    with DraftFolder(target.parent) as draft:
        for path, piece in pieces.items():
            file = draft.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(piece.source, bytes):
                file.write_bytes(piece.source)
            else:
                # Without the mode and the times of the original, which differ from machine to machine.
                shutil.copyfile(piece.source, file)
        draft.create(target)
