"""A file system without locks is named as such: it is neither full nor read-only. None is at hand here."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from haet_eval.atomic import Draft, remove_leftovers
from haet_eval.batch.ledger import Ledger
from haet_eval.batch.node import NodeProblem, reserved
from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.folder import RunFolder, is_abandoned
from haet_eval.store import Store

ERRORS = [errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF]


@pytest.fixture(params=ERRORS, ids=[errno.errorcode[number] for number in ERRORS])
def why(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the system says; every lock fails so, as on some mounts of NFS."""
    number: int = request.param

    def fail(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    return os.strerror(number)


def test_a_batch_names_results_without_locks_and_what_to_do(tmp_path: Path, why: str) -> None:
    with pytest.raises(EnvironmentProblem) as raised, Ledger(Store(tmp_path)).locked():
        pass
    assert raised.value.message.startswith(
        f"the file system of {tmp_path / '.haet-batch'} offers no locks ({why})"
    )
    assert "--results" in raised.value.hint
    assert "mount this one with locks" in raised.value.hint


def test_a_run_names_a_temporary_folder_without_locks_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(EnvironmentProblem) as raised:
        RunFolder()
    assert raised.value.message.startswith(f"the file system of {tmp_path} offers no locks ({why})")
    assert "Set TMPDIR" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_machine_whose_runs_cannot_be_kept_apart_says_so(tmp_path: Path, why: str) -> None:
    lock = tmp_path / "node.lock"
    with (
        pytest.raises(NodeProblem, match=rf"{lock}, which keeps runs apart, cannot be locked: {why}"),
        reserved(alone=True, lock=lock),
    ):
        pass


@pytest.mark.usefixtures("why")
def test_a_folder_that_cannot_be_locked_is_nobodys_to_remove(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert not is_abandoned(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.usefixtures("why")
def test_records_are_written_without_locks_all_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    with Draft(tmp_path) as draft:
        remove_leftovers(tmp_path)
        draft.write(b"x")
        draft.replace(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"x"
