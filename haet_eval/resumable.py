"""Runs that can go on after an interruption: each has a folder with its checkpoints and what it began with.

The folder is made at the first checkpoint and removed when the run has its record. Whoever works with it
holds its lock, so that no two processes go on with one run.
"""

import hashlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from haet_eval.atomic import LEFTOVER_SECONDS, Draft, remove_leftovers
from haet_eval.errors import UsageProblem
from haet_eval.files import exists, open_file, read_file, real_path
from haet_eval.record import Size
from haet_eval.results_folder import RUN_NAME, run_name

# The newest may be damaged, because the machine may have died while it was written; then the one before
# serves.
KEPT_CHECKPOINTS: Final = 2
CLEANED_SECONDS: Final = 30 * 24 * 3600
"""A run that nobody went on with for this long is removed by `haet-eval clean`."""

_FACTS: Final = "run.json"
_ARCHIVE: Final = "submission.zip"
_RULES: Final = "competition.toml"
_MAX_FACTS_BYTES: Final = 1 << 20
_CHECKPOINT: Final = re.compile(r"checkpoint-\d{6}")
_STREAM: Final = re.compile(r"(?:trace|answers)-[0-9a-f]{16}")


class RunFacts(BaseModel):
    """What a run began with.

    Attributes:
        identity: what must be the same where the run goes on.
        request: the request of the evaluation.
        files: SHA-256 of the submission's zip and of the rules, if they are kept, by name.
        restarts: how often it began again, because it did not do the same as before.
    """

    # Strict: the file decides with what a run goes on, and a number that stands as a text would be another
    # identity.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    haet_eval: str
    created_at: AwareDatetime
    host: str
    submission: str
    identity: dict[str, str | int | None]
    request: dict[str, Any]
    files: dict[str, str] = {}
    restarts: Size = 0


class RunHome:
    """The folder of a run. `name` is what users call the run.

    `is_alone`: the lock is taken, and the file system has locks, so no other process works with the run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.is_alone = False
        self._lock: int | None = None

    @property
    def archive(self) -> Path:
        """The submission's zip."""
        return self.path / _ARCHIVE

    @property
    def rules(self) -> Path:
        """An organizer's own competition file; it is missing if the rules are built in."""
        return self.path / _RULES

    def facts(self) -> RunFacts:
        """What the run began with.

        Raises:
            UsageProblem: the file with the facts is missing or broken.
        """
        try:
            return RunFacts.model_validate_json(read_file(self.path / _FACTS, _MAX_FACTS_BYTES))
        except (OSError, ValidationError) as error:
            what = error.strerror if isinstance(error, OSError) else "it breaks the schema"
            raise UsageProblem(
                f"{self.path / _FACTS} cannot be read: {what}",
                "Evaluate the submission again, and remove this folder.",
                code="run-unreadable",
            ) from None

    def check_files(self) -> None:
        """Raises UsageProblem if the submission or the rules are not what the run began with."""
        for name, digest in self.facts().files.items():
            path = self.path / name
            try:
                # Of any size: it is read in pieces, and the rules may allow large archives.
                with open_file(path, sys.maxsize) as file:
                    whole = hashlib.file_digest(file, "sha256").hexdigest() == digest
                fault = None if whole else "it was changed or damaged"
            except OSError as error:
                fault = str(error.strerror)
            if fault:
                raise UsageProblem(
                    f"{path} cannot be used: {fault}",
                    "Evaluate the submission again, and remove this folder.",
                    code="run-unreadable",
                )

    def put_facts(self, facts: RunFacts) -> None:
        """Write what the run began with. Raises OSError."""
        self._put(_FACTS, facts.model_dump_json(indent=2).encode())

    def checkpoints(self) -> list[Path]:
        """The files of its checkpoints, the newest first."""
        with suppress(OSError):
            return sorted(filter(_is_checkpoint, self.path.iterdir()), reverse=True)
        return []

    def next_checkpoint(self) -> Path:
        """The file for the next checkpoint."""
        # One more than the newest and not the number of files: older ones are removed.
        newest = next(iter(self.checkpoints()), None)
        number = int(newest.name.partition("-")[2]) + 1 if newest else 1
        return self.path / f"checkpoint-{number:06}"

    def keep_newest(self, streams: frozenset[str], newest: int) -> None:
        """Remove all but the newest checkpoints, and what none of them names.

        Args:
            streams: the names of the traces and answers that are still needed.
            newest: how many checkpoints are kept.
        """
        for path in self.checkpoints()[newest:]:
            path.unlink(missing_ok=True)
        # After the checkpoints: a stream that a checkpoint still names must never be missing.
        for path in list(self.path.iterdir()):
            if _STREAM.fullmatch(path.name) and path.name not in streams:
                path.unlink(missing_ok=True)

    @property
    def size_bytes(self) -> int:
        """The size of all its files."""
        with suppress(OSError):
            return sum(path.lstat().st_size for path in self.path.iterdir())
        return 0

    @property
    def age_seconds(self) -> float | None:
        """The time since the newest checkpoint, or since the run began; None if the file system does not say.

        It is the distance from a new file by the clock of the file system: our own may be wrong. That file
        lies beside the run's folder, because a file in it would make the folder young.
        """
        # The folder's own time is not used if there is a checkpoint, because each removal of a file renews
        # it.
        newest = next(iter(self.checkpoints()), self.path)
        with suppress(OSError), Draft(self.path.parent) as probe:
            return max(0.0, probe.modified_seconds() - newest.lstat().st_mtime)
        return None

    def lock(self) -> bool:
        """Take the lock of the folder, until `unlock`. False if another process has it.

        True also if the file system has no locks; `is_alone` tells these apart.
        """
        import fcntl  # Windows does not have it; no submission runs there

        # A second descriptor would be refused, even in this process: `flock` belongs to the open file.
        if self._lock is not None:
            return True
        # The folder itself is locked, so the lock needs no file and goes with the folder.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:  # the file system has no locks
            self._lock = descriptor
            # Without locks the run still goes on, for one process is the usual case; only `clean` leaves it
            # alone.
            return True
        self._lock, self.is_alone = descriptor, True
        return True

    def unlock(self) -> None:
        """Give up the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock, self.is_alone = None, False

    def remove(self) -> None:
        """Remove the folder with all that is in it, and the folder of runs if it is empty then."""
        # Before the lock is given up, so that no other process goes on with half a folder.
        shutil.rmtree(self.path, ignore_errors=True)
        self.unlock()
        with suppress(OSError):
            # This fails if other runs are there.
            self.path.parent.rmdir()

    def _put(self, name: str, content: bytes) -> None:
        with Draft(self.path) as draft:
            draft.write(content)
            draft.replace(self.path / name)


def make_home(base: Path, facts: RunFacts, archive: bytes, rules: bytes | None) -> RunHome:
    """A new folder of a run, locked.

    Raises:
        OSError: it cannot be made.
    """
    base.mkdir(parents=True, exist_ok=True)
    home = RunHome(base / run_name(datetime.now(UTC), facts.submission, secrets.token_hex(4)))
    home.path.mkdir(mode=0o700)  # it holds values of the training data
    # Locked before it holds anything, so that no other process takes it for abandoned.
    home.lock()
    files = {_ARCHIVE: archive} | ({} if rules is None else {_RULES: rules})
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    try:
        for name, content in files.items():
            home._put(name, content)
        # The facts come last: a folder without them is not a run that anyone goes on with.
        home.put_facts(facts.model_copy(update={"files": digests}))
    except BaseException:
        home.remove()
        raise
    return home


def homes(base: Path) -> Iterator[RunHome]:
    """The runs of a folder, the newest first."""
    with suppress(OSError):
        for path in sorted(base.iterdir(), reverse=True):
            # A folder that the user named may hold other things, and `clean` removes what this yields.
            if RUN_NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                yield RunHome(path)


def find_home(base: Path, identity: Mapping[str, str | int | None]) -> RunHome | None:
    """The newest run of this identity that no process works with, locked; None if no such run exists."""
    for home in homes(base):
        with suppress(UsageProblem, OSError):
            # Before the lock: a run with another identity is not kept from its own process for a moment.
            if not _can_go_on(home, identity) or not home.lock():
                continue
            try:
                # And after it: the process that had the lock may have gone on or ended meanwhile.
                if _can_go_on(home, identity):
                    # Nobody else works with the run, so any draft is of a dead process, however young it is.
                    if home.is_alone:
                        remove_leftovers(home.path, older_than_seconds=-1)
                    return home
            except BaseException:
                home.unlock()
                raise
            home.unlock()
    return None


def _can_go_on(home: RunHome, identity: Mapping[str, str | int | None]) -> bool:
    return home.facts().identity == dict(identity) and bool(home.checkpoints())


def named_home(name: str, base: Path) -> RunHome:
    """The run with this folder, or the run in `base` whose name has this beginning.

    Raises:
        UsageProblem: no run has it, or more than one.
    """
    path = Path(name)
    # A folder is taken as it is, also one outside of `base`, such as a copy from another machine.
    if exists(path / _FACTS):
        return RunHome(real_path(path))
    matches = [home for home in homes(base) if home.name.startswith(name)] if name else []
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(home.name for home in homes(base)) or "none"
    found = f"{len(matches)} runs" if matches else "no run"
    raise UsageProblem(
        f"{found} in {base} with a name that begins with {name!r}",
        f"Name a run's folder, or the beginning of its name. Runs there: {known}.",
        code="run-missing",
    )


def described(home: RunHome) -> str:
    """A line about a run: its name, what it is of, the age of its last checkpoint, and its size."""
    try:
        facts = home.facts()
        what = f"{facts.submission}, seed {facts.identity.get('seed')}, begun on {facts.host}"
    except UsageProblem:
        what = "what it is of cannot be read"
    return f"{home.name}: {what}; {_age(home.age_seconds)}, {home.size_bytes / 1e6:,.1f} MB"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "of unknown age"
    hours = seconds / 3600
    if hours < 1:
        return f"{seconds / 60:.0f} min old"
    return f"{hours:.0f} h old" if hours < 48 else f"{hours / 24:.0f} days old"


def cleaned_homes(base: Path) -> Iterator[RunHome]:
    """The runs that `haet-eval clean` removes, locked: old ones, and those without a checkpoint.

    A run that a process works with or may work with, or that another user owns, is left alone.
    """
    for home in homes(base):
        with suppress(OSError):
            if _is_abandoned(home) and home.lock():
                # Without locks nobody knows whether a process works with the run.
                if home.is_alone:
                    yield home
                home.unlock()


def _is_abandoned(home: RunHome) -> bool:
    age = home.age_seconds
    return age is not None and age > (CLEANED_SECONDS if home.checkpoints() else LEFTOVER_SECONDS)


def _is_checkpoint(path: Path) -> bool:
    return bool(_CHECKPOINT.fullmatch(path.name))
