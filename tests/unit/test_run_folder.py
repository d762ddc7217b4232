"""The private folder of a run, and the distinction between a dead run's folder and a live one's."""

import json
import os
import resource
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from haet_eval.cli.clean import clean
from haet_eval.runtimes.docker.container import LABEL_DEADLINE, LABEL_FOLDER, LABEL_PLACE, labels
from haet_eval.runtimes.docker.leftovers import is_left_over, is_over, name_of
from haet_eval.runtimes.folder import RunFolder, abandoned_folders, is_abandoned, place_of
from haet_eval.runtimes.interface import Role, WorkerLimits


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def _left_by_a_dead_run(where: Path) -> Path:
    program = """
import os
import resource
from haet_eval.runtimes.folder import RunFolder
print(RunFolder().path, flush=True)
os._exit(1)
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"TMPDIR": str(where)},
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    return Path(run.stdout.strip())


def test_the_folder_is_its_owners_alone_and_goes_at_the_end() -> None:
    with RunFolder() as folder:
        assert folder.path.stat().st_mode & 0o777 == 0o700
    assert not folder.path.exists()


def test_a_worker_of_another_user_can_connect_but_not_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)  # a test's own folder has too long a path for a socket
    with (
        RunFolder() as folder,
        folder.listen(Role.EXECUTOR) as listener,
        socket.socket(socket.AF_UNIX) as worker,
    ):
        path = folder.socket_path(Role.EXECUTOR)
        assert path.parent.stat().st_mode & 0o777 == 0o711
        assert path.stat().st_mode & 0o777 == 0o666
        worker.connect(str(path))
        listener.settimeout(10)
        listener.accept()[0].close()


def test_a_live_run_is_not_abandoned_even_to_its_own_process() -> None:
    with RunFolder() as folder:
        assert not is_abandoned(folder.path)
        assert list(abandoned_folders()) == []


def test_a_dead_run_is_abandoned_and_so_is_one_whose_folder_is_gone(tmp_path: Path) -> None:
    left = _left_by_a_dead_run(tmp_path)
    assert left.is_dir()
    assert is_abandoned(left)
    assert list(abandoned_folders()) == [left]
    assert is_abandoned(tmp_path / "gone")


def labels_of(folder: Path) -> dict[str, str]:
    return dict(labels(folder, WorkerLimits(memory_bytes=1, processes=1, deadline_seconds=600)))


def test_a_container_goes_with_its_run() -> None:
    with RunFolder() as folder:
        made = labels_of(folder.path)
        assert not is_over(made, 3600, runs=False)
    assert is_over(made, 0, runs=True)


IN_A_TMP_OF_ITS_OWN = """
import json, sys
from pathlib import Path
from haet_eval.runtimes.docker.container import labels
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.interface import WorkerLimits
with RunFolder() as folder:
    made = labels(folder.path, WorkerLimits(memory_bytes=1, processes=1, deadline_seconds=600))
    print(json.dumps(dict(made)), flush=True)
    sys.stdin.read()
"""


def test_a_live_run_in_a_tmp_of_its_own_keeps_its_container(tmp_path: Path) -> None:
    """As under PrivateTmp or Slurm: the folder has the same path there, and here it does not exist.

    Its container ends itself at its deadline. If one runs and seems older, someone has set the clock.
    """
    program = shlex.join([sys.executable, "-c", IN_A_TMP_OF_ITS_OWN])
    mount = f"mount -t tmpfs tmpfs {shlex.quote(str(tmp_path))}"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{mount} && exec {program}"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as living:
        assert living.stdout is not None
        line = living.stdout.readline()
        if not line:
            pytest.skip("only root may mount")
        made = json.loads(line)
        assert not Path(made[LABEL_FOLDER]).exists()
        for age_seconds in (0, 600, 10**9):
            assert not is_over(made, age_seconds, runs=True)
        assert not is_over(made, 600, runs=False)
        assert is_over(made, 700, runs=False)
        living.communicate()


def test_a_container_that_does_not_say_where_its_folder_is_stays(tmp_path: Path) -> None:
    assert not is_over({LABEL_FOLDER: str(tmp_path / "haet-eval.run-gone")}, 10**9, runs=False)


LONG_OVER: dict[str, Any] = {
    "Id": "0123456789abcdef",
    "Names": ["/worker"],
    "State": "exited",
    "Created": 0,
    "Labels": {
        LABEL_FOLDER: "/elsewhere/haet-eval.run-gone",
        LABEL_PLACE: "another boot 1:2",
        LABEL_DEADLINE: "600",
    },
}
"""What an engine lists of a container that ended long ago."""


def with_labels(**labels: str) -> dict[str, Any]:
    return LONG_OVER | {"Labels": LONG_OVER["Labels"] | labels}


def test_a_container_that_ended_long_ago_is_left_over() -> None:
    assert is_left_over(LONG_OVER, 661)
    assert not is_left_over(LONG_OVER, 660)


@pytest.mark.parametrize("deadline", ["", "soon", "nan", "inf", "-inf", "-1", "0", "1e3", "9" * 5000])
def test_a_container_with_an_odd_deadline_is_left_alone(deadline: str) -> None:
    assert not is_left_over(with_labels(**{LABEL_DEADLINE: deadline}), 10**9)


@pytest.mark.parametrize("folder", ["", "/", ".", "haet-eval.run-x", "/mine", "/tmp/haet-eval.run-\0"])
def test_a_container_of_a_folder_that_no_run_makes_is_left_alone(folder: str) -> None:
    place = place_of(Path(folder.replace("\0", "")))
    assert not is_left_over(with_labels(**{LABEL_FOLDER: folder, LABEL_PLACE: place}), 10**9)


@pytest.mark.parametrize(
    "odd",
    [
        {"Labels": None},
        {"Labels": {}},
        {"Created": None},
        {"Created": "yesterday"},
        {"State": None},
        {"State": "stopping"},
    ],
    ids=str,
)
def test_a_container_that_an_engine_lists_oddly_is_left_alone(odd: dict[str, Any]) -> None:
    assert not is_left_over(LONG_OVER | odd, 10**9)
    missing = {key: value for key, value in LONG_OVER.items() if key not in odd}
    assert not is_left_over(missing, 10**9)


@pytest.mark.parametrize("names", [None, []])
def test_a_container_without_a_name_goes_by_its_id(names: list[str] | None) -> None:
    assert name_of(LONG_OVER) == "worker"
    assert name_of(LONG_OVER | {"Names": names}) == "0123456789ab"


def test_a_path_that_is_not_a_folder_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not is_abandoned(link)


def test_clean_removes_the_dead_and_keeps_the_living(tmp_path: Path) -> None:
    left = _left_by_a_dead_run(tmp_path)
    with RunFolder() as live:
        result = CliRunner().invoke(clean)
        assert live.path.is_dir()
    assert result.exit_code == 0
    assert f"folder {left}" in result.stdout
    assert not left.exists()


def test_folders_of_dead_runs_are_found_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`clean` is what makes room there, and Python knows no temporary folder that it could write in."""
    dead = tmp_path / "haet-eval.run-dead"
    dead.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    program = "from haet_eval.runtimes.folder import abandoned_folders; print(*abandoned_folders())"
    # No process of this user may write a byte into a file.
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    assert done.stdout.strip() == str(dead), done.stderr
