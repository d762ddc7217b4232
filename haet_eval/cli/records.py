"""Records that the command line names: by file, by the beginning of an id, or all of a folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from haet_eval.errors import UsageProblem
from haet_eval.signing import without_signatures
from haet_eval.store import Store, find_record


def find_records(names: Iterable[str], results: Path) -> list[Path]:
    """The files of the named records. A folder stands for all records in it, damaged ones included.

    Args:
        names: files, folders, and beginnings of ids of records in `results`; signatures are left out.
        results: the results folder that ids are looked up in.

    Raises:
        UsageProblem: there is no such record, an id is ambiguous, or a folder holds no record.
    """
    return [path for name in without_signatures(list(names)) for path in _named(name, results)]


def _named(name: str, results: Path) -> Iterator[Path]:
    if not Path(name).is_dir():
        yield find_record(name, results)
        return
    # Damaged ones too: a check of a folder must not pass because a record in it cannot be read.
    found = [*Store(Path(name)).record_files()]
    if not found:
        raise UsageProblem(
            f"there is no record in the folder {name}",
            "Name a results folder, a record's file or the beginning of its id.",
            code="record-missing",
        )
    yield from found
