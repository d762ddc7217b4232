"""What the start and the end of a worker do without: they are most of the time of a tiny run."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from haet_eval.remote.frames import FrameReader
from haet_eval.remote.messages import TellMemory
from haet_eval.remote.wire import AnswerStatus, Channel, frame
from haet_eval.runtimes.environment import PYTHON_OPTIONS, worker_environment
from haet_eval.runtimes.image_files import sandbox_folder
from haet_eval.runtimes.interface import Role

_IMPORT = """
import gc, runpy, sys
runs = []
gc.callbacks.append(lambda phase, facts: "torch" in sys.modules and runs.append(phase))
runpy.run_path(sys.argv[1])
print(runs.count("start"), gc.isenabled())
"""
_SERVE = """
import atexit, runpy, sys
atexit.register(print, "taken apart")
sys.stderr.write("no whole line")
main = sys.argv.pop(1)
runpy.run_path(main, run_name="__main__")
"""
_SETTINGS = """
import json, sys, torch, warnings
from haet_eval.remote.executor.determinism import make_reproducible
if sys.argv[1] == "ours":
    make_reproducible()
else:
    torch.use_deterministic_algorithms(True, warn_only=True)
places, values = torch.zeros(2, dtype=torch.int64), torch.ones(2)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    torch.zeros(2).put_(places, values)
print(json.dumps({
    "settings": [
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_deterministic_debug_mode(),
        [str(warning.message) for warning in warned],
    ],
    "compiler": sorted(name for name in sys.modules if name.startswith(("torch._inductor", "torch._dynamo"))),
}))
"""


def started(role: Role, code: str, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A worker's main, run by `code` as this worker's process would run it."""
    main = str(sandbox_folder() / f"{role}.py")
    return subprocess.Popen(
        [sys.executable, *PYTHON_OPTIONS, "-c", code, main, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=worker_environment(role, {"HOME": str(folder), "TMPDIR": str(folder)}),
        text=True,
    )


@contextmanager
def served(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", socket.socket]]:
    """An executor, and the host's end of its connection."""
    path = folder / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen(1)
        with started(Role.EXECUTOR, _SERVE, folder, str(path)) as worker:
            connection, _ = listener.accept()
            with connection:
                yield worker, connection


def settings(whose: str) -> dict[str, Any]:
    """What a fresh process has switched on and loaded after our function, or after PyTorch's own."""
    found: dict[str, Any] = json.loads(
        subprocess.check_output([sys.executable, *PYTHON_OPTIONS, "-c", _SETTINGS, whose])
    )
    return found


@pytest.mark.parametrize("role", [Role.EXECUTOR, Role.SUBMISSION])
def test_no_garbage_is_looked_for_while_a_worker_imports_pytorch(role: Role, tmp_path: Path) -> None:
    with started(role, _IMPORT, tmp_path) as worker:
        printed, _ = worker.communicate()
    collections, enabled = printed.split()
    assert collections == "0"
    # The submission's client takes collection over when it has a job.
    assert enabled == str(role is Role.EXECUTOR)


def test_an_executor_ends_without_taking_pytorch_apart_and_loses_no_output(tmp_path: Path) -> None:
    with served(tmp_path) as (worker, connection):
        connection.sendall(frame(Channel.HOST, TellMemory().encode()))
        connection.shutdown(socket.SHUT_WR)
        printed, errors = worker.communicate()
        _, answer = FrameReader(connection).receive()
    assert answer[0] == AnswerStatus.OK
    assert (worker.returncode, printed, errors) == (0, "", "no whole line")


def test_an_executor_that_fails_shows_why(tmp_path: Path) -> None:
    with served(tmp_path) as (worker, connection):
        connection.sendall(frame(Channel.HOST, b"no message"))
        _, errors = worker.communicate()
    assert worker.returncode == 1
    assert "Traceback" in errors


def test_reproducible_kernels_are_chosen_as_pytorch_does_but_without_its_compiler() -> None:
    ours, theirs = settings("ours"), settings("pytorch's")
    assert ours["settings"] == theirs["settings"]
    assert ours["settings"][:2] == [True, True]
    assert theirs["compiler"], "PyTorch no longer imports its compiler for this: call its own function"
    assert ours["compiler"] == []
