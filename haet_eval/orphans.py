"""Artefacts of a results directory that no record names: a killed run left them, or a record was removed.

An artefact is removed if no record or interrupted run of the directory names its digest, and if nobody has
written or renewed it for a day. A writer renews each artefact before it adds the record that refers to it
(`Store.take_in`), so a record that is being written keeps what it needs.
"""

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from haet_eval.atomic import LEFTOVER_SECONDS, Draft, draft_path
from haet_eval.errors import UsageProblem
from haet_eval.files import StrangeFile, read_file
from haet_eval.record import MAX_RECORD_BYTES
from haet_eval.results_folder import ARTIFACT_NAME, ARTIFACT_SUFFIXES, INTERRUPTED_RUNS, RECORD_NAME
from haet_eval.store import Store

# Any 64 hex digits count, wherever they stand: a record of a later version may name artefacts in new fields.
_DIGEST: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def day_ago(store: Store, *, dry_run: bool = False) -> float:
    """A day before now in seconds, by the clock of the file system that dates the artefacts.

    A dry run writes no file to ask that clock: it goes by the clock of this machine, and removes nothing.

    Raises:
        OSError: the folder of artefacts cannot be written.
    """
    if dry_run:
        return time.time() - LEFTOVER_SECONDS
    with Draft(store.artifacts) as probe:
        return probe.modified_seconds() - LEFTOVER_SECONDS


def find_orphans(store: Store, deadline_seconds: float) -> list[Path]:
    """Artefacts that were last changed before the deadline, and that no file in the directory names.

    Raises:
        UsageProblem: a record cannot be read, so its artefacts are not known.
        OSError: a folder cannot be listed.
    """
    old = [path for path in sorted(store.artifacts.glob("*")) if _is_old_artifact(path, deadline_seconds)]
    # Reading all records takes long, and most folders have no old artefacts.
    referred = _referred(store) if old else set()
    return [path for path in old if path.name.partition(".")[0] not in referred]


def remove_orphan(path: Path, deadline_seconds: float) -> bool:
    """Remove an artefact, unless it was renewed since it was found. Returns whether it is removed.

    The file is set aside first: from then on a writer does not find it and writes it again. If a writer found
    it before, that writer has renewed it, and the file gets its name back.

    Raises:
        OSError: it cannot be removed.
    """
    # A draft's name: if this process is killed now, `remove_leftovers` removes the file later.
    aside = draft_path(path.parent)
    try:
        before = path.lstat()
        path.rename(aside)
    except FileNotFoundError:  # another process has removed it
        return False
    # Looked at after the renaming: a writer renews a file and then relies on it.
    if _renamed_only(before, aside.lstat(), deadline_seconds):
        aside.unlink()
        return True
    aside.replace(path)  # a file that a writer has made meanwhile has the same content
    return False


def _renamed_only(before: os.stat_result, after: os.stat_result, deadline_seconds: float) -> bool:
    """Whether the file was old and is as it was. Renaming changes its `ctime`, so that is not compared."""
    same = (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    return same and _changed_seconds(before) < deadline_seconds


def _is_old_artifact(path: Path, deadline_seconds: float) -> bool:
    named = ARTIFACT_NAME.fullmatch(path.name)
    # An artefact of a later version has another suffix and is left alone.
    if named is None or named["suffix"] not in ARTIFACT_SUFFIXES:
        return False
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(facts.st_mode) and _changed_seconds(facts) < deadline_seconds


def _changed_seconds(facts: os.stat_result) -> float:
    """When a file was last written, renewed or copied here. A copy may keep the `mtime` of its original."""
    return max(facts.st_mtime, facts.st_ctime)


def _referred(store: Store) -> set[str]:
    """Every digest in a record or an interrupted run.

    Interrupted runs are read first: they are removed only after the record of all of them exists.
    """
    # The list is made here and not later, so that it is read before the records, as the docstring requires.
    runs = [path for folder in _within(store.directory / INTERRUPTED_RUNS) for path in _records(folder)]
    found: set[str] = set()
    for path in (*runs, *_records(store.directory)):
        found |= _digests(path)
    return found


def _records(directory: Path) -> Iterator[Path]:
    return (path for path in _within(directory) if path.name.endswith(".json"))


def _within(directory: Path) -> list[Path]:
    """What lies in a folder; nothing in a file, or in a folder that was removed.

    Raises:
        OSError: the folder cannot be listed, or is a link to one that is not here.
    """
    try:
        return sorted(directory.iterdir())
    except NotADirectoryError:
        return []
    except FileNotFoundError:
        # The disk that it leads to may not be mounted. Its records would be missing, and their artefacts
        # would go.
        if directory.is_symlink():
            raise
        return []


def _digests(path: Path) -> set[str]:
    """Every digest in a file that may be a record; none of one that was removed, or cannot be a record."""
    ours = RECORD_NAME.fullmatch(path.name) is not None
    try:
        content = read_file(path, MAX_RECORD_BYTES)
        # A record that was cut off may have lost digests. Other files need not be JSON: only their digests
        # count.
        if ours:
            json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return set()  # an evaluation has ended and removed its interrupted runs
        # A pipe or a folder that has no name of a record is not one.
        if isinstance(error, StrangeFile | IsADirectoryError) and not ours:
            return set()
        # Nothing at all is removed: the file may name any of the artefacts.
        raise UsageProblem(
            f"{path} cannot be read as a record ({error}), so the artefacts that it refers to are not known",
            "No artefact was removed. Repair or move the file, then run `haet-eval clean` again.",
            code="record-unreadable",
        ) from None
    return {digest.decode("ascii") for digest in _DIGEST.findall(content)}
